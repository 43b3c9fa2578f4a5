"""Size calibration: the diameter of a particle from the intensity it scatters."""
