"""Resolution from an edge of known sharpness."""

import numpy as np
import pytest
from scipy.special import erf

from lee.errors import InputError
from lee.metrology import edge_resolution
from lee.surfaces.noise_correlation import correlated_noise

PIXEL_UM = 0.5


def edge(sharp_um, tilt=0.0, noise_um=0.03, seed=0, shape=(96, 160)):
    y, x = np.mgrid[: shape[0], : shape[1]] * PIXEL_UM
    distance = (x - 40.1 - tilt * y) / np.hypot(1, tilt)
    rng = np.random.default_rng(seed)
    noise = noise_um * correlated_noise(rng.standard_normal(shape, dtype=np.float32), 1.0)
    return 1 + erf(distance / (np.sqrt(2) * sharp_um)) + 0.01 * x - 0.02 * y + noise


@pytest.mark.parametrize("tilt", [0.0, 0.04])
@pytest.mark.parametrize("sharp_um", [0.8, 2.0])
def test_a_gaussian_edge_has_the_width_of_its_gaussian(sharp_um, tilt):
    off = []
    for seed in range(8):
        height = edge(sharp_um, tilt, seed=seed)
        height[20:24, 70:90] = np.nan
        found = edge_resolution(height if seed % 2 else height.T, pixel_um=PIXEL_UM)
        spread = found["line_spread_um"]
        off.append((spread.value - 2.3548 * sharp_um) / spread.sigma)
        assert found["width_10_90_um"].value == pytest.approx(2.5631 * sharp_um, rel=0.1)
        assert found["step_um"].value == pytest.approx(2, abs=5 * found["step_um"].sigma)
        assert found["edge_tilt_deg"].value == pytest.approx(np.degrees(np.arctan(tilt)), abs=0.2)
        assert found["overshoot_percent"].value < 5
        assert found.step.across == ("x" if seed % 2 else "y")
    assert np.mean(np.abs(off) < 2) > 0.7
    # Half of a wave passes where exp(-2 pi^2 s^2 / L^2) is a half.
    period = found["lateral_period_limit_um"].value
    assert np.exp(-2 * (np.pi * sharp_um / period) ** 2) == pytest.approx(0.5, abs=0.05)


def test_an_edge_finer_than_pixels_gives_a_bound():
    found = edge_resolution(edge(0.05, noise_um=0.0), pixel_um=PIXEL_UM)
    assert found["line_spread_um"].note == "finer than two pixels: a bound"
    assert found["line_spread_um"].value < 2 * PIXEL_UM


def test_edges_that_cannot_be_measured():
    with pytest.raises(InputError, match="which does not stand out: give a map of one edge"):
        edge_resolution(np.random.default_rng(0).normal(size=(60, 60)), pixel_um=PIXEL_UM)
    bar = np.where((np.arange(80) > 30) & (np.arange(80) < 50), 1.0, 0.0) * np.ones((40, 1))
    with pytest.raises(InputError, match="does not show one edge between two flat levels"):
        edge_resolution(bar, pixel_um=PIXEL_UM)
    with pytest.raises(InputError, match="the profile is straight: there is no step in it"):
        edge_resolution(np.zeros((40, 60)), pixel_um=1.0)
    height = edge(0.5)
    height[:, 78:84] = np.nan
    with pytest.raises(InputError, match="0 lines cross the edge measured throughout; 8 are needed"):
        edge_resolution(height, pixel_um=PIXEL_UM)
    with pytest.raises(InputError, match=r"the map has shape \(1, 160\)"):
        edge_resolution(edge(0.5)[:1], pixel_um=PIXEL_UM)
