"""Detection of particles between a finished scan and one whose frames may still be arriving."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lee.errors import InputError
from lee.kernels.detect_particles import DetectedParticles, detect_particles
from lee.particles.finding.axial_focus import axial_profiles, find_halos, fit_focus
from lee.particles.finding.common_scale import require_common_scale
from lee.particles.finding.detection import Detection, details_of, table_of
from lee.particles.finding.options import DetectionOptions
from lee.particles.finding.pair_registration import register, require_shared_texture
from lee.particles.finding.planes import PlaneAverager, common_heights
from lee.particles.finding.slices import SurfaceSlices
from lee.particles.finding.texture import remove_texture
from lee.reconstruction.motion.subpixel_shift import shift_frame
from lee.reconstruction.parameters import RIG_DEPTH_OF_FIELD_UM
from lee.reconstruction.saturation import SATURATED_SHARE, full_scale

if TYPE_CHECKING:
    from lee.stacks.stack import ZStack
    from lee.surfaces.surface import Surface

Map = NDArray[np.float32]
Numbers = NDArray[np.float64]

# A point in green light through the rig's objective: 0.21 lambda / NA (Zhang, Zerubia, Olivo-Marin 2007).
RIG_SPOT_UM = 0.23
# Pixels wider than a spot spread it over about this; expecting less would take single pixels for spots.
MIN_SPOT_PX, MAX_SPOT_PX = 0.7, 6
# Planes, and slices, per depth of field; and slices on each side of the surface.
_PLANES = 3
_REACH = 3
_FWHM = 2.3548  # full width at half maximum, in standard deviations
# A point's light along the axis is wider than a focus curve, which goes with its square.
_POINT_DEPTH = 2**0.5
# Slices are averaged with a Gaussian of this standard deviation, in depths of field: a wider one would let in
# the rings that bright particles show out of focus.
_AVERAGING_DEPTH = 0.33
# Above any signal-to-noise ratio: nothing is detected.
_UNREACHABLE_SNR = 1e9
# Planes farther apart than this share of the depth of field leave texture in the difference.
_COARSE = 0.5
_STILL_PX = 0.02
_SMOOTH_PX = 1.5


def expected_spot_px(pixel_um: float) -> float:
    """Return the standard deviation of a point's spot that the rig's objective gives, px."""
    return float(np.clip(RIG_SPOT_UM / pixel_um, MIN_SPOT_PX, MAX_SPOT_PX))


class ParticleDetector:
    """Detects particles that appear between a finished scan and one whose frames arrive one by one.

    Both scans are averaged to planes of equal true height, over the range they have in common, and sliced
    along the surface: at each pixel the frames around the surface's own height are compared. A particle is
    thus searched for once, where it is sharp, and what is out of focus above or below is ignored. Apart from
    the slices, whose number does not grow with the scan, only the few frames of the current planes are kept.

    Parameters
    ----------
    before : ZStack
        The earlier scan.
    surface : Surface
        Both scans are sliced along it. On the grid of the later scan; where that is not known yet, the
        earlier scan's surface serves as long as growth stays well below the depth of field.
    options : DetectionOptions, optional
    heights_um : (Z,) float, µm, optional
        Heights of the later scan's frames, where known in advance; by default those of `before`.
    drift_px : (Z, 2) float, px, optional
        Drift within `before`, as `lee.reconstruction.motion.drift.estimate_drift` returns it.
    shift_px : (dy, dx), px
        Displacement of the later scan's first frame against the first frame of `before`.
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
        options: DetectionOptions | None = None,
        *,
        heights_um: NDArray[np.float64] | None = None,
        drift_px: Numbers | None = None,
        shift_px: tuple[float, float] = (0.0, 0.0),
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self._shape = (before.shape[1], before.shape[2])
        if surface.shape != self._shape:
            raise InputError(
                f"particles: the frames are {self._shape} but the surface is {surface.shape}; give the "
                "surface of these scans"
            )
        self._surface = surface
        self._options = options or DetectionOptions()
        depth = surface.provenance.depth_of_field
        self._depth_um = RIG_DEPTH_OF_FIELD_UM if depth is None else depth.um
        later = before.z_um if heights_um is None else np.asarray(heights_um, np.float64)
        self._before_range_um = (float(before.z_um.min()), float(before.z_um.max()))
        self._heights = common_heights(before.z_um, later, self._depth_um / _PLANES)
        step = self._heights[1] - self._heights[0] if len(self._heights) > 1 else self._depth_um / _PLANES
        self._step = float(step)
        self._notes: list[str] = []
        if self._step > _COARSE * self._depth_um:
            self._notes.append(
                f"frames are {self._step:.3g} µm apart but the depth of field is {self._depth_um:.3g} µm; "
                "texture cannot be interpolated between such planes, so expect more false particles",
            )
            warnings.warn(f"particles: {self._notes[-1]}", stacklevel=2)
        smooth = ndimage.gaussian_filter(surface.height_filled_um, _SMOOTH_PX, mode="nearest")
        self._smooth = np.asarray(smooth, dtype=np.float32)
        self._largest_count = 0
        self._holds_integers = before.dtype.kind == "u"
        drift = np.zeros((len(before), 2)) if drift_px is None else np.asarray(drift_px)
        earlier, planes = self._new_slices(), PlaneAverager(self._heights, self._step)
        order = np.argsort(before.z_um)
        for k, frame in enumerate(before):
            self._track_largest_count(frame)
            for number, plane in planes.push(frame, float(before.z_um[k])):
                self._add(earlier, number, plane, before.z_um[order], np.subtract(shift_px, drift[order]))
            if progress is not None:
                progress(k + 1, len(before))
        for number, plane in planes.finish():
            self._add(earlier, number, plane, before.z_um[order], np.subtract(shift_px, drift[order]))
        self._before = earlier.finish()
        self._later, self._planes = self._new_slices(), PlaneAverager(self._heights, self._step)
        self._drift: list[tuple[float, float, float]] = []

    def push(
        self, frame: NDArray[np.generic], z_um: float, *, drift_px: tuple[float, float] = (0.0, 0.0)
    ) -> None:
        """Take the next frame of the later scan.

        Parameters
        ----------
        frame : (H, W) uint8, uint16 or float32, counts
            Copied.
        z_um : float, µm
            Height it focuses on; must rise or fall throughout the scan.
        drift_px : (dy, dx), px
            Displacement against the scan's first frame.

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
                f"particles: frame {len(self._drift)} is at {z_um} µm; heights must rise or fall throughout"
            )
        self._track_largest_count(frame)
        self._drift.append((float(z_um), *drift_px))
        for number, plane in self._planes.push(frame.copy(), float(z_um)):
            self._add(self._later, number, plane, *self._known_drift())

    def finish(self, *, surface: Surface | None = None, time_s: float = np.nan) -> Detection:
        """Finish the later scan and return the particles that appeared since the earlier one.

        Parameters
        ----------
        surface : Surface, optional
            Of the later scan, for the particles' heights, where it is known only now.
        time_s : float, s
            When the later scan began, for the table.

        Raises
        ------
        InputError
            If the surface is outside the range of heights that both scans cover, their counts are not on one
            scale, or the two share too little texture.
        """
        for number, plane in self._planes.finish():
            self._add(self._later, number, plane, *self._known_drift())
        later, earlier = self._later.finish(), self._before
        middle = _REACH
        if not (np.isfinite(later[middle]) & np.isfinite(earlier[middle])).any():
            low, high = np.percentile(self._surface.height_filled_um, (1, 99))
            covered = [z for z, _, _ in self._drift]
            later_um = f"{min(covered):g} to {max(covered):g} µm" if covered else "nothing"
            raise InputError(
                f"particles: before covers {self._before_range_um[0]:g} to {self._before_range_um[1]:g} µm "
                f"and after {later_um}, so none of the surface, {low:g} to {high:g} µm, is sharp in both; "
                "give scans that pass through it"
            )
        weights = np.exp(-0.5 * (self._later.offsets_um / (_AVERAGING_DEPTH * self._depth_um)) ** 2)
        before, after = _averaged(earlier, later, weights)
        note = require_common_scale(before, after)
        if note is not None:
            self._notes.append(note)
            warnings.warn(f"particles: {note}", stacklevel=2)
        registered = register(before, after)
        require_shared_texture(registered)
        change = earlier[middle + 1] - earlier[middle - 1]
        change[~np.isfinite(change)] = 0
        saturation = self._saturation()

        def detect(
            one: Map, other: Map, spot_sigma_px: float | None, threshold_snr: float | None = None
        ) -> DetectedParticles:
            return detect_particles(
                one,
                other,
                axial=change,
                spot_sigma_px=spot_sigma_px,
                expected_sigma_px=expected_spot_px(self._surface.pixel_um),
                false_alarms=self._options.false_alarms,
                threshold_snr=threshold_snr,
                saturation=saturation,
                shift_px=registered.shift_px,
                disappearing=self._options.disappearing,
                threads=self._options.threads,
            )

        detected = detect(before, after, self._options.spot_sigma_px)
        if self._options.spot_sigma_px is None:
            # Where points are in focus, as in two single frames: slices above and below show them wider.
            # Only the width is wanted, so nothing needs to be fitted.
            sharp = detect(earlier[middle], later[middle], None, _UNREACHABLE_SNR)
            detected = detected._replace(
                width_px=detected.width_px * (sharp.spot_sigma_px / detected.spot_sigma_px),
                spot_sigma_px=sharp.spot_sigma_px,
                sigma_from=sharp.sigma_from,
            )
        differences = self._differences(earlier, later, registered.shift_px)
        spots = (detected.y_px, detected.x_px, detected.width_px)
        y, x, width = (np.asarray(values, np.float64) for values in spots)
        focus, depth = fit_focus(
            axial_profiles(differences, y, x, width),
            _profile_sigma(differences, detected, weights),
            self._later.offsets_um,
            _POINT_DEPTH * self._depth_um / _FWHM,
        )
        halo = find_halos(focus, (y, x, width), depth)
        detected, focus = detected.only(~halo), focus.only(~halo)
        height = surface or self._surface
        table = table_of(
            detected,
            pixel_um=height.pixel_um,
            time_s=time_s,
            focus=focus,
            depth_um=_FWHM * depth,
            surface=height,
            calibration=self._options.calibration,
        )
        details = details_of(detected, registered, self._options.false_alarms, height.pixel_um) | {
            "halos": int(halo.sum()),
            "notes": self._notes,
            "heights_um": [float(self._heights[0]), float(self._heights[-1])],
            "plane_step_um": self._step,
            "focus_depth_um": _FWHM * depth,
        }
        table.attrs.update(details)
        searched = np.isfinite(before) & np.isfinite(after) & (after < saturation)
        return Detection(table, details, searched, after, height)

    def _differences(self, earlier: Map, later: Map, shift_px: tuple[float, float]) -> Map:
        """Subtract one scan from the other in each slice, and remove the texture from the difference."""
        moved = np.stack([_moved(one, shift_px) for one in earlier])
        sign = -1 if self._options.disappearing else 1
        reference = later if self._options.disappearing else moved
        out = np.empty_like(later)
        for k in range(len(out)):
            low, high = max(k - 1, 0), min(k + 1, len(out) - 1)
            change = moved[high] - moved[low]
            change[~np.isfinite(change)] = 0
            out[k] = remove_texture(sign * (later[k] - moved[k]), reference[k], change)
        return out

    def _new_slices(self) -> SurfaceSlices:
        return SurfaceSlices(self._smooth, self._heights, self._step, _REACH)

    def _known_drift(self) -> tuple[Numbers, Numbers]:
        known = np.array(sorted(self._drift))
        return known[:, 0], -known[:, 1:]

    def _track_largest_count(self, frame: NDArray[np.generic]) -> None:
        if frame.dtype.kind == "u":
            self._largest_count = max(self._largest_count, int(np.max(frame)))

    def _saturation(self) -> float:
        """Return the counts from which means are saturated: near the full scale of the bits in use."""
        if not self._holds_integers:
            return float("inf")
        return SATURATED_SHARE * full_scale(self._largest_count)

    @staticmethod
    def _add(slices: SurfaceSlices, number: int, plane: Map, z_um: Numbers, move_px: Numbers) -> None:
        at = slices.heights_um[number]
        slices.add(
            number, _moved(plane, (np.interp(at, z_um, move_px[:, 0]), np.interp(at, z_um, move_px[:, 1])))
        )


def _moved(picture: Map, shift_px: tuple[float, float]) -> Map:
    """Move the content of a picture by (dy, dx) px; NaN where nothing comes in."""
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


def _averaged(earlier: Map, later: Map, weights: NDArray[np.float64]) -> tuple[Map, Map]:
    """Average slices seen in both scans; NaN where the middle one, or much of the weight, is missing."""
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
    """Scale the standard deviations of the detected peaks by the noise of each slice."""
    mean, _ = _averaged(differences, differences, weights)
    noise = _robust_deviation(mean)
    ratio = np.array([_robust_deviation(one) / noise if noise > 0 else 1.0 for one in differences])
    return np.asarray(ratio[:, None] * np.asarray(detected.peak_sigma, np.float64))


def _robust_deviation(values: Map) -> float:
    sample = values[::3, ::3]
    sample = sample[np.isfinite(sample)]
    return 1.4826 * float(np.median(np.abs(sample - np.median(sample)))) if len(sample) else 0.0
