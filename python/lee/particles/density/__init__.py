"""Density of particles: searched area, maps and their scale, confidence intervals, relation to curvature."""
