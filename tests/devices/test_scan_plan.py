"""A scan in the stage's counts, and ids that wrap around."""

import numpy as np
import pytest

from lee.devices.protocols import widened_ids
from lee.devices.scan_plan import ScanPlan
from lee.errors import InputError

COUNTS_PER_UM = 2008.64563  # a stepper of 25 mm with microsteps


def plan(start=10.0, end=90.0, step=0.2, **options):
    return ScanPlan.of_um(start, end, step_um=step, counts_per_um=COUNTS_PER_UM, frames_per_s=80.0, **options)


def test_pulses_lie_on_whole_counts():
    rising = plan()
    assert rising.step_counts == 402
    assert rising.step_um == pytest.approx(0.200135, abs=1e-6)
    assert rising.pulses == 400
    assert set(np.diff(rising.pulse_counts)) == {402}
    assert rising.z_um[0] == pytest.approx(10.0, abs=5e-4)
    assert rising.z_um[-1] <= 90.0 < rising.z_um[-1] + rising.step_um
    assert rising.speed_um_per_s == pytest.approx(16.01, abs=0.01)
    assert rising.seconds == pytest.approx(399 / 80)


def test_it_leads_in_and_runs_out():
    rising, falling = plan(lead_um=2.0), plan(90.0, 10.0, lead_um=2.0)
    for one, sign in ((rising, 1), (falling, -1)):
        assert one.pulse_counts[0] - one.start_counts == sign * one.lead_counts
        assert one.end_counts - one.pulse_counts[-1] == sign * one.lead_counts
        assert one.lead_counts == round(2 * COUNTS_PER_UM)
    assert falling.step_counts == -402
    assert np.all(np.diff(falling.z_um) < 0)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"step": 0.0001}, r"step_um is 0.0001, less than one count of the stage \(0.0004978\d* µm\)"),
        ({"step": -0.2}, r"step_um is -0.2; give a length in µm"),
        ({"start": float("nan")}, r"start_um is nan; give a length in µm"),
        ({"end": 10.3}, r"pulses is 2; a focus needs 3 frames or more"),
        ({"lead_um": float("inf")}, r"lead_um is inf; give a length in µm"),
    ],
)
def test_what_no_stage_can_do_is_refused(changed, message):
    with pytest.raises(InputError, match=message):
        plan(**changed)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"step_counts": 0}, "step_counts is 0"),
        ({"first_counts": 1.5}, r"first_counts is 1.5; give whole counts"),
        ({"lead_counts": -1}, "lead_counts is -1"),
        ({"counts_per_um": 0.0}, r"counts_per_um is 0.0; give a number above 0"),
        ({"frames_per_s": float("nan")}, r"frames_per_s is nan; give a number above 0"),
    ],
)
def test_a_plan_checks_itself(changed, message):
    fine = {
        "first_counts": 0,
        "step_counts": 402,
        "pulses": 10,
        "counts_per_um": COUNTS_PER_UM,
        "frames_per_s": 80.0,
        "lead_counts": 100,
    }
    with pytest.raises(InputError, match=message):
        ScanPlan(**(fine | changed))


@pytest.mark.parametrize("lowest", [0, 1])
def test_ids_count_on_where_they_wrap(lowest):
    true = np.cumsum(np.random.default_rng(0).integers(1, 5, 100_000))
    raw = (true - lowest) % (2**16 - lowest) + lowest
    assert np.array_equal(widened_ids(raw, 16, lowest=lowest), true - true[0] + raw[0])


def test_no_ids_are_none():
    assert widened_ids(np.zeros(0, np.uint16), 16).shape == (0,)
