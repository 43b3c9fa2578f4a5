"""Runs of growing scenes whose truth is known, drawn by either renderer and measured by `lee`."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

import lee
from bench.scenes import gaussian_gather_renderer as rays
from bench.scenes import gaussian_gather_specimens as specimens
from lee.demo.size import WHOLE
from lee.devices import virtual
from lee.devices.virtual.runs.run import FRAMES_PER_S, truth_of
from lee.runs.reconstruct import series_params

PIXEL_UM = 0.25
INTERVAL_S = 10.0
_STEP_UM = 0.2
_FINER = 3  # the rays' specimen is drawn so much finer, so that it can be moved without resampling
Map = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class MeasuredRun:
    """Surfaces as `lee` found them, (T, H, W), and the truth in the place where the first scan shows it.

    ``still`` are refocused images without correction of drift inside the scans, of which there is none.
    ``shift_px`` (T, 2): how far each scan shows the scene moved. ``rate_nm_per_s`` (T, H, W) at the times of
    the scans; ``trenches``, ``protrusions`` (H, W) bool. ``seen_um`` (T, H, W) is the height that each point
    has when it is in focus; ``phases`` (T,), or None where all are plating.
    """

    height_um: Map
    sigma_um: Map
    refocused: Map
    still: Map
    times_s: NDArray[np.float64]
    truth_um: Map
    rate_nm_per_s: Map
    shift_px: NDArray[np.float64]
    trenches: NDArray[np.bool_]
    protrusions: NDArray[np.bool_]
    seen_um: Map
    phases: list[str] | None = None


def grown(scene: virtual.Scene, seed: int) -> virtual.GrowingScene:
    """Let a scene grow so that its most hollow tenth leads its most bulging tenth by about 50 nm/s."""
    still = virtual.GrowingScene(scene, virtual.GrowthLaw((virtual.Phase("plating", 1.0),)))
    curved = still.curvature_per_um(0.0)
    lead = float(curved[still.trenches()].mean() - curved[still.protrusions()].mean())
    strength = 0.05 / lead
    law = virtual.GrowthLaw((virtual.Phase("plating", 1000.0, (55.0, 36.0), (strength, strength), 300.0),))
    return virtual.GrowingScene(scene, law, seed=seed)


def rig_run(side_px: int, seed: int, scans: int) -> MeasuredRun:
    """Return a run of the virtual rig: an electrode of 8 µm relief on a stage that drifts."""
    walk = virtual.stage_walk(scans, 0.7, seed)
    side = side_px + 2 * int(np.ceil(np.abs(walk).max()))
    scene = grown(virtual.electrode((side, side), PIXEL_UM, seed, relief_um=8.0), seed)
    return _rig_run(scene, INTERVAL_S * np.arange(scans), walk, seed)


def demo_run(side_px: int, seed: int, scans: int) -> MeasuredRun:
    """Return the run of `lee demo`, plated and then stripped, whatever size and number are asked for."""
    return _rig_run(
        WHOLE.growing_scene(seed),
        WHOLE.interval_s * np.arange(WHOLE.scans),
        virtual.stage_walk(WHOLE.scans, WHOLE.walk_px, seed),
        seed,
    )


def _rig_run(
    scene: virtual.GrowingScene, times: NDArray[np.float64], walk: NDArray[np.float64], seed: int
) -> MeasuredRun:
    drawn = list(virtual.iter_scans(scene, times, shift_px=walk, seed=seed))
    truth = truth_of(scene, drawn)
    surfaces = [_found(scan.frames, scan.z_um) for scan in drawn]
    return MeasuredRun(
        *map(np.stack, zip(*surfaces, strict=True)),
        times,
        truth.height_um,
        truth.rate_nm_per_s,
        walk,
        truth.trenches,
        truth.protrusions,
        truth.seen_um,
        truth.phases.tolist(),
    )


def still_heights(side_px: int, seed: int, scans: int) -> tuple[Map, Map]:
    """Return heights and sigmas, (T, H, W) µm, of a still electrode that the rig's camera sees again.

    Every scan begins at another fraction of a step, as on a stage whose window moves.
    """
    scene = virtual.electrode((side_px, side_px), PIXEL_UM, seed, relief_um=8.0)
    bank = virtual.FrameBank.of_scene(scene, seed=seed)
    starts = bank.z_um[0] + _STEP_UM * np.random.default_rng([seed, 13]).uniform(0, 1, scans)
    z = _STEP_UM * np.arange(len(bank.z_um) - 1)
    found = []
    for start in starts:
        frames = np.stack([bank.image(float(at)) for at in start + z])
        found.append(_found(frames, start + z, both=False))
    heights, sigmas, *_ = zip(*found, strict=True)
    return np.stack(heights), np.stack(sigmas)


def rays_run(side_px: int, seed: int, scans: int) -> MeasuredRun:
    """Return a run of the second renderer: winding trenches 8 µm deep, covered with bumps."""
    walk = np.round(virtual.stage_walk(scans, 0.7, seed + 100) * _FINER) / _FINER
    rim = int(np.ceil(np.abs(walk).max()))
    rng = np.random.default_rng([seed, 9])
    fine = (_FINER * (side_px + 2 * rim),) * 2
    height = specimens.trenches(fine, PIXEL_UM / _FINER, rng)
    dressed = specimens.dressed(height, PIXEL_UM / _FINER, rng)
    scene = grown(virtual.Scene(height, dressed.reflectance, dressed.pixel_um), seed)
    times = INTERVAL_S * np.arange(scans)
    ends = np.stack([scene.height_um(0.0), scene.height_um(float(times[-1]))])
    z = np.arange(float(ends.min()) - 3, float(ends.max()) + 3, _STEP_UM)
    surfaces, seen_at_focus = [], []
    for k, time in enumerate(times.tolist()):
        middle = time + 0.5 * len(z) / FRAMES_PER_S
        moved = np.rint(walk[k] * _FINER).astype(int)
        seen = [_binned(m, side_px, rim, moved) for m in (scene.height_um(middle), scene.reflectance(time))]
        # A surface that rises as a whole is one that the focus meets later.
        risen = [scene.law.uniform_um(time + at / FRAMES_PER_S) for at in range(len(z))]
        focus = z - (np.array(risen) - scene.law.uniform_um(middle))
        specimen = specimens.Specimen(seen[0], seen[1], PIXEL_UM)
        unmoved = _binned(scene.height_um(middle), side_px, rim, np.zeros(2, dtype=int))
        met = np.interp(unmoved, focus, np.array(risen) - scene.law.uniform_um(middle))
        seen_at_focus.append((unmoved + met).astype(np.float32))
        surfaces.append(_found(rays.record(specimen, focus, seed=1000 * seed + k).frames, z))
    still = np.zeros(2, dtype=int)

    def shown(fine_map: NDArray[np.generic]) -> Map:
        return _binned(fine_map.astype(np.float32), side_px, rim, still)

    return MeasuredRun(
        *map(np.stack, zip(*surfaces, strict=True)),
        times,
        np.stack([shown(scene.height_um(t)) for t in times.tolist()]),
        np.stack([shown(scene.rate_nm_per_s(t)) for t in times.tolist()]),
        walk,
        shown(scene.trenches()) > 0.5,
        shown(scene.protrusions()) > 0.5,
        np.stack(seen_at_focus),
    )


def noisy_run(
    side_px: int, seed: int, scans: int, noise_um: float = 0.08, correlation: float = 0.0
) -> MeasuredRun:
    """Return a run whose surfaces are the truth with noise, correlated or not, and without drift."""
    scene = grown(virtual.electrode((side_px, side_px), PIXEL_UM, seed, relief_um=8.0), seed)
    times = INTERVAL_S * np.arange(scans)
    truth = np.stack([scene.height_um(t) for t in times.tolist()])
    noise = np.random.default_rng([seed, 11]).normal(0, noise_um, truth.shape)
    for k in range(1, scans):
        noise[k] = correlation * noise[k - 1] + np.sqrt(1 - correlation**2) * noise[k]
    images = np.stack([scene.reflectance(t) for t in times.tolist()])
    return MeasuredRun(
        (truth + noise).astype(np.float32),
        np.full_like(truth, noise_um),
        images,
        images,
        times,
        truth,
        np.stack([scene.rate_nm_per_s(t) for t in times.tolist()]),
        np.zeros((scans, 2)),
        scene.trenches(),
        scene.protrusions(),
        truth,
    )


def persistent_run(side_px: int, seed: int, scans: int) -> MeasuredRun:
    """Return the truth with noise whose correlation is 0.9 from one scan to the next."""
    return noisy_run(side_px, seed, scans, correlation=0.9)


def sloped_run(side_px: int, seed: int, scans: int) -> MeasuredRun:
    """Return the truth with noise, half of it persistent, that grows with the slope of the relief."""
    white = noisy_run(side_px, seed, scans, noise_um=1.0)
    slow = noisy_run(side_px, seed + 1000, scans, noise_um=1.0, correlation=0.9)
    noise = white.height_um - white.truth_um + slow.height_um - slow.truth_um
    slope = np.hypot(*np.gradient(white.truth_um[0]))
    sigma = np.float32(0.02) + np.float32(0.1) * slope / np.percentile(slope, 95)
    sigma = np.broadcast_to(sigma.astype(np.float32), noise.shape)
    return replace(white, height_um=white.truth_um + sigma * noise, sigma_um=sigma)


def _found(frames: NDArray[np.generic], z_um: NDArray[np.float64], *, both: bool = True) -> tuple[Map, ...]:
    """Return height, sigma, refocused image, and if asked for, that without correction of drift."""
    stack = lee.ZStack.from_array(frames, z_um, PIXEL_UM)
    params = replace(series_params(), threads=1)
    one = lee.reconstruct(stack, params=params, device="cpu")
    if not both:
        return one.height_um, one.height_sigma_um, one.refocused
    still = lee.reconstruct(stack, params=replace(params, drift=False), device="cpu")
    return one.height_um, one.height_sigma_um, one.refocused, still.refocused


def _binned(fine: Map, side_px: int, rim: int, moved: NDArray[np.integer]) -> Map:
    """Return what the camera's pixels see of a fine map moved by so many fine pixels."""
    top, left = _FINER * rim - moved
    part = fine[top : top + _FINER * side_px, left : left + _FINER * side_px]
    return np.asarray(cv2.resize(part, (side_px, side_px), interpolation=cv2.INTER_AREA), dtype=np.float32)
