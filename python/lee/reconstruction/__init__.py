"""From a focal stack to a measured surface.

A room because the frames of one scan decide every height, and nothing else does. `reconstruct` takes a whole
stack, `refocuser` frames while they arrive, both with the user's `parameters`. Before the search for the best
focus, whose measures are in `focus`: the depth of field, the target, rejected frames, lateral drift
(`registration` compares two frames). After it, `assembly` masks artefacts, recovers heights beneath
occlusions, fills holes, and makes the `lee.Surface`. A stack is then read once more: `second_look` measures
the heights again with the texture now known. `throughput` times all this for `lee bench`.
"""
