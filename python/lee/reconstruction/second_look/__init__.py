"""The second look: heights measured again, with the texture of the surface known.

The first look asks of every frame how sharp it is, and squares its noise on the way. Once heights are known
roughly, the texture of every pixel is the weighted mean of the frames around its height, and each of these
frames is compared with it: a matched filter, whose noise is the least that the frames allow. A room because
frames are read again, which a stack allows and a running scan does not: `look` does the whole,
`focal_moments` gathers the frames, `window_choice` weighs windows of eight sizes at every pixel,
`standard_deviation` says how well that went, and `preference` which look to believe where. Before that,
`focus_curves` tells what kept still and came into focus as a surface does from what did not, and
`near_occlusions` finds the surface by it where something crossed.
"""
