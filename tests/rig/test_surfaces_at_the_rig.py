"""Surfaces never end a recording; what could not be stored is measured at the end of the run."""

import shutil

import numpy as np
import pytest

from lee.devices.protocols import CameraSettings
from lee.devices.scan_plan import ScanPlan
from lee.devices.virtual.hardware.clock import SimulatedClock
from lee.devices.virtual.hardware.frame_bank import quick_bank
from lee.devices.virtual.hardware.rig import virtual_rig
from lee.recording import SegmentReader
from lee.rig.record import RunPlan, record_run
from lee.runs.reconstruct import common_settings, series_params
from lee.runs.run import open_run
from lee.runs.surface_store import FAILED, WRITTEN, SurfaceStore

SETTINGS = CameraSettings(exposure_s=0.003)


def recorded(folder, scans=3, **options):
    clock = SimulatedClock()
    rig = virtual_rig(quick_bank((24, 32), relief_um=6.0), clock=clock, sleep=clock.sleep)
    plan = ScanPlan.of_um(
        998.0, 1008.0, step_um=0.4, counts_per_um=rig.stage.counts_per_um, frames_per_s=80.0, lead_um=2.0
    )
    run = RunPlan(folder, plan, SETTINGS, 0.25, 6.0 * scans, 6.0)
    return record_run(rig, run, clock=clock, sleep=clock.sleep, **options)


def store_of(folder):
    return SurfaceStore.open(folder / "surfaces.zarr")


def test_a_full_disk_while_a_surface_is_stored_costs_that_surface_until_the_end(tmp_path, monkeypatch):
    save, full = SurfaceStore._save, []

    def refuse_once(self, k, *rest):
        if k == 1 and not full:
            full.append(k)
            raise OSError(28, "No space left on device")
        save(self, k, *rest)

    monkeypatch.setattr(SurfaceStore, "_save", refuse_once)
    told = []
    taken = list(recorded(tmp_path, on_catch_up=lambda *scan: told.append(scan)))
    assert told == [("scan_001.raw", 1, 1)]
    assert [bool(one.not_stored) for one in taken] == [False, True, False]
    assert "its surface is not stored ([Errno 28] No space left on device)" in taken[1].summary()
    store = store_of(tmp_path)
    assert store.state.tolist() == [WRITTEN] * 3
    np.testing.assert_allclose(store.times_s, open_run(tmp_path).times_s)


def test_surfaces_that_cannot_be_read_do_not_end_the_run(tmp_path):
    list(recorded(tmp_path, scans=1))
    (tmp_path / "surfaces.zarr" / "zarr.json").write_text("{")
    with pytest.warns(UserWarning, match=r"left to `lee series` \(.*surfaces\.zarr: cannot be read"):
        taken = list(recorded(tmp_path, scans=2))
    assert [one.path.name for one in taken] == ["scan_001.raw", "scan_002.raw"]
    assert all("surfaces.zarr: cannot be read" in one.not_stored for one in taken)
    assert all(SegmentReader(one.path).verify() == [] for one in taken)


def test_surfaces_that_lee_series_began_are_left_to_it(tmp_path):
    list(recorded(tmp_path, scans=1))
    run = open_run(tmp_path)
    SurfaceStore.create(
        tmp_path / "surfaces.zarr", times_s=run.times_s, scans=run.names, shape=(24, 32), pixel_um=0.25,
        overwrite=True,
    )  # fmt: skip
    with pytest.warns(UserWarning, match="was begun by `lee series`, which measures the new scans too"):
        assert len(list(recorded(tmp_path, scans=1))) == 1
    assert len(store_of(tmp_path)) == 1


def test_what_a_killed_process_left_is_taken_up(tmp_path):
    """A scan without a surface, one without a frame, and files half written."""
    list(recorded(tmp_path))
    shutil.rmtree(tmp_path / "surfaces.zarr")
    for name, left_bytes in (("scan_001.raw", 0.5), ("scan_002.raw", 0.0)):
        path = tmp_path / "scans" / name
        path.write_bytes(path.read_bytes()[: 4096 + int(left_bytes * path.stat().st_size)])
    store_path = tmp_path / "surfaces.zarr"
    run = open_run(tmp_path)
    SurfaceStore.create(
        store_path, times_s=run.times_s[:1], scans=run.names[:1], shape=(24, 32), pixel_um=0.25,
        metadata={**common_settings(series_params(), None), "started": "2026-01-01T00:00:00+00:00"},
    )  # fmt: skip
    (store_path / "state" / "c").mkdir(exist_ok=True)
    left = [
        tmp_path / "scans" / ".scan_003.raw.99.part",
        tmp_path / "surfaces.zarr" / "state" / "c" / "0.1.partial",
    ]
    for path in left:
        path.write_bytes(b"half")
    taken = list(recorded(tmp_path, scans=1))
    assert taken[0].path.name == "scan_003.raw"
    assert not any(path.exists() for path in left)
    assert taken[0].ledger.complete
    store = store_of(tmp_path)
    assert store.scans == [f"scan_00{k}.raw" for k in range(4)]
    assert store.state.tolist() == [WRITTEN, WRITTEN, FAILED, WRITTEN]
    np.testing.assert_allclose(store.times_s, open_run(tmp_path).times_s)


def test_a_run_that_is_to_end_does_not_catch_up(tmp_path):
    list(recorded(tmp_path, scans=1))
    (tmp_path / "surfaces.zarr").rename(tmp_path / "elsewhere")
    taken = list(recorded(tmp_path, scans=3, enough=lambda: True))
    assert len(taken) == 1
    assert store_of(tmp_path).state.tolist() == [0, WRITTEN]
    assert FAILED not in store_of(tmp_path).state
