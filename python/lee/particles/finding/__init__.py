"""Particles found between two scans: slices along the surface, matching, detection, position in z."""
