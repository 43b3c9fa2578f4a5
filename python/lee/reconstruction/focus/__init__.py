"""Focus measures: how sharp every pixel of a frame is, and at which height it is sharpest.

They share a room because each is a strategy with the same interface, while everything around them, from
drift to filling, is the same for all. `measure` defines the interface, `registry` holds those that exist, and
one module each holds one (`variance`, `wavelet`). `peak_search` does everything but the measure itself for
those written in NumPy.
"""
