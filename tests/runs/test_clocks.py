"""Times of a run whose computer's clock was set while it was recorded."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from lee.cli import run as lee
from lee.errors import InputError
from lee.recording.segment import SegmentWriter
from lee.runs.run import open_run
from tests.support.recorded_scan import PERIOD_S, header_of, image_of, record

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


def recorded(folder, *began):
    """Record scans, each with its time by the computer's clock, the steady one, and the session of that."""
    (folder / "scans").mkdir(parents=True)
    for k, (wall_s, steady_s, session) in enumerate(began):
        started = (NOON + timedelta(seconds=wall_s)).isoformat()
        record(
            folder / "scans" / f"scan_{k:03d}.raw", 3, started=started, monotonic_s=steady_s, session=session
        )
    return folder


@pytest.mark.parametrize("set_by", [-3600, 30])
def test_a_clock_set_within_a_session_changes_no_time(tmp_path, set_by):
    folder = recorded(tmp_path, (0, 50.0, "a"), (10, 60.0, "a"), (20 + set_by, 70.0, "a"), (90, 5.0, "b"))
    with pytest.warns(
        UserWarning, match=rf"clock was set by \{set_by:+d}.0 s before scan_002.raw; times follow"
    ):
        run = open_run(folder)
    np.testing.assert_allclose(run.times_s[:3], [0, 10, 20])


def test_a_clock_set_back_between_sessions_is_reported_and_repaired(tmp_path, capsys):
    folder = tmp_path / "run"
    (folder / "scans").mkdir(parents=True)
    for k, wall_s in enumerate((0, 10, 20, -3570)):
        started = (NOON + timedelta(seconds=wall_s)).isoformat()
        with SegmentWriter(folder / "scans" / f"scan_{k:03d}.raw", header_of(3, started=started)) as writer:
            for n in range(3):  # frames by the camera's clock, which nobody set
                writer.append(image_of(n), frame_id=n, timestamp_s=7 + 10 * k + n * PERIOD_S, z_um=float(n))
    with pytest.raises(
        InputError, match=r"scan_003.raw states that it began 3590.0 s before .* \(lee rig times\)"
    ):
        open_run(folder)
    assert lee(["rig", "times", str(folder)]) == 0
    assert "4 scans over 30.0 s by the camera's clock" in capsys.readouterr().out
    np.testing.assert_allclose(open_run(folder).times_s, [0, 10, 20, 30])
    assert lee(["rig", "times", str(folder)]) == 1
    assert "exists already" in capsys.readouterr().err


def test_a_camera_whose_clock_began_anew_repairs_nothing(tmp_path, capsys):
    folder = recorded(tmp_path / "run", (0, None, ""), (10, None, ""))  # frames with equal times
    assert lee(["rig", "times", str(folder)]) == 1
    assert (
        "scan_001.raw: the camera's clock began anew before it; give --interval-s" in capsys.readouterr().err
    )
