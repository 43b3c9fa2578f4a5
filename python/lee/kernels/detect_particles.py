"""Detection of particles: the bright spots that appear between two frames of the same place."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee import _core
from lee.errors import InputError
from lee.kernels import cuda_arrays
from lee.kernels.arguments import check_threads, device_image, device_planes, image, planes
from lee.kernels.cuda_arrays import CudaArray, all_cuda

# Bits of `DetectedParticles.flags`, by the words the table of particles uses.
FLAG_BITS = {"crowded": 1, "edge": 2, "masked": 4, "wide": 8}
# Rows that results on a CUDA device are given at first.
_ROOM = 1 << 14

Values = NDArray[np.float32]  # CuPy's array where the frames are on a CUDA device


class DetectedParticles(NamedTuple):
    """Bright spots, sorted by rows, then columns; arrays are (N,), float32 but for `flags`."""

    y_px: Values
    """Position; the middle of pixel (0, 0) is at (0, 0)."""
    x_px: Values
    peak: Values
    """Of the spot, counts; its whole intensity is 2 pi peak width_px^2."""
    width_px: Values
    """Standard deviation of the Gaussian spot."""
    y_sigma_px: Values
    x_sigma_px: Values
    peak_sigma: Values
    """Standard deviations, the uncertainty of overlapping neighbours included."""
    snr: Values
    """Signal-to-noise ratio behind the matched filter, neighbours subtracted."""
    flags: NDArray[np.uint8]
    """uint8, sums of `lee.kernels.detect_particles.FLAG_BITS`."""
    spot_sigma_px: float
    """Width of a point's spot, given or found."""
    sigma_from: int
    """Bright spots it was found from; 0 where it was given or expected."""
    threshold_snr: float
    """Detection threshold for a single spot; a crowded one, its neighbours subtracted, can have less."""
    noise: float
    """Standard deviation of a pixel's difference, counts: median over the field."""
    excess: float
    """Noise behind the matched filter, over what white noise gives: more than 1 where texture remains."""
    not_measured: int
    saturated: int
    """Pixels that were ignored."""
    left_out: int
    """Spots beyond what a crowded place can hold."""

    def only(self, which: NDArray[np.bool_]) -> DetectedParticles:
        """Keep some of the spots."""
        spots = self._fields[: self._fields.index("flags") + 1]
        return self._replace(**{name: getattr(self, name)[which] for name in spots})


def detect_particles(
    before: ArrayLike,
    after: ArrayLike,
    *,
    axial: ArrayLike | None = None,
    spot_sigma_px: float | None = None,
    expected_sigma_px: float = 1.4,
    false_alarms: float = 1.0,
    threshold_snr: float | None = None,
    saturation: float = math.inf,
    shift_px: tuple[float, float] = (0.0, 0.0),
    disappearing: bool = False,
    threads: int = 0,
) -> DetectedParticles:
    """Find the bright spots that appear between two frames of the same place.

    `before` is aligned with `after` and subtracted from it. Differences that a shift, defocus or change of
    brightness of `before` explains are fitted in tiles of about 64 px and subtracted (after Alard & Lupton,
    ApJ 503 (1998) 325), so that the surface's own texture is not mistaken for particles; so is what varies
    slowly, as illumination that has changed does. Noise is estimated tile by tile, its variance as a straight
    line over brightness. A filter matched to a Gaussian spot gives a signal-to-noise ratio; its maxima above
    a threshold are fitted by Gaussians, overlapping ones together. Where residuals remain, spots are added or
    split as long as chi square falls by more than noise explains. A spot that one pixel explains as well, a
    cosmic ray or a pixel that blinks, is no particle.

    The threshold is where noise alone is expected to have `false_alarms` maxima in the field (of a Gaussian
    random field: Adler, The Geometry of Random Fields, 1981); it is raised where the noise of pixels has
    heavier tails than a Gaussian, as few photons have. A position is good to about 0.80 px over the
    signal-to-noise ratio of the peak pixel, the bound for white noise.

    Parameters
    ----------
    before, after : (H, W) uint8, uint16 or float32, counts
        Other real dtypes are copied to float32. Pixels that are NaN, infinite or saturated in either are
        ignored. CUDA arrays must be of one of these dtypes, and contiguous.
    axial : (H, W) float32, optional
        How `before` changes with height, any unit: what a surface that has grown between the frames changes.
        Without it the Laplacian of `before` stands in for it.
    spot_sigma_px : float, px, optional
        Standard deviation of the Gaussian that a point appears as, 0.5 to 6. By default from the bright spots
        of the frame; fewer than eight may make it wider than `expected_sigma_px`, never narrower, and without
        any it is that.
    expected_sigma_px : float, px
        See `spot_sigma_px`.
    false_alarms : float
        False particles expected in a pair of frames without any.
    threshold_snr : float, optional
        Smallest signal-to-noise ratio, instead of `false_alarms`.
    saturation : float, counts
        Pixels at and above it are saturated.
    shift_px : (float, float), px
        Displacement (dy, dx) from `before` to `after`.
    disappearing : bool
        Find particles that disappear instead.
    threads : int
        0 = all available cores. The result does not depend on it.

    Returns
    -------
    DetectedParticles
        Positions are in pixels of `after`. Arrays are CuPy's where the frames are on a CUDA device; the
        call then waits for the device.

    Raises
    ------
    InputError
        If shapes or dtypes do not fit, or an option is out of its range.
    TypeError
        If some arrays are on a CUDA device and some are not.
    """
    operation = "detect_particles"
    check_threads(operation, threads)
    arrays: dict[str, object] = {"before": before, "after": after}
    if axial is not None:
        arrays["axial"] = axial
    on_device = all_cuda(operation, **arrays)
    if on_device:
        frames = [device_planes(arrays[name], operation, name, (2,)) for name in ("before", "after")]
        if frames[0].dtype != frames[1].dtype:
            raise InputError(
                f"{operation}: before holds {frames[0].dtype} but after {frames[1].dtype}; convert one"
            )
        change = None if axial is None else device_image(axial, operation, "axial")
    else:
        frames = [planes(arrays[name], operation, name, (2,)) for name in ("before", "after")]  # type: ignore[arg-type]
        if frames[0].dtype != frames[1].dtype:
            frames = [frame.astype(np.float32) for frame in frames]
        change = None if axial is None else image(axial, operation, "axial")
    for name, other in (("after", frames[1]), ("axial", change)):
        if other is not None and other.shape != frames[0].shape:
            raise InputError(
                f"{operation}: before is {frames[0].shape} but {name} is {other.shape}; give equal shapes"
            )
    options: dict[str, Any] = {
        "spot_sigma_px": 0.0 if spot_sigma_px is None else float(spot_sigma_px),
        "expected_sigma_px": float(expected_sigma_px),
        "false_alarms": float(false_alarms),
        "threshold_snr": 0.0 if threshold_snr is None else float(threshold_snr),
        "saturation": float(saturation),
        "shift_px": (float(shift_px[0]), float(shift_px[1])),
        "disappearing": bool(disappearing),
    }
    try:
        if on_device:
            table, facts = _on_device(frames[0], frames[1], change, options)
        else:
            earlier, later = frames
            table, facts = _core.detect_particles(earlier, later, change, **options, threads=int(threads))
    except ValueError as error:
        raise InputError(str(error)) from error
    del facts["count"]
    columns = {name: table[:, k] for k, name in enumerate(DetectedParticles._fields[:8])}
    return DetectedParticles(**columns, flags=table[:, 8].astype(np.uint8), **facts)


def _on_device(
    before: CudaArray, after: CudaArray, axial: CudaArray | None, options: dict[str, Any]
) -> tuple[CudaArray, dict[str, Any]]:
    xp = cuda_arrays.cupy("detect_particles")
    stream = cuda_arrays.stream("detect_particles")
    room = _ROOM
    while True:
        table = xp.empty((room, 9), np.float32)
        facts = _core.detect_particles(before, after, axial, table, **options, stream=stream)
        if facts["count"] <= room:
            return table[: facts["count"]], facts
        room = facts["count"]
