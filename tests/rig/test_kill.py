"""A run that is killed at any moment goes on by the same command, and what it reported is there."""

import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from lee.recording import SegmentReader
from lee.runs.run import open_run
from lee.runs.surface_store import WRITTEN, SurfaceStore
from tests.support.rig_commands import VIRTUAL_RIG

WORDS = ["--start-um", "998", "--end-um", "1008", "--step-um", "0.4", "--lead-um", "4", "--pixel-um", "0.25"]
SCAN_LINE = re.compile(r"(scan_\d+\.raw): complete: (\d+) of \2 frames; (surface)?")


def command(config, folder, duration_s):
    words = ["rig", "record", config, "-o", folder, *WORDS, "--duration-s", duration_s]
    return [sys.executable, "-m", "lee", *map(str, words)]


def check(folder, reported):
    """Everything that was reported is on the disk, as it was reported."""
    scans = folder / "scans"
    store = SurfaceStore.open(folder / "surfaces.zarr") if reported else None
    for name, (frames, surface) in reported.items():
        with SegmentReader(scans / name) as reader:
            assert (len(reader), reader.verify()) == (frames, [])
        if surface:
            assert store.state[store.scans.index(name)] == WRITTEN


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot kill at once")
@pytest.mark.parametrize(
    "kills", [pytest.param(50, marks=pytest.mark.slow), pytest.param(8, marks=pytest.mark.slow)]
)
def test_fifty_kills_are_resumed_and_nothing_reported_is_lost(tmp_path, kills):
    config, folder = tmp_path / "rig.toml", tmp_path / "run"
    config.write_text(VIRTUAL_RIG)
    rng, reported = np.random.default_rng(kills), {}
    for _ in range(kills):
        with subprocess.Popen(command(config, folder, 600), stdout=subprocess.PIPE, text=True) as one:
            first = one.stdout.readline()
            assert "frames per scan" in first
            time.sleep(rng.uniform(0.0, 2.5))
            one.kill()
            out = one.stdout.read()
        lines = [line for line in out.splitlines(keepends=True) if line.endswith("\n")]
        for name, frames, surface in SCAN_LINE.findall("".join(lines)):
            assert name not in reported
            reported[name] = (int(frames), bool(surface))
        check(folder, reported)
    done = subprocess.run(
        command(config, folder, 2), capture_output=True, text=True, check=False, timeout=600
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "complete: " in done.stdout
    check(folder, reported)
    run, store = open_run(folder), SurfaceStore.open(folder / "surfaces.zarr")
    assert store.scans == run.names
    np.testing.assert_allclose(store.times_s, run.times_s, atol=1e-6)
    assert (store.state != 0).all()
    assert not [path for path in folder.rglob("*") if path.suffix in (".part", ".partial")]
