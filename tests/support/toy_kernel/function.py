"""A height map turned upside down."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee import _core
from lee.kernels.arguments import check_threads, image


def toy_negation(height_um: ArrayLike, *, threads: int = 0) -> NDArray[np.float32]:
    """Turn a height map, (H, W) in any unit, upside down; NaN stays NaN.

    Raises
    ------
    InputError
        If the map is empty or not two-dimensional.
    """
    check_threads("toy_negation", threads)
    return _core.toy_negation(image(height_um, "toy_negation", "height_um"), threads=threads)
