"""Current of a run: signs from phases, recorded charge, values where it jumps."""

import numpy as np
import pytest

from lee.electrochemistry import Protocol
from lee.errors import InputError
from lee.twin.following.current import RunCurrent, current_of_charge, current_of_phases

TIMES = [10.0, 20.0, 30.0, 40.0]


def test_phases_give_the_sign_and_begin_halfway_between_their_scans():
    phases = ["plating", "plating", "rest", "stripping"]
    current = RunCurrent(current_of_phases(TIMES, phases, 80.0), 10.0)
    assert [current.after(t) for t in (10.0, 20.0, 26.0, 36.0)] == [80, 80, 0, -80]
    assert (current.at(25.0), current.after(25.0)) == (80.0, 0.0)
    assert current.at(40.0) == -80
    assert current.switches_s(10.0, 35.0) == [25.0]
    assert current.largest_ma_per_cm2 == 80


def test_without_phases_the_cell_keeps_its_sign():
    for own in (80.0, -80.0):
        assert RunCurrent(current_of_phases(TIMES, [""] * 4, own), 10.0).after(15.0) == own


def test_the_recorded_charge_passes_evenly_from_scan_to_scan():
    charge = np.array([0.0, 0.8, 0.8, 0.4])
    current = RunCurrent(current_of_charge(TIMES, charge), 10.0)
    assert [current.after(t) for t in (15.0, 25.0, 35.0)] == pytest.approx([80, 0, -40])
    since = np.subtract(TIMES, current.begins_s)
    assert current.protocol.charge_density_at(since) == pytest.approx(charge)


def test_a_protocol_may_begin_before_or_after_the_first_scan():
    current = RunCurrent(Protocol.constant(80.0, 100.0), 15.0)
    assert (current.at(12.0), current.after(15.0)) == (0.0, 80.0)
    assert current.switches_s(10.0, 40.0) == [15.0]


def test_where_the_cell_decides_on_the_current_jumps_are_known_up_to_the_first_limit():
    rest = Protocol.constant(0.0, 5.0).steps
    held = Protocol((*rest, *Protocol.held_potential(-0.1, 10.0).steps, *rest))
    current = RunCurrent(held, 12.0)
    assert current.jumps_s(10.0, 60.0) == [12.0, 17.0, 27.0]
    assert current.from_rest(10.0).begins_s.tolist() == [0.0, 2.0, 7.0, 17.0]
    charged = Protocol((*Protocol.cc_cv(80.0, -0.1, until_ma_per_cm2=20.0, duration_s=20.0).steps, *rest))
    assert RunCurrent(charged, 10.0).jumps_s(5.0, 60.0) == [10.0]


def test_what_is_no_current_is_reported():
    with pytest.raises(InputError, match="phase is 'melting'; phases are plating, stripping, rest"):
        current_of_phases(TIMES, ["melting"] * 4, 80.0)
    with pytest.raises(InputError, match="3 recorded charges for 4 scans; the record must cover them all"):
        current_of_charge(TIMES, [0.0, 1.0, np.nan, 2.0])
