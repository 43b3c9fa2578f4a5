"""Protocols as TOML."""

import tomllib

import pytest

from lee.electrochemistry import Protocol
from lee.electrochemistry.protocol_toml import protocol_of, protocol_toml
from lee.errors import InputError


@pytest.mark.parametrize(
    "protocol",
    [
        Protocol.constant(80.0, 100.0),
        Protocol.pulses(80.0, 0.5, 1.0, 2, off_ma_per_cm2=-5.0),
        Protocol.measured([0.0, 5.0, 5.0, 9.0], [1.0, 2.0, 4.0, 3.0]),
        Protocol.cc_cv(80.0, -0.3, until_ma_per_cm2=8.0, duration_s=900.0),
    ],
)
def test_a_protocol_comes_back_from_its_file(protocol):
    assert protocol_of(tomllib.loads(protocol_toml(protocol))["protocol"], "f") == protocol


def test_repeat_repeats_all_steps_so_far():
    steps = [
        {"current_ma_per_cm2": 80, "duration_s": 1},
        {"current_ma_per_cm2": 0, "duration_s": 2, "repeat": 3},
    ]
    assert protocol_of(steps, "f") == Protocol.pulses(80.0, 1.0, 2.0, 3)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ("fast", r"f: protocol must be steps; begin each one with \[\[protocol\]\]"),
        ([], "protocol: has no step"),
        ([{"current": 1}], "f: step 1 of the protocol: unknown key 'current'; keys are"),
        ([{"potential_v": 1.0}], "step 1 of the protocol: give one of current_ma_per_cm2, potential_v"),
        ([{"potential_v": "low", "duration_s": 1}], "potential_v is 'low'; give a number"),
        (
            [{"potential_v": -1, "duration_s": -1}],
            "step 1 of the protocol: the times of a step go from 0 to -1",
        ),
        ([{"potential_v": -1, "duration_s": 1, "below": "x"}], "below is 'x'; give a number"),
        ([{"potential_v": -1, "duration_s": 1, "repeat": 0}], "repeat is 0; give a whole number"),
    ],
)
def test_a_protocol_that_cannot_be_used_is_refused(steps, message):
    with pytest.raises(InputError, match=message):
        protocol_of(steps, "f")
