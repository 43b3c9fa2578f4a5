"""A run becomes surfaces: the same anywhere, with holes where scans fail, from where it was stopped."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from lee import reconstruct
from lee.devices.virtual import growing_electrode, render_run
from lee.errors import InputError
from lee.reconstruction.parameters import ReconstructParams
from lee.runs.lock import run_locked
from lee.runs.reconstruct import reconstruct_run, series_params
from lee.runs.run import SURFACES, open_run
from lee.runs.scheduler import run_jobs
from lee.runs.surface_store import SurfaceStore
from tests.support.dying_processes import always_dies, die_once

SCANS = 4


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rendered") / "run"
    render_run(folder, growing_electrode((72, 72), 0.4, 1, relief_um=4.0), scans=SCANS)
    return folder


@pytest.fixture
def folder(rendered, tmp_path):
    return shutil.copytree(rendered, tmp_path / "run")


def heights(folder):
    store = SurfaceStore.open(folder / SURFACES)
    return np.stack([store.read(k) for k in range(len(store))])


@pytest.fixture(scope="module")
def alone(rendered, tmp_path_factory):
    """The heights of the run, computed in this process."""
    folder = shutil.copytree(rendered, tmp_path_factory.mktemp("alone") / "run")
    reconstruct_run(open_run(folder), device="cpu")
    return heights(folder)


def test_surfaces_are_those_of_lee_reconstruct(folder):
    run = open_run(folder)
    store = reconstruct_run(run, device="cpu")
    assert store.state.tolist() == [1] * SCANS
    with run.open_scan(2) as stack:
        params = replace(series_params(), depth_of_field_um=store.metadata["depth_of_field_um"])
        alone = reconstruct(stack, params=params, device="cpu")
    there = store.surface(2)
    np.testing.assert_array_equal(there.height_um, alone.height_um)
    np.testing.assert_array_equal(there.height_sigma_um, alone.height_sigma_um)
    np.testing.assert_array_equal(there.refocused, alone.refocused)
    assert there.metadata["frames"] == len(stack)
    assert [np.isfinite(one).mean() > 0.9 for one in run.heights()] == [True] * SCANS
    assert run.surfaces.times_s.tolist() == run.times_s.tolist()


@pytest.mark.parametrize(
    "options",
    [{"workers": 2}, pytest.param({"scheduler": "local", "workers": 2}, marks=pytest.mark.slow)],
)
def test_the_numbers_do_not_depend_on_who_computes(folder, alone, options):
    if "scheduler" in options:
        pytest.importorskip("distributed")
    reconstruct_run(open_run(folder), device="cpu", **options)
    np.testing.assert_array_equal(heights(folder), alone)


def test_a_cluster_is_found_by_its_address(folder):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address=None, silence_logs=50
    ) as cluster:
        store = reconstruct_run(open_run(folder), device="cpu", scheduler=cluster.scheduler_address)
    assert store.state.tolist() == [1] * SCANS


def test_a_scheduler_that_is_not_there_is_reported(folder, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("lee.runs.scheduler._TIMEOUT_S", 0.5)
    with pytest.raises(
        InputError, match=r"no Dask scheduler answers at tcp://127.0.0.1:1 .*correct --scheduler"
    ):
        reconstruct_run(open_run(folder), device="cpu", scheduler="tcp://127.0.0.1:1")
    with pytest.raises(InputError, match="no Dask scheduler answers at nonsense"):
        reconstruct_run(open_run(folder), device="cpu", scheduler="nonsense")


def test_done_scans_are_not_made_again(folder):
    moved = []
    reconstruct_run(open_run(folder), device="cpu", progress=lambda *at: moved.append(at))
    assert moved == [(k, SCANS) for k in range(SCANS + 1)]
    moved.clear()
    before = (folder / SURFACES / "height_um" / "c" / "0" / "0" / "0").stat().st_mtime_ns
    reconstruct_run(open_run(folder), device="cpu", progress=lambda *at: moved.append(at))
    assert moved == [(SCANS, SCANS)]
    assert (folder / SURFACES / "height_um" / "c" / "0" / "0" / "0").stat().st_mtime_ns == before
    reconstruct_run(open_run(folder), device="cpu", overwrite=True)
    assert (folder / SURFACES / "height_um" / "c" / "0" / "0" / "0").stat().st_mtime_ns > before


def test_new_scans_are_appended_and_times_corrected(folder):
    table = (folder / "scans.csv").read_text().splitlines()
    later = folder / "scans" / "scan_003.ome.tif"
    later.rename(folder / "later")
    (folder / "scans.csv").write_text("\n".join(table[:-1]))
    reconstruct_run(open_run(folder), device="cpu")
    (folder / "later").rename(later)
    corrected = [line.replace(",10,", ",11,") for line in table]
    (folder / "scans.csv").write_text("\n".join(corrected))
    store = reconstruct_run(open_run(folder), device="cpu")
    assert store.state.tolist() == [1] * SCANS
    assert store.times_s.tolist() == [0, 11, 20, 30]


# The part of `lee series` that is stopped, without the figures that come after it.
SURFACES_OF = """
import sys
from lee.runs.run import open_run
from lee.runs.reconstruct import reconstruct_run
reconstruct_run(open_run(sys.argv[1]), device="cpu", workers=int(sys.argv[2]))
"""


@pytest.mark.parametrize("workers", [pytest.param("1", marks=pytest.mark.slow), "2"])
def test_killed_it_resumes_where_it_stopped(folder, alone, workers):
    store = folder / SURFACES
    command = [sys.executable, "-c", SURFACES_OF, str(folder), workers]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        limit = time.monotonic() + 60
        while not (store / "zarr.json").exists() or not SurfaceStore.open(store).state.any():
            assert time.monotonic() < limit
            assert process.poll() is None, process.stdout.read().decode()
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    state = SurfaceStore.open(store).state
    assert state.any()
    done = np.flatnonzero(state)
    before = {k: (store / "height_um" / "c" / str(k) / "0" / "0").stat().st_mtime_ns for k in done}
    resumed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert resumed.returncode == 0, resumed.stderr
    again = SurfaceStore.open(store)
    assert again.state.tolist() == [1] * SCANS
    for k, when in before.items():
        assert (store / "height_um" / "c" / str(k) / "0" / "0").stat().st_mtime_ns == when
    np.testing.assert_array_equal(heights(folder), alone)


def test_a_scan_that_fails_is_recorded_and_is_tried_again(folder):
    broken = folder / "scans" / "scan_001.ome.tif"
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 3])
    dark = folder / "scans" / "scan_002.ome.tif"
    frames = tifffile.imread(dark)
    lit = dark.read_bytes()
    tifffile.imwrite(
        dark,
        np.zeros_like(frames),
        ome=True,
        metadata={"axes": "ZYX", "PhysicalSizeX": 0.4, "PhysicalSizeY": 0.4, "PhysicalSizeZ": 0.2},
    )
    store = reconstruct_run(open_run(folder), device="cpu")
    assert store.state.tolist() == [1, 2, 2, 1]
    assert "scan_001.ome.tif" in store.reasons[1]
    assert store.reasons[2]
    assert np.isnan(store.read(1)).all()
    broken.write_bytes(whole)
    dark.write_bytes(lit)
    store = reconstruct_run(open_run(folder), device="cpu")
    assert store.state.tolist() == [1] * SCANS
    assert store.reasons == {}


def test_a_run_of_which_nothing_can_be_opened_is_reported(folder):
    for scan in (folder / "scans").iterdir():
        scan.write_bytes(b"II*\0")
    with pytest.raises(InputError, match=r"none of its 4 scans can be opened; .*scan_000"):
        reconstruct_run(open_run(folder), device="cpu")
    assert not (folder / SURFACES).exists()


def test_of_scans_in_colour_the_luminance_is_kept(folder, alone, monkeypatch):
    metadata = {"axes": "ZYXS", "PhysicalSizeX": 0.4, "PhysicalSizeY": 0.4}
    for scan in (folder / "scans").iterdir():
        with tifffile.TiffFile(scan) as tif:
            frames, step = tif.asarray(), float(re.search(r'PhysicalSizeZ="([^"]+)"', tif.ome_metadata)[1])
        rgb = np.repeat(frames[..., None], 3, axis=-1)
        tifffile.imwrite(scan, rgb, ome=True, photometric="rgb", metadata={**metadata, "PhysicalSizeZ": step})
    # Their colours are not read, as nothing keeps them.
    monkeypatch.setattr("lee.stacks.stack.ZStack.rgb", None)
    store = reconstruct_run(open_run(folder), device="cpu")
    assert store.state.tolist() == [1] * SCANS
    depth = np.nanmean(heights(folder) - alone)  # the rendered scans state where the first frame is
    np.testing.assert_allclose(heights(folder) - depth, alone, atol=1e-3)


def test_scans_of_different_size_or_calibration_are_reported(folder):
    odd = folder / "scans" / "scan_002.ome.tif"
    frames = tifffile.imread(odd)
    metadata = {"axes": "ZYX", "PhysicalSizeX": 0.4, "PhysicalSizeY": 0.4, "PhysicalSizeZ": 0.2}
    tifffile.imwrite(odd, frames[:, :60], ome=True, metadata=metadata)
    with pytest.raises(InputError, match=r"scan_002.ome.tif: is 60×72 pixels, scan_000.ome.tif 72×72; crop"):
        reconstruct_run(open_run(folder), device="cpu")
    metadata |= {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    tifffile.imwrite(odd, frames, ome=True, metadata=metadata)
    with pytest.raises(InputError, match=r"scan_002.ome.tif: has pixels of 0.5 µm, .*--pixel-um"):
        reconstruct_run(open_run(folder), device="cpu")
    assert not (folder / SURFACES).exists()
    assert reconstruct_run(open_run(folder, pixel_um=0.4), device="cpu").state.tolist() == [1] * SCANS


def test_other_parameters_do_not_mix_into_one_store(folder):
    reconstruct_run(open_run(folder), device="cpu")
    other = ReconstructParams(drift_every=6, depth_of_field_um=2.0)
    with pytest.raises(InputError, match=r"begun with depth_of_field_um=None, now 2.0; .*--from-scratch"):
        reconstruct_run(open_run(folder), params=other, device="cpu")
    threads = ReconstructParams(drift_every=6, threads=1)
    assert reconstruct_run(open_run(folder), params=threads, device="cpu").state.tolist() == [1] * SCANS
    (folder / "scans" / "scan_000.ome.tif").rename(folder / "scans" / "scan_0000.ome.tif")
    (folder / "scans.csv").unlink()
    with pytest.raises(InputError, match=r"its scan 0 was scan_000.ome.tif, now it is scan_0000.ome.tif"):
        reconstruct_run(open_run(folder, interval_s=10), device="cpu")


def test_a_run_another_process_works_on_is_reported(folder):
    with (
        run_locked(folder),
        pytest.raises(InputError, match=f"process {os.getpid()} on .* is working on this run"),
    ):
        reconstruct_run(open_run(folder), device="cpu")


FEEDER = """
import os, time
from lee.runs.scheduler import run_jobs
from tests.runs.test_reconstruct import report_and_wait
if __name__ == "__main__":
    list(run_jobs(report_and_wait, [1, 2], workers=2))
"""


def report_and_wait(_):
    print(os.getpid(), flush=True)
    time.sleep(60)


def alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"


def test_the_processes_of_a_run_end_with_it(tmp_path):
    (tmp_path / "feeder.py").write_text(FEEDER)
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, tmp_path / "feeder.py"],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as feeder:
        workers = [int(feeder.stdout.readline()) for _ in range(2)]
        assert all(alive(worker) for worker in workers)
        feeder.send_signal(signal.SIGKILL)
        feeder.wait()
        limit = time.monotonic() + 20
        while any(alive(worker) for worker in workers):
            assert time.monotonic() < limit
            time.sleep(0.05)


@pytest.mark.parametrize("scheduler", [None, "local"])
def test_a_lost_worker_costs_a_retry(tmp_path, scheduler):
    if scheduler == "local":
        pytest.importorskip("distributed")
    marks = [str(tmp_path / name) for name in ("a", "b", "c")]
    made = dict(run_jobs(die_once, marks, scheduler=scheduler, workers=2))
    assert sorted(made) == marks
    assert all(made.values())


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", [None, "local"])
def test_workers_that_keep_dying_end_it(scheduler):
    if scheduler == "local":
        pytest.importorskip("distributed")
    with pytest.raises(InputError, match=r"4 (times a process|workers)"):
        list(run_jobs(always_dies, ["job", "other"], scheduler=scheduler, workers=2))


def test_a_pool_is_only_made_where_it_serves(monkeypatch):
    monkeypatch.setattr("lee.runs.scheduler.ProcessPoolExecutor", None)
    assert list(run_jobs(abs, [-3], workers=8)) == [(-3, 3)]
