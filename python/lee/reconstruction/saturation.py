"""Saturation: the count at which a camera's pixels saturate, estimated from its images."""

# Means of a few frames are saturated from this share of the full scale on.
SATURATED_SHARE = 0.98


def full_scale(highest: int) -> int:
    """Return the largest count of the fewest bits, 8, 10, 12, 14 or 16, that hold the highest one seen."""
    return next(2**bits - 1 for bits in (8, 10, 12, 14, 16) if highest < 2**bits)
