"""Z-stacks in: one lazy `lee.ZStack`, whatever file the frames are in.

`stack` opens; one module a format reads, and says what its file states of heights and pixel size.
"""
