"""Growth over a run: the trend of every pixel, outlier scans, and rates with their standard deviations."""
