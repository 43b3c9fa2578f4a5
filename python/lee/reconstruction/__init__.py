"""From a focal stack to a measured surface.

`reconstruct` takes a whole stack, `refocuser` frames while they arrive. Around them: drift inside a scan,
rejected frames, artefact masks, heights recovered beneath occlusions, the depth of field, the target, the
wavelet focus.
"""
