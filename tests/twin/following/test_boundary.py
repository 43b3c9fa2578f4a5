"""From maps to the moving boundary: columns that few scans have measured, and jumps of the current."""

import numpy as np
import pytest

from lee.electrochemistry import Protocol
from lee.twin import Cell, MeshSize
from lee.twin.following.boundary import moving_boundary
from lee.twin.following.current import RunCurrent, current_of_charge

TIMES = 10.0 * np.arange(8)
JUMP_S = 35.0
# A plate that rises by 0.5 µm a scan up to 35 s, and falls as fast after.
RISEN_UM = 0.05 * np.minimum(TIMES, 2 * JUMP_S - TIMES)


def followed(heights, breaks_s):
    return moving_boundary(
        heights, [np.full((16, 16), 0.05)] * len(TIMES), TIMES, pixel_um=2.0, cell=Cell(),
        size=MeshSize(columns=(8, 8), layers=4), breaks_s=breaks_s, names=list("abcdefgh"),
    )  # fmt: skip


@pytest.mark.parametrize("measured", [[], [5]], ids=["never again", "once more"])
def test_what_is_hidden_after_the_current_turned_falls_with_what_is_beside_it(measured):
    heights = [np.full((16, 16), risen) for risen in RISEN_UM]
    for k in range(4, 8):
        if k not in measured:
            heights[k][:4, :4] = np.nan
    found = followed(heights, (JUMP_S,))
    np.testing.assert_allclose(found.path.height_um[:, 0, 0], RISEN_UM, atol=0.02)
    assert found.path.sigma_um.max() < 0.1
    assert found.breaks_s == (JUMP_S,)


def test_drift_of_a_recorded_current_is_no_jump():
    """A speed that may jump at every scan smooths nothing."""
    charge = np.cumsum([0, 1.23, 1.21, 1.19, 1.1, -0.84, -0.85, -0.84])
    current = RunCurrent(current_of_charge(TIMES, charge), 0.0)
    assert len(current.switches_s(0.0, 70.0)) == 6
    assert current.jumps_s(0.0, 70.0) == [40.0]
    pulses = RunCurrent(Protocol.pulses(80.0, 10.0, 10.0, count=3), 0.0)
    assert pulses.jumps_s(0.0, 60.0) == [10.0, 20.0, 30.0, 40.0, 50.0]
    assert RunCurrent(Protocol.constant(0.0, 60.0), 0.0).jumps_s(0.0, 60.0) == []
