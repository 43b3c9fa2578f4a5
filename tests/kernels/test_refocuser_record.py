"""What the refocuser records of cells over a scan, and maxima it rejects by it."""

import numpy as np
import pytest

from tests.reference import refocuser as reference
from tests.support.refocuser_scans import core_of, of_backend, pushed, scan_of

CELL = 8


@pytest.fixture(autouse=True, scope="module")
def _every_backend(backend):
    with of_backend(backend.name):
        yield


@pytest.mark.parametrize("count", [1, 2, 128, 129, 300, 513])
def test_of_a_long_scan_every_second_or_fourth_group_is_recorded(count):
    frames, _ = scan_of((48, 56), count)
    z = np.arange(count, dtype=float)
    core = pushed(frames, z, depth_um=3.0)
    want = reference.refocus(frames, z, depth_um=3.0)
    z_um, *recorded = core.record()
    np.testing.assert_array_equal(z_um, z[want.recorded])
    assert len(z_um) <= 128
    for got, expected in zip(recorded, (want.brightness, want.focus, want.saturated), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_pixels_beyond_the_last_whole_cell_are_in_none():
    frames, z = scan_of((47, 71), 9, uneven=False)
    _, brightness, focus, saturated = pushed(frames, 2 * z).record()
    assert brightness.shape == focus.shape == (9, 5, 8)
    assert saturated.shape == (5, 8)


def test_small_frames_have_no_cells():
    frames, z = scan_of((39, 90), 9)
    core = pushed(frames, z)
    z_um, brightness, _, _ = core.record()
    assert brightness.shape == (len(z_um), 0, 0)
    core.reject(np.zeros((len(z_um), 0, 0), np.uint8))


def test_the_share_of_saturated_pixels_is_the_largest_of_the_scan():
    frames, z = scan_of((40, 40), 6, uneven=False)
    frames[2, :8, :4] = 255
    frames[3, :8, :2] = 255
    np.testing.assert_array_equal(pushed(frames, 2 * z, saturation=255).record()[3][0, 0], 0.5)


def nearest(z_um, height):
    return np.abs(np.asarray(z_um)[:, None] - height[None].ravel()).argmin(0).reshape(height.shape)


@pytest.mark.parametrize("falling", [False, True])
def test_rejected_maxima_are_dropped_and_the_others_move_up(falling):
    frames, z = scan_of((51, 66), 24, seed=3, noise=20)
    core = pushed(frames, -z if falling else z)
    z_um, *_ = core.record()
    before = [core.peaks(k) for k in range(core.levels)]
    counts = core.counts()
    occluded = np.random.default_rng(1).random((len(z_um), 6, 8)) < 0.4
    core.reject(occluded.astype(np.uint8))
    moved = 0
    for k, (height, peak, _) in enumerate(before):
        rows, columns = (
            np.minimum((np.arange(n) << k) // CELL, m - 1)
            for n, m in zip(height.shape[1:], (6, 8), strict=True)
        )
        samples = nearest(z_um, np.nan_to_num(height))
        out = occluded[samples, rows[:, None], columns[None]] & np.isfinite(height)
        height, peak = np.where(out, np.nan, height), np.where(out, 0, peak)
        up = out[0] & np.isfinite(height[1])
        want_height = np.where(up, [height[1], np.full_like(height[1], np.nan)], height)
        want_peak = np.where(up, [peak[1], np.zeros_like(peak[1])], peak)
        found_height, found_peak, found_width = core.peaks(k)
        np.testing.assert_array_equal(found_height, want_height)
        np.testing.assert_array_equal(found_peak, want_peak)
        assert np.isnan(found_width[np.isnan(found_height)]).all()
        if k == 0:
            np.testing.assert_array_equal(core.counts()[0], np.where(up, counts[1], counts[0]))
        moved += up.sum()
    assert moved > 100


def test_where_all_is_rejected_nothing_is_in_focus():
    frames, z = scan_of((40, 48), 20)
    core = pushed(frames, z)
    assert np.isfinite(core.finish()[0]).any()
    core.reject(np.ones((len(core.record()[0]), 5, 6), np.uint8))
    height, sigma, _ = core.finish()
    assert np.isnan(height).all()
    assert np.isnan(sigma).all()


def test_a_mask_of_another_shape_is_refused():
    frames, z = scan_of((40, 48), 20)
    core = pushed(frames, z)
    samples = len(core.record()[0])
    with pytest.raises(
        ValueError, match=rf"refocuser: occluded is \({samples}, 6, 5\), not \({samples}, 5, 6\)"
    ):
        core.reject(np.zeros((samples, 6, 5), np.uint8))


def test_maxima_are_not_rejected_while_the_scan_runs():
    core = core_of((40, 48))
    core.push(np.zeros((40, 48), np.uint8), 0.0)
    with pytest.raises(ValueError, match="the scan has not ended, so maxima may still come; call close"):
        core.reject(np.zeros((0, 5, 6), np.uint8))
