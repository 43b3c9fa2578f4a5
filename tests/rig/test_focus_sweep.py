"""A coarse sweep finds where the field is sharp, and says where there is nothing to be found."""

import re

import numpy as np
import pytest

from lee.devices.faults import StageStalled
from lee.devices.virtual.hardware.fault_plan import At
from lee.devices.virtual.hardware.frame_bank import quick_bank
from lee.errors import InputError
from lee.rig.focus_sweep import contrast, sweep_heights, take_sweep
from tests.support.virtual_rig import SCENE_UM, rig_of


@pytest.fixture(scope="module")
def bank():
    return quick_bank((150, 200), relief_um=12.0, noise_counts=2.0)


def swept(bank, *range_um, stall=None):
    rig, _ = rig_of(bank=bank)
    if stall is not None:
        rig.stage.stall(stall)
    heights = sweep_heights(rig.stage, *(SCENE_UM + um for um in range_um[:2]), range_um[2])
    seen = []

    def look():
        seen.append(rig.stage.true_um() - SCENE_UM)
        return bank.image(seen[-1])

    return take_sweep(rig.stage, heights, look), seen


@pytest.mark.parametrize("step_um", [1.0, 2.0, 4.0])
def test_the_window_holds_the_surface_with_room_at_both_ends(bank, step_um):
    found, seen = swept(bank, -15.0, 30.0, step_um)
    assert np.allclose(np.diff(seen)[:-1], step_um, atol=1e-3)
    assert seen[-1] == pytest.approx(30.0, abs=1e-3)
    assert found.share > 0.9
    assert not (found.below)
    assert not (found.above)
    assert -4 * step_um - 5 < found.start_um - SCENE_UM < 0
    assert 12 < found.end_um - SCENE_UM < 17 + 4 * step_um
    assert re.fullmatch(r"\d+ % of the field is sharp within 9\d\d\.\d to 10\d\d\.\d µm", found.summary())


def test_a_surface_that_goes_on_beyond_an_end_is_said(bank):
    below, above = swept(bank, 6.0, 30.0, 1.0)[0], swept(bank, -15.0, 5.0, 1.0)[0]
    assert (below.below, below.above) == (True, False)
    assert (above.below, above.above) == (False, True)
    assert "the surface goes on below: sweep there, too" in below.summary()


def test_noise_alone_is_no_surface(bank):
    found = swept(bank, -60.0, -20.0, 1.0)[0]
    assert (found.start_um, found.end_um) == (None, None)
    assert found.summary() == ("nothing came into focus in the sweep; sweep elsewhere, or take shorter steps")


def test_a_sweep_that_cannot_be_is_refused_before_anything_moves(bank):
    stage = rig_of(bank=bank)[0].stage
    for range_um, said in [
        ((1010.0, 1000.0, 1.0), "give a lower and a higher end"),
        ((1000.0, 1010.0, 0.0), "a step above 0"),
        ((1000.0, 1010.0, float("nan")), "a step above 0"),
        ((1000.0, 1001.0, 1.0), "are 2 heights; give 5 to 200"),
        ((1000.0, 1010.0, 0.01), "are 1001 heights; give 5 to 200"),
        ((24990.0, 25010.0, 1.0), r"25010.00 µm is beyond its limits, 0.00 to 25000.00 µm"),
        ((-5.0, 10.0, 1.0), r"-5.00 µm is beyond its limits"),
    ]:
        with pytest.raises(InputError, match=said):
            sweep_heights(stage, *range_um)


def test_a_stage_that_stalls_ends_the_sweep(bank):
    with pytest.raises(StageStalled, match="does not turn"):
        swept(bank, -15.0, 30.0, 2.0, stall=At(time_s=0.2))


def test_contrast_is_highest_in_focus_and_does_not_depend_on_brightness():
    sharp, blurred = (quick_bank((64, 80), relief_um=0.1).image(z) for z in (0.0, 2.5))
    assert contrast(sharp) > 2 * contrast(blurred)
    assert contrast(sharp.astype(np.uint16) * 9) == pytest.approx(contrast(sharp), rel=1e-4)
