"""Z-stacks in: one lazy `lee.ZStack`, whatever file the frames are in.

One module reads each format, with the heights and the pixel size that its files state; `registry` lists them,
and those that other packages add. `stack` opens and calibrates whatever they read.
"""
