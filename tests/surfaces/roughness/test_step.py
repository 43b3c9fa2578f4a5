"""Steps of known height in profiles and maps: tilt, rounded edges, missing points, an error that holds."""

import numpy as np
import pytest

from lee.errors import InputError
from lee.surfaces.noise_correlation import correlated_noise
from lee.surfaces.roughness.step import step_of_map, step_of_profile

X = np.arange(200) * 0.5


def levels(kind, height, x=X):
    return height * ((x > 45) if kind == "edge" else ((x > 40) & (x < 62)))


@pytest.mark.parametrize("kind", ["edge", "groove"])
@pytest.mark.parametrize("height", [-2.0, 0.3])
def test_a_tilted_profile_with_rounded_edges_and_holes(kind, height):
    profile = levels(kind, height)
    profile[1:-1] = (profile[:-2] + profile[1:-1] + profile[2:]) / 3 + 0.02 * X[1:-1] + 7
    profile[[0, -1]] = 7 + 0.02 * X[[0, -1]] + levels(kind, height)[[0, -1]]
    profile[90:95] = np.nan
    found = step_of_profile(X, profile, kind)
    assert found.height_um == pytest.approx(height, abs=1e-9)
    assert found.se_um == pytest.approx(0, abs=1e-9)
    assert found.edges_um[0] == pytest.approx(45 if kind == "edge" else 40, abs=1.6)


@pytest.mark.parametrize(
    ("kind", "correlation_px"),
    [
        ("edge", 1.5),
        ("groove", 0.0),
        pytest.param("edge", 0.0, marks=pytest.mark.slow),
        pytest.param("groove", 1.5, marks=pytest.mark.slow),
    ],
)
def test_the_standard_error_holds(kind, correlation_px):
    rng = np.random.default_rng(5)
    of_profile, of_map = [], []
    for _ in range(100):
        noise = 0.1 * correlated_noise(rng.standard_normal((64, 200), dtype=np.float32), correlation_px)
        surface = levels(kind, 1.0) + noise + 0.01 * X
        one = step_of_profile(X, surface[0], kind)
        of_profile.append((one.height_um - 1.0) / one.se_um)
        whole = step_of_map(surface.astype(np.float64), pixel_um=0.5, kind=kind)
        of_map.append((whole.height_um - 1.0) / whole.se_um)
    # The few points of a level hardly show how far their errors are correlated.
    least = 0.55 if correlation_px == 0 else 0.5
    for off in (np.abs(of_profile), np.abs(of_map)):
        assert least < np.mean(off < 1) < 0.80
        assert np.mean(off < 3) > 0.92


def test_a_map_is_evaluated_across_its_step():
    noise = np.random.default_rng(0).normal(0, 0.05, (200, 136))
    surface = levels("groove", -1.5)[:, None] + noise
    surface[50:60, 20:30] = np.nan
    found = step_of_map(surface, pixel_um=0.5, kind="groove")
    assert found.across == "y"
    assert found.height_um == pytest.approx(-1.5, abs=4 * found.se_um)
    assert found.se_um < 0.005
    assert found.lines == 16


def test_steps_that_cannot_be_measured():
    with pytest.raises(InputError, match="kind is 'hole'; give one of edge, groove"):
        step_of_profile(X, levels("edge", 1.0), "hole")
    with pytest.raises(InputError, match="5 points of the profile were measured; give at least 12"):
        step_of_profile(X[:5], X[:5], "edge")
    with pytest.raises(InputError, match="the profile is straight: there is no step in it"):
        step_of_profile(X, np.zeros(200), "edge")
    with pytest.raises(InputError, match="show at least half its width on either side"):
        step_of_profile(X, np.where((X > 10) & (X < 80), 1.0, 0.0), "groove")
    missing = levels("groove", 1.0)
    missing[85:120] = np.nan
    with pytest.raises(InputError, match=r"points from .* µm were measured; give a longer profile"):
        step_of_profile(X, missing, "groove")
    with pytest.raises(InputError, match=r"the map has shape \(1, 200\)"):
        step_of_map(levels("edge", 1.0)[None, :], pixel_um=0.5, kind="edge")
