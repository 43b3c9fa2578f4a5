"""Scans of a run aligned with each other: lateral drift from images, axial drift against a reference."""
