"""The virtual stage does not move where its counter may be wrong."""

import pytest

from lee.devices.faults import ReferenceUnknown
from lee.devices.virtual.hardware.stage import COUNTS_PER_UM
from tests.devices.virtual.test_stage import PLAN, scan, stage_of


def test_a_stage_that_was_switched_off_is_not_driven():
    stage, _ = stage_of(homed=False)
    with pytest.raises(
        ReferenceUnknown, match=r"not homed since it was switched on, and its counter shows 0.00"
    ):
        stage.move_to(PLAN.start_counts)
    assert stage.confirm_reference(round(990 * COUNTS_PER_UM)).counter_set
    assert scan(stage) == PLAN.pulses
    assert stage.reference.source == "operator"
    stage.switch_off_and_on()
    assert stage.reference is None
    with pytest.raises(ReferenceUnknown, match="left the way it was sent"):
        stage.move_to(PLAN.start_counts)
    assert stage.true_um() == pytest.approx(PLAN.end_counts / COUNTS_PER_UM, abs=1e-3)


def test_a_homed_stage_that_was_switched_off_is_not_driven():
    stage, _ = stage_of()
    assert scan(stage) == PLAN.pulses
    stage.switch_off_and_on()
    with pytest.raises(ReferenceUnknown, match="it was homed and no longer is"):
        stage.begin_scan(PLAN)
    stage.home(consent=True)
    assert scan(stage) == PLAN.pulses
