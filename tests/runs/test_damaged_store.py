"""What is damaged on the disk is named and not measured; it is never read as other heights."""

import json
import shutil
import warnings

import numpy as np
import pytest
import zarr

from lee import Surface
from lee.errors import InputError, StorageError
from lee.runs.surface_store import SurfaceStore
from lee.series.map_store import MAPS as SERIES_MAPS
from lee.series.map_store import create_maps, open_maps, read_times
from lee.storage.map_zarr import MAPS
from lee.surfaces.provenance import Provenance

SHAPE, COUNT = (300, 40), 2


def surface(k):
    height = np.random.default_rng(k).normal(size=SHAPE).astype(np.float32)
    height[:3, :3] = np.nan
    filled, sigma = np.nan_to_num(height), np.where(np.isfinite(height), np.float32(0.1), np.float32(np.nan))
    return Surface(height, filled, sigma, np.isfinite(height), filled * 7, 0.5, Provenance(frames=10 + k))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "s.zarr"
    store = SurfaceStore.create(
        path, times_s=[0.0, 7.5], scans=["a", "b"], shape=SHAPE, pixel_um=0.5, phases=["plating", "rest"]
    )
    for k in range(COUNT):
        store.write(k, surface(k))
    return path


def flip(file, bit):
    held = bytearray(file.read_bytes())
    held[bit // 8] ^= 1 << bit % 8
    file.write_bytes(held)


def holds_nothing_else(store):
    """Every value is as it was written, or missing; return how many maps have a hole."""
    assert (store.pixel_um, store.shape, len(store)) == (0.5, SHAPE, COUNT)
    assert store.times_s.tolist() == [0.0, 7.5]
    assert (store.scans, store.phases) == (["a", "b"], ["plating", "rest"])
    holes = 0
    for k in range(COUNT):
        there = surface(k)
        for name in MAPS:
            back, true = store.read(k, name), getattr(there, name)
            same = (back == true) | (np.isnan(back) & np.isnan(true))
            assert np.isnan(back[~same]).all()
            holes += not same.all()
        if store.state[k] == 1:
            assert np.isfinite(store.surface(k).height_filled_um).all()
        assert store.record(k) in ({}, {"frames": 10 + k})
    return holes


@pytest.mark.parametrize("flips", [30, pytest.param(300, marks=pytest.mark.slow)])
def test_a_flipped_bit_is_never_read_as_another_height(whole, tmp_path, flips):
    rng, refused, holes = np.random.default_rng(5), 0, 0
    files = [path for path in sorted(whole.rglob("*")) if path.is_file()]
    sizes = np.array([path.stat().st_size for path in files])
    # Half of them anywhere, half in any file: the maps are most of the bytes, and few of the files.
    chosen = [
        *rng.choice(len(files), flips // 2, p=sizes / sizes.sum()),
        *rng.integers(0, len(files), flips // 2),
    ]
    for number, which in enumerate(chosen):
        place = tmp_path / f"{number}"
        shutil.copytree(whole, place)
        flip(place / files[which].relative_to(whole), int(rng.integers(0, 8 * sizes[which])))
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                missing = holds_nothing_else(SurfaceStore.open(place))
            except InputError:
                refused += 1
                continue
        assert bool(missing) <= any("damaged on the disk" in str(one.message) for one in said)
        holes += bool(missing)
    assert refused > 0
    assert holes > 0


def test_a_damaged_chunk_costs_that_chunk_and_is_named(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "s.zarr")
    flip(tmp_path / "s.zarr" / "height_um" / "c" / "1" / "0" / "0", 8 * 1000)
    store = SurfaceStore.open(tmp_path / "s.zarr")
    where = r"height_um of surface 1: rows 0 to 255, columns 0 to 39: damaged on the disk, taken as not"
    with pytest.warns(UserWarning, match=where):
        back = store.surface(1)
    np.testing.assert_array_equal(back.height_um[256:], surface(1).height_um[256:])
    assert not back.valid[:256].any()
    for name in ("height_filled_um", "height_sigma_um", "refocused"):
        np.testing.assert_array_equal(getattr(back, name), getattr(surface(1), name))


@pytest.mark.parametrize("size", [0, 10, 5000])
def test_a_file_that_was_cut_off_is_named(whole, tmp_path, size):
    shutil.copytree(whole, tmp_path / "s.zarr")
    file = tmp_path / "s.zarr" / "height_filled_um" / "c" / "0" / "0" / "0"
    file.write_bytes(file.read_bytes()[:size])
    store = SurfaceStore.open(tmp_path / "s.zarr")
    with pytest.warns(UserWarning, match=r"height_filled_um of surface 0: rows .* damaged on the disk"):
        assert np.isfinite(store.surface(0).height_filled_um).all()


def test_a_damaged_state_has_the_scan_measured_again_and_times_are_refused(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "s.zarr")
    flip(tmp_path / "s.zarr" / "state" / "c" / "1", 9)
    flip(tmp_path / "s.zarr" / "time_s" / "c" / "0", 99)
    store = SurfaceStore.open(tmp_path / "s.zarr")
    with pytest.warns(UserWarning, match="state of surface 1: damaged"):
        assert store.state.tolist() == [1, 0]
    with pytest.raises(InputError, match=r"s\.zarr: time_s: damaged on the disk .* --from-scratch"):
        _ = store.times_s


def test_what_is_damaged_is_written_over(whole, tmp_path):
    """Neither a chunk nor the description of an axis keeps a scan from being measured again, or another."""
    shutil.copytree(whole, tmp_path / "s.zarr")
    for name in MAPS:
        flip(tmp_path / "s.zarr" / name / "c" / "1" / "0" / "0", 8 * 50)
    (tmp_path / "s.zarr" / "x_um" / "zarr.json").write_text("{")
    store = SurfaceStore.open(tmp_path / "s.zarr", mode="r+")
    store.write(1, surface(1))
    assert store.append(9.0, "c") == 2
    store.write(2, surface(2))
    store = SurfaceStore.open(tmp_path / "s.zarr", mode="r+")
    for k in (0, 1, 2):
        np.testing.assert_array_equal(store.surface(k).height_um, surface(k).height_um)
    flip(tmp_path / "s.zarr" / "height_um" / "c" / "1" / "0" / "0", 8 * 1000)
    store.fail(1, "nothing in focus")
    assert np.isnan(store.read(1)).all()
    assert store.reasons == {1: "nothing in focus"}


def test_a_system_that_refuses_is_no_damage(whole, monkeypatch):
    store = SurfaceStore.open(whole)

    class Refusing:
        def __getitem__(self, k):
            raise OSError(24, "Too many open files")

    monkeypatch.setattr("lee.storage.checked_zarr._refuse_empty", lambda array, chunk: None)
    monkeypatch.setattr(
        store, "_array", lambda name: Refusing() if name == "height_um" else store._group[name]
    )
    with pytest.raises(StorageError, match=r"height_um of surface 1: cannot be read \(Too many open files\)"):
        store.read(1)


def test_a_store_without_checksums_still_opens(tmp_path, monkeypatch):
    with monkeypatch.context() as older:
        older.setattr("lee.storage.map_zarr._CODECS", "auto")
        older.setattr(
            "lee.runs.surface_store.consolidate",
            lambda path: zarr.consolidate_metadata(str(path), zarr_format=3),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            store = SurfaceStore.create(
                tmp_path / "s.zarr", times_s=[1.0], scans=["a"], shape=SHAPE, pixel_um=0.5
            )
        store.write(0, surface(0))
    described = (tmp_path / "s.zarr" / "zarr.json").read_text()
    assert "checksum_crc32" not in described
    assert described.count("crc32c") == len(MAPS)  # of the shards' own index alone
    store = SurfaceStore.open(tmp_path / "s.zarr", mode="r+")
    np.testing.assert_array_equal(store.surface(0).height_um, surface(0).height_um)
    assert store.append(2.0, "b") == 1
    assert "checksum_crc32" in json.loads((tmp_path / "s.zarr" / "zarr.json").read_text())["attributes"]


def test_the_maps_of_a_series_are_read_by_their_checksums(tmp_path):
    path = tmp_path / "maps.zarr"
    maps = create_maps(
        path, times_s=np.array([0.0, 3.0]), scans=["a", "b"], phases=["", ""], shape=SHAPE, pixel_um=0.5,
        settings={},
    )  # fmt: skip
    true = np.random.default_rng(3).normal(size=(2, *SHAPE)).astype(np.float32)
    for name in SERIES_MAPS:
        maps[name][0], maps[name][1] = true
    flip(path / "rate_nm_per_s" / "c" / "0" / "0" / "0", 8 * 2000)
    opened = open_maps(path)
    np.testing.assert_array_equal(opened["height_um"][:], true)
    assert opened["height_um"][np.array([], dtype=int)].shape == (0, *SHAPE)
    for chosen in (slice(None), np.array([0, 1])):
        with pytest.warns(UserWarning, match=r"rate_nm_per_s, scan 0: rows 0 to 255.*taken as not measured"):
            back = opened["rate_nm_per_s"][chosen]
        assert np.isnan(back[0, :256]).all()
        np.testing.assert_array_equal(back[0, 256:], true[0, 256:])
        np.testing.assert_array_equal(back[1], true[1])
    assert read_times(path).tolist() == [0, 3]
    (path / "zarr.json").write_text((path / "zarr.json").read_text().replace("0.5", "0.7"))
    with pytest.raises(InputError, match=r"maps\.zarr: cannot be read \(its zarr\.json differs from its"):
        open_maps(path)
