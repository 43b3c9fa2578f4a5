"""Particles between two scans, or two frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lee.errors import InputError
from lee.kernels.arguments import planes
from lee.kernels.cuda_arrays import is_cuda
from lee.kernels.detect_particles import detect_particles
from lee.particles.finding.detection import Found, facts_of, table_of
from lee.particles.finding.detector import LEAST_SPOT_PX, RIG_SPOT_UM, ParticleFinder
from lee.particles.finding.pair_registration import common_shift, match, refuse_texture
from lee.reconstruction.drift import estimate_drift
from lee.reconstruction.parameters import MIN_DRIFT_PX
from lee.reconstruction.robust_drift import RobustDriftTracker
from lee.reconstruction.saturation import full_scale
from lee.stacks.stack import ZStack

if TYPE_CHECKING:
    from lee.particles.calibration.size_calibration import Calibration
    from lee.surfaces.surface import Surface

# Heights at which whole frames are compared to lay two scans over each other.
_COMPARED = 7


def find_particles(
    before: Any,
    after: Any,
    *,
    pixel_um: float | None = None,
    surface: Surface | None = None,
    calibration: Calibration | None = None,
    false_alarms: float = 1.0,
    spot_sigma_px: float | None = None,
    disappearing: bool = False,
    time_s: float = 0.0,
    threads: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Find the particles that appear between two scans, or two frames, of the same place.

    Scans are compared at equal true height: frames are interpolated in z where their heights differ, drift
    inside and between scans is taken out, and both are sliced along the surface, so that every place is
    looked at in focus (see `ParticleFinder`). Spots are then found by `lee.detect_particles`. Where
    along the axis a particle is brightest is its own focus; its brightness there, the volume of the Gaussian
    fitted to its spot, is its intensity: about 0.86 of all light of a point seen through a round aperture.
    It grows with the exposure: a calibration must be measured at the same.

    Parameters
    ----------
    before, after : ZStack, or (H, W) uint8, uint16 or float32, counts
        Two stacks, or two frames.
    pixel_um : float, um
        Size of a pixel; stacks bring their own.
    surface : Surface, optional
        On the grid of `after`. Scans without one are reconstructed.
    calibration : Calibration, optional
        Intensity to diameter (`lee.particles.calibration`); without it diameters are NaN.
    false_alarms : float
        False particles expected in a pair without any.
    spot_sigma_px : float, px, optional
        Standard deviation of a point's spot; by default from the bright spots.
    disappearing : bool
        Look for what disappears (stripping) instead. Positions then still lie on the grid of `after`.
    time_s : float, s
        When `after` began, for the table.
    threads : int
        0 = all available cores.
    progress : callable, optional
        Called with (frames done, frames in all).

    Returns
    -------
    DataFrame
        A row a particle, columns and units as in `lee.particles.table.COLUMNS`; without particles an empty
        table with all columns. ``attrs`` tells threshold, spot width, noise, registration, and how many
        pixels were saturated or not measured.

    Raises
    ------
    InputError
        If the two do not fit together: shapes or pixel sizes differ, they pass no common height, or share so
        little texture that their difference would be texture.
    """
    return search(
        before,
        after,
        pixel_um=pixel_um,
        surface=surface,
        calibration=calibration,
        false_alarms=false_alarms,
        spot_sigma_px=spot_sigma_px,
        disappearing=disappearing,
        time_s=time_s,
        threads=threads,
        progress=progress,
    ).particles


def search(before: Any, after: Any, *, pixel_um: float | None = None, **options: Any) -> Found:
    """Find particles as `find_particles` does; return also what they were looked for in."""
    stacks = [isinstance(one, ZStack) for one in (before, after)]
    if all(stacks):
        return _between_stacks(before, after, pixel_um=pixel_um, **options)
    if any(stacks):
        raise InputError(
            "particles: one of before and after is a stack, the other is not; give two of a kind"
        )
    for name, one in (("before", before), ("after", after)):
        if is_cuda(one):
            raise InputError(
                f"particles: {name} lies on a CUDA device; give it in the host's memory, or use "
                "lee.detect_particles"
            )
        if np.ndim(one) == 3:
            raise InputError(
                f"particles: {name} has shape {np.shape(one)}; make stacks with "
                "ZStack.from_array(frames, z_um, pixel_um)"
            )
    if pixel_um is None or not (np.isfinite(pixel_um) and pixel_um > 0):
        raise InputError(f"particles: pixel_um is {pixel_um}; give the size of a pixel in um")
    options.pop("progress", None)
    return _between_frames(before, after, pixel_um=float(pixel_um), **options)


def _between_frames(
    before: Any,
    after: Any,
    *,
    pixel_um: float,
    surface: Surface | None = None,
    calibration: Calibration | None = None,
    false_alarms: float = 1.0,
    spot_sigma_px: float | None = None,
    disappearing: bool = False,
    time_s: float = 0.0,
    threads: int = 0,
) -> Found:
    earlier, later = (
        planes(one, "particles", name, (2,)) for one, name in ((before, "before"), (after, "after"))
    )
    _same_shape(earlier.shape, later.shape)
    if surface is not None and surface.shape != later.shape:
        raise InputError(f"particles: the frames are {later.shape} but the surface is {surface.shape}")
    _same_scale(pixel_um=pixel_um, surface=surface)
    found = match(earlier.astype(np.float32), later.astype(np.float32))
    refuse_texture(found)
    saturation = _saturation(earlier, later)
    detected = detect_particles(
        earlier,
        later,
        spot_sigma_px=spot_sigma_px,
        expected_sigma_px=float(np.clip(RIG_SPOT_UM / pixel_um, LEAST_SPOT_PX, 6)),
        false_alarms=false_alarms,
        saturation=saturation,
        shift_px=found.shift_px,
        disappearing=disappearing,
        threads=threads,
    )
    table = table_of(detected, pixel_um=pixel_um, time_s=time_s, surface=surface, calibration=calibration)
    facts = facts_of(detected, found, false_alarms, pixel_um)
    table.attrs.update(facts)
    seen = np.isfinite(earlier) & np.isfinite(later) & (earlier < saturation) & (later < saturation)
    return Found(table, facts, seen, later.astype(np.float32), surface)


def _between_stacks(
    before: ZStack,
    after: ZStack,
    *,
    pixel_um: float | None = None,
    surface: Surface | None = None,
    time_s: float = 0.0,
    threads: int = 0,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Found:
    _same_shape(before.shape[1:], after.shape[1:])
    _same_scale(before=before.pixel_um, after=after.pixel_um, pixel_um=pixel_um, surface=surface)
    if surface is None:
        from lee.reconstruction.parameters import ReconstructParams
        from lee.reconstruction.reconstruct import reconstruct

        surface = reconstruct(after, params=ReconstructParams(threads=threads), device="cpu")
        if not surface.valid.any():
            raise InputError(
                "particles: nothing comes into focus in after, so there is no surface to look along; give "
                "surface=, or two single frames"
            )
    recorded = surface.provenance.drift_px
    later_drift = recorded if len(recorded) == len(after) else _drift(after)
    earlier_drift = _drift(before)
    finder = ParticleFinder(
        before,
        surface,
        heights_um=after.z_um,
        drift_px=earlier_drift,
        shift_px=_between(before, after, earlier_drift, later_drift, surface),
        threads=threads,
        progress=None if progress is None else lambda done, total: progress(done, total + len(after)),
        **options,
    )
    for k, frame in enumerate(after):
        finder.push(
            frame, float(after.z_um[k]), drift_px=(float(later_drift[k, 0]), float(later_drift[k, 1]))
        )
        if progress is not None:
            progress(len(before) + k + 1, len(before) + len(after))
    return finder.finish(time_s=time_s)


def _drift(stack: ZStack) -> np.ndarray[Any, np.dtype[np.float64]]:
    if min(stack.shape[1:]) < MIN_DRIFT_PX:
        return np.zeros((len(stack), 2))
    return estimate_drift(stack, tracker=RobustDriftTracker((stack.shape[1], stack.shape[2])))


def _between(
    before: ZStack, after: ZStack, earlier: Any, later: Any, surface: Surface
) -> tuple[float, float]:
    """Shift from the first frame of `before` to that of `after`, by frames that show the surface sharp."""
    low = max(before.z_um.min(), after.z_um.min())
    high = min(before.z_um.max(), after.z_um.max())
    heights = np.percentile(surface.height_filled_um, np.linspace(5, 95, _COMPARED)).clip(low, high)
    pairs = [(int(np.abs(before.z_um - z).argmin()), int(np.abs(after.z_um - z).argmin())) for z in heights]
    moved = np.array([later[b] - earlier[a] for a, b in pairs])
    dy, dx = common_shift((before[a], after[b]) for a, b in pairs)
    if (dy, dx) == (0.0, 0.0):
        return (0.0, 0.0)
    own_y, own_x = np.median(moved, axis=0)
    return dy - float(own_y), dx - float(own_x)


def _saturation(*frames: Any) -> float:
    """Give the full scale of the fewest bits that hold all counts; infinity for floats."""
    if any(frame.dtype.kind != "u" for frame in frames):
        return float("inf")
    most = max(int(frame.max()) for frame in frames)
    return float(full_scale(most))


def _same_shape(before: tuple[int, ...], after: tuple[int, ...]) -> None:
    if before != after:
        raise InputError(
            f"particles: before shows {before[0]} x {before[1]} pixels (rows x columns) but after "
            f"{after[0]} x {after[1]}; give two of one camera setting"
        )


def _same_scale(*, surface: Surface | None, **sizes_um: float | None) -> None:
    told = {name: size for name, size in sizes_um.items() if size is not None}
    if surface is not None:
        told["surface"] = surface.pixel_um
    if not np.allclose(list(told.values()), next(iter(told.values())), rtol=1e-3):
        said = ", ".join(f"{name} {size:g} um" for name, size in told.items())
        raise InputError(f"particles: pixels differ in size ({said}); give scans of one scale")
