"""Area that rises faster than volume is warned of as dendrites; healthy growth and stripping are not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from lee.series.area_warning import area_warning
from lee.surfaces.areal import areal_over_time
from tests.support.growing_relief import PIXEL_UM, grown, measured


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_dendrites_are_warned_of_and_healthy_growth_is_not(seed: int) -> None:
    truth = grown(seed)
    height, _ = measured(truth, seed, outliers=0)
    healthy = areal_over_time(height, truth.times_s, pixel_um=PIXEL_UM, scale_um=1.0)
    warned, why = area_warning(healthy)
    assert not warned, why
    assert "falls" in why
    rng = np.random.default_rng(seed)
    spikes = ndimage.gaussian_filter((rng.random(truth.trench.shape) < 0.004) * 1.0, 3)
    spikes /= spikes.max()
    steps = np.clip(np.arange(len(height)) - 5, 0, None)[:, None, None]
    mossy = areal_over_time(height + 3 * steps * spikes, truth.times_s, pixel_um=PIXEL_UM, scale_um=1.0)
    warned, why = area_warning(mossy)
    assert warned, why
    assert "dendrites" in why
    thick = areal_over_time(height + 8 * steps * spikes, truth.times_s, pixel_um=PIXEL_UM, scale_um=1.0)
    assert "faster than volume" in area_warning(thick)[1]
    stripped = ["plating"] * 6 + ["stripping"] * 6
    warned, why = area_warning(mossy, phases=stripped)
    assert not warned, why


def test_too_short_a_run_is_not_evaluated() -> None:
    truth = grown(1, scans=3)
    table = areal_over_time(truth.height_um, truth.times_s, pixel_um=PIXEL_UM)
    assert area_warning(table) == (
        False,
        "fewer than 5 scans of plating: too few to evaluate area over volume",
    )
