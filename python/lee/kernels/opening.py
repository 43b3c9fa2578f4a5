"""Opening: spikes smaller than a footprint are removed from a height map."""

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee import _core
from lee.errors import InputError
from lee.kernels import cuda_arrays
from lee.kernels.arguments import check_threads, device_image, image
from lee.kernels.cuda_arrays import is_cuda
from lee.kernels.footprint import Footprint, as_footprint


class Opened(NamedTuple):
    """A height map without its spikes, and where they were; CuPy's arrays if it is on a CUDA device."""

    height_um: NDArray[np.float32]
    removed: NDArray[np.int8]


def opening(
    height_um: ArrayLike,
    *,
    footprint: Footprint | ArrayLike,
    threshold: float | None = None,
    mad_factor: float = 6.0,
    peaks: bool = True,
    pits: bool = True,
    threads: int = 0,
) -> Opened:
    """Remove spikes smaller than a footprint from a height map; every other pixel stays bit for bit.

    Outliers are detected against the flat opening and its dual, since spikes point both ways: a pixel is a
    peak where ``height - opening > threshold`` and takes the opening's value; on what is left, a pixel is a
    pit where ``closing - height > threshold`` and takes the closing's value. A pixel changed by both steps
    keeps its own height where that is within the threshold of the closing.

    Parameters
    ----------
    height_um : (H, W) float32, µm (any unit will do)
        Height map. Other real dtypes are copied to float32. NaN and infinite pixels are not measured: they
        count as absent and stay as they are.
    footprint : Footprint or (h, w) bool
        Flat structuring element, larger than the spikes: `disk`, `ellipse`, `rectangle`, or a
        mask whose centre is then ``(h // 2, w // 2)``. At the border it is clipped to the image.
    threshold : float, unit of `height_um`, optional
        How far an outlier stands out. 0 with ``pits=False`` gives the plain flat opening. By default,
        local: in tiles of 128 by 128 pixels the median plus `mad_factor` times 1.4826 MAD of the residue,
        interpolated between tile centres; only every fourth pixel of every fourth row is used in
        images above 65536 pixels. Where more than half the residue is zero (a noise-free relief), so is the
        limit.
    mad_factor : float
        See `threshold`.
    peaks, pits : bool
        Which spikes to remove. With one of them off the operation is idempotent for a given `threshold`.
    threads : int
        0 = all available cores. The result does not depend on it.

    Returns
    -------
    Opened
        ``height_um`` (H, W) float32 and ``removed`` (H, W) int8: 1 where a peak was removed, -1 where a pit
        was, 0 elsewhere.

    Raises
    ------
    InputError
        If an argument has the wrong number of dimensions, is empty, or is negative.
    """
    shape = as_footprint(footprint)
    if threshold is not None and not threshold >= 0:
        raise InputError(f"opening: threshold is {threshold}; give a height >= 0, or None for automatic")
    if not mad_factor >= 0:
        raise InputError(f"opening: mad_factor is {mad_factor}; give a number >= 0")
    check_threads("opening", threads)
    options: dict[str, Any] = {
        "centre": shape.centre,
        "threshold": float("nan") if threshold is None else float(threshold),
        "mad_factor": float(mad_factor),
        "peaks": bool(peaks),
        "pits": bool(pits),
    }
    mask = shape.mask.view(np.uint8)
    if is_cuda(height_um):
        device_height = device_image(height_um, "opening", "height_um")
        xp = cuda_arrays.cupy("opening")
        out = Opened(xp.empty(device_height.shape, np.float32), xp.empty(device_height.shape, np.int8))
        stream = cuda_arrays.stream("opening")
        _core.opening(device_height, mask, **options, out=out.height_um, removed=out.removed, stream=stream)
        return out
    return Opened(
        *_core.opening(image(height_um, "opening", "height_um"), mask, **options, threads=int(threads))
    )


def flat_morphology(
    operation: Literal["erosion", "dilation", "opening", "closing"],
    height_um: ArrayLike,
    *,
    footprint: Footprint | ArrayLike,
    threads: int = 0,
) -> NDArray[np.float32]:
    """Apply a flat morphological operation: extremes of the height over a footprint.

    Parameters
    ----------
    operation : {"erosion", "dilation", "opening", "closing"}
        The erosion at p is the smallest height over p + s, s in the footprint; the dilation the largest over
        p - s.
    height_um : (H, W) float32, any unit
        Other real dtypes are copied to float32. NaN and infinite pixels count as absent.
    footprint : Footprint or (h, w) bool
        Flat structuring element, clipped to the image at its border.
    threads : int
        0 = all available cores. The result does not depend on it.

    Returns
    -------
    (H, W) float32
        Erosion and dilation are NaN where the footprint holds no height; opening and closing keep what is not
        measured, and what no placement of the footprint covers.

    Raises
    ------
    InputError
        If an argument has the wrong number of dimensions or is empty.
    """
    shape = as_footprint(footprint)
    mask = shape.mask.view(np.uint8)
    check_threads("flat_morphology", threads)
    if is_cuda(height_um):
        device_height = device_image(height_um, "flat_morphology", "height_um")
        xp = cuda_arrays.cupy("flat_morphology")
        out: NDArray[np.float32] = xp.empty(device_height.shape, np.float32)
        stream = cuda_arrays.stream("flat_morphology")
        _core.flat_morphology(operation, device_height, mask, centre=shape.centre, out=out, stream=stream)
        return out
    height = image(height_um, "flat_morphology", "height_um")
    return _core.flat_morphology(operation, height, mask, centre=shape.centre, threads=int(threads))
