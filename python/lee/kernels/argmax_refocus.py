"""Argmax refocus: the plane in best focus at every pixel, and the height at which its focus curve peaks."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee import _core
from lee.errors import InputError
from lee.kernels import cuda_arrays
from lee.kernels.arguments import check_threads, device_planes, planes
from lee.kernels.cuda_arrays import all_cuda, is_cuda


class Refocused(NamedTuple):
    """An all-in-focus image and the heights of its pixels; CuPy's arrays if the stack is on a CUDA device."""

    sharp: NDArray[np.float32]
    plane: NDArray[np.int32]
    height_um: NDArray[np.float32]
    sigma_um: NDArray[np.float32]


def argmax_refocus(
    stack: ArrayLike,
    focus: ArrayLike,
    *,
    z_um: ArrayLike | None = None,
    reach: int = 6,
    threads: int = 0,
) -> Refocused:
    """Keep, at every pixel, the plane in best focus, and the height at which its focus curve peaks.

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
        By default planes are 1 apart, and heights count planes.
    reach : int
        Planes to each side of the maximum that the fit uses, at least 1; clipped at the ends of the scan.
    threads : int
        0 = all available cores. The result does not depend on it.

    Returns
    -------
    Refocused
        ``plane`` (H, W) int32, index along Z: ties take the lowest plane, -1 marks pixels whose focus is
        NaN throughout. ``sharp`` (H, W) float32, counts in that plane, not interpolated. ``height_um``
        (H, W) float32: NaN where the maximum is the first or the last plane, is not positive, or no peak
        fits. ``sigma_um`` (H, W) float32: its standard deviation from the residuals of the fit, so from
        the noise of the curve and its misfit; NaN also where only three planes were used.

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
        raise InputError("argmax_refocus: z_um is on the CUDA device; give heights in the host's memory")
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
    z = np.ascontiguousarray(z)
    if on_device:
        xp, shape = cuda_arrays.cupy("argmax_refocus"), frames.shape[1:]
        out = Refocused(*(xp.empty(shape, t) for t in (np.float32, np.int32, np.float32, np.float32)))
        stream = cuda_arrays.stream("argmax_refocus")
        _core.argmax_refocus(frames, curves, z_um=z, reach=int(reach), **out._asdict(), stream=stream)
        return out
    return Refocused(*_core.argmax_refocus(frames, curves, z_um=z, reach=int(reach), threads=int(threads)))
