"""Drift that the whole field shares is trusted; what differs from place to place is not."""

import numpy as np
import pytest
from scipy import ndimage

from lee.reconstruction.motion.drift import DriftTracker
from lee.reconstruction.motion.robust_drift import RobustDriftTracker

SHAPE = (160, 176)
COUNT = 12


def texture(shape, seed=0):
    rng = np.random.default_rng(seed)
    fine = ndimage.gaussian_filter(rng.normal(size=shape), 1.0, mode="wrap")
    return 120 + 30 * fine / fine.std()


def noisy(frame, k):
    return (frame + np.random.default_rng(k).normal(size=frame.shape)).clip(0, 255).astype(np.uint8)


def moved(frame, by):
    return ndimage.shift(frame, by, order=3, mode="grid-wrap")


def tracked(frames):
    tracker = RobustDriftTracker(frames[0].shape)
    last = (0.0, 0.0)
    for k, frame in enumerate(frames):
        last = tracker.update(noisy(frame, k), 0.2 * k)
    return tracker, last


def test_common_drift_is_trusted():
    whole = texture(SHAPE)
    tracker, last = tracked([moved(whole, (0.5 * k, -0.3 * k)) for k in range(COUNT)])
    assert 0.95 < tracker.agreement() <= 1
    expected = np.outer(np.arange(COUNT), (0.5, -0.3))
    np.testing.assert_allclose(tracker.path(), expected, atol=0.3)
    np.testing.assert_allclose(last, expected[-1], atol=0.5)
    assert tracker.path()[0].tolist() == [0, 0]


def test_quarters_that_move_apart_are_not_trusted():
    """As steep relief does: contours wander outwards while the focus moves."""
    frames = []
    for k in range(COUNT):
        frame = np.empty(SHAPE)
        for index, (y, x) in enumerate(((0, 0), (0, 88), (80, 0), (80, 88))):
            out = (0.4 * k * (1 if y else -1), 0.4 * k * (1 if x else -1))
            frame[y : y + 80, x : x + 88] = moved(texture((80, 88), index), out)
        frames.append(frame)
    tracker, _ = tracked(frames)
    assert tracker.agreement() < 0.3
    assert np.abs(tracker.path()).max() < 1.0


def test_where_nothing_moves_next_to_nothing_is_taken_back():
    tracker, last = tracked([texture(SHAPE)] * COUNT)
    assert 0 <= tracker.agreement() <= 1
    assert np.abs(tracker.path()).max() < 0.05
    assert np.abs(last).max() < 0.1


@pytest.mark.parametrize("shape", [(100, 300), (64, 64)])
def test_frames_too_small_to_be_quartered_are_trusted_as_they_are(shape):
    whole = texture(shape)
    plain = DriftTracker(shape)
    frames = [moved(whole, (0.5 * k, -0.3 * k)) for k in range(COUNT)]
    tracker, last = tracked(frames)
    for k, frame in enumerate(frames):
        expected = plain.update(noisy(frame, k), 0.2 * k)
    assert tracker.agreement() == 1.0
    assert last == expected
    np.testing.assert_array_equal(tracker.path(), plain.path())
