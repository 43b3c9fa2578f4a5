"""Figures and report of particles and their calibration: drawing only."""
