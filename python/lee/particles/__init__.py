"""Particles: bright spots that appear or disappear between two scans, on the measured surface."""
