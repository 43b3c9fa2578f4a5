"""Times of scans outlast a computer's clock that is set."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from lee.recording import moment
from lee.recording.moment import Moment, now, seconds_from_first

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


def at(wall_s, steady_s=None, session="one"):
    return Moment(NOON + timedelta(seconds=wall_s), steady_s, session)


@pytest.mark.parametrize("set_by", [-3600.0, 30.0, 0.0])
def test_within_a_session_nothing_but_the_steady_clock_counts(set_by):
    scans = [at(0, 100.0), at(10, 110.0), at(20 + set_by, 120.0)]
    np.testing.assert_allclose(seconds_from_first(scans), [0, 10, 20])
    assert scans[1].clock_set_by(scans[0]) == 0
    assert scans[2].clock_set_by(scans[1]) == pytest.approx(set_by)


def test_from_one_session_to_the_next_the_computers_clock_counts():
    scans = [at(0, 100.0), at(10, 110.0), at(60, 3.0, "two"), at(3670, 13.0, "two"), at(90)]
    np.testing.assert_allclose(seconds_from_first(scans[:4]), [0, 10, 60, 70])
    assert scans[2].clock_set_by(scans[1]) == 0
    assert scans[4].since(scans[0]) == 90


def test_now_is_steady_while_the_computers_clock_is_set(monkeypatch):
    before = now()
    monkeypatch.setattr(moment, "wall_clock", lambda: before.wall - timedelta(hours=1))
    after = now()
    assert 0 <= after.since(before) < 60
    assert after.clock_set_by(before) == pytest.approx(-3600, abs=60)
