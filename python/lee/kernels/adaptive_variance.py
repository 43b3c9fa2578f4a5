"""Adaptive variance: the normalised local variance as focus measure, its window adapted to the texture."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee import _core
from lee.errors import InputError
from lee.kernels import cuda_arrays
from lee.kernels.arguments import check_threads, device_planes, planes, scaled
from lee.kernels.cuda_arrays import CudaArray, is_cuda
from lee.kernels.footprint import Footprint, as_footprint


class AdaptiveVariance(NamedTuple):
    """Normalised local variance, and the footprint it was taken over at each pixel."""

    focus: NDArray[np.float32]
    window: NDArray[np.uint8]
    noise: float | CudaArray


def adaptive_variance(
    stack: ArrayLike,
    *,
    footprint: Footprint | ArrayLike,
    scales: Sequence[float] = (1.0,),
    detail_px: int | None = None,
    noise: float | None = None,
    significance: float = 16.0,
    threads: int = 0,
) -> AdaptiveVariance:
    """Measure focus by the normalised local variance, variance over mean (Sun, Duthaler, Nelson 2004).

    The footprint adapts to the target's shape and size. With several `scales` it also adapts to the
    texture: small on rugged relief, large where texture fades. A pixel takes the smallest of the scaled
    footprints for which the largest focus over the planes exceeds ``e * (1 + significance * sqrt(2 /
    n))``: n is the number of the footprint's pixels, ``e = noise * (1 - 1 / n)`` (``1 - 1 /
    detail_px**2`` with `detail_px`) is what noise alone gives and ``e * sqrt(2 / n)`` its standard
    deviation. Where none does, it takes the largest. One footprint serves all planes of a pixel;
    otherwise its focus curve would jump.

    Parameters
    ----------
    stack : (Z, H, W) or (H, W) uint8, uint16 or float32, counts
        Focal stack, or one image. Other real dtypes are copied to float32. NaN and infinite pixels are
        absent.
    footprint : Footprint or (h, w) bool
        What the variance is taken over: `lee.Target.footprint`, `disk`, `ellipse`, `rectangle`,
        or a mask whose centre is then ``(h // 2, w // 2)``. At the border it is clipped to the image.
    scales : sequence of float
        Factors of the footprint's size, rising, at least 1 and at most 255 of them.
    detail_px : int, optional
        By default the variance about the footprint's own mean. An odd number >= 3: about the mean m of the
        square of that size around each pixel, ``(v - m)**2 / m`` averaged over the footprint; shading and the
        relief's large forms then add no focus.
    noise : float, counts, optional
        Normalised variance of noise alone: for shot noise counts per photon, whatever the brightness. By
        default from the stack: the median squared response to (1 -2 1) along y and x, over the mean.
    significance : float
        Standard deviations by which texture must exceed the noise for a footprint to be large enough.
    threads : int
        0 = all available cores. The result does not depend on it.

    Returns
    -------
    AdaptiveVariance
        ``focus``, float32 counts in the shape of `stack`, >= 0: 0 where the mean is not positive and
        throughout constant images, NaN where the footprint holds no pixel. ``window`` (H, W) uint8, index
        into `scales`. ``noise``, what was used; NaN where a single scale made it unnecessary; of a stack on
        a CUDA device an array of no dimensions, since the call does not wait for it.

    Raises
    ------
    InputError
        If an argument has the wrong number of dimensions, is empty, or is out of range.
    """
    factors = [float(factor) for factor in scales]
    rising = all(b > a for a, b in pairwise(factors))
    if not 1 <= len(factors) <= 255 or not rising or not 0 < factors[0] <= factors[-1] < np.inf:
        raise InputError(f"adaptive_variance: scales are {tuple(factors)}; give 1 to 255 rising factors > 0")
    if detail_px is not None and (detail_px < 3 or detail_px % 2 == 0):
        raise InputError(f"adaptive_variance: detail_px is {detail_px}; give an odd number >= 3, or None")
    if noise is not None and not 0 <= noise < np.inf:
        raise InputError(f"adaptive_variance: noise is {noise}; give counts >= 0, or None for automatic")
    if not significance >= 0:
        raise InputError(f"adaptive_variance: significance is {significance}; give a number >= 0")
    check_threads("adaptive_variance", threads)
    shapes = [scaled(as_footprint(footprint), factor) for factor in factors]
    masks = [shape.mask.view(np.uint8) for shape in shapes]
    options: dict[str, Any] = {
        "centres": [shape.centre for shape in shapes],
        "detail_px": int(detail_px or 0),
        "noise": float("nan") if noise is None else float(noise),
        "significance": float(significance),
    }
    if is_cuda(stack):
        frames = device_planes(stack, "adaptive_variance", "stack")
        whole = frames if frames.ndim == 3 else frames[None]
        xp = cuda_arrays.cupy("adaptive_variance")
        shape = whole.shape[1:]
        maps = xp.empty(whole.shape, np.float32), xp.empty(shape, np.uint8), xp.empty(1, np.float32)
        _core.adaptive_variance(
            whole,
            masks,
            **options,
            focus=maps[0],
            window=maps[1],
            used=maps[2],
            stream=cuda_arrays.stream("adaptive_variance"),
        )
        return AdaptiveVariance(maps[0].reshape(frames.shape), maps[1], maps[2].reshape(()))
    frames = planes(stack, "adaptive_variance", "stack")
    focus, window, used = _core.adaptive_variance(
        frames if frames.ndim == 3 else frames[None], masks, **options, threads=int(threads)
    )
    return AdaptiveVariance(focus.reshape(frames.shape), window, used)
