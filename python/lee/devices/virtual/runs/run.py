"""Runs over time: a growing scene scanned again and again, as a folder that `lee series` reads."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.devices.protocols import Counts
from lee.devices.virtual.imaging.optics import Optics
from lee.devices.virtual.imaging.render import iter_frames
from lee.devices.virtual.imaging.sensor import Sensor
from lee.devices.virtual.runs.nuclei_truth import NucleiSeen, meeting_times, nuclei_arrays, seen_nuclei
from lee.devices.virtual.runs.scan_file import write_ome_scan
from lee.devices.virtual.runs.truth import RunTruth
from lee.devices.virtual.scene.growing import GrowingScene, growing_electrode
from lee.devices.virtual.scene.growth_law import GrowthLaw, Kind, Phase
from lee.devices.virtual.scene.nuclei import grown
from lee.devices.virtual.scene.scan_part import part_of_scan
from lee.devices.virtual.scene.scene import Scene
from lee.errors import InputError
from lee.storage.atomic import new_folder

__all__ = [
    "GrowingScene",
    "GrowthLaw",
    "GrownScan",
    "Phase",
    "RunTruth",
    "growing_electrode",
    "iter_scans",
    "render_run",
    "stage_walk",
    "truth_of",
]

FILES = frozenset({"scans", "scans.csv", "truth.npz"})
FRAMES_PER_S = 80.0
_MARGIN_UM = 3.0
_SURFACES_A_SCAN = 6  # between two of them only the uniform part of growth continues
Map = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class GrownScan:
    """One scan of a growing scene and its truth.

    ``frames`` (Z, H, W) counts; ``z_um`` (Z,) float64 as the stage reports them; ``time_s`` of the first
    frame; ``phase``; ``shift_px`` (2,) how far the scan shows the scene moved against one without drift,
    (dy, dx); ``axial_um`` how much too high heights seem. ``truth_um`` (H, W) float32 is the surface when the
    scan begins, ``seen_um`` the height each pixel has when it is in focus, neither with shift or axial error;
    ``nuclei`` as this scan shows them.
    """

    frames: Counts
    z_um: NDArray[np.float64]
    time_s: float
    phase: Kind
    shift_px: NDArray[np.float64]
    axial_um: float
    truth_um: Map
    seen_um: Map
    nuclei: NucleiSeen


def iter_scans(
    growing: GrowingScene,
    times_s: ArrayLike,
    *,
    z_um: ArrayLike | None = None,
    step_um: float = 0.2,
    shift_px: ArrayLike = (0.0, 0.0),
    axial_um: ArrayLike = 0.0,
    moving: bool = True,
    frames_per_s: float = FRAMES_PER_S,
    disturb: Callable[[Scene, int], Scene] | None = None,
    optics: Optics | None = None,
    sensor: Sensor | None = None,
    layer_um: float = 0.2,
    seed: int = 0,
) -> Iterator[GrownScan]:
    """Yield a scan of a growing scene for each time; memory does not grow with their number.

    Parameters
    ----------
    growing : GrowingScene
    times_s : (T,) float, s
        When scans begin, in order.
    z_um : (Z,) float, µm, optional
        Heights in focus, the same in all scans; by default all the surface passes through during the run
        and 3 µm more at both ends.
    step_um : float
        Distance of the default heights.
    shift_px : (2,) or (T, 2) float, pixels
        Lateral drift of the stage from scan to scan, (dy, dx): its total, linear from 0 at the first scan,
        or by scan. Frames are then smaller than the scene, so that what drifts in is drawn and not mirrored.
    axial_um : float or (T,) float, µm
        Axial drift: its total, linear from 0 at the first scan, or by scan. Heights seem higher by it.
    moving : bool
        Let the surface grow while it is scanned; False holds it still.
    frames_per_s : float
        How fast frames follow one another.
    disturb : callable (scene, scan), optional
        Returns the scene with what floats over it during that scan, as ``scene.with_bubbles(2, scan)``; its
        nuclei must stay as they are.
    optics, sensor, layer_um
        As in `render_scan`.
    seed : int
        Of the camera's noise; every scan has its own.

    Raises
    ------
    InputError
        If an argument cannot be used.
    """
    times = _checked_times(times_s)
    shifts = _path(shift_px, len(times), "shift_px")
    axial = _path(np.asarray(axial_um, dtype=np.float64)[..., None], len(times), "axial_um")[:, 0]
    z = _heights(growing, times, step_um) if z_um is None else np.asarray(z_um, dtype=np.float64)
    if z.ndim != 1 or z.size < 2 or not np.isfinite(z).all():
        raise InputError(f"growing scene: z_um {z.shape} must be a list of two or more finite heights")
    if not frames_per_s > 0:
        raise InputError(f"growing scene: frames_per_s {frames_per_s} must be above 0")
    inner = _inside(growing.shape, shifts)
    surfaces = min(_SURFACES_A_SCAN, len(z)) if moving else 1
    for k, time in enumerate(times.tolist()):
        begin = growing.at(time)
        if disturb is not None:
            bare, begin = begin, disturb(begin, k)
            if begin.nuclei != bare.nuclei:
                raise InputError(
                    "growing scene: disturb must leave nuclei as they are; place them beforehand"
                )
        truth = growing.height_um(time)
        seen = _seen(growing, time, truth, z - axial[k], frames_per_s) if moving else truth
        met_s = (
            meeting_times(growing, seen, z - axial[k], frames_per_s)
            if moving
            else np.zeros(len(growing.nuclei))
        )
        blocks = []
        for b, part in enumerate(np.array_split(np.arange(len(z)), surfaces)):
            scene, focus = begin, z[part] - axial[k]
            if moving:
                then = time + part.mean() / frames_per_s
                last = len(z) - 1
                scene = part_of_scan(begin, float(part[0] / last), float(part[-1] / last))
                there = time + np.clip(met_s, part[0] / frames_per_s, part[-1] / frames_per_s)
                nuclei = grown(growing.nuclei, there)
                scene = replace(scene, height_um=growing.height_um(then), nuclei=nuclei)
                # A surface that rises as a whole is one that the focus meets later.
                risen = [growing.law.uniform_um(time + at / frames_per_s) for at in part]
                focus = focus - (np.array(risen) - growing.law.uniform_um(then))
            of_noise = int(np.random.SeedSequence([seed, k, b]).generate_state(1)[0])
            drift = np.tile(shifts[k], (len(part), 1))
            rendered = iter_frames(
                scene, optics, focus, sensor=sensor, drift_px=drift, layer_um=layer_um, seed=of_noise
            )
            blocks += [frame[inner] for frame in rendered]
        yield GrownScan(
            frames=np.stack(blocks),
            z_um=z,
            time_s=time,
            phase=growing.law.phase_at(time),
            shift_px=shifts[k],
            axial_um=float(axial[k]),
            truth_um=truth[inner],
            seen_um=seen[inner],
            nuclei=seen_nuclei(growing, begin, sensor or Sensor(), time + met_s, seen, shifts[k]),
        )


def render_run(
    folder: str | Path,
    growing: GrowingScene | None = None,
    *,
    times_s: ArrayLike | None = None,
    scans: int = 8,
    interval_s: float = 10.0,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> RunTruth:
    """Write a run's folder: ``scans/scan_000.ome.tif`` and on, ``scans.csv``, and the truth.

    Parameters
    ----------
    folder : str or Path
        Where to; it appears whole or not at all.
    growing : GrowingScene, optional
        By default an electrode of 160 x 160 pixels of 0.25 µm, plated for the first half of the run and
        stripped for the second.
    times_s : (T,) float, s, optional
        When scans begin, in order; by default `scans` of them every `interval_s`.
    overwrite : bool
        Replace an older run there; never a folder that holds anything else.
    progress : callable (done, total), optional
        Called after each scan.
    **options
        As in `iter_scans`.

    Returns
    -------
    RunTruth

    Raises
    ------
    InputError
        If an argument cannot be used or the folder not be written.
    """
    times = _checked_times(interval_s * np.arange(scans) if times_s is None else times_s)
    if growing is None:
        half = 0.5 * float(times[-1] + interval_s)
        growing = growing_electrode((160, 160), 0.25, 0, plating_s=half, stripping_s=half)
    done: list[GrownScan] = []
    with new_folder(folder, overwrite=overwrite, known=FILES) as place:
        (place / "scans").mkdir()
        rows = []
        for k, scan in enumerate(iter_scans(growing, times, **options)):
            name = f"scan_{k:03d}.ome.tif"
            write_ome_scan(place / "scans" / name, scan.frames, scan.z_um, growing.pixel_um)
            rows.append((name, f"{scan.time_s:g}", scan.phase))
            done.append(replace(scan, frames=scan.frames[:0]))
            if progress is not None:
                progress(k + 1, len(times))
        with (place / "scans.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("scan", "time_s", "phase"), *rows])
        truth = truth_of(growing, done)
        np.savez_compressed(place / "truth.npz", **vars(truth))
    return truth


def truth_of(growing: GrowingScene, scans: Sequence[GrownScan]) -> RunTruth:
    """Return the truth of scans of a growing scene."""
    inner = _inside(growing.shape, np.stack([scan.shift_px for scan in scans]))
    times = [scan.time_s for scan in scans]
    return RunTruth(
        times_s=np.array(times),
        phases=np.array([scan.phase for scan in scans]),
        height_um=np.stack([scan.truth_um for scan in scans]),
        seen_um=np.stack([scan.seen_um for scan in scans]),
        rate_nm_per_s=np.stack([growing.rate_nm_per_s(time)[inner] for time in times]),
        curvature_per_um=np.stack([growing.curvature_per_um(time)[inner] for time in times]),
        shift_px=np.stack([scan.shift_px for scan in scans]),
        axial_um=np.array([scan.axial_um for scan in scans]),
        trenches=growing.trenches()[inner],
        protrusions=growing.protrusions()[inner],
        pixel_um=growing.pixel_um,
        **nuclei_arrays(growing.nuclei, [scan.nuclei for scan in scans], inner[0].start * growing.pixel_um),
    )


def stage_walk(scans: int, step_px: float, seed: int) -> NDArray[np.float64]:
    """Return a stage's random walk from scan to scan, (T, 2) pixels (dy, dx), 0 at the first."""
    steps = np.random.default_rng([seed, 8]).normal(0, step_px, (scans, 2))
    steps[0] = 0
    return np.asarray(np.cumsum(steps, axis=0))


def _checked_times(times_s: ArrayLike) -> NDArray[np.float64]:
    times = np.asarray(times_s, dtype=np.float64)
    if times.ndim != 1 or times.size == 0 or not (np.isfinite(times).all() and (np.diff(times) > 0).all()):
        raise InputError(f"growing scene: times_s {times.shape} must be a list of rising times")
    return times


def _path(drift: ArrayLike, count: int, name: str) -> NDArray[np.float64]:
    path = np.asarray(drift, dtype=np.float64)
    wide = path.shape[-1] if path.ndim else 0
    if path.shape == (wide,) and wide in (1, 2):
        path = np.linspace(0, 1, count)[:, None] * path
    if path.shape != (count, 1 if name == "axial_um" else 2) or not np.isfinite(path).all():
        raise InputError(f"growing scene: {name} must be finite, its total or one for each of {count} scans")
    return path


def _heights(growing: GrowingScene, times: NDArray[np.float64], step_um: float) -> NDArray[np.float64]:
    if not step_um > 0:
        raise InputError(f"growing scene: step_um {step_um} must be above 0")
    surfaces = [growing.height_um(float(time)) for time in times]
    low = min(float(surface.min()) for surface in surfaces) - _MARGIN_UM
    high = max(float(surface.max()) for surface in surfaces) + _MARGIN_UM
    return np.asarray(low + step_um * np.arange(int(np.ceil((high - low) / step_um)) + 1))


def _inside(shape: tuple[int, int], shifts: NDArray[np.float64]) -> tuple[slice, slice]:
    rim = int(np.ceil(np.abs(shifts).max()))
    if 2 * rim >= min(shape) - 8:
        raise InputError(f"growing scene: a drift of {rim} px leaves nothing of {shape[0]} × {shape[1]} px")
    return slice(rim, shape[0] - rim), slice(rim, shape[1] - rim)


def _seen(growing: GrowingScene, time: float, start: Map, z: NDArray[np.float64], frames_per_s: float) -> Map:
    """Return the height that each pixel has when the focus meets it."""
    order = np.argsort(z)
    met_s = np.interp(start, z[order], order / frames_per_s)
    last = len(z) / frames_per_s
    rate = (growing.height_um(time + last) - start) / np.float32(last)
    # Once more, as the focus meets the surface where it has grown to.
    met_s = np.interp(start + rate * met_s, z[order], order / frames_per_s)
    return np.asarray(start + rate * met_s, dtype=np.float32)
