"""Protocols: what is applied when, charge, jumps, and what cannot be known beforehand."""

import numpy as np
import pytest

from lee.electrochemistry import Limit, Protocol, Step
from lee.errors import InputError


def test_a_constant_current_lasts_as_long_as_it_is_told():
    protocol = Protocol.constant(80.0, 100.0)
    assert protocol.is_known
    assert protocol.duration_s == 100.0
    assert protocol.current_density_at([-1, 0, 50, 100, 101]).tolist() == [0, 80, 80, 80, 0]
    assert protocol.charge_density_at([0, 50, 200]) == pytest.approx([0, 4.0, 8.0])


def test_at_a_jump_the_value_after_it_counts():
    protocol = Protocol.sequence([(80, 60), (0, 30), (-40, 60)])
    assert protocol.current_density_at([59.9, 60, 89.9, 90, 150]).tolist() == [80, 0, 0, -40, -40]
    assert protocol.edges_s.tolist() == [0, 60, 90, 150]
    assert protocol.charge_density_at(150) == pytest.approx(0.08 * 60 - 0.04 * 60)


def test_pulses_carry_their_duty_share_of_the_charge():
    protocol = Protocol.pulses(100.0, 0.2, 0.8, 50)
    assert protocol.duration_s == pytest.approx(50.0)
    assert protocol.charge_density_at(50.0) == pytest.approx(0.1 * 0.2 * 50)
    assert protocol.current_density_at(10.1) == 100
    assert protocol.current_density_at(10.5) == 0


def test_a_measured_current_is_followed_between_its_points():
    times, current = [5.0, 15.0, 15.0, 25.0], [0.0, 10.0, -10.0, -10.0]
    protocol = Protocol.measured(times, current)
    assert protocol.current_density_at([5, 10, 20]).tolist() == [5, -10, -10]
    assert protocol.charge_density_at([10, 20]) == pytest.approx([0.05, -0.05])
    assert protocol.edges_s.tolist() == [0, 10, 20]


def test_charge_is_the_integral_of_the_current():
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.1, 2, 40))
    protocol = Protocol.measured(times, rng.normal(0, 50, 40))
    fine = np.linspace(0, protocol.duration_s, 20_001)
    current = protocol.current_density_at(fine)
    summed = np.cumsum(0.5 * (current[1:] + current[:-1]) * np.diff(fine)) * 1e-3
    assert protocol.charge_density_at(fine[1:]) == pytest.approx(summed, abs=1e-4)


def test_a_potential_is_held_until_the_current_has_fallen():
    protocol = Protocol.cc_cv(80.0, -0.2, until_ma_per_cm2=8.0, duration_s=600)
    first, second = protocol.steps
    assert (first.control, second.control) == ("current", "potential")
    assert first.limit is not None
    assert second.limit is not None
    assert first.limit.reached(-0.21)
    assert not first.limit.reached(-0.19)
    assert second.limit.reached(7.9)
    assert second.value_at([0, 300]).tolist() == [-0.2, -0.2]
    charging = Protocol.cc_cv(-80.0, 0.3, until_ma_per_cm2=8.0, duration_s=600)
    assert charging.steps[0].limit == Limit(above=0.3)


@pytest.mark.parametrize(
    "protocol",
    [
        Protocol.held_potential(-0.1, 60),
        Protocol.cc_cv(80.0, -0.2, until_ma_per_cm2=8.0, duration_s=600),
    ],
)
def test_a_current_that_the_cell_decides_on_is_not_known(protocol):
    assert not protocol.is_known
    with pytest.raises(InputError, match="the current is not known beforehand"):
        protocol.current_density_at(0.0)
    with pytest.raises(InputError, match="the current is not known beforehand"):
        protocol.charge_density_at(0.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Protocol(()), "has no step"),
        (lambda: Protocol.constant(80, 0), "a step lasts 0 s; give seconds above 0"),
        (lambda: Protocol.constant(float("nan"), 10), "a current is nan; give mA/cm²"),
        (lambda: Protocol.held_potential(float("inf"), 10), "a potential is inf; give V"),
        (lambda: Protocol.pulses(80, 1, 1, 0), "0 pulses; give one or more"),
        (lambda: Protocol.measured([0], [1]), "1 times and 1 values; give two or more"),
        (lambda: Protocol.measured([0, 2, 1], [1, 1, 1]), "they begin at 0 and increase"),
        (lambda: Step("charge", (0.0, 1.0), (1.0, 1.0)), "control is 'charge'; give current or potential"),
        (lambda: Limit(), "a limit needs a finite value"),
    ],
)
def test_what_cannot_be_applied_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
