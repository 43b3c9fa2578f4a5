"""The truth of nuclei in scans: when, where and how bright each is, and which of them are new."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.devices.virtual.imaging.render import exposure
from lee.devices.virtual.imaging.sensor import Sensor
from lee.devices.virtual.runs.truth import RunTruth
from lee.devices.virtual.scene.growing import GrowingScene
from lee.devices.virtual.scene.nuclei import Nucleus, Values, places, sample
from lee.devices.virtual.scene.scene import Scene
from lee.errors import InputError


@dataclass(frozen=True, eq=False)
class NucleiSeen:
    """Nuclei as one scan shows them when they are in focus, arrays (N,) of all nuclei of the run.

    ``time_s`` when the focus meets each; ``surface_um`` the surface under it and ``z_um`` its own height
    then; ``diameter_nm`` then, 0 where it is not there; ``counts`` of its whole spot in a frame in best
    focus, as `intensity_counts`.
    """

    time_s: Values
    surface_um: Values
    z_um: Values
    diameter_nm: Values
    counts: Values


@dataclass(frozen=True, eq=False)
class Appeared:
    """Nuclei that a later scan shows brighter than an earlier one, arrays (N,).

    ``y_um, x_um`` from the centre of pixel (0, 0); ``surface_um`` the surface under each and ``z_um`` the
    height of its centre, in the later scan, without axial error; ``diameter_nm`` in the later and
    ``before_nm`` in the earlier scan, 0 for what is wholly new; ``gain_counts`` of its whole spot in the
    difference of frames in best focus, NaN where no scan was rendered; ``index`` among all nuclei.
    """

    y_um: Values
    x_um: Values
    surface_um: Values
    z_um: Values
    diameter_nm: Values
    before_nm: Values
    gain_counts: Values
    index: NDArray[np.intp]


def intensity_counts(
    diameter_nm: ArrayLike,
    scene: Scene,
    sensor: Sensor | None = None,
    *,
    at_um: tuple[ArrayLike, ArrayLike] | None = None,
) -> Values:
    """Return the counts that a nucleus adds to a frame, its whole spot together.

    Defocus spreads them wider but keeps their sum. Saturation is ignored.

    Parameters
    ----------
    diameter_nm : (...) float, nm
    scene : Scene
        Its brightness sets the exposure; its scattering law applies.
    sensor : Sensor, optional
    at_um : (y, x) float, µm, optional
        Where in the frame, for the lamp's unevenness; by default as in the field's middle.

    Returns
    -------
    (...) float64, counts

    Raises
    ------
    InputError
        If a diameter is below 0 or not finite.
    """
    sensor = sensor or Sensor()
    white = sensor.max_count * exposure(scene, sensor) / scene.pixel_um**2
    counts = white * scene.scattering.light_um2(diameter_nm)
    if at_um is not None:
        y, x = (np.atleast_1d(np.asarray(at, dtype=np.float64)) / scene.pixel_um for at in at_um)
        lamp = sample(sensor.lamp(scene.shape), y, x)
        counts = counts * (lamp if np.ndim(at_um[0]) else lamp[0])
    return np.asarray(counts)


def seen_nuclei(
    growing: GrowingScene,
    scene: Scene,
    sensor: Sensor,
    met_s: Values,
    surface_um: NDArray[np.float32],
    shift_px: Values,
) -> NucleiSeen:
    """Return nuclei as a scan shows them.

    Parameters
    ----------
    growing : GrowingScene
    scene : Scene
        When the scan begins.
    sensor : Sensor
    met_s : (N,) float64, s
        When the focus meets each nucleus.
    surface_um : (H, W) float32
        The height each pixel has when it is in focus.
    shift_px : (2,) float64
        How far the scan shows the scene moved, (dy, dx).
    """
    y, x = places(growing.nuclei)
    pixel = growing.pixel_um
    under = sample(surface_um, y / pixel, x / pixel)
    diameter = np.array([n.diameter_at(t) for n, t in zip(growing.nuclei, met_s.tolist(), strict=True)])
    shown = (y + shift_px[0] * pixel, x + shift_px[1] * pixel)
    counts = intensity_counts(diameter, scene, sensor, at_um=shown)
    return NucleiSeen(met_s, under, under + _centres(growing.nuclei, diameter), diameter, counts)


def nuclei_arrays(nuclei: Sequence[Nucleus], scans: Sequence[NucleiSeen], rim_um: float) -> dict[str, Values]:
    """Return the arrays of a `RunTruth` for nuclei, by name; `rim_um` is cut off frames at each side."""
    y, x = places(nuclei)
    return {
        "nuclei_y_um": y - rim_um,
        "nuclei_x_um": x - rim_um,
        "nuclei_diameter_nm": np.array([nucleus.diameter_nm for nucleus in nuclei]),
        "nuclei_born_s": np.array([nucleus.born_s for nucleus in nuclei]),
        "nuclei_gone_s": np.array([nucleus.gone_s for nucleus in nuclei]),
        "nuclei_growth_s": np.array([nucleus.growth_s for nucleus in nuclei]),
        "nuclei_seen_s": np.stack([scan.time_s for scan in scans]),
        "nuclei_surface_um": np.stack([scan.surface_um for scan in scans]),
        "nuclei_z_um": np.stack([scan.z_um for scan in scans]),
        "nuclei_seen_nm": np.stack([scan.diameter_nm for scan in scans]),
        "nuclei_counts": np.stack([scan.counts for scan in scans]),
    }


def meeting_times(
    growing: GrowingScene, surface_um: NDArray[np.float32], z_um: Values, frames_per_s: float
) -> Values:
    """Return when the focus meets each nucleus, (N,) s after the first frame; the nearest end beyond both.

    Parameters
    ----------
    growing : GrowingScene
    surface_um : (H, W) float32
        The height each pixel has when it is in focus.
    z_um : (Z,) float64
        Heights in focus, frame by frame.
    frames_per_s : float
    """
    y, x = places(growing.nuclei)
    centre = np.array([nucleus.centre_um for nucleus in growing.nuclei])
    order = np.argsort(z_um)
    height = sample(surface_um, y / growing.pixel_um, x / growing.pixel_um) + centre
    return np.asarray(np.interp(height, z_um[order], order / frames_per_s))


def appeared(
    known: RunTruth | GrowingScene, begin_s: float, end_s: float, *, drifted: bool = False
) -> Appeared:
    """Return the nuclei that the difference between two scans shows as bright spots.

    They are larger in the later scan than in the earlier; those that shrink are not among them.

    Parameters
    ----------
    known : RunTruth or GrowingScene
        With the truth of a run, each nucleus counts as it is when the focus meets it, and only those on the
        frames of the later scan are returned; with a growing scene, as it is at the times themselves, and
        places anywhere on the scene.
    begin_s, end_s : float, s
        When the earlier and the later scan begin.
    drifted : bool
        Give places where the later scan shows them, instead of where one without drift would.

    Raises
    ------
    InputError
        If `end_s` does not lie after `begin_s`, or no scan of the run began then.
    """
    if not end_s > begin_s:
        raise InputError(f"appeared: end_s {end_s} must be after begin_s {begin_s}")
    if isinstance(known, GrowingScene):
        y, x = places(known.nuclei)
        before, after = (
            np.array([nucleus.diameter_at(time) for nucleus in known.nuclei]) for time in (begin_s, end_s)
        )
        under = sample(known.height_um(end_s), y / known.pixel_um, x / known.pixel_um)
        height, gain = under + _centres(known.nuclei, after), np.full(len(y), np.nan)
        kept = np.flatnonzero(after > before)
    else:
        first, last = _scan_at(known, begin_s), _scan_at(known, end_s)
        y, x = known.nuclei_y_um, known.nuclei_x_um
        before, after = known.nuclei_seen_nm[first], known.nuclei_seen_nm[last]
        under, height = known.nuclei_surface_um[last], known.nuclei_z_um[last]
        gain = known.nuclei_counts[last] - known.nuclei_counts[first]
        shift = known.shift_px[last] * known.pixel_um
        inside = np.ones(len(y), dtype=np.bool_)
        for at, by, size in zip((y, x), shift, known.trenches.shape, strict=True):
            inside &= np.abs((at + by) / known.pixel_um - 0.5 * (size - 1)) <= 0.5 * size
        kept = np.flatnonzero((after > before) & inside)
        if drifted:
            y, x = y + shift[0], x + shift[1]
    return Appeared(
        y_um=y[kept],
        x_um=x[kept],
        surface_um=under[kept],
        z_um=height[kept],
        diameter_nm=after[kept],
        before_nm=before[kept],
        gain_counts=gain[kept],
        index=kept,
    )


def _centres(nuclei: Sequence[Nucleus], diameter_nm: Values) -> Values:
    given = [nucleus.offset_um for nucleus in nuclei]
    pairs = zip(given, (0.5e-3 * diameter_nm).tolist(), strict=True)
    return np.array([half if offset is None else offset for offset, half in pairs])


def _scan_at(truth: RunTruth, time_s: float) -> int:
    near = np.flatnonzero(np.abs(truth.times_s - time_s) < 1e-6)
    if not near.size:
        raise InputError(f"appeared: no scan of the run began at {time_s} s; see times_s")
    return int(near[0])
