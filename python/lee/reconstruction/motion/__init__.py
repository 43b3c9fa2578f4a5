"""How the frames of a scan show the sample displaced, drift and vibration, and frames without that.

A room of its own, since particles and series compare images with the same means.
"""
