"""What something bright in front takes of a surface's light is told from the brightness, and put back."""

import numpy as np
import pytest

from lee.reconstruction.focus.cells import CellRecord
from lee.reconstruction.occlusion.detection import Occlusions
from lee.reconstruction.occlusion.veils import Veils

CELLS, SAMPLES, DEPTH_UM = (12, 14), 41, 3.0
Z = np.linspace(-6, 6, SAMPLES)
BODY = np.s_[3:9, 4:11]
SHAPE = (96, 112)
MIDDLE = np.s_[40:56, 56:64]


def veils_of(covered, *, light=400.0, z=Z, body=BODY):
    """Veils over a surface of 100 counts, of a body of so many that covers shares (N,) of its cells."""
    bright = np.full((SAMPLES, *CELLS), 100.0, np.float32)
    share = np.asarray(covered, np.float32)[:, None, None]
    bright[:, *body] = (1 - share) * 100 + share * light
    occluded = np.zeros(bright.shape, bool)
    occluded[:, *body] = share > 0.01
    record = CellRecord(z, bright, np.ones_like(bright), np.zeros(CELLS, np.float32))
    return Veils.of(record, Occlusions(occluded, np.zeros(bright.shape, np.float32)))


def coming(z=Z):
    """Nothing below -2 µm, all covered above 4 µm."""
    return np.clip((z + 2) / 6, 0, 1)


def test_the_share_that_passes_follows_from_the_brightness():
    veils = veils_of(coming())
    inside = veils.passed[:, 5, 7]
    np.testing.assert_allclose(inside, np.maximum(1 - coming(), 0.1), atol=0.02)
    assert (veils.passed[:, 0, 0] == 1).all()
    assert veils.bright[5, 7]
    assert not veils.bright[0, 0]


def test_heights_rise_in_the_result_whichever_way_the_scan_went():
    up = veils_of(coming())
    down = veils_of(coming(Z[::-1]), z=Z[::-1].copy())
    np.testing.assert_allclose(down.z_um, up.z_um)
    np.testing.assert_allclose(down.passed, up.passed, atol=1e-6)


@pytest.mark.parametrize(
    ("light", "body"), [(140.0, BODY), (400.0, np.s_[5:6, 4:11])], ids=["about as bright", "narrow"]
)
def test_of_what_is_not_bright_and_wide_nothing_is_told(light, body):
    veils = veils_of(coming(), light=light, body=body)
    assert (veils.passed == 1).all()
    assert not veils.bright.any()
    assert veils.gain(1.0, SHAPE) is None


def test_gain_restores_the_contrast_while_enough_is_left():
    veils = veils_of(coming())
    assert veils.gain(-4.0, SHAPE) is None
    gain = veils.gain(1.0, SHAPE)
    np.testing.assert_allclose(gain[MIDDLE], 2, rtol=0.05)
    assert (gain[:8, :8] == 1).all()
    assert (veils.gain(3.5, SHAPE)[MIDDLE] == 0).all()


def test_a_veil_moves_a_focus_as_it_dims_it():
    rate = 0.3
    veils = veils_of(np.clip(1 - np.exp(-rate * (Z + 4)), 0, 1), light=1000.0)
    height = np.full(SHAPE, np.nan, np.float32)
    height[:, :60] = 0
    moved = veils.moved_um(height, DEPTH_UM)
    # Share a covered of the most that is covered at the end: the rate is a little larger.
    assert moved[48, 58] == pytest.approx(-rate * (DEPTH_UM / 2.355) ** 2, rel=0.25)
    assert moved[4, 4] == 0
    assert (moved[:, 60:] == 0).all()


def test_where_the_surface_is_never_seen_it_is_as_bright_as_beside():
    veils = veils_of(np.full(SAMPLES, 0.5) + 0.5 * coming())
    np.testing.assert_allclose(veils.passed[:5, 5, 7], 0.5, atol=0.05)
