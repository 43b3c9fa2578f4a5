"""A recording process killed at any moment loses no scan it called safe, and leaves the rest readable."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import lee
from lee.errors import InputError
from lee.recording import SegmentReader
from tests.support.recorded_scan import image_of
from tests.support.recording_process import PULSES, SHAPE

ROOT = Path(__file__).resolve().parents[2]
IMAGES = [image_of(k, shape=SHAPE) for k in range(PULSES)]


def killed(folder, after_s):
    """Names of the scans that a recording process called safe before it was killed."""
    folder.mkdir()
    found = os.pathsep.join(entry for entry in [str(ROOT), *sys.path] if entry)
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.support.recording_process", folder],
        env={**os.environ, "PYTHONPATH": found},
        stdout=subprocess.PIPE,
        text=True,
    )
    first = child.stdout.readline()
    time.sleep(after_s)
    child.kill()
    rest, _ = child.communicate()
    assert child.returncode == -9
    # A line without its end was being printed when the process was killed.
    return [line.strip() for line in (first + rest).splitlines(keepends=True) if line.endswith("\n")]


def check(folder, safe):
    """Hold what is there against what was recorded; return whether a scan was cut short."""
    recorded = sorted(folder.glob("scan_*.raw"))
    assert [path.name for path in recorded][: len(safe)] == safe
    assert len(recorded) <= len(safe) + 1
    cut = 0
    for path in recorded:
        with SegmentReader(path) as scan:
            assert not scan.being_written
            number = scan.header.notes["number"]
            for k in range(len(scan)):
                assert np.array_equal(scan.read(k), IMAGES[(k + number) % PULSES])
                assert scan.frame_id[k] == k
            if path.name in safe:
                assert scan.finished
                assert len(scan) == PULSES
                assert scan.verify() == []
                assert scan.ledger.complete
            elif not scan.finished:
                cut += 1
                assert len(scan.torn) <= 1
                size = len(scan)
                if size >= 3:
                    assert lee.open_stack(path).shape == (size, *SHAPE)
                else:
                    with pytest.raises(InputError, match="at least 3 are needed"):
                        lee.open_stack(path)
    run = lee.open_run(folder)
    assert run.names == [path.name for path in recorded]
    # All that is left besides is a hidden file without frames.
    for path in set(folder.iterdir()) - set(recorded):
        assert path.name.startswith(".")
    return cut


def kill_often(tmp_path, times, seed):
    cut = 0
    for k, after_s in enumerate(np.random.default_rng(seed).uniform(0, 0.3, times)):
        folder = tmp_path / f"kill_{k:02}"
        cut += check(folder, killed(folder, after_s))
    return cut


def test_killed_at_any_moment_nothing_safe_is_lost(tmp_path):
    assert kill_often(tmp_path, 12, seed=4) > 0


@pytest.mark.slow
def test_killed_many_times_nothing_safe_is_lost(tmp_path):
    assert kill_often(tmp_path, 50, seed=5) > 10
