"""Files that a disk or a hand has changed: what reads them ends well, or with one line for people."""

import re
import shutil
import warnings

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

import lee
from lee.devices.config import load_config
from lee.electrochemistry.read import read_cell_data
from lee.errors import LeeError
from lee.runs.run import open_run
from lee.runs.surface_store import SurfaceStore
from lee.storage.map_tiff import write_map
from lee.surfaces.provenance import Provenance
from lee.surfaces.surface import Surface
from lee.twin.cell import Cell
from tests.support.recorded_scan import record

SHAPE, FRAMES, SCANS = (12, 14), 5, 3
NUMBERS = (b"-1", b"0", b"1e308", b"99999999999999999999", b"nan", b'"x"', b"null", b"[]", b"1e-320", b"{}")


def surface(seed):
    height = np.random.default_rng(seed).normal(size=(20, 24)).astype(np.float32)
    height[:2, :2] = np.nan
    sigma = np.where(np.isfinite(height), np.float32(0.1), np.float32(np.nan))
    filled = np.nan_to_num(height)
    return Surface(height, filled, sigma, np.isfinite(height), filled * 7, 0.5, Provenance(frames=10))


def write_stacks(folder):
    frames = np.random.default_rng(0).integers(0, 255, (FRAMES, *SHAPE)).astype(np.uint8)
    record(folder / "scan.raw", FRAMES, shape=SHAPE)
    record(folder / "cut.raw", FRAMES, shape=SHAPE, finish=False)
    tifffile.imwrite(folder / "pages.tif", frames, compression="zlib")
    tifffile.imwrite(folder / "imagej.tif", frames, imagej=True, metadata={"spacing": 0.2, "axes": "ZYX"})
    tifffile.imwrite(folder / "scan.ome.tif", frames, metadata={"axes": "ZYX", "PhysicalSizeZ": 0.2})
    np.save(folder / "scan.npy", frames)
    zarr.create_array(str(folder / "scan.zarr"), data=frames, chunks=(1, *SHAPE))
    (folder / "images").mkdir()
    for k, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / "images" / f"z{k:02d}.png")
    rows = "".join(f"{k},{0.2 * k}\n" for k in range(FRAMES))
    (folder / "images" / "z_um.csv").write_text(f"frame,z_um\n{rows}")


def write_run(folder):
    (folder / "scans").mkdir(parents=True)
    names = [f"scan_{k:03d}.raw" for k in range(SCANS)]
    for k, name in enumerate(names):
        record(folder / "scans" / name, FRAMES, shape=SHAPE, started=f"2025-03-04T05:00:{k:02}+00:00")
    rows = "".join(f"{name},{10 * k},plating\n" for k, name in enumerate(names))
    (folder / "times.csv").write_text(f"scan,time_s,phase\n{rows}")
    times = [10.0 * k for k in range(SCANS)]
    store = SurfaceStore.create(
        folder / "surfaces.zarr", times_s=times, scans=names, shape=(20, 24), pixel_um=0.5
    )
    for k in range(SCANS):
        store.write(k, surface(k))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with a file, or a folder of files, of every kind that is read."""
    folder = tmp_path_factory.mktemp("whole")
    write_stacks(folder)
    write_run(folder / "run")
    surface(0).save(folder / "surface")
    write_map(folder / "map.tif", surface(1).height_um, 0.5)
    (folder / "rig.toml").write_text('[camera]\ndriver = "virtual"\n[stage]\ndriver = "virtual"\n')
    Cell().save(folder / "cell.toml")
    rows = "".join(f"{k},{-5 + k / 10},-0.1\n" for k in range(40))
    (folder / "record.csv").write_text(f"time/s,I/mA,Ewe/V\n{rows}")
    return folder


def read_frames(path):
    with lee.open_stack(path, z_step_um=0.2) as stack:
        for _ in stack:
            pass


def read_run(path):
    run = open_run(path)
    for k in range(len(run)):
        try:
            run.open_scan(k).close()
        except LeeError as error:
            one_line(error)
    store = run.surfaces
    for k in range(len(store) if store is not None else 0):
        if store.state[k] == 1:
            store.surface(k)


READS = {
    **dict.fromkeys(
        ("scan.raw", "cut.raw", "pages.tif", "imagej.tif", "scan.ome.tif", "scan.npy", "scan.zarr", "images"),
        read_frames,
    ),
    "run": read_run,
    "surface": Surface.load,
    "map.tif": Surface.load,
    "rig.toml": load_config,
    "cell.toml": Cell.load,
    "record.csv": read_cell_data,
}


def one_line(error):
    assert str(error)
    assert "\n" not in str(error)


def mutated(held, rng):
    """Return the bytes with bits, bytes, blocks, numbers or the end changed."""
    held = bytearray(held or b" ")
    at, few, many = (int(rng.integers(n)) for n in (len(held), 8, 200))
    match rng.integers(8):
        case 0:
            held[at] ^= 1 << few
        case 1:
            held[at : at + few + 1] = b"\xff" * (few + 1)
        case 2:
            held[at : at + few + 1] = bytes(few + 1)
        case 3:
            del held[at:]
        case 4:
            del held[at : at + many + 1]
        case 5:
            held[at:at] = held[at : at + many + 1]
        case 6:
            found = list(re.finditer(rb"-?\d+\.?\d*", bytes(held)))
            if found:
                number = found[int(rng.integers(len(found)))]
                held[number.start() : number.end()] = NUMBERS[int(rng.integers(len(NUMBERS)))]
        case 7:
            for place in rng.integers(0, len(held), 20):
                held[place] = int(rng.integers(256))
    return bytes(held)


@pytest.mark.parametrize("seeds", [range(60), pytest.param(range(60, 5060), marks=pytest.mark.slow)])
def test_a_changed_file_is_read_or_refused_in_one_line(whole, tmp_path, seeds):
    names = list(READS)
    for seed in seeds:
        rng, name = np.random.default_rng(seed), names[seed % len(names)]
        target = tmp_path / name
        if (whole / name).is_dir():
            shutil.copytree(whole / name, target)
        else:
            shutil.copy(whole / name, target)
        files = sorted(path for path in (target, *target.rglob("*")) if path.is_file())
        changed = files[int(rng.integers(len(files)))]
        changed.write_bytes(mutated(changed.read_bytes(), rng))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                READS[name](target)
            except LeeError as error:
                one_line(error)
            except BaseException as error:
                error.add_note(f"seed {seed}: {changed.relative_to(tmp_path)}")
                raise
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink()
