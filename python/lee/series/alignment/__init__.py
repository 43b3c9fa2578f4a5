"""Alignment of the scans of a run: lateral drift from images, axial drift against a reference."""
