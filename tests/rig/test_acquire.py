"""Scans at the virtual rig: faults are reported, frames taken are written, the stage stands still."""

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

import lee
from lee.devices.faults import (
    Backpressure,
    DeviceLost,
    IncompleteFrame,
    StageStalled,
    TriggerMismatch,
)
from lee.devices.protocols import CameraSettings
from lee.devices.scan_plan import ScanPlan
from lee.devices.virtual.hardware.carriage import PERFECT
from lee.devices.virtual.hardware.clock import SimulatedClock
from lee.devices.virtual.hardware.fault_plan import At, Faults
from lee.devices.virtual.hardware.frame_bank import quick_bank
from lee.devices.virtual.hardware.rig import virtual_rig
from lee.errors import InputError, RigFault, StorageError
from lee.recording import moment
from lee.recording.segment import RecordingFailed, SegmentWriter
from lee.recording.segment_reader import SegmentReader
from lee.rig.acquire import take_scan
from lee.rig.halting import StoppedByUser, haltable
from lee.rig.record import RunPlan, record_run
from lee.runs.run import open_run
from lee.runs.surface_store import SurfaceStore

PIXEL_UM = 0.25
SETTINGS = CameraSettings(exposure_s=0.003)
BANK = quick_bank((64, 80), relief_um=12.0)


def planned(rig, frames_per_s=80.0):
    return ScanPlan.of_um(
        998.0, 1014.0, step_um=0.2, counts_per_um=rig.stage.counts_per_um, frames_per_s=frames_per_s
    )


def scanned(path, faults=None, rig_options=None, **options):
    """Scan once on a clock of its own."""
    clock = SimulatedClock()
    rig = virtual_rig(BANK, faults=faults, clock=clock, sleep=clock.sleep, **(rig_options or {}))
    plan = planned(rig)
    applied = rig.camera.configure(SETTINGS)
    taken = take_scan(rig, plan, path, settings=applied, pixel_um=PIXEL_UM, clock=clock, **options)
    return taken, plan, rig


def test_a_scan_without_faults_is_complete(tmp_path):
    taken, plan, rig = scanned(tmp_path / "a.raw")
    assert taken.fault is None
    assert taken.ledger.complete
    assert taken.ledger.frames_written == taken.ledger.pulses_counted == plan.pulses
    stack = lee.open_stack(taken.path)
    assert np.allclose(stack.z_um, plan.z_um)
    assert stack.pixel_um == PIXEL_UM
    assert SegmentReader(taken.path).verify() == []
    assert taken.surface is not None
    assert taken.surface.shape == (64, 80)
    assert not rig.stage.status().moving


def test_no_surface_is_made_unasked(tmp_path):
    taken, _, _ = scanned(tmp_path / "a.raw", reconstruct=False)
    assert taken.ledger.complete
    assert (taken.surface, taken.no_surface, taken.skipped) == (None, "", 0)


@pytest.mark.parametrize(
    ("faults", "missing", "summary"),
    [
        (Faults(lost_frames=(10, 40, 41)), (10, 40, 41), "3 lost between camera and computer"),
        (Faults(missed_triggers=(30,)), (30,), "1 pulses missed by the camera"),
        (Faults(incomplete_frames=(12,)), (12,), "1 with a part of the image missing"),
    ],
)
def test_missing_frames_leave_gaps_in_their_places(tmp_path, faults, missing, summary):
    taken, plan, _ = scanned(tmp_path / "a.raw", faults)
    assert taken.fault is None
    assert not taken.ledger.complete
    assert summary in taken.ledger.summary()
    kept = np.setdiff1d(np.arange(plan.pulses), missing)
    stack = lee.open_stack(taken.path)
    assert np.allclose(stack.z_um, plan.z_um[kept])
    whole, plan, _ = scanned(tmp_path / "whole.raw")
    complete = lee.open_stack(whole.path)
    for at in (0, 15, 50, len(kept) - 1):
        assert np.array_equal(stack[at], complete[int(kept[at])])


@pytest.mark.parametrize(
    ("faults", "fault", "frames"),
    [
        (Faults(stall=At(pulse=50)), StageStalled, 51),
        (Faults(unplug_stage=At(pulse=50)), DeviceLost, 81),
        (Faults(unplug_camera=At(pulse=50)), DeviceLost, 50),
    ],
)
def test_a_fault_ends_the_scan_and_loses_nothing(tmp_path, faults, fault, frames):
    taken, plan, rig = scanned(tmp_path / "a.raw", faults)
    assert isinstance(taken.fault, fault)
    assert taken.ledger.frames_written >= frames - 1
    stack = lee.open_stack(taken.path)
    assert len(stack) == taken.ledger.frames_written
    assert np.allclose(stack.z_um, plan.z_um[: len(stack)])
    assert SegmentReader(taken.path).verify() == []
    rig.close()


def test_a_camera_too_slow_misses_pulses_and_reports_it(tmp_path):
    taken, plan, _ = scanned(tmp_path / "a.raw", Faults(slow_camera_s=0.02))
    assert taken.ledger.frames_written < 0.6 * plan.pulses
    assert taken.ledger.missed_triggers > 0.4 * plan.pulses
    assert not taken.ledger.complete


def test_a_disk_that_fails_ends_the_scan_and_keeps_what_it_has(tmp_path, monkeypatch):
    append = SegmentWriter.append

    def full(self, *image, **facts):
        if len(self) == 20:
            raise RecordingFailed("a.raw: no space for frame 20")
        return append(self, *image, **facts)

    monkeypatch.setattr(SegmentWriter, "append", full)
    taken, plan, rig = scanned(tmp_path / "a.raw")
    assert isinstance(taken.fault, RecordingFailed)
    assert taken.ledger.frames_written == 20
    assert not taken.ledger.complete
    assert len(lee.open_stack(taken.path)) == 20
    rig.stage._sleep(2.0)  # while it comes to rest
    assert not rig.stage.status().moving
    assert rig.stage.status().position_counts < plan.end_counts


def test_a_disk_that_takes_no_frame_is_reported(tmp_path, monkeypatch):
    import threading

    free = threading.Event()
    append = SegmentWriter.append

    def slow(self, *image, **facts):
        free.wait(10)
        return append(self, *image, **facts)

    monkeypatch.setattr(SegmentWriter, "append", slow)
    monkeypatch.setattr("lee.rig.scan_threads._DISK_TIMEOUT_S", 0.2)
    monkeypatch.setattr("lee.rig.scan_threads._WRITE_QUEUE", 8)
    threading.Timer(0.8, free.set).start()
    taken, _, _ = scanned(tmp_path / "a.raw")
    assert isinstance(taken.fault, Backpressure)
    assert "the disk accepted no frame for 0.2 s" in str(taken.fault)
    assert 8 <= taken.ledger.frames_written < 81
    assert len(lee.open_stack(taken.path)) == taken.ledger.frames_written


@pytest.mark.parametrize(
    ("faults", "options"),
    [
        (Faults(camera_offset_s=1e6, camera_ppm=300), {}),
        (None, {"first_id": 65_500}),
        (Faults(camera_ppm=-300, lost_completions=3), {"first_id": 65_535, "after_highest_id": 0}),
    ],
)
def test_a_drifting_clock_and_ids_that_wrap_lose_nothing(tmp_path, faults, options):
    taken, plan, _ = scanned(tmp_path / "a.raw", faults, rig_options=options)
    assert taken.fault is None
    assert taken.ledger.complete
    assert np.array_equal(lee.open_stack(taken.path).z_um, plan.z_um)


def test_a_camera_that_hears_no_pulse_ends_the_run(tmp_path):
    taken, _, rig = scanned(tmp_path / "a.raw", Faults(missed_triggers=range(1000)))
    assert isinstance(taken.fault, TriggerMismatch)
    assert "no frame for 80 pulses; check the cable from the stage" in str(taken.fault)
    assert taken.ledger.frames_written == 0
    assert not rig.stage.status().moving


def test_a_scan_of_torn_frames_alone_ends_the_run(tmp_path):
    taken, _, _ = scanned(tmp_path / "a.raw", Faults(incomplete_frames=range(1000)))
    assert isinstance(taken.fault, IncompleteFrame)
    assert "all 80 frames lack a part of their image" in str(taken.fault)
    assert taken.surface is None
    assert len(SegmentReader(taken.path)) == 80


def test_a_slow_disk_is_reported_and_the_scan_marked(tmp_path, monkeypatch):
    append = SegmentWriter.append

    def slow(self, *image, **facts):
        time.sleep(0.004)
        return append(self, *image, **facts)

    monkeypatch.setattr(SegmentWriter, "append", slow)
    monkeypatch.setattr("lee.rig.scan_threads._WRITE_QUEUE", 4)
    taken, _, _ = scanned(tmp_path / "a.raw")
    assert taken.ledger.complete  # reported, and nothing lost
    assert taken.disk_waited_s > 0.05
    assert "the disk fell behind: frames waited" in taken.summary()
    assert SegmentReader(taken.path).notes["disk_waited_s"] == taken.disk_waited_s


def test_an_interrupted_scan_is_written_and_the_stage_stops(tmp_path):
    seen = []

    def interrupt(frame):
        seen.append(frame.frame_id)
        if len(seen) == 30:
            raise KeyboardInterrupt

    taken, plan, rig = scanned(tmp_path / "a.raw", on_frame=interrupt)
    assert type(taken.fault) is RigFault
    assert "the scan was interrupted; its frames until then are written" in str(taken.fault)
    assert taken.ledger.frames_written == 30
    assert SegmentReader(taken.path).verify() == []
    rig.stage._sleep(2.0)  # while it comes to rest
    assert not rig.stage.status().moving
    assert rig.stage.status().position_counts < plan.end_counts


@pytest.mark.parametrize(
    ("frames", "said"), [(2, "no surface: too few frames"), (3, "surface 0 % measured, ")]
)
def test_a_scan_that_was_ended_after_a_few_frames_says_so_and_no_more(tmp_path, frames, said):
    halted = threading.Event()
    clock = SimulatedClock()
    rig = virtual_rig(BANK, clock=clock, sleep=clock.sleep)
    taken = take_scan(
        haltable(rig, halted),
        planned(rig),
        tmp_path / "a.raw",
        settings=rig.camera.configure(SETTINGS),
        pixel_um=PIXEL_UM,
        clock=clock,
        on_frame=lambda frame: halted.set() if frame.frame_id == frames - 1 else None,
    )
    assert type(taken.fault) is StoppedByUser
    assert taken.summary().startswith(f"a.raw: ended early, {frames} of 80 frames written; {said}")
    assert "WARNING" not in taken.summary()
    assert "must be" not in taken.summary()


def test_settings_without_a_region_are_refused(tmp_path):
    rig = virtual_rig(BANK)
    with pytest.raises(InputError, match="the camera settings hold no region"):
        take_scan(rig, planned(rig), tmp_path / "a.raw", settings=SETTINGS, pixel_um=PIXEL_UM)
    assert not (tmp_path / "a.raw").exists()


# --- a run ---


def recorded(folder, faults=None, duration_s=18.0, interval_s=6.0, reconstruct=True, **options):
    clock = SimulatedClock()
    rig = virtual_rig(BANK, faults=faults, clock=clock, sleep=clock.sleep)
    run = RunPlan(folder, planned(rig), SETTINGS, PIXEL_UM, duration_s, interval_s, reconstruct)
    return record_run(rig, run, clock=clock, sleep=clock.sleep, **options)


def test_a_run_is_one_that_lee_opens(tmp_path):
    taken = list(recorded(tmp_path / "run"))
    assert len(taken) == 3
    assert all(one.ledger.complete for one in taken)
    run = open_run(tmp_path / "run")
    assert run.names == ["scan_000.raw", "scan_001.raw", "scan_002.raw"]
    assert run.pixel_um == PIXEL_UM
    assert np.all(np.diff(run.times_s) > 0)
    store = SurfaceStore.open(tmp_path / "run" / "surfaces.zarr")
    assert store.scans == run.names
    again = list(recorded(tmp_path / "run", duration_s=6.0))
    assert again[0].path.name == "scan_003.raw"
    assert len(open_run(tmp_path / "run")) == 4


@pytest.mark.parametrize("scans", [6, pytest.param(100, marks=pytest.mark.slow)])
def test_the_interval_is_kept(tmp_path, scans):
    frames, clock = [], SimulatedClock()
    rig = virtual_rig(quick_bank((16, 20), relief_um=12.0), clock=clock, sleep=clock.sleep)
    run = RunPlan(tmp_path / "run", planned(rig), SETTINGS, PIXEL_UM, 2.0 * scans, 2.0, reconstruct=False)
    taken = list(record_run(rig, run, clock=clock, sleep=clock.sleep, on_frame=frames.append))
    begun = [frame.timestamp_s for frame in frames if frame.frame_id == 0]
    assert len(taken) == len(begun) == scans
    assert not any(one.late_s for one in taken)
    np.testing.assert_allclose(np.diff(begun), 2.0, rtol=0.01)


def test_scans_that_are_not_in_time_wait_for_the_next_interval_and_are_counted(tmp_path):
    taken = list(recorded(tmp_path / "run", duration_s=6.0, interval_s=1.1, reconstruct=False))
    assert [one.late_s for one in taken] == pytest.approx([0, 1.1, 1.1])
    assert "began 1.10 s late: the scan before took longer than the interval" in taken[1].summary()


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_set_does_not_end_a_run(tmp_path, monkeypatch, hours):
    rig = virtual_rig(quick_bank((16, 20), relief_um=12.0), mechanics=PERFECT)
    plan = ScanPlan.of_um(
        998.0, 1002.0, step_um=0.4, counts_per_um=rig.stage.counts_per_um, frames_per_s=200.0, lead_um=5.0
    )
    rig.camera.configure(replace(SETTINGS, exposure_s=0.001))
    run = RunPlan(tmp_path / "run", plan, replace(SETTINGS, exposure_s=0.001), PIXEL_UM, 60.0, plan.seconds)
    results = record_run(rig, run)
    first = next(results)
    monkeypatch.setattr(moment, "wall_clock", lambda: datetime.now(UTC) + timedelta(hours=hours))
    second, third = next(results), next(results)
    results.close()
    rig.close()
    steps = [second.begun.since(first.begun), third.begun.since(second.begun)]
    assert max(steps) < 60
    with pytest.warns(UserWarning, match=rf"clock was set by \{3600 * hours:+d}"):
        opened = open_run(tmp_path / "run")
    np.testing.assert_allclose(opened.times_s, [0, steps[0], sum(steps)])
    np.testing.assert_allclose(SurfaceStore.open(tmp_path / "run" / "surfaces.zarr").times_s, opened.times_s)


def test_a_run_is_not_continued_with_an_earlier_clock(tmp_path, monkeypatch):
    list(recorded(tmp_path / "run", duration_s=6.0, reconstruct=False))
    yesterday = datetime.now(UTC) - timedelta(days=1)
    monkeypatch.setattr(moment, "wall_clock", lambda: yesterday)
    with pytest.raises(
        InputError, match=r"scan_000.raw began at .* set the clock right, or record into a new"
    ):
        recorded(tmp_path / "run", reconstruct=False)


def test_a_fault_ends_the_run_after_its_scan_is_reported(tmp_path):
    seen = []
    with pytest.raises(StageStalled, match="does not turn"):
        seen.extend(recorded(tmp_path / "run", Faults(stall=At(pulse=100))))
    assert len(list((tmp_path / "run" / "scans").glob("*.raw"))) == 2


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"interval_s": 0.0}, InputError, r"interval_s is 0 and duration_s 18; give an interval above 0"),
        ({"interval_s": 60.0}, InputError, r"interval_s is 60 and duration_s 18"),
        ({"duration_s": 6e9}, StorageError, r"are needed and .* kept free, but only .* are left"),
    ],
)
def test_what_cannot_be_recorded_is_refused_before_it_begins(tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        recorded(tmp_path / "run", **options)
    assert not list(tmp_path.rglob("*.raw"))


def test_a_run_whose_first_scan_gave_no_surface_continues(tmp_path):
    with pytest.raises(DeviceLost, match="does not answer"):
        list(recorded(tmp_path / "run", Faults(unplug_camera=At(pulse=1))))
    taken = list(recorded(tmp_path / "run", duration_s=6.0))
    assert taken[0].path.name == "scan_001.raw"
    store = SurfaceStore.open(tmp_path / "run" / "surfaces.zarr")
    assert store.scans == ["scan_000.raw", "scan_001.raw"]
    assert list(store.reasons) == [0]


def test_a_disk_that_is_full_ends_the_run_between_scans(tmp_path, monkeypatch):
    seen = []
    run = recorded(tmp_path / "run")
    seen.append(next(run))
    monkeypatch.setattr("lee.recording.free_space.free_bytes", lambda folder: 64 * 2**20)
    with pytest.raises(StorageError, match=r"are needed and .* kept free, but only .* are left"):
        seen.extend(run)
    assert seen[0].ledger.complete
    assert len(open_run(tmp_path / "run")) == 1
    assert SegmentReader(seen[0].path).verify() == []


def test_it_keeps_up_in_real_time(tmp_path):
    """Two seconds of 512 x 512 px at 80 frames/s: written and reconstructed without a loss."""
    rig = virtual_rig(quick_bank((512, 512), relief_um=25.0))
    plan = ScanPlan.of_um(
        998.0, 1028.0, step_um=0.2, counts_per_um=rig.stage.counts_per_um, frames_per_s=80.0
    )
    applied = rig.camera.configure(SETTINGS)
    taken = take_scan(rig, plan, tmp_path / "a.raw", settings=applied, pixel_um=PIXEL_UM)
    assert taken.ledger.complete, taken.ledger.summary()
    assert taken.surface is not None


def test_a_run_ends_when_it_is_enough_and_every_frame_was_seen(tmp_path):
    seen = []
    taken = list(
        recorded(
            tmp_path / "run", on_frame=lambda frame: seen.append(frame.frame_id), enough=lambda: bool(seen)
        )
    )
    assert len(taken) == 1
    assert taken[0].ledger.complete
    assert seen == list(range(taken[0].ledger.frames_written))
