"""GenICam cameras (USB3 Vision, GigE Vision) through Aravis."""
