"""From a scene to frames by wave optics: defocused layers, bodies above them, the sensor's noise.

It shares no code with the reconstruction, so that the two cannot share an error.
"""
