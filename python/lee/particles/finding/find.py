"""Particles between two scans, or two frames."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError
from lee.kernels.arguments import planes
from lee.kernels.cuda_arrays import is_cuda
from lee.kernels.detect_particles import detect_particles
from lee.particles.finding.common_scale import require_common_scale
from lee.particles.finding.detection import Detection, details_of, table_of
from lee.particles.finding.detector import ParticleDetector, expected_spot_px
from lee.particles.finding.options import DetectionOptions
from lee.particles.finding.pair_registration import common_shift, register, require_shared_texture
from lee.reconstruction.motion.drift import estimate_drift
from lee.reconstruction.motion.robust_drift import RobustDriftTracker
from lee.reconstruction.parameters import MIN_DRIFT_PX
from lee.reconstruction.saturation import full_scale
from lee.stacks.stack import ZStack

if TYPE_CHECKING:
    from lee.particles.calibration.size_calibration import Calibration
    from lee.surfaces.surface import Surface

Scan = ZStack | ArrayLike
Progress = Callable[[int, int], None]
_Drift = NDArray[np.float64]

# A warning names the line that calls `find_particles`.
_CALLER = 4
# Heights at which whole frames of the two scans are compared to register them.
_COMPARED_HEIGHTS = 7


def find_particles(
    before: Scan,
    after: Scan,
    *,
    pixel_um: float | None = None,
    surface: Surface | None = None,
    calibration: Calibration | None = None,
    false_alarms: float = 1.0,
    spot_sigma_px: float | None = None,
    disappearing: bool = False,
    time_s: float = 0.0,
    threads: int = 0,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Find the particles that appear between two scans, or two frames, of the same place.

    Scans are compared at equal true height: frames are interpolated in z where their heights differ, drift
    within and between the scans is corrected, and both are sliced along the surface, so that every place is
    compared in focus (see `ParticleDetector`). `lee.detect_particles` then finds the spots. The height at
    which a particle is brightest is its own focus. Its brightness there, the volume of the Gaussian fitted to
    its spot, is its intensity: about 0.86 of all light of a point seen through a round aperture. Intensity
    grows with the exposure, so a calibration must be measured at the same exposure.

    Parameters
    ----------
    before, after : ZStack, or (H, W) uint8, uint16 or float32, counts
        Two stacks, or two frames.
    pixel_um : float, µm
        Size of a pixel; stacks bring their own.
    surface : Surface, optional
        On the grid of `after`. Without it the surface is reconstructed from `after`.
    calibration : Calibration, optional
        Intensity to diameter (`lee.particles.calibration`); without it diameters are NaN.
    false_alarms : float
        False particles expected in a pair without any.
    spot_sigma_px : float, px, optional
        Standard deviation of a point's spot; by default measured on the bright spots.
    disappearing : bool
        Find particles that disappear (stripping) instead. Positions are still on the grid of `after`.
    time_s : float, s
        When `after` began, for the table.
    threads : int
        0 = all available cores.
    progress : callable, optional
        Called with (frames done, frames in all).

    Returns
    -------
    DataFrame
        One row per particle, columns and units as in `lee.particles.table.COLUMNS`; without particles an
        empty table with all columns. ``attrs`` holds threshold, spot width, noise, registration, and how many
        pixels were saturated or not measured.

    Raises
    ------
    InputError
        If shapes or pixel sizes differ, the scans have no height in common, their counts are not on one scale
        (another bit depth or exposure), or they share so little texture that their difference would be
        texture.
    """
    return detect_between(
        before,
        after,
        DetectionOptions(calibration, false_alarms, spot_sigma_px, disappearing, threads),
        pixel_um=pixel_um,
        surface=surface,
        time_s=time_s,
        progress=progress,
    ).particles


def detect_between(
    before: Scan,
    after: Scan,
    options: DetectionOptions | None = None,
    *,
    pixel_um: float | None = None,
    surface: Surface | None = None,
    time_s: float = 0.0,
    progress: Progress | None = None,
) -> Detection:
    """Find particles as `find_particles` does; return also the image, the surface and the area searched."""
    options = options or DetectionOptions()
    if isinstance(before, ZStack) and isinstance(after, ZStack):
        return _between_stacks(before, after, options, pixel_um, surface, time_s, progress)
    if isinstance(before, ZStack) or isinstance(after, ZStack):
        raise InputError(
            "particles: one of before and after is a stack, the other is not; give two stacks or two frames"
        )
    for name, frame in (("before", before), ("after", after)):
        if is_cuda(frame):
            raise InputError(
                f"particles: {name} is on a CUDA device; copy it to the host's memory, or use "
                "lee.detect_particles"
            )
        if np.ndim(frame) == 3:
            raise InputError(
                f"particles: {name} has shape {np.shape(frame)}; make stacks with "
                "ZStack.from_array(frames, z_um, pixel_um)"
            )
    if pixel_um is None or not (np.isfinite(pixel_um) and pixel_um > 0):
        raise InputError(f"particles: pixel_um is {pixel_um}; give the size of a pixel in µm")
    return _between_frames(before, after, options, float(pixel_um), surface, time_s)


def _between_frames(
    before: ArrayLike,
    after: ArrayLike,
    options: DetectionOptions,
    pixel_um: float,
    surface: Surface | None,
    time_s: float,
) -> Detection:
    earlier, later = (
        planes(frame, "particles", name, (2,)) for frame, name in ((before, "before"), (after, "after"))
    )
    _require_same_shape(earlier.shape, later.shape)
    if surface is not None and surface.shape != later.shape:
        raise InputError(f"particles: the frames are {later.shape} but the surface is {surface.shape}")
    _require_same_scale(pixel_um=pixel_um, surface=surface)
    note = require_common_scale(earlier, later)
    if note is not None:
        warnings.warn(f"particles: {note}", stacklevel=_CALLER)
    registered = register(earlier, later)
    require_shared_texture(registered)
    saturation = _saturation(earlier, later)
    detected = detect_particles(
        earlier,
        later,
        spot_sigma_px=options.spot_sigma_px,
        expected_sigma_px=expected_spot_px(pixel_um),
        false_alarms=options.false_alarms,
        saturation=saturation,
        shift_px=registered.shift_px,
        disappearing=options.disappearing,
        threads=options.threads,
    )
    table = table_of(
        detected, pixel_um=pixel_um, time_s=time_s, surface=surface, calibration=options.calibration
    )
    notes = [] if note is None else [note]
    details = details_of(detected, registered, options.false_alarms, pixel_um) | {"notes": notes}
    table.attrs.update(details)
    searched = (earlier < saturation) & (later < saturation)
    if earlier.dtype.kind == "f" or later.dtype.kind == "f":
        searched &= np.isfinite(earlier) & np.isfinite(later)
    return Detection(table, details, searched, later.astype(np.float32), surface)


def _between_stacks(
    before: ZStack,
    after: ZStack,
    options: DetectionOptions,
    pixel_um: float | None,
    surface: Surface | None,
    time_s: float,
    progress: Progress | None,
) -> Detection:
    _require_same_shape(before.shape[1:], after.shape[1:])
    _require_same_scale(before=before.pixel_um, after=after.pixel_um, pixel_um=pixel_um, surface=surface)
    if surface is None:
        from lee.reconstruction.parameters import ReconstructParams
        from lee.reconstruction.reconstruct import reconstruct

        surface = reconstruct(after, params=ReconstructParams(threads=options.threads), device="cpu")
        if not surface.valid.any():
            raise InputError(
                "particles: nothing comes into focus in after, so there is no surface to search along; give "
                "surface=, or two single frames"
            )
    recorded = surface.provenance.drift_px
    later_drift = recorded if len(recorded) == len(after) else _drift(after)
    earlier_drift = _drift(before)
    detector = ParticleDetector(
        before,
        surface,
        options,
        heights_um=after.z_um,
        drift_px=earlier_drift,
        shift_px=_shift_between(before, after, earlier_drift, later_drift, surface),
        progress=None if progress is None else lambda done, total: progress(done, total + len(after)),
    )
    for k, frame in enumerate(after):
        detector.push(
            frame, float(after.z_um[k]), drift_px=(float(later_drift[k, 0]), float(later_drift[k, 1]))
        )
        if progress is not None:
            progress(len(before) + k + 1, len(before) + len(after))
    return detector.finish(time_s=time_s)


def _drift(stack: ZStack) -> _Drift:
    if min(stack.shape[1:]) < MIN_DRIFT_PX:
        return np.zeros((len(stack), 2))
    return estimate_drift(stack, tracker=RobustDriftTracker((stack.shape[1], stack.shape[2])))


def _shift_between(
    before: ZStack, after: ZStack, earlier_drift: _Drift, later_drift: _Drift, surface: Surface
) -> tuple[float, float]:
    """Shift from the first frame of `before` to that of `after`, by frames that show the surface sharp."""
    low = max(before.z_um.min(), after.z_um.min())
    high = min(before.z_um.max(), after.z_um.max())
    heights = np.percentile(surface.height_filled_um, np.linspace(5, 95, _COMPARED_HEIGHTS)).clip(low, high)
    pairs = [(int(np.abs(before.z_um - z).argmin()), int(np.abs(after.z_um - z).argmin())) for z in heights]
    drifted = np.array([later_drift[b] - earlier_drift[a] for a, b in pairs])
    dy, dx = common_shift((before[a], after[b]) for a, b in pairs)
    if (dy, dx) == (0.0, 0.0):
        return (0.0, 0.0)
    drifted_y, drifted_x = np.median(drifted, axis=0)
    return dy - float(drifted_y), dx - float(drifted_x)


def _saturation(*frames: NDArray[np.generic]) -> float:
    """Return the full scale of the fewest bits that hold all counts; infinity for floats."""
    if any(frame.dtype.kind != "u" for frame in frames):
        return float("inf")
    largest = max(int(frame.max()) for frame in cast("Iterable[NDArray[np.uint16]]", frames))
    return float(full_scale(largest))


def _require_same_shape(before: tuple[int, ...], after: tuple[int, ...]) -> None:
    if before != after:
        raise InputError(
            f"particles: before has {before[0]} × {before[1]} pixels (rows × columns) but after has "
            f"{after[0]} × {after[1]}; give two scans of the same camera setting"
        )


def _require_same_scale(*, surface: Surface | None, **sizes_um: float | None) -> None:
    known = {name: size for name, size in sizes_um.items() if size is not None}
    if surface is not None:
        known["surface"] = surface.pixel_um
    if not np.allclose(list(known.values()), next(iter(known.values())), rtol=1e-3):
        listed = ", ".join(f"{name} {size:g} µm" for name, size in known.items())
        raise InputError(f"particles: pixel sizes differ ({listed}); give scans of one pixel size")
