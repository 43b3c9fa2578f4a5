"""The compiled kernels, one documented function each: it validates, converts and calls the core.

They run where their arrays lie: NumPy's on the processor, with results in NumPy arrays; those on a CUDA
device (CuPy's, or anything with ``__cuda_array_interface__`` or DLPack) on that device, on CuPy's current
stream, with results in CuPy arrays. There nothing is converted or copied: dtype and layout must be as
documented, and calls return before the work is done.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lee import _core, cuda_arrays
from lee.cuda_arrays import all_cuda, is_cuda
from lee.errors import InputError
from lee.footprint import Footprint, as_footprint
from lee.kernel_arguments import check_threads, device_image, device_planes, image, planes, scaled


def instruction_set() -> str:
    """Return the name of the instruction set the kernels use on the processor."""
    return _core.instruction_set()


def cuda_device() -> dict[str, Any]:
    """Describe the current CUDA device.

    Returns
    -------
    dict
        ``name``, ``compute_capability``, ``multiprocessors``, ``memory_bytes``, ``free_bytes``, ``clock_hz``,
        ``memory_bytes_per_s``, ``shared_slice`` (a part of a card, whose figures are not the card's),
        ``driver_version``, ``runtime_version``.

    Raises
    ------
    DeviceError
        If none is usable: the message says why.
    """
    return _core.cuda_device()


def new_refocuser(shape: tuple[int, int], *, on: Literal["cpu", "cuda"], **options: Any) -> Any:
    """Make the compiled refocuser that `lee.Refocuser` feeds, on the processor or the current CUDA device.

    Parameters
    ----------
    shape : (H, W)
        Of the frames.
    on : {"cpu", "cuda"}
        On a CUDA device it works on CuPy's current stream where the caller uses CuPy, else the default one.
    **options
        As ``lee/refocuser.hpp`` names them, and ``threads``.
    """
    if on == "cpu":
        return _core.Refocuser(*shape, **options)
    return _core.DeviceRefocuser(*shape, **options, stream=cuda_arrays.stream_or_default())


class Opened(NamedTuple):
    """A height map without its spikes, and where they were."""

    height_um: Any
    removed: Any


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
    pit where ``closing - height > threshold`` and takes the closing's value. A pixel that both steps touch
    keeps its own height where that lies within the threshold of the closing.

    Parameters
    ----------
    height_um : (H, W) float32, µm (any unit will do)
        Height map. Other real dtypes are copied to float32. NaN and infinite pixels are not measured: they
        count as absent and stay as they are.
    footprint : Footprint or (h, w) bool
        Flat structuring element, larger than the spikes: `lee.footprint.disk`, `ellipse`, `rectangle`, or a
        mask whose centre is then ``(h // 2, w // 2)``. At the border it is clipped to the image.
    threshold : float, unit of `height_um`, optional
        How far an outlier stands out. 0 with ``pits=False`` gives the plain flat opening. By default,
        local: in tiles of 128 by 128 pixels the median plus `mad_factor` times 1.4826 MAD of the residue,
        interpolated between tile centres; only every fourth pixel of every fourth row is looked at in
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
        ``height_um`` (H, W) float32 and ``removed`` (H, W) int8: 1 where a peak went, -1 where a pit went,
        0 elsewhere.

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
) -> Any:
    """Apply a flat morphological operation: extremes of the height over a footprint.

    Parameters
    ----------
    operation : {"erosion", "dilation", "opening", "closing"}
        The erosion at p is the least height over p + s, s in the footprint; the dilation the greatest over
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
        Erosion and dilation are NaN where they see no height; opening and closing keep what is not
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
        out = cuda_arrays.cupy("flat_morphology").empty(device_height.shape, np.float32)
        stream = cuda_arrays.stream("flat_morphology")
        _core.flat_morphology(operation, device_height, mask, centre=shape.centre, out=out, stream=stream)
        return out
    height = image(height_um, "flat_morphology", "height_um")
    return _core.flat_morphology(operation, height, mask, centre=shape.centre, threads=int(threads))


class AdaptiveVariance(NamedTuple):
    """Normalised local variance, and the footprint each pixel's was taken over."""

    focus: Any
    window: Any
    noise: Any


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
    deviation. Where none does, it takes the largest. One footprint serves all planes of a pixel, or its
    focus curve would be torn.

    Parameters
    ----------
    stack : (Z, H, W) or (H, W) uint8, uint16 or float32, counts
        Focal stack, or one image. Other real dtypes are copied to float32. NaN and infinite pixels are
        absent.
    footprint : Footprint or (h, w) bool
        What the variance is taken over: `lee.Target.footprint`, `lee.footprint.disk`, `ellipse`, `rectangle`,
        or a mask whose centre is then ``(h // 2, w // 2)``. At the border it is clipped to the image.
    scales : sequence of float
        Factors of the footprint's size, rising, at least 1 and at most 255 of them.
    detail_px : int, optional
        By default the variance about the footprint's own mean. An odd number >= 3: about the mean m of the
        square of that size around each pixel, ``(v - m)**2 / m`` averaged over the footprint; shading and the
        relief's large forms then lend no focus.
    noise : float, counts, optional
        Normalised variance of noise alone: for shot noise counts per photon, whatever the brightness. By
        default from the stack: the median squared response to (1 -2 1) along y and x, over the mean.
    significance : float
        Standard deviations by which texture must stand out of the noise for a footprint to do.
    threads : int
        0 = all available cores. The result does not depend on it.

    Returns
    -------
    AdaptiveVariance
        ``focus``, float32 counts in the shape of `stack`, >= 0: 0 where the mean is not positive and
        throughout constant images, NaN where the footprint sees no pixel. ``window`` (H, W) uint8, index
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
        out = AdaptiveVariance(
            xp.empty(whole.shape, np.float32), xp.empty(whole.shape[1:], np.uint8), xp.empty(1, np.float32)
        )
        _core.adaptive_variance(
            whole,
            masks,
            **options,
            focus=out.focus,
            window=out.window,
            used=out.noise,
            stream=cuda_arrays.stream("adaptive_variance"),
        )
        return AdaptiveVariance(out.focus.reshape(frames.shape), out.window, out.noise.reshape(()))
    frames = planes(stack, "adaptive_variance", "stack")
    focus, window, used = _core.adaptive_variance(
        frames if frames.ndim == 3 else frames[None], masks, **options, threads=int(threads)
    )
    return AdaptiveVariance(focus.reshape(frames.shape), window, used)


class Refocused(NamedTuple):
    """An all-in-focus image and the heights its pixels lie at."""

    sharp: Any
    plane: Any
    height_um: Any
    sigma_um: Any


def argmax_refocus(
    stack: ArrayLike,
    focus: ArrayLike,
    *,
    z_um: ArrayLike | None = None,
    reach: int = 6,
    threads: int = 0,
) -> Refocused:
    """Keep, at every pixel, the plane in best focus, and the height its focus curve peaks at.

    The height is the vertex of the parabola fitted to the logarithm of the focus over the planes within
    `reach` of the maximum: of a Gaussian focus curve, its centre. The samples are weighted by their focus
    squared, since equal noise on the focus is noise of 1 / focus on its logarithm. Choose `reach` so that
    it spans the depth of field.

    Parameters
    ----------
    stack : (Z, H, W) uint8, uint16 or float32, counts
        Focal stack, one plane per stage position. Other real dtypes are copied to float32.
    focus : (Z, H, W) float32, any unit
        Focus measure of `stack`; larger is sharper. NaN never wins.
    z_um : (Z,) float64, µm, optional
        Heights of the planes, strictly rising or falling, in steps of any size; always in the host's memory.
        By default planes lie 1 apart, and heights count planes.
    reach : int
        Planes to each side of the maximum that the fit takes in, at least 1; clipped at the ends of the scan.
    threads : int
        0 = all available cores. The result does not depend on it.

    Returns
    -------
    Refocused
        ``plane`` (H, W) int32, index along Z: ties take the lowest plane, -1 marks pixels whose focus is
        NaN throughout. ``sharp`` (H, W) float32, counts in that plane, not interpolated. ``height_um``
        (H, W) float32: NaN where the maximum is the first or the last plane, is not positive, or no peak
        fits. ``sigma_um`` (H, W) float32: its standard deviation from the residuals of the fit, so from
        the noise of the curve and its misfit; NaN also where only three planes took part.

    Raises
    ------
    InputError
        If an argument is not three-dimensional, the two shapes differ, or `z_um` does not fit or is not
        strictly monotonic.
    """
    on_device = all_cuda("argmax_refocus", stack=stack, focus=focus)
    if on_device:
        frames = device_planes(stack, "argmax_refocus", "stack", (3,))
        curves = cuda_arrays.as_cuda(focus, "argmax_refocus", "focus", dtypes=("float32",), dimensions=(3,))
    else:
        frames = planes(stack, "argmax_refocus", "stack", (3,))
        curves = np.asarray(planes(focus, "argmax_refocus", "focus", (3,)), dtype=np.float32)
    if frames.shape != curves.shape:
        raise InputError(
            f"argmax_refocus: stack is {frames.shape} but focus is {curves.shape}; give equal shapes"
        )
    if is_cuda(z_um):
        raise InputError("argmax_refocus: z_um lies on the CUDA device; give heights in the host's memory")
    z = np.arange(len(frames), dtype=np.float64) if z_um is None else np.asarray(z_um, dtype=np.float64)
    if z.shape != (len(frames),):
        raise InputError(
            f"argmax_refocus: z_um has shape {z.shape}; give a height for each of {len(frames)} planes"
        )
    steps = np.diff(z)
    if not np.isfinite(z).all() or not ((steps > 0).all() or (steps < 0).all()):
        raise InputError(
            "argmax_refocus: z_um is not finite and strictly monotonic; give rising or falling heights"
        )
    if reach < 1:
        raise InputError(f"argmax_refocus: reach is {reach}; give a number of planes >= 1")
    check_threads("argmax_refocus", threads)
    options: dict[str, Any] = {"z_um": np.ascontiguousarray(z), "reach": int(reach)}
    if on_device:
        xp, shape = cuda_arrays.cupy("argmax_refocus"), frames.shape[1:]
        out = Refocused(*(xp.empty(shape, t) for t in (np.float32, np.int32, np.float32, np.float32)))
        stream = cuda_arrays.stream("argmax_refocus")
        _core.argmax_refocus(frames, curves, **options, **out._asdict(), stream=stream)
        return out
    return Refocused(*_core.argmax_refocus(frames, curves, **options, threads=int(threads)))


def curvature(height: Any, sigma: Any, **options: Any) -> Any:
    """Call the compiled kernel behind `lee.curvature`, which documents it."""
    return _core.curvature(height, sigma, **options)


def detect_particles(*frames: Any, **options: Any) -> Any:
    """Call the compiled kernel behind `lee.detect_particles`, which documents it."""
    return _core.detect_particles(*frames, **options)


# What those who document kernels elsewhere need of the core besides: lee.curvature, lee.particles.detect.
height_derivatives = _core.height_derivatives
curvature_window = _core.curvature_window
particle_threshold = _core.particle_threshold
