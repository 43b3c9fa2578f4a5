"""Measured rates against computed ones: comparison, inversion for efficiency or exchange current, window."""
