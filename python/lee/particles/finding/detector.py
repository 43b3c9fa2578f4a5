"""Particles that appear between two scans: the later one may still be running."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lee.errors import InputError
from lee.kernels.detect_particles import DetectedParticles, detect_particles
from lee.particles.finding.axial_focus import focus_of, halos, profiles
from lee.particles.finding.detection import Found, facts_of, table_of
from lee.particles.finding.pair_registration import match, refuse_texture
from lee.particles.finding.planes import PlaneAverager, common_heights
from lee.particles.finding.slices import SurfaceSlices
from lee.particles.finding.texture import freed
from lee.reconstruction.parameters import RIG_DEPTH_OF_FIELD_UM
from lee.reconstruction.saturation import SATURATED_SHARE, full_scale
from lee.reconstruction.subpixel_shift import shift_frame

if TYPE_CHECKING:
    from lee.particles.calibration.size_calibration import Calibration
    from lee.stacks.stack import ZStack
    from lee.surfaces.surface import Surface

Map = NDArray[np.float32]
Path = NDArray[np.float64]

# A point in green light through the rig's objective: 0.21 lambda / NA (Zhang, Zerubia, Olivo-Marin 2007).
RIG_SPOT_UM = 0.23
# Pixels wider than a spot spread it over about this; expecting less would take single pixels for spots.
LEAST_SPOT_PX = 0.7
# Planes and slices to a depth of field, and slices to each side of the surface.
_PLANES = 3
_REACH = 3
_HALF_WIDTH = 2.3548  # full width at half maximum, in standard deviations
# A point's light along the axis is wider than a focus curve, which goes with its square.
_POINT_DEPTH = 2**0.5
# Slices are mixed by a Gaussian of this standard deviation, in depths of field: wider, rings of bright
# particles out of focus come in.
_MIXED = 0.33
# Above anything there is.
_NOTHING_SNR = 1e9
# Planes farther apart than this share of the depth of field leave texture in the difference.
_COARSE = 0.5
_STILL_PX = 0.02
_SMOOTH_PX = 1.5


class ParticleFinder:
    """Finds what appears between a scan that is done and one whose frames arrive.

    Both are averaged to planes of equal true height, as far as they reach into each other, and sliced along
    the surface: at each pixel the frames around the surface's own height are compared. So a particle is
    looked for where it is sharp, once, and what lies out of focus above or below is not looked at. Beside
    slices, which do not grow with the scan, only the few frames of the planes at hand are kept.

    Parameters
    ----------
    before : ZStack
        The earlier scan.
    surface : Surface
        What both are sliced along, on the grid of the later scan; where that is not known yet, the earlier
        one's, which serves as long as growth stays well below the depth of field.
    heights_um : (Z,) float, um, optional
        Where the frames of the later scan will lie, where that is known; else where those of `before` do.
    drift_px : (Z, 2) float, px, optional
        Drift within `before`, as `lee.reconstruction.drift.estimate_drift` gives it.
    shift_px : (dy, dx), px
        How far the first frame of the later scan shows things from where the first of `before` does.
    calibration, false_alarms, spot_sigma_px, disappearing, threads
        As in `lee.find_particles`.
    progress : callable, optional
        Called with (frames done, frames in all) of `before`.

    Raises
    ------
    InputError
        If shapes differ, or the scans have no height in common.
    """

    def __init__(
        self,
        before: ZStack,
        surface: Surface,
        *,
        heights_um: NDArray[np.float64] | None = None,
        drift_px: Path | None = None,
        shift_px: tuple[float, float] = (0.0, 0.0),
        calibration: Calibration | None = None,
        false_alarms: float = 1.0,
        spot_sigma_px: float | None = None,
        disappearing: bool = False,
        threads: int = 0,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self._shape = (before.shape[1], before.shape[2])
        if surface.shape != self._shape:
            raise InputError(
                f"particles: the frames are {self._shape} but the surface is {surface.shape}; give the "
                "surface of these scans"
            )
        self._surface = surface
        self._calibration = calibration
        self._options: dict[str, Any] = {
            "false_alarms": false_alarms,
            "disappearing": disappearing,
            "threads": threads,
            "expected_sigma_px": float(np.clip(RIG_SPOT_UM / surface.pixel_um, LEAST_SPOT_PX, 6)),
        }
        self._spot_sigma_px = spot_sigma_px
        depth = surface.provenance.depth_of_field
        self._depth_um = RIG_DEPTH_OF_FIELD_UM if depth is None else depth.um
        later = before.z_um if heights_um is None else np.asarray(heights_um, np.float64)
        self._passed_um = (float(before.z_um.min()), float(before.z_um.max()))
        self._heights = common_heights(before.z_um, later, self._depth_um / _PLANES)
        step = self._heights[1] - self._heights[0] if len(self._heights) > 1 else self._depth_um / _PLANES
        self._step = float(step)
        self._notes: list[str] = []
        if self._step > _COARSE * self._depth_um:
            self._notes.append(
                f"frames lie {self._step:.3g} um apart but focus is {self._depth_um:.3g} um deep; "
                "between such planes texture cannot be interpolated, and more false particles come through",
            )
            warnings.warn(f"particles: {self._notes[-1]}", stacklevel=2)
        smooth = ndimage.gaussian_filter(surface.height_filled_um, _SMOOTH_PX, mode="nearest")
        self._smooth = np.asarray(smooth, dtype=np.float32)
        self._most = 0
        self._dtype: np.dtype[Any] = before.dtype
        drift = np.zeros((len(before), 2)) if drift_px is None else np.asarray(drift_px)
        earlier, planes = self._new_slices(), PlaneAverager(self._heights, self._step)
        order = np.argsort(before.z_um)
        for k, frame in enumerate(before):
            self._watch(frame)
            for number, plane in planes.push(frame, float(before.z_um[k])):
                self._take(earlier, number, plane, before.z_um[order], np.subtract(shift_px, drift[order]))
            if progress is not None:
                progress(k + 1, len(before))
        for number, plane in planes.finish():
            self._take(earlier, number, plane, before.z_um[order], np.subtract(shift_px, drift[order]))
        self._before = earlier.finish()
        self._later, self._planes = self._new_slices(), PlaneAverager(self._heights, self._step)
        self._drift: list[tuple[float, float, float]] = []

    def push(self, frame: NDArray[Any], z_um: float, *, drift_px: tuple[float, float] = (0.0, 0.0)) -> None:
        """Take the next frame of the later scan.

        Parameters
        ----------
        frame : (H, W) uint8, uint16 or float32, counts
            Copied.
        z_um : float, um
            Height it focuses on; rises or falls throughout the scan.
        drift_px : (dy, dx), px
            How far it shows things from where the scan's first frame does.

        Raises
        ------
        InputError
            If the frame has another shape, or its height is not finite or turns back.
        """
        if frame.shape != self._shape:
            raise InputError(f"particles: frame {len(self._drift)} is {frame.shape}, expected {self._shape}")
        z = [at for at, _, _ in self._drift[-2:]]
        turns = len(z) == 2 and (z_um - z[1]) * (z[1] - z[0]) <= 0
        if not np.isfinite(z_um) or turns or (len(z) == 1 and z_um == z[0]):
            raise InputError(
                f"particles: frame {len(self._drift)} lies at {z_um} um; heights must rise or fall throughout"
            )
        self._watch(frame)
        self._drift.append((float(z_um), *drift_px))
        for number, plane in self._planes.push(frame.copy(), float(z_um)):
            self._take(self._later, number, plane, *self._known_drift())

    def finish(self, *, surface: Surface | None = None, time_s: float = np.nan) -> Found:
        """End the later scan and return what appeared since the earlier.

        Parameters
        ----------
        surface : Surface, optional
            Of the later scan, for the particles' heights, where it is known only now.
        time_s : float, s
            When the later scan began, for the table.

        Raises
        ------
        InputError
            If the surface lies outside what both scans pass, or the two share too little texture.
        """
        for number, plane in self._planes.finish():
            self._take(self._later, number, plane, *self._known_drift())
        later, earlier = self._later.finish(), self._before
        middle = _REACH
        if not (np.isfinite(later[middle]) & np.isfinite(earlier[middle])).any():
            low, high = np.percentile(self._surface.height_filled_um, (1, 99))
            passed = [z for z, _, _ in self._drift]
            later_um = f"{min(passed):g} to {max(passed):g} um" if passed else "nothing"
            raise InputError(
                f"particles: before passes {self._passed_um[0]:g} to {self._passed_um[1]:g} um and after "
                f"{later_um}, so that none of the surface, {low:g} to {high:g} um, is sharp in both; give "
                "scans that pass through it"
            )
        weights = np.exp(-0.5 * (self._later.offsets_um / (_MIXED * self._depth_um)) ** 2)
        before, after = _mixed(earlier, later, weights)
        found = match(before, after)
        refuse_texture(found)
        change = earlier[middle + 1] - earlier[middle - 1]
        change[~np.isfinite(change)] = 0
        options = self._options | {"saturation": self._saturation(), "shift_px": found.shift_px}
        detected = detect_particles(before, after, axial=change, spot_sigma_px=self._spot_sigma_px, **options)
        if self._spot_sigma_px is None:
            # Where points are in focus, as in two single frames: slices above and below show them wider.
            # The width alone is wanted, so nothing needs to be fitted.
            sharp = detect_particles(
                earlier[middle], later[middle], axial=change, threshold_snr=_NOTHING_SNR, **options
            )
            detected = detected._replace(
                width_px=detected.width_px * (sharp.spot_sigma_px / detected.spot_sigma_px),
                spot_sigma_px=sharp.spot_sigma_px,
                sigma_from=sharp.sigma_from,
            )
        differences = self._differences(earlier, later, found.shift_px)
        spots = (detected.y_px, detected.x_px, detected.width_px)
        y, x, width = (np.asarray(values, np.float64) for values in spots)
        focus, depth = focus_of(
            profiles(differences, y, x, width),
            _profile_sigma(differences, detected, weights),
            self._later.offsets_um,
            _POINT_DEPTH * self._depth_um / _HALF_WIDTH,
        )
        halo = halos(focus, (y, x, width), depth)
        detected, focus = detected.only(~halo), focus.only(~halo)
        height = surface or self._surface
        table = table_of(
            detected,
            pixel_um=height.pixel_um,
            time_s=time_s,
            focus=focus,
            depth_um=_HALF_WIDTH * depth,
            surface=height,
            calibration=self._calibration,
        )
        facts = facts_of(detected, found, self._options["false_alarms"], height.pixel_um) | {
            "halos": int(halo.sum()),
            "notes": self._notes,
            "heights_um": [float(self._heights[0]), float(self._heights[-1])],
            "plane_step_um": self._step,
            "focus_depth_um": _HALF_WIDTH * depth,
        }
        table.attrs.update(facts)
        seen = np.isfinite(before) & np.isfinite(after) & (after < options["saturation"])
        return Found(table, facts, seen, after, height)

    def _differences(self, earlier: Map, later: Map, shift_px: tuple[float, float]) -> Map:
        """Take one scan from the other in each slice, and texture out of that."""
        moved = np.stack([_moved(one, shift_px) for one in earlier])
        sign = -1 if self._options["disappearing"] else 1
        reference = later if self._options["disappearing"] else moved
        out = np.empty_like(later)
        for k in range(len(out)):
            low, high = max(k - 1, 0), min(k + 1, len(out) - 1)
            change = moved[high] - moved[low]
            change[~np.isfinite(change)] = 0
            out[k] = freed(sign * (later[k] - moved[k]), reference[k], change)
        return out

    def _new_slices(self) -> SurfaceSlices:
        return SurfaceSlices(self._smooth, self._heights, self._step, _REACH)

    def _known_drift(self) -> tuple[Path, Path]:
        known = np.array(sorted(self._drift))
        return known[:, 0], -known[:, 1:]

    def _watch(self, frame: NDArray[Any]) -> None:
        if frame.dtype.kind == "u":
            self._most = max(self._most, int(frame.max()))

    def _saturation(self) -> float:
        """Give counts from which means are saturated: near the full scale of the bits in use."""
        if self._dtype.kind != "u":
            return float("inf")
        return SATURATED_SHARE * full_scale(self._most)

    @staticmethod
    def _take(slices: SurfaceSlices, number: int, plane: Map, z_um: Path, move_px: Path) -> None:
        at = slices.heights_um[number]
        slices.add(
            number, _moved(plane, (np.interp(at, z_um, move_px[:, 0]), np.interp(at, z_um, move_px[:, 1])))
        )


def _moved(picture: Map, shift_px: tuple[float, float]) -> Map:
    """Move what a picture shows by (dy, dx) px; NaN where nothing comes in."""
    dy, dx = shift_px
    if max(abs(dy), abs(dx)) < _STILL_PX:
        return picture
    unknown = ~np.isfinite(picture)
    moved = shift_frame(
        np.where(unknown, 0, picture).astype(np.float32) if unknown.any() else picture, dy, dx
    )
    if unknown.any():
        moved[ndimage.shift(unknown.astype(np.float32), (dy, dx), order=1, mode="nearest") > 0.01] = np.nan
    for axis, shift in enumerate((dy, dx)):
        length = picture.shape[axis]
        lost = min(int(np.ceil(abs(shift))), length)
        edge = slice(0, lost) if shift > 0 else slice(length - lost, length)
        moved[(edge, slice(None)) if axis == 0 else (slice(None), edge)] = np.nan
    return np.asarray(moved)


def _mixed(earlier: Map, later: Map, weights: NDArray[np.float64]) -> tuple[Map, Map]:
    """Weighted means of slices seen in both; NaN where the middle one, or much of the weight, is missing."""
    shape = later.shape[1:]
    total, before, after = (np.zeros(shape, np.float32) for _ in range(3))
    for weight, a, b in zip(weights.astype(np.float32), earlier, later, strict=True):
        known = np.isfinite(a) & np.isfinite(b)
        total += np.where(known, weight, 0)
        before += np.where(known, weight * a, 0)
        after += np.where(known, weight * b, 0)
    middle = len(weights) // 2
    good = np.isfinite(earlier[middle]) & np.isfinite(later[middle]) & (total > 0.5 * weights.sum())
    scale = np.where(good, 1 / np.where(good, total, 1), np.nan).astype(np.float32)
    return before * scale, after * scale


def _profile_sigma(
    differences: Map, detected: DetectedParticles, weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Scale the standard deviations of the detected peaks by how noisy each slice is."""
    mean, _ = _mixed(differences, differences, weights)
    noise = _spread(mean)
    ratio = np.array([_spread(one) / noise if noise > 0 else 1.0 for one in differences])
    return np.asarray(ratio[:, None] * np.asarray(detected.peak_sigma, np.float64))


def _spread(values: Map) -> float:
    sample = values[::3, ::3]
    sample = sample[np.isfinite(sample)]
    return 1.4826 * float(np.median(np.abs(sample - np.median(sample)))) if len(sample) else 0.0
