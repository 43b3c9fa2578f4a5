"""A run's folder: its scans, when they were taken, and one process at a time that writes."""

import json
import os
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest
import tifffile

import lee
from lee.errors import InputError
from lee.runs.lock import HOLDER as HOLDER_FILE
from lee.runs.lock import run_locked
from lee.runs.run import open_run


def scan_file(path, time=None, shape=(4, 8, 8), pixel_um=0.5):
    metadata = {"axes": "ZYX", "PhysicalSizeX": pixel_um, "PhysicalSizeY": pixel_um, "PhysicalSizeZ": 0.2}
    if time is not None:
        metadata["AcquisitionDate"] = time
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(
        path, np.arange(np.prod(shape), dtype=np.uint8).reshape(shape), ome=True, metadata=metadata
    )


def folder_of(tmp_path, names, table=None):
    for name in names:
        scan_file(tmp_path / "run" / name)
    if table is not None:
        (tmp_path / "run" / "scans.csv").write_text(table)
    return tmp_path / "run"


def test_scans_follow_the_numbers_in_their_names(tmp_path):
    folder = folder_of(tmp_path, ["scan_10.ome.tif", "scan_2.ome.tif", "scan_1.ome.tif"])
    run = lee.open_run(folder, interval_s=5)
    assert run.names == ["scan_1.ome.tif", "scan_2.ome.tif", "scan_10.ome.tif"]
    assert run.times_s.tolist() == [0, 5, 10]
    assert len(run) == 3
    assert run.pixel_um == 0.5
    assert run.surfaces is None
    assert run.times_source == "every 5 s"


def test_everything_that_is_a_stack_is_a_scan(tmp_path):
    folder = folder_of(tmp_path, ["scans/b.ome.tif", "ignored.ome.tif"])
    np.save(folder / "scans" / "a.npy", np.zeros((4, 8, 8), np.uint8))
    scan_file(folder / "scans" / "c" / "0.tif", shape=(1, 8, 8))
    (folder / "scans" / "notes.txt").write_text("no scan")
    (folder / "scans" / "empty").mkdir()
    (folder / "scans" / "film.mp4").write_bytes(b"")
    assert open_run(folder, interval_s=1).names == ["a.npy", "b.ome.tif", "c"]


def test_the_table_states_times_phases_and_calibration(tmp_path):
    table = "time_s, scan, phase, z_step_um, pixel_um\n9,b.ome.tif,Stripping,0.4,\n3,scans/a.ome.tif,,,2.5\n"
    run = open_run(folder_of(tmp_path, ["scans/a.ome.tif", "scans/b.ome.tif"], table))
    assert run.times_s.tolist() == [3, 9]
    assert run.phases.tolist() == ["", "stripping"]
    with run.open_scan(0) as a, run.open_scan(1) as b:
        assert (a.pixel_um, b.pixel_um) == (2.5, 0.5)
        np.testing.assert_allclose(np.diff(b.z_um), 0.4)


@pytest.mark.parametrize(
    "data",
    [
        b"scan;time_s;z_step_um\na.ome.tif;0,5;0,4\nb.ome.tif;7,5;0,4\n",
        "Scan\tTime_s\tZ_step_um\r\na.ome.tif\t0,5\t0.4\r\nb.ome.tif\t7,5\t0.4\r\n".encode("utf-16"),
        "\ufeffsep=;\nscan;time_s;z_step_um;note\na.ome.tif;0.5;0.4;x\nb.ome.tif;7.5;0.4;y\n;;;\n".encode(),
    ],
)
def test_the_table_may_come_from_any_spreadsheet(tmp_path, data):
    folder = folder_of(tmp_path, ["a.ome.tif", "b.ome.tif"])
    (folder / "scans.csv").write_bytes(data)
    run = open_run(folder)
    assert run.times_s.tolist() == [0.5, 7.5]
    assert run.z_steps_um.tolist() == [0.4, 0.4]


def test_times_are_taken_from_the_scans_themselves(tmp_path):
    for k, time in enumerate(("2024-05-01T10:00:00", "2024-05-01T10:00:07.5")):
        scan_file(tmp_path / f"{k}.ome.tif", time=time)
    run = open_run(tmp_path)
    assert run.times_s.tolist() == [0, 7.5]
    assert run.times_source == "OME AcquisitionDate"
    scan_file(tmp_path / "2.ome.tif", time="2024-05-01T10:00:09Z")
    with pytest.raises(InputError, match="some scans state a time zone and others do not"):
        open_run(tmp_path)


@pytest.mark.parametrize(
    ("table", "match"),
    [
        ("scan,time_s\na.ome.tif,0\n", "has no time for b.ome.tif; add a line"),
        ("scan,time_s\na.ome.tif,0\nb.ome.tif,\n", "line 3: time_s is missing"),
        ("scan,time_s\na.ome.tif,0\nb.ome.tif,soon\n", "line 3: time_s is 'soon'; give a number"),
        ("scan,time_s\na.ome.tif,5\nb.ome.tif,5\n", "times are out of order: b.ome.tif at 5 s"),
        ("scan,time_s\na.ome.tif,0\nb.ome.tif,1\nc.tif,2\n", "line 4: there is no scan 'c.tif'"),
        ("scan,time_s\na.ome.tif,0\na.ome.tif,1\n", "line 3: scan a.ome.tif is given twice"),
        ("scan,t\na.ome.tif,0\n", "its first line must be scan,time_s .*; found scan,t"),
        ("", "found nothing"),
        ("scan,time_s,phase\na.ome.tif,0,growing\nb.ome.tif,1,\n", "line 2: phase is 'growing'"),
        ("scan,time_s,pixel_um\na.ome.tif,0,-1\nb.ome.tif,1,\n", "line 2: pixel_um is -1"),
    ],
)
def test_a_table_that_cannot_be_used_is_reported(tmp_path, table, match):
    folder = folder_of(tmp_path, ["a.ome.tif", "b.ome.tif"], table)
    with pytest.raises(InputError, match=match):
        open_run(folder)


def test_missing_times_are_reported(tmp_path):
    folder = folder_of(tmp_path, ["a.ome.tif"])
    with pytest.raises(
        InputError, match=r"the times of its scans are not known \(a.ome.tif stores none\); give --interval-s"
    ):
        open_run(folder)
    with pytest.raises(InputError, match="interval_s is 0"):
        open_run(folder, interval_s=0)
    (folder / "scans.csv").write_text("scan,time_s\na.ome.tif,0\n")
    with pytest.raises(InputError, match="states the times already"):
        open_run(folder, interval_s=1)


def test_a_folder_without_scans_is_reported(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        open_run(tmp_path / "none")
    with pytest.raises(InputError, match="holds no scans"):
        open_run(tmp_path, interval_s=1)


HOLDER = """
import sys, time
from lee.runs.lock import run_locked
with run_locked(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_two_processes_do_not_write_one_run(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(InputError, match=f"process {holder.pid} on .* is working on this run; wait"),
            run_locked(tmp_path),
        ):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        # The dead hold nothing, though their file is still there.
        assert json.loads((tmp_path / HOLDER_FILE).read_text())["pid"] == holder.pid
        with run_locked(tmp_path):
            assert json.loads((tmp_path / HOLDER_FILE).read_text())["pid"] == os.getpid()
    assert (tmp_path / HOLDER_FILE).read_text() == ""


def test_the_lock_of_another_host_counts(tmp_path):
    (tmp_path / HOLDER_FILE).write_text(
        json.dumps({"pid": 7, "host": "not-" + socket.gethostname(), "since": "now"})
    )
    with (
        pytest.raises(InputError, match=r"process 7 on not-.*delete .* if it has ended"),
        run_locked(tmp_path),
    ):
        pass
    (tmp_path / HOLDER_FILE).write_text("damaged")
    with run_locked(tmp_path):
        assert json.loads((tmp_path / HOLDER_FILE).read_text())["pid"] == os.getpid()
