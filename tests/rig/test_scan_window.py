"""The scan window tracks a surface that drifts, and moves with nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from lee.devices.protocols import CameraSettings
from lee.devices.scan_plan import ScanPlan
from lee.devices.virtual.hardware.carriage import Mechanics
from lee.devices.virtual.hardware.clock import SimulatedClock
from lee.devices.virtual.hardware.frame_bank import quick_bank
from lee.devices.virtual.hardware.rig import virtual_rig
from lee.rig.record import RunPlan, record_run
from lee.rig.scan_window import ScanWindow
from lee.surfaces.surface import Surface

PLAN = ScanPlan(100_000, 200, 100, counts_per_um=1000.0, frames_per_s=80.0, lead_counts=2000)
LIMITS = (0, 200_000)
TILT = np.linspace(-4.0, 4.0, 400, dtype=np.float32).reshape(20, 20)


def surface(middle_um, coverage=1.0):
    height = TILT + np.float32(middle_um)
    filled = height.copy()
    height[np.arange(400).reshape(20, 20) >= 400 * coverage] = np.nan
    blank = np.zeros_like(height)
    return Surface(height, filled, blank, np.isfinite(height), blank, 0.5)


def tracked(*middles_um, plan=PLAN, limits=LIMITS, coverage=1.0):
    window = ScanWindow(plan, limits)
    firsts = []
    for middle in middles_um:
        window.track(None if middle is None else surface(middle, coverage))
        firsts.append(window.plan.first_counts)
    return firsts, window.plan


def test_the_first_surface_stays_where_it_was_put():
    assert tracked(103.0)[0] == [100_000]


def test_it_moves_by_what_the_surface_moved():
    firsts, plan = tracked(103.0, 103.5, 105.5, 105.5, 101.0)
    assert firsts == [100_000, 100_000, 102_500, 102_500, 98_000]
    assert plan == replace(PLAN, first_counts=98_000)


def test_it_tracks_in_a_falling_scan_alike():
    falling = replace(PLAN, first_counts=119_800, step_counts=-200)
    assert tracked(103.0, 105.5, plan=falling)[0] == [119_800, 122_300]


@pytest.mark.parametrize(
    ("limits", "middles", "first"),
    [((0, 123_000), (110.0, 113.0), 101_200), ((97_500, 200_000), (110.0, 107.0), 99_500)],
)
def test_it_stops_at_the_stage_s_limits(limits, middles, first):
    assert tracked(*middles, limits=limits)[0][-1] == first


def test_one_wrong_surface_moves_it_a_quarter_at_most():
    assert tracked(110.0, 190.0)[0][-1] == 100_000 + 4_950


def test_no_surface_and_a_hardly_measured_one_move_nothing():
    assert tracked(110.0, None)[0][-1] == 100_000
    assert tracked(110.0, 119.0, coverage=0.1)[0][-1] == 100_000


@pytest.mark.parametrize("track_surface", [True, False])
def test_a_drifting_sample_stays_in_the_window_of_a_run(tmp_path, monkeypatch, track_surface):
    monkeypatch.setattr("lee.rig.scan_threads._RECONSTRUCTION_QUEUE", 1000)  # time is simulated: skip nothing
    clock = SimulatedClock()
    rig = virtual_rig(
        quick_bank((64, 80), relief_um=8.0),
        mechanics=Mechanics(drift_um_per_s=0.5),
        clock=clock,
        sleep=clock.sleep,
    )
    plan = ScanPlan.of_um(
        992.0, 1012.0, step_um=0.2, counts_per_um=rig.stage.counts_per_um, frames_per_s=80.0
    )
    run = RunPlan(
        tmp_path / "run",
        plan,
        CameraSettings(exposure_s=0.003),
        pixel_um=0.25,
        duration_s=48.0,
        interval_s=6.0,
        track_surface=track_surface,
    )
    taken = list(record_run(rig, run, clock=clock, sleep=clock.sleep))
    assert len(taken) == 8
    assert all(one.ledger.complete for one in taken)
    begun = np.array([one.plan.z_um[0] for one in taken])
    if track_surface:
        assert begun[-1] - begun[0] == pytest.approx(-0.5 * 42, abs=4.0)
        assert taken[-1].surface.coverage > 0.8
        middles = [float(np.nanmedian(one.surface.height_um)) for one in taken]
        assert np.diff(middles) == pytest.approx(-3.0, abs=1.0)
    else:
        assert np.ptp(begun) == 0
        assert taken[-1].surface is None or taken[-1].surface.coverage < 0.5
