"""Luminance of colours."""

import numpy as np
import numpy.typing as npt

# Rec. 601: of red, green and blue.
_WEIGHTS = (0.299, 0.587, 0.114)


def luminance(rgb: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """Return the Rec. 601 luminance of red, green and blue along the last axis; a fourth there is ignored."""
    red, green, blue = _WEIGHTS
    channels = np.moveaxis(rgb[..., :3].astype(np.float64), -1, 0)
    return np.asarray(red * channels[0] + green * channels[1] + blue * channels[2], dtype=np.float32)
