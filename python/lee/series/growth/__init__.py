"""Growth over a run: coarse trend, outlier scans, and the rate of every pixel with its standard deviation."""
