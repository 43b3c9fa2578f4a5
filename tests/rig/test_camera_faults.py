"""Faults of triggered cameras from public reports: heights stay true, or the line says that they may not."""

import numpy as np
import pytest

import lee
from lee.devices.virtual.hardware.fault_plan import Faults
from tests.rig.test_acquire import scanned

LAST, STEP_UM = 79, 0.2
OFF = "so that heights may be off by 1 step, in scans up and down to opposite sides"


@pytest.fixture(scope="module")
def flawless(tmp_path_factory):
    taken, _, _ = scanned(tmp_path_factory.mktemp("flawless") / "a.raw")
    return taken


def same_heights(taken, flawless):
    """Every frame of a pulse has the height that it has in a flawless scan."""
    stack, whole = lee.open_stack(taken.path), lee.open_stack(flawless.path)
    placed = np.flatnonzero(np.isfinite(stack.z_um))
    for at in placed[[0, 1, len(placed) // 2, -1]]:
        twin = int(np.argmin(np.abs(whole.z_um - stack.z_um[at])))
        assert np.array_equal(stack[int(at)], whole[twin]), at
    difference = taken.surface.height_um - flawless.surface.height_um
    # A fraction of a step: on a busy computer frames may pass the surface by, which shifts none.
    assert abs(np.nanmedian(difference)) < 0.25 * STEP_UM
    return len(placed)


@pytest.mark.parametrize(
    "faults",
    [Faults(early_frames=(0,)), Faults(late_frames=(LAST,))],
    ids=["before the stage", "in fly-back"],
)
def test_a_frame_of_no_pulse_shifts_no_height(tmp_path, flawless, faults):
    taken, plan, _ = scanned(tmp_path / "a.raw", faults)
    assert plan.pulses == LAST + 1
    assert "1 belonging to no pulse" in taken.summary()
    assert "may be off" not in taken.summary()
    assert same_heights(taken, flawless) == plan.pulses


def test_a_stage_that_bounces_shifts_no_height(tmp_path, flawless):
    taken, plan, _ = scanned(tmp_path / "a.raw", Faults(bounces=(20, 60)))
    assert "2 belonging to no pulse" in taken.summary()
    assert "may be off" not in taken.summary()
    assert not taken.ledger.complete
    assert same_heights(taken, flawless) == plan.pulses


def test_a_buffer_that_is_delivered_again_is_a_hole_in_the_place_of_its_frame(tmp_path, flawless):
    taken, plan, _ = scanned(tmp_path / "a.raw", Faults(stale_frames=(30, 50)))
    assert "2 lost between camera and computer" in taken.summary()
    assert "2 belonging to no pulse" in taken.summary()
    assert "may be off" not in taken.summary()
    assert same_heights(taken, flawless) == plan.pulses - 2


def test_the_first_pulse_lost_after_a_silence_is_said_to_shift_heights(tmp_path):
    taken, _, _ = scanned(tmp_path / "a.raw", Faults(missed_triggers=(0,)))
    assert not taken.ledger.complete
    assert f"1 missing without a trace, at the beginning or the end, {OFF}" in taken.summary()


def test_a_half_black_frame_that_the_camera_calls_complete_costs_itself_alone(tmp_path, flawless):
    taken, plan, _ = scanned(tmp_path / "a.raw", Faults(black_frames=(40, 41)))
    assert "2 with a part of the image missing" in taken.summary()
    assert same_heights(taken, flawless) == plan.pulses - 2
