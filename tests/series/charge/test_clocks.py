"""The offset that scans and record state, with time zones and without."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from lee.electrochemistry import CellData
from lee.recording.moment import Moment
from lee.series.charge import clocks

BEGAN = datetime(2026, 11, 30, 10, 0, 40, tzinfo=UTC)


def record(started):
    return CellData(np.arange(5.0), np.ones(5), np.zeros(5), started=started)


@pytest.mark.parametrize(
    "started",
    [
        datetime(2026, 11, 30, 10, 0, 10, tzinfo=UTC),
        datetime(2026, 11, 30, 12, 0, 10, tzinfo=timezone(timedelta(hours=2))),
        datetime(2026, 11, 30, 10, 0, 10, tzinfo=UTC).astimezone().replace(tzinfo=None),  # local
    ],
)
def test_time_zones_are_heeded(monkeypatch, started):
    for began in (BEGAN, BEGAN.astimezone().replace(tzinfo=None)):
        monkeypatch.setattr(clocks, "acquired", lambda scan, began=began: Moment(began))
        assert clocks.stated_offset_s(Path("scan.ome.tif"), record(started)) == 30


def test_what_is_not_stated_gives_none(monkeypatch):
    monkeypatch.setattr(clocks, "acquired", lambda scan: None)
    assert clocks.stated_offset_s(Path("scan.ome.tif"), record(BEGAN)) is None
    monkeypatch.setattr(clocks, "acquired", lambda scan: Moment(BEGAN))
    assert clocks.stated_offset_s(Path("scan.ome.tif"), record(None)) is None
