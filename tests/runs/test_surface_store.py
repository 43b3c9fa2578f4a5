"""Surfaces over time on disk: complete or absent, whoever writes and whenever it stops."""

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import replace

import numpy as np
import pytest
import zarr

from lee import Surface
from lee.errors import InputError, StorageError
from lee.runs.run import Run
from lee.runs.surface_store import SurfaceStore
from lee.surfaces.provenance import Provenance

SHAPE = (300, 20)


def made(path, count=4, **options):
    given = {"times_s": 10.0 * np.arange(count), "scans": [f"scan_{k}" for k in range(count)]}
    return SurfaceStore.create(path / "s.zarr", **{**given, "shape": SHAPE, "pixel_um": 0.5, **options})


def surface(k, shape=SHAPE, pixel_um=0.5):
    height = np.random.default_rng(k).normal(size=shape).astype(np.float32)
    height[0, 0] = np.nan
    filled = np.nan_to_num(height)
    sigma = np.where(np.isfinite(height), np.float32(0.1), np.float32(np.nan))
    return Surface(
        height, filled, sigma, np.isfinite(height), filled * 7, pixel_um, Provenance(frames=10 + k)
    )


def test_a_surface_comes_back_as_it_was(tmp_path):
    store = made(
        tmp_path, phases=["plating", "plating", "rest", "stripping"], metadata={"parameters": {"a": 1}}
    )
    store.write(2, surface(2))
    again = SurfaceStore.open(store.path)
    back, there = again.surface(2), surface(2)
    for name in ("height_um", "height_filled_um", "height_sigma_um", "refocused", "valid"):
        np.testing.assert_array_equal(getattr(back, name), getattr(there, name))
    assert back.metadata == {"frames": 12}
    assert back.pixel_um == 0.5
    assert again.state.tolist() == [0, 0, 1, 0]
    assert again.phases == ["plating", "plating", "rest", "stripping"]
    assert again.metadata == {"parameters": {"a": 1}}
    assert np.isnan(again.read(1)).all()


def test_xarray_reads_names_units_and_time(tmp_path):
    xarray = pytest.importorskip("xarray")
    store = made(tmp_path)
    store.write(1, surface(1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = xarray.open_zarr(store.path)
    assert data.height_um.dims == ("t", "y", "x")
    assert data.height_um.attrs["units"] == "um"
    assert data.time_s.dtype == np.float64
    assert data.time_s.attrs["units"] == "s"
    assert {"time_s", "y_um", "x_um", "scan", "phase"} <= set(data.coords)
    np.testing.assert_array_equal(data.time_s, [0, 10, 20, 30])
    assert float(data.x_um[3]) == 1.5
    np.testing.assert_array_equal(data.height_um[1], surface(1).height_um)
    assert np.isnan(data.height_um[0].values).all()


def test_a_run_gives_its_surfaces_to_xarray(tmp_path):
    pytest.importorskip("xarray")
    store = made(tmp_path)
    store.write(1, surface(1))
    nothing = np.empty(0)
    run = Run(tmp_path / "run", [], nothing, nothing, nothing, nothing, "given")
    with pytest.raises(InputError, match="holds no surfaces; run `lee series` on the run's folder first"):
        run.to_xarray()
    store.path.rename(tmp_path / "surfaces.zarr")
    found = replace(run, path=tmp_path).to_xarray()
    assert set(found.data_vars) == {"height_um", "height_sigma_um", "height_filled_um", "refocused", "state"}
    assert found["height_um"].dims == ("t", "y", "x")
    np.testing.assert_array_equal(found["height_um"][1], surface(1).height_um)
    assert found["state"].values.tolist() == [0, 1, 0, 0]


def test_each_scan_has_files_of_its_own(tmp_path):
    store = made(tmp_path)
    store.write(0, surface(0))
    before = {path: path.stat().st_mtime_ns for path in store.path.rglob("*") if path.is_file()}
    time.sleep(0.02)
    store.write(3, surface(3))
    touched = [path for path, when in before.items() if path.stat().st_mtime_ns != when]
    assert touched == []


def test_a_scan_that_failed_is_not_measured_and_has_its_reason(tmp_path):
    store = made(tmp_path)
    store.write(1, surface(1))
    store.fail(1, "out of\nfocus")
    assert store.state.tolist() == [0, 2, 0, 0]
    assert store.reasons == {1: "out of focus"}
    assert np.isnan(store.read(1)).all()
    with pytest.raises(InputError, match=r"surface 1 \(scan_1\) failed: out of focus"):
        store.surface(1)
    with pytest.raises(InputError, match=r"surface 0 .* is not measured yet"):
        store.surface(0)


def test_a_store_grows_and_stays_readable(tmp_path):
    xarray = pytest.importorskip("xarray")
    store = made(tmp_path, count=0)
    for k in range(3):
        assert store.append(5.0 * k, f"scan_{k}", phase="plating") == k
        assert xarray.open_zarr(store.path).sizes["t"] == k + 1
        store.write(k, surface(k))
    assert store.scans == ["scan_0", "scan_1", "scan_2"]
    np.testing.assert_array_equal(store.times_s, [0, 5, 10])
    np.testing.assert_array_equal(SurfaceStore.open(store.path).read(2), surface(2).height_um)
    with pytest.raises(InputError, match="out of order: late at 7 s does not come after scan_2 at 10 s"):
        store.append(7.0, "late")
    assert len(store) == 3


def test_an_append_that_was_cut_short_is_not_there_and_can_be_made_again(tmp_path, monkeypatch):
    xarray = pytest.importorskip("xarray")
    store = made(tmp_path, count=2)
    with monkeypatch.context() as cut:
        cut.setattr(
            "lee.runs.surface_store.consolidate", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt("cut"))
        )
        with pytest.raises(KeyboardInterrupt, match="cut"):
            store.append(50.0, "cut")
    assert xarray.open_zarr(store.path).sizes["t"] == 2
    again = SurfaceStore.open(store.path, mode="r+")
    assert len(again) == 2
    assert again.append(60.0, "whole") == 2
    assert again.scans == ["scan_0", "scan_1", "whole"]
    np.testing.assert_array_equal(again.times_s, [0, 10, 60])


WRITER = """
import sys, numpy as np
from lee import Surface
from lee.runs.run import Run
from lee.runs.surface_store import SurfaceStore
from lee.surfaces.provenance import Provenance
store = SurfaceStore.open(sys.argv[1], mode="r+")
maps = [np.full(store.shape, 1.0, np.float32) for _ in range(4)]
print("ready", flush=True)
k = len(store)
while True:
    store.append(float(k), f"scan_{k}")
    for m in maps:
        m[:] = np.random.default_rng(k).normal(size=store.shape)
    valid = np.ones(store.shape, bool)
    store.write(k, Surface(maps[0], maps[0], abs(maps[1]), valid, maps[2], 0.5, Provenance(notes={"k": k})))
    print(k, flush=True)
    k += 1
"""


@pytest.mark.slow
def test_killed_at_any_moment_a_scan_is_complete_or_absent(tmp_path):
    xarray = pytest.importorskip("xarray")
    path = made(tmp_path, count=0, shape=(256, 256)).path
    rng = np.random.default_rng(0)
    for _ in range(8):
        with subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE) as writer:
            assert writer.stdout.readline() == b"ready\n"
            writer.stdout.readline()
            time.sleep(rng.uniform(0.0, 0.1))
            writer.send_signal(signal.SIGKILL)
        store = SurfaceStore.open(path, mode="r+")
        assert xarray.open_zarr(path).sizes["t"] == len(store) == len(store.scans)
        state = store.state
        assert set(state[:-1]) <= {0, 1}
        for k in np.flatnonzero(state):
            first = np.random.default_rng(k).normal(size=(256, 256)).astype(np.float32)
            np.testing.assert_array_equal(store.read(k), first)
            assert store.record(k) == {"k": k}
            assert store.surface(k).coverage == 1
    assert len(store) >= 8
    assert store.state.sum() >= 8
    store.remove_partial_files()
    assert not list(path.rglob("*.partial"))
    assert store.append(1e6, "after") == len(store) - 1


def test_zarr_gives_a_chunk_its_name_only_when_it_is_whole(tmp_path, monkeypatch):
    """What the store's safety rests on; zarr before 3.1.3 wrote under the final name."""
    store = made(tmp_path)
    store.write(0, surface(0))
    renamed = []
    replace = os.replace

    def watched(source, target):
        renamed.append(str(target))
        replace(source, target)

    monkeypatch.setattr("pathlib.os.replace", watched)
    store.write(0, surface(1))
    assert any("height_um" in name for name in renamed)
    assert any("state" in name for name in renamed)


def test_the_state_is_written_last(tmp_path, monkeypatch):
    store = made(tmp_path)
    store.write(0, surface(0))
    real = store._array

    def failing(name):
        if name == "height_sigma_um":
            raise OSError(28, "No space left on device")
        return real(name)

    monkeypatch.setattr(store, "_array", failing)
    with pytest.raises(StorageError, match=r"cannot write .*No space left"):
        store.write(0, surface(5))
    assert SurfaceStore.open(store.path).state[0] == 0


def test_a_store_of_a_newer_version_is_refused(tmp_path):
    store = made(tmp_path)
    zarr.open_group(str(store.path), mode="r+").attrs.update({"format_version": 7, "lee_version": "9.1"})
    with pytest.raises(InputError, match=r"format version 7, written by lee 9\.1; .*update lee"):
        SurfaceStore.open(store.path)


def test_what_is_no_store_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no surfaces; run `lee series`"):
        SurfaceStore.open(tmp_path / "none.zarr")
    zarr.create_group(str(tmp_path / "other.zarr"))
    with pytest.raises(InputError, match="is not a store of surfaces"):
        SurfaceStore.open(tmp_path / "other.zarr")
    broken = made(tmp_path)
    (broken.path / "zarr.json").write_text("{")
    with pytest.raises(InputError, match=r"cannot be read .*--from-scratch"):
        SurfaceStore.open(broken.path)
    other = made(tmp_path / "damaged")
    text = json.loads((other.path / "zarr.json").read_text())
    del text["attributes"]["pixel_um"]
    (other.path / "zarr.json").write_text(json.dumps(text))
    with pytest.raises(InputError, match=r"cannot be read .*differs from its checksum.*--from-scratch"):
        SurfaceStore.open(other.path)
    del text["attributes"]["checksum_crc32"]
    (other.path / "zarr.json").write_text(json.dumps(text))
    with pytest.raises(InputError, match=r"cannot be read .*pixel_um"):
        SurfaceStore.open(other.path)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"times_s": [0, 1]}, "2 times for 4 scans"),
        ({"times_s": [0, 2, 1, 3]}, "scan_2 at 1 s does not come after scan_1 at 2 s"),
        ({"times_s": [0, np.nan, 1, 3]}, "the time of scan_1 is nan"),
        ({"phases": ["rest"]}, "1 phases for 4 scans"),
        ({"shape": (0, 4)}, "shape is"),
        ({"pixel_um": -1}, "pixel_um is -1"),
    ],
)
def test_what_cannot_be_stored_is_reported(tmp_path, options, match):
    with pytest.raises(InputError, match=match):
        made(tmp_path, **options)
    assert not (tmp_path / "s.zarr").exists()


def test_surfaces_of_another_kind_are_refused(tmp_path):
    store = made(tmp_path)
    with pytest.raises(InputError, match=r"surface 0 is .* crop all alike"):
        store.write(0, surface(0, shape=(10, 10)))
    with pytest.raises(InputError, match=r"has pixels of 0.4 µm, the run 0.5 µm"):
        store.write(0, surface(0, pixel_um=0.4))
    with pytest.raises(InputError, match="there is no scan 4"):
        store.write(4, surface(0))
    with pytest.raises(InputError, match="there is no map 'colour'"):
        store.read(0, "colour")


def test_an_older_store_is_not_lost_by_accident(tmp_path):
    store = made(tmp_path)
    store.write(0, surface(0))
    with pytest.raises(InputError, match="exists already"):
        made(tmp_path)
    assert SurfaceStore.open(store.path).state[0] == 1
    assert made(tmp_path, overwrite=True).state[0] == 0


def test_times_are_corrected_without_the_surfaces(tmp_path):
    store = made(tmp_path)
    store.write(1, surface(1))
    store.retime([0, 11, 22, 33], ["", "", "rest", "rest"])
    again = SurfaceStore.open(store.path)
    assert again.times_s.tolist() == [0, 11, 22, 33]
    assert again.phases == ["", "", "rest", "rest"]
    assert again.state[1] == 1
    with pytest.raises(InputError, match="3 phases"):
        store.retime([0, 1, 2, 3], ["", "", ""])
