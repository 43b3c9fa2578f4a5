"""Drift is found to a tenth of a pixel, and none where there is none; shifted frames stay sharp."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from lee.devices.virtual import Sensor, gentle, render_scan, rugged
from lee.errors import InputError
from lee.reconstruction.motion.drift import DriftTracker, estimate_drift
from lee.reconstruction.motion.subpixel_shift import shift_frame
from lee.stacks.stack import ZStack

SHAPE = (256, 288)


def rms(error: np.ndarray) -> float:
    return float(np.sqrt(np.mean(error**2)))


def off_by(found: np.ndarray, truth: np.ndarray) -> float:
    """Error of the path, its arbitrary start aside."""
    error = found - truth
    return rms(error - error.mean(axis=0))


@pytest.mark.parametrize("drift_px", [pytest.param((0.0, 0.0), marks=pytest.mark.slow), (8.0, -3.0)])
@pytest.mark.parametrize("scene", [gentle, rugged])
def test_rendered_scans(scene: object, drift_px: tuple[float, float]) -> None:
    made = scene(SHAPE, 0.25, 7)  # type: ignore[operator]
    scan = render_scan(made, drift_px=drift_px, sensor=Sensor(shading=0.3), seed=2)
    found = estimate_drift(ZStack.from_array(scan.frames, scan.z_um, scan.pixel_um))
    assert found.shape == (len(scan.frames), 2)
    assert found[0].tolist() == [0, 0]
    assert off_by(found, scan.drift_px) < 0.05
    assert rms(found - (scan.drift_px - scan.drift_px[0])) < 0.25  # frame 0 is far out of focus


@pytest.mark.slow
def test_bubbles_do_not_drag_the_path_along() -> None:
    scene = rugged((384, 384), 0.25, 2).with_bubbles(3, 3).with_spikes(20, 4)
    scan = render_scan(scene, drift_px=(4, 4), seed=1)
    found = estimate_drift(ZStack.from_array(scan.frames, scan.z_um, scan.pixel_um))
    assert off_by(found, scan.drift_px) < 0.1


def test_a_sensor_pattern_does_not_hold_the_path() -> None:
    rng = np.random.default_rng(4)
    scan = render_scan(gentle(SHAPE, 0.25, 3), drift_px=(6, 2), seed=2)
    dust = ndimage.gaussian_filter(rng.random(SHAPE), 9)
    pattern = 1 + 0.005 * rng.standard_normal(SHAPE) - 0.05 * (dust - dust.min()) / np.ptp(dust)
    frames = np.clip(scan.frames * pattern, 0, 255).astype(np.uint8)
    found = estimate_drift(ZStack.from_array(frames, scan.z_um, scan.pixel_um))
    assert off_by(found, scan.drift_px) < 0.2


def test_bent_drift_is_followed_and_frames_may_be_left_out() -> None:
    scene = gentle(SHAPE, 0.25, 9)
    phase = np.linspace(0, np.pi, len(scene.z_range()))
    path = np.stack([3 * np.sin(phase), 2 * np.cos(phase)], axis=1)
    scan = render_scan(scene, drift_px=path, seed=2)
    stack = ZStack.from_array(scan.frames, scan.z_um, scan.pixel_um)
    assert off_by(estimate_drift(stack), path) < 0.1
    assert off_by(estimate_drift(stack, frames_between=3), path) < 0.15


def test_tracker_follows_while_frames_arrive() -> None:
    scan = render_scan(gentle(SHAPE, 0.25, 7), drift_px=(8, -3), seed=2)
    tracker = DriftTracker()
    every = slice(0, None, 4)
    found = [tracker.update(frame, z) for frame, z in zip(scan.frames[every], scan.z_um[every], strict=True)]
    assert off_by(np.array(found), scan.drift_px[every]) < 0.2
    assert off_by(tracker.path(), scan.drift_px[every]) < 0.1


def test_frames_that_show_nothing_have_no_drift() -> None:
    stack = ZStack.from_array(np.full((5, 40, 50), 90, dtype=np.uint8), np.arange(5), 1)
    assert np.abs(estimate_drift(stack)).max() < 1e-3


@pytest.mark.parametrize("shape", [(3, 4), (17, 200), (33, 65)])
def test_small_frames(shape: tuple[int, int]) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (4, *shape), dtype=np.uint8)
    assert np.isfinite(estimate_drift(ZStack.from_array(frames, np.arange(4), 1))).all()


def test_wrong_frames_are_refused() -> None:
    tracker = DriftTracker()
    tracker.update(np.zeros((40, 40), np.uint8), 0.0)
    with pytest.raises(InputError, match=r"drift: frame 1 is \(40, 41\), expected \(40, 40\)"):
        tracker.update(np.zeros((40, 41), np.uint8), 1.0)
    with pytest.raises(InputError, match=r"drift: frame 1 has shape \(40,\), expected \(H, W\)"):
        tracker.update(np.zeros(40, np.uint8), 1.0)
    with pytest.raises(InputError, match="frames_between is 0"):
        estimate_drift(ZStack.from_array(np.zeros((3, 40, 40)), np.arange(3), 1), frames_between=0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_whole_pixels_move_exactly(dtype: type) -> None:
    frame = np.random.default_rng(1).integers(0, 255, (70, 90)).astype(dtype)
    moved = shift_frame(frame, 3, -5)
    assert moved.dtype == frame.dtype
    assert np.array_equal(moved[3:, :-5], frame[:-3, 5:])
    assert np.array_equal(moved[:3, :-5], np.repeat(frame[:1, 5:], 3, axis=0))
    assert np.array_equal(shift_frame(frame, 0, 0), frame)


@pytest.mark.parametrize("shift", [(0.5, 0.5), (-2.3, 1.7), (0.01, -0.99), (3.0, 0.25)])
def test_fractions_move_a_wave_to_where_it_belongs(shift: tuple[float, float]) -> None:
    y, x = np.mgrid[:80, :100].astype(np.float64)

    def wave(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        return np.asarray(100 + 60 * np.sin(2 * np.pi * (0.21 * y + 0.05)) * np.cos(2 * np.pi * 0.27 * x))

    moved = shift_frame(wave(y, x).astype(np.float32), *shift)
    error = moved - wave(y - shift[0], x - shift[1])
    assert np.abs(error[8:-8, 8:-8]).max() < 1.0
    eight_bit = shift_frame(np.rint(wave(y, x)).astype(np.uint8), *shift)
    assert np.abs(eight_bit - wave(y - shift[0], x - shift[1]))[8:-8, 8:-8].max() < 2.5


def test_integers_stay_in_range_and_shifts_must_be_finite() -> None:
    frame = np.zeros((20, 20), np.uint8)
    frame[:, 10:] = 255
    moved = shift_frame(frame, 0, 0.5)
    assert set(np.unique(moved[:, :6])) == {0}
    assert set(np.unique(moved[:, 15:])) == {255}
    with pytest.raises(ValueError, match="is not a finite displacement"):
        shift_frame(frame, np.nan, 0)
