"""Scenes under the virtual objective: surfaces of known height, bodies above them, growth and nuclei.

Everything here is truth in µm, free of optics, noise and stage.
"""
