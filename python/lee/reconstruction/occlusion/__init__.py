"""Occlusions of a scan: found in time, and what remains of the surface near and beneath them."""
