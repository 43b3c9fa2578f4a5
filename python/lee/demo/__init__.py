"""The demonstration: scans of known surfaces are rendered, measured and compared with the truth."""
