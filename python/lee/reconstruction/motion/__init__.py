"""How the frames of a scan show the sample displaced, drift, vibration and focus breathing; frames without.

A room of its own, since particles and series compare images with the same means.
"""
