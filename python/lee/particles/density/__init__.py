"""Density of particles on the true surface: map, mean, uncertainty, and its relation to curvature."""
