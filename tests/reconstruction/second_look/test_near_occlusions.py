"""Near occlusions the second look measures what it sees of the surface, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from bench.scenes.gaussian_gather_specimens import rough_slope
from bench.scenes.occlusion_kinds import drawn
from bench.scenes.taken_scans import PIXEL_UM, renderer_b
from lee.reconstruction.parameters import ReconstructParams
from lee.reconstruction.reconstruct import reconstruct
from lee.stacks.stack import ZStack

ONCE = ReconstructParams(second_look=False, drift=False, threads=1)
TWICE = replace(ONCE, second_look=True)
STEPS_UM = 3 * 0.2


@pytest.fixture(scope="module", params=["grey, sliding", "debris, out of focus"])
def looks(request):
    """The scan of a slope that bodies cross, and both looks at it."""
    taken = renderer_b(
        (160, 160),
        4,
        surface=rough_slope,
        floating=lambda h, z, seed: drawn(request.param, h, z, PIXEL_UM, seed),
    )
    stack = ZStack.from_array(taken.frames, taken.z_um, PIXEL_UM)
    return taken, reconstruct(stack, params=ONCE), reconstruct(stack, params=TWICE)


def test_more_is_measured_of_what_was_crossed_out_of_focus(looks):
    taken, once, twice = looks
    free = taken.touched & (taken.hidden_share == 0)
    assert twice.valid[free].mean() > once.valid[free].mean() + 0.05
    assert twice.valid[free].mean() > 0.7
    wrong = np.abs(twice.height_um - taken.truth_um)[free] > STEPS_UM
    assert wrong.mean() < 0.01


def test_what_is_hidden_is_not_measured_wrongly_and_filled_from_around(looks):
    taken, _, twice = looks
    assert np.mean(np.abs(twice.height_um - taken.truth_um)[taken.touched] > STEPS_UM) < 0.02
    filled = np.abs(twice.height_filled_um - taken.truth_um)[taken.touched]
    assert np.mean(filled > STEPS_UM) < 0.15


def test_the_image_shows_the_surface_where_it_is_measured(looks):
    taken, once, twice = looks
    free = taken.touched & (taken.hidden_share == 0) & twice.valid
    sharp = taken.quiet()
    nearest = np.abs(taken.z_um[:, None] - taken.truth_um[free]).argmin(axis=0)
    true = sharp[nearest, *np.nonzero(free)]
    before, after = (np.corrcoef(look.refocused[free], true)[0, 1] for look in (once, twice))
    assert after > max(0.8, before)


def test_counts_are_those_of_the_maps(looks):
    _, _, twice = looks
    reasons = twice.provenance.not_measured_px
    assert sum(reasons.values()) == (~twice.valid).sum()
    assert sum(twice.provenance.occluded_px.values()) > 0
