"""Particles on the measured surface that appear or disappear between two scans.

`finding` detects them, `calibration` gives their sizes, `density` their density and its relation to
curvature, `figures` draws them. The modules here hold their table, the evaluation over time and the folder of
results.
"""
