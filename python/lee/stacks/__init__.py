"""Z-stacks in: one lazy `lee.ZStack`, whatever file the frames are in.

One module, or one room, reads each format, with the heights and the pixel size that its files state;
`registry` lists them, and those that other packages add. `selection` chooses one stack among channels,
times and positions, `calibration` decides what is believed, and `stack` puts the two together.
"""
