"""Frame accounting: every pulse is a written frame, or a stated loss with its cause."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lee.devices.protocols import widened_ids
from lee.errors import InputError
from lee.recording import Hole, Ledger, account

PERIOD_S = 1 / 80


def seen(pulses, lost=(), missed=(), period_s=PERIOD_S, jitter_s=0.0):
    """Ids and timestamps of a camera that misses some pulses and loses some frames; the pulses received."""
    exposed = [k for k in range(pulses) if k not in missed]
    received = [(i, k) for i, k in enumerate(exposed) if k not in lost]
    ids = np.array([i for i, _ in received], dtype=np.int64)
    kept = np.array([k for _, k in received], dtype=np.int64)
    noise = np.random.default_rng(1).uniform(-jitter_s, jitter_s, len(kept))
    return ids, 7.0 + kept * period_s + noise, kept


def accounted(ids, times, pulses, **more):
    return account(ids, times, pulses_planned=pulses, frames_per_s=80.0, **{"pulses_counted": pulses, **more})


def test_a_scan_without_faults_is_complete():
    ids, times, kept = seen(100)
    found = accounted(ids, times, 100)
    assert found.ledger.complete
    assert found.ledger.summary() == "complete: 100 of 100 frames"
    assert np.array_equal(found.pulse, kept)
    assert found.holes == ()
    assert accounted(ids, times, 100, pulses_counted=-1).ledger.complete


def test_a_gap_in_ids_is_a_frame_lost_on_the_way():
    ids, times, kept = seen(100, lost=[10, 11, 50])
    found = accounted(ids, times, 100)
    assert found.holes == (Hole(10, 2, 0), Hole(50, 1, 0))
    assert found.ledger.lost_frames == 3
    assert found.ledger.missed_triggers == 0
    assert np.array_equal(found.pulse, kept)
    assert not found.ledger.complete
    assert "97 of 100 frames; 3 lost between camera and computer" in found.ledger.summary()


def test_a_gap_in_timestamps_alone_is_a_missed_pulse():
    ids, times, kept = seen(100, missed=[30, 77])
    found = accounted(ids, times, 100)
    assert found.holes == (Hole(30, 0, 1), Hole(77, 0, 1))
    assert np.array_equal(found.pulse, kept)
    assert "2 pulses missed by the camera" in found.ledger.summary()


def test_both_in_one_hole_are_distinguished_by_number():
    ids, times, kept = seen(100, missed=[30], lost=[31, 32])
    found = accounted(ids, times, 100)
    assert found.holes == (Hole(30, 2, 1),)
    assert np.array_equal(found.pulse, kept)


def test_frames_lost_before_the_first_are_known_by_its_id():
    ids, times, kept = seen(100, lost=[0, 1])
    found = accounted(ids, times, 100)
    assert found.holes == (Hole(0, 2, 0),)
    assert np.array_equal(found.pulse, kept)


def test_a_pulse_missed_at_an_end_leaves_no_trace_and_is_counted():
    ids, times, _ = seen(100, missed=[0])
    ledger = accounted(ids, times, 100).ledger
    assert ledger.unexplained == 1
    assert not ledger.complete
    assert "1 missing without a trace, at the beginning or the end" in ledger.summary()


@settings(max_examples=80, deadline=None)
@given(
    pulses=st.integers(20, 200),
    faults=st.dictionaries(st.integers(1, 198), st.booleans(), max_size=8),
    pace=st.floats(0.9, 1.1),
)
def test_frames_are_on_their_pulses_whatever_is_missing(pulses, faults, pace):
    lost = {k for k, way in faults.items() if way and k < pulses - 1}
    missed = {k for k, way in faults.items() if not way and k < pulses - 1}
    ids, times, kept = seen(pulses, lost, missed, period_s=PERIOD_S * pace, jitter_s=0.1 * PERIOD_S)
    found = accounted(ids, times, pulses)
    assert np.array_equal(found.pulse, kept)
    assert found.ledger.lost_frames == len(lost)
    assert found.ledger.missed_triggers == len(missed)
    assert found.ledger.unexplained == 0
    assert found.ledger.complete == (not faults or not (lost | missed))
    assert Ledger.from_json(found.ledger.to_json()) == found.ledger


def test_a_camera_too_slow_for_the_pulses_misses_every_other():
    ids, times, kept = seen(101, missed=range(1, 101, 2))
    found = accounted(ids, times, 101)
    assert np.array_equal(found.pulse, kept)
    assert found.ledger.missed_triggers == 50


def test_ids_that_wrap_around_are_no_gap():
    ids, times, kept = seen(100, lost=[40])
    wrapped = (ids + 65500) % 65536
    found = accounted(widened_ids(wrapped, 16), times, 100, first_id=65500)
    assert np.array_equal(found.pulse, kept)
    assert found.ledger.lost_frames == 1


def test_without_timestamps_the_ids_alone_count():
    ids, _, kept = seen(50, lost=[20])
    for useless in (np.full(len(ids), np.nan), np.zeros(len(ids))):
        assert np.array_equal(accounted(ids, useless, 50).pulse, kept)


def test_frames_of_no_pulse_are_counted():
    ids, times, _ = seen(53)
    found = accounted(ids, times, 50)
    assert found.pulse[50:].tolist() == [-1, -1, -1]
    assert found.ledger.unplaced == 3
    assert "3 belonging to no pulse" in found.ledger.summary()
    old = accounted([0, 1, 2, 1, 4, 5], np.array([0, 1, 2, 1, 4, 5]) * PERIOD_S, 6)
    assert old.pulse.tolist() == [0, 1, 2, -1, 4, 5]
    assert (old.ledger.lost_frames, old.ledger.missed_triggers) == (1, 0)
    before = accounted([78, 79, *range(6)], np.array([-9, -8, *range(6)]) * PERIOD_S, 6)
    assert before.pulse.tolist() == [-1, -1, 0, 1, 2, 3, 4, 5]
    assert (before.ledger.unplaced, before.ledger.lost_frames, before.ledger.surplus) == (2, 0, 0)
    twice = accounted([0, 1, 1, 2], [0, PERIOD_S, PERIOD_S, 2 * PERIOD_S], 3)
    assert twice.pulse.tolist() == [0, 1, -1, 2]


def test_what_the_application_lost_is_counted():
    ids, times, _ = seen(100)
    found = accounted(ids, times, 100, dropped=4, complete=np.arange(100) != 7)
    assert found.ledger.frames_written == 96
    assert not found.ledger.complete
    assert "4 dropped before they were written" in found.ledger.summary()
    assert "1 with a part of the image missing" in found.ledger.summary()
    assert (
        "2 received and neither written nor known as dropped"
        in accounted(ids, times, 100, frames_written=98).ledger.summary()
    )
    assert "the stage sent 101 pulses" in accounted(ids, times, 100, pulses_counted=101).ledger.summary()


def test_a_scan_without_frames_is_accounted_for():
    found = accounted([], [], 100)
    assert found.ledger.unexplained == 100
    assert not found.ledger.complete


@pytest.mark.parametrize(
    ("ids", "times", "more", "match"),
    [
        ([1, 2], [1.0], {}, "2 frame ids and 1 timestamps"),
        ([1], [1.0], {"frames_per_s": 0}, "frames_per_s is 0"),
    ],
)
def test_what_cannot_be_counted_is_refused(ids, times, more, match):
    with pytest.raises(InputError, match=match):
        account(ids, times, **{"pulses_planned": 3, "frames_per_s": 80.0, **more})
