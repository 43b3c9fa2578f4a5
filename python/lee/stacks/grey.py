"""Frames, grey or in colour, from the samples that image files hold: dtypes, alpha."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lee.errors import InputError
from lee.storage.luminance import luminance

Frame = NDArray[np.uint8 | np.uint16 | np.float32]
GreyType = np.dtype[np.uint8] | np.dtype[np.uint16] | np.dtype[np.float32]
# Samples as a decoder returns them.
Samples = NDArray[np.generic]


def grey_dtype(dtype: np.dtype[np.generic], where: str) -> GreyType:
    """Dtype of the grey frames made from samples of `dtype`: uint8 and uint16 stay, all else is float32.

    bool becomes uint8 (0 and 255). Signed and wider integers, float16 and float64 become float32, which holds
    integers exactly up to 2**24.

    Raises
    ------
    InputError
        If the samples are not real numbers.
    """
    if dtype.kind == "b" or (dtype.kind == "u" and dtype.itemsize == 1):
        return np.dtype(np.uint8)
    if dtype.kind == "u" and dtype.itemsize == 2:
        return np.dtype(np.uint16)
    if dtype.kind in "iuf":
        return np.dtype(np.float32)
    raise InputError(
        f"{where}: samples of type {dtype} are not grey values; save it as uint8, uint16 or float32"
    )


def as_grey(image: Samples, where: str) -> Frame:
    """Reduce an image to one grey frame.

    Parameters
    ----------
    image : (H, W), (H, W, 1), (H, W, 2) grey and alpha, (H, W, 3) RGB or (H, W, 4) RGBA
        Alpha is ignored. Colour becomes Rec. 601 luminance, 0.299 R + 0.587 G + 0.114 B, rounded if integer.
    where : str
        File and frame, for error messages.

    Returns
    -------
    (H, W) uint8, uint16 or float32, C-contiguous, as `grey_dtype` defines.
    """
    target = grey_dtype(image.dtype, where)
    if image.ndim == 3 and image.shape[2] in (1, 2):
        image = image[..., 0]
    elif image.ndim == 3 and image.shape[2] in (3, 4):
        image = _luminance(image)
    if image.ndim != 2:
        raise InputError(
            f"{where}: shape {image.shape} is not an image; expected (H, W), (H, W, 3) or (H, W, 4)"
        )
    if image.dtype == np.bool_:
        return np.ascontiguousarray(image.astype(np.uint8) * np.uint8(255))
    return np.ascontiguousarray(image, dtype=target)


def as_rgb(image: Samples, where: str) -> Frame:
    """Reduce an image to one frame in colour.

    Parameters
    ----------
    image : (H, W), (H, W, 1), (H, W, 2) grey and alpha, (H, W, 3) RGB or (H, W, 4) RGBA
        Alpha is ignored; a grey image has three equal channels.
    where : str
        File and frame, for error messages.

    Returns
    -------
    (H, W, 3) uint8, uint16 or float32, as `grey_dtype` defines.
    """
    if image.ndim == 3 and image.shape[2] in (3, 4):
        return np.ascontiguousarray(image[..., :3], dtype=grey_dtype(image.dtype, where))
    grey = as_grey(image, where)
    return np.repeat(grey[..., None], 3, axis=2)


def _luminance(image: Samples) -> Samples:
    if image.dtype.kind == "u" and image.dtype.itemsize <= 2:
        # 16-bit weights that sum to 65536: equal channels come back unchanged, and uint32 cannot overflow.
        channels = image.astype(np.uint32)
        total = channels[..., 0] * 19595 + channels[..., 1] * 38470 + channels[..., 2] * 7471 + 32768
        return (total >> 16).astype(image.dtype.newbyteorder("="))
    return luminance(image)
