"""Size calibration: from the intensity a particle scatters to its diameter."""
