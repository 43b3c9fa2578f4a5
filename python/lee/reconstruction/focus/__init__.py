"""Focus measures: how sharp every pixel of a frame is, and at which height it is sharpest.

Each measure is a strategy in a room of its own because everything around it is the same for all of them:
`measure` says what a strategy must offer, `registry` holds those that exist, one module each holds one
(`variance`, `wavelet`). `peak_search` does all but the measure itself for those written in NumPy.
"""
