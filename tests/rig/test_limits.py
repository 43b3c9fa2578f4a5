"""Folders that vanish while a run is recorded into them, and a system that grants few open files."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lee.errors import StorageError
from lee.recording import RecordingFailed, SegmentReader
from tests.rig.test_surfaces_at_the_rig import recorded
from tests.support.rig_commands import VIRTUAL_RIG

resource = pytest.importorskip("resource")
HANDLES = Path("/proc/self/fd")


@pytest.mark.parametrize("part", ["run", "run/scans"])
def test_a_folder_that_vanishes_during_a_scan_ends_the_run_at_once(tmp_path, monkeypatch, part):
    monkeypatch.setattr("lee.recording.segment._LOOK_S", 0.0)
    folder, seen = tmp_path / "run", []

    def vanish(frame):
        seen.append(frame.frame_id)
        if len(seen) == 3:
            (tmp_path / part).rename(tmp_path / "elsewhere")

    with pytest.raises(RecordingFailed, match=rf"^{tmp_path / part}: was removed or renamed while it was"):
        list(recorded(folder, on_frame=vanish))
    assert len(seen) < 26  # of the scan's frames
    (kept,) = (tmp_path / "elsewhere").rglob("scan_*.raw")
    with SegmentReader(kept) as reader:
        assert reader.verify() == []


def test_a_folder_that_vanished_between_scans_is_named(tmp_path):
    run = recorded(tmp_path / "run")
    next(run)
    shutil.rmtree(tmp_path / "run")
    with pytest.raises(StorageError, match=rf"^{tmp_path / 'run'}: is not there, or not any more; give a"):
        next(run)


@pytest.mark.skipif(not HANDLES.is_dir(), reason="this system does not list open files")
def test_no_scan_leaves_files_open(tmp_path):
    held = [len(list(HANDLES.iterdir())) for _ in recorded(tmp_path, scans=4)]
    assert held[2:] == [held[1]] * 2


@pytest.mark.slow
@pytest.mark.parametrize("granted", [64, 12])
def test_few_open_files_are_enough_to_record(tmp_path, granted):
    (tmp_path / "rig.toml").write_text(VIRTUAL_RIG)
    words = "record rig.toml -o run --start-um 998 --end-um 1008 --step-um 0.4 --pixel-um 0.25 --duration-s 2"
    done = subprocess.run(
        [sys.executable, "-m", "lee", "rig", *words.split()],
        cwd=tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (granted, granted)),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "not stored" not in done.stdout
