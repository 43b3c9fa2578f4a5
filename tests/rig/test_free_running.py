"""Scans of a camera that runs freely: heights come from timestamps, with an uncertainty that holds."""

import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lee
from lee.devices.faults import DeviceLost, StageStalled
from lee.devices.protocols import CameraSettings, Rig
from lee.devices.scan_plan import ScanPlan
from lee.devices.virtual.hardware.camera import VirtualCamera
from lee.devices.virtual.hardware.carriage import PERFECT
from lee.devices.virtual.hardware.clock import SimulatedClock
from lee.devices.virtual.hardware.fault_plan import At, Faults
from lee.devices.virtual.hardware.frame_bank import quick_bank
from lee.devices.virtual.hardware.rig import parts_of, virtual_rig
from lee.errors import InputError
from lee.recording.segment import SegmentWriter
from lee.recording.segment_reader import SegmentReader
from lee.rig.acquire import max_frames, take_scan
from lee.statistics.straight_line import fit_line, line_below

FREE = CameraSettings(exposure_s=0.003, triggered=False)
BANK = quick_bank((64, 80), relief_um=12.0)


def scanned(path, faults=None, *, way=(992.0, 1016.0), asked=FREE, frames_per_s=80.0, **options):
    clock = SimulatedClock()
    rig = virtual_rig(BANK, faults=faults, clock=clock, sleep=clock.sleep, **options)
    plan = ScanPlan.of_um(*way, step_um=0.2, counts_per_um=rig.stage.counts_per_um, frames_per_s=frames_per_s)
    applied = rig.camera.configure(asked)
    taken = take_scan(rig, plan, path, settings=applied, pixel_um=0.25, clock=clock)
    return taken, plan, rig


def true_z_um(reader, rig, faults=None):
    """Heights in the middle of the exposures, as only the virtual stage knows them."""
    wrong = faults or Faults()
    begun = (reader.timestamp_s - wrong.camera_offset_s) / (1 + wrong.camera_ppm * 1e-6)
    _, stage = parts_of(rig)
    return np.array([stage.true_um(time + reader.header.settings.exposure_s / 2) for time in begun])


@pytest.mark.parametrize(
    ("faults", "options"),
    [
        (None, {}),
        (Faults(camera_offset_s=1e4, camera_ppm=200), {}),
        (None, {"way": (1016.0, 992.0)}),
        (None, {"asked": replace(FREE, frames_per_s=71.3)}),
        (None, {"asked": replace(FREE, exposure_s=0.009)}),
        (None, {"asked": replace(FREE, buffers=3)}),
    ],
    ids=["plain", "another clock", "falling", "another frame rate", "long exposure", "few buffers"],
)
def test_heights_are_true_within_what_is_stated(tmp_path, faults, options):
    taken, plan, rig = scanned(tmp_path / "a.raw", faults, mechanics=PERFECT, **options)
    assert taken.fault is None
    assert taken.ledger.complete
    known = taken.synchronisation
    assert known.method == "timestamps"
    with SegmentReader(taken.path) as reader:
        wrong = reader.z_um - true_z_um(reader, rig, faults)
        assert abs(np.median(wrong)) < 2 * known.z_offset_sigma_um < 0.25
        assert np.ptp(wrong) < 0.02
        assert reader.notes["synchronisation"] == known.to_json()
        assert abs(reader.z_um[0] - plan.z_um[0]) < 0.4
        assert abs(reader.z_um[-1] - plan.z_um[-1]) < 0.4
    stack = lee.open_stack(taken.path)
    assert len(stack) == taken.ledger.frames_written
    assert stack.metadata["synchronisation"]["method"] == "timestamps"


def test_lost_frames_leave_gaps_in_their_places(tmp_path):
    faults = Faults(lost_frames=(100, 101), incomplete_frames=(110,))
    taken, _, rig = scanned(tmp_path / "a.raw", faults)
    assert not taken.ledger.complete
    assert taken.ledger.lost_frames == 2
    assert taken.ledger.frames_incomplete == 1
    with SegmentReader(taken.path) as reader:
        assert np.ptp(reader.z_um - true_z_um(reader, rig)) < 0.2
        assert np.diff(reader.z_um).max() == pytest.approx(0.6, abs=0.01)


def test_a_clock_that_does_not_run_in_seconds_leaves_the_scan_unsynchronised(tmp_path):
    taken, plan, _ = scanned(tmp_path / "a.raw", Faults(camera_ppm=3e4))
    assert taken.synchronisation.method == "none"
    assert "UNSYNCHRONISED: the camera's clock runs 0.971 times as fast" in taken.summary()
    assert np.diff(SegmentReader(taken.path).z_um) == pytest.approx(plan.step_um * 1.03, rel=1e-3)


def test_a_stage_that_reports_little_leaves_the_scan_unsynchronised(tmp_path, monkeypatch):
    monkeypatch.setattr("lee.devices.virtual.hardware.stage.REPORT_INTERVAL_S", 0.4)
    taken, _, _ = scanned(tmp_path / "a.raw")
    assert "UNSYNCHRONISED: the stage reported 4 positions during the scan, 12 are needed" in taken.summary()
    assert taken.fault is None


@pytest.mark.parametrize(
    ("faults", "fault"),
    [
        (Faults(unplug_stage=At(time_s=1.8)), DeviceLost),
        (Faults(unplug_camera=At(time_s=1.8)), DeviceLost),
        (Faults(stall=At(time_s=1.8)), StageStalled),
    ],
)
def test_a_fault_ends_the_scan_and_loses_nothing(tmp_path, faults, fault):
    taken, _, _ = scanned(tmp_path / "a.raw", faults)
    assert isinstance(taken.fault, fault)
    assert taken.ledger.frames_written > 20
    with SegmentReader(taken.path) as reader:
        assert reader.verify() == []
        assert fault.__name__ in reader.notes["fault"]
        assert len(lee.open_stack(taken.path)) <= len(reader)


def test_the_surface_is_that_of_the_recording(tmp_path, monkeypatch):
    monkeypatch.setattr("lee.rig.scan_threads._RECONSTRUCTION_QUEUE", 1000)  # time is simulated: skip nothing
    taken, _, _ = scanned(tmp_path / "a.raw", asked=replace(FREE, frames_per_s=75.0))
    assert taken.skipped == 0
    stack = lee.open_stack(taken.path)
    refocuser = lee.Refocuser(stack.shape[1:], pixel_um=0.25)
    for k, z_um in enumerate(stack.z_um):
        refocuser.push(stack[k], z_um)
    again = refocuser.finish()
    both = taken.surface.valid & again.valid
    assert both.mean() > 0.6
    assert np.abs(taken.surface.height_um - again.height_um)[both].max() < 0.02
    assert taken.surface.metadata["synchronisation"]["method"] == "timestamps"


def test_a_recording_without_its_end_has_no_heights(tmp_path, monkeypatch):
    monkeypatch.setattr(SegmentWriter, "finish", lambda self, *_, **__: self.abandon())
    taken, _, _ = scanned(tmp_path / "a.raw")
    stack = lee.open_stack(taken.path, z_step_um=0.2)
    assert len(stack) == taken.ledger.frames_received
    with pytest.raises(InputError, match="z_step_um"):
        lee.reconstruct(lee.open_stack(taken.path))


def test_a_stage_without_pulses_needs_a_free_camera(tmp_path, monkeypatch):
    rig = virtual_rig(BANK)
    plan = ScanPlan.of_um(1000, 1010, step_um=0.2, counts_per_um=rig.stage.counts_per_um, frames_per_s=80.0)
    applied = rig.camera.configure(replace(FREE, triggered=True))
    monkeypatch.setattr(type(rig.stage), "can_trigger", False)
    with pytest.raises(InputError, match="this stage sends no pulses; set triggered = false"):
        take_scan(rig, plan, tmp_path / "a.raw", settings=applied, pixel_um=0.25)


def test_a_clock_of_wide_steps_tells_no_heights(tmp_path, monkeypatch):
    """As that of Windows before Python 3.13."""
    rig = virtual_rig(BANK)
    plan = ScanPlan.of_um(1000, 1010, step_um=0.2, counts_per_um=rig.stage.counts_per_um, frames_per_s=80.0)
    applied = rig.camera.configure(FREE)
    coarse = SimpleNamespace(resolution=0.015625)
    monkeypatch.setattr(time, "get_clock_info", lambda name: coarse)
    with pytest.raises(InputError, match=r"clock has steps of 16 ms, .*; use Python 3\.13 or newer"):
        take_scan(rig, plan, tmp_path / "a.raw", settings=applied, pixel_um=0.25)
    assert list(tmp_path.iterdir()) == []


def test_room_is_kept_for_the_camera_s_own_frame_rate():
    plan = ScanPlan(0, 400, 400, counts_per_um=2000.0, frames_per_s=80.0, lead_counts=10)
    assert max_frames(plan, replace(FREE, triggered=True)) == 404  # a few of no pulse
    assert max_frames(plan, replace(FREE, frames_per_s=160.0)) >= 840


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=2, max_size=12).filter(
        lambda points: len({x for x, _ in points}) > 1
    )
)
def test_no_point_lies_below_the_line_and_none_fits_closer(points):
    x, y = np.array(points, dtype=float).T
    line = line_below(x, y)
    assert (y - line(x)).min() > -1e-9
    closest = np.inf
    for j in range(len(x)):
        for k in range(len(x)):
            if x[j] != x[k]:
                off = y - y[j] - (y[k] - y[j]) / (x[k] - x[j]) * (x - x[j])
                if off.min() > -1e-9:
                    closest = min(closest, off.sum())
    assert (y - line(x)).sum() == pytest.approx(closest, abs=1e-6)


def test_a_fitted_line_states_errors_that_hold():
    rng = np.random.default_rng(1)
    x = np.linspace(5.0, 9.0, 40)
    off = []
    for _ in range(300):
        line = fit_line(x, 3.0 + 16.0 * x + rng.normal(0, 0.2, len(x)))
        off.append((line(x) - 3.0 - 16.0 * x) / line.sigma(x))
    assert np.std(off) == pytest.approx(1.0, abs=0.1)


def test_a_stage_behind_a_serial_line_has_its_heights_in_real_time(tmp_path):
    """The unmodified library of the stage, a controller on a pseudo-terminal that knows its own way."""
    pytest.importorskip("thorlabs_apt_device", reason="the stage's library is missing")
    from lee.devices.thorlabs.stage import ThorlabsStage
    from tests.support.apt_controller import AptController

    camera = VirtualCamera(BANK)
    with AptController(position=round(20 * 2008.64563)) as controller:
        stage, ways = ThorlabsStage(controller.port), []
        try:
            plan = ScanPlan.of_um(
                22.0, 42.0, step_um=0.2, counts_per_um=stage.counts_per_um, frames_per_s=80.0
            )
            taken = take_scan(
                Rig(camera, stage),
                plan,
                tmp_path / "a.raw",
                settings=camera.configure(FREE),
                pixel_um=0.25,
                reconstruct=False,
                on_frame=lambda _: ways.append(controller._motion),
            )
        finally:
            stage.close()
    assert taken.fault is None
    assert taken.ledger.complete
    assert taken.synchronisation.method == "timestamps"
    way = next(way for way in ways if way is not None and way.target == plan.end_counts)
    with SegmentReader(taken.path) as reader:
        begun_s = reader.timestamp_s + FREE.exposure_s / 2
        true_um = np.array([way.position(time) for time in begun_s]) / plan.counts_per_um
        wrong = reader.z_um - true_um
        assert abs(np.median(wrong)) < 2 * taken.synchronisation.z_offset_sigma_um
        assert np.ptp(wrong) < 0.05
        assert 80 <= len(reader) <= 104
