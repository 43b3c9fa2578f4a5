"""Heights and pixel size of a stack: what the user gives, what files state, and which of them is believed."""
