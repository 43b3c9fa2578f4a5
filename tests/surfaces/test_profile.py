"""Profiles read maps along a line, in µm; what was not measured stays so."""

from __future__ import annotations

import numpy as np
import pytest

from lee.errors import InputError
from lee.surfaces.profile import profile

Y, X = np.mgrid[:80, :120] * 0.5


def test_bilinear_fields_are_read_exactly() -> None:
    found = profile(2 * Y - X, X, Y, ((3.2, 5.1), (33.2, 45.1)), pixel_um=0.5)
    assert found.distance_um[0] == 0
    assert found.distance_um[-1] == pytest.approx(50)
    assert np.diff(found.distance_um).max() <= 0.5
    along = found.distance_um / 50
    np.testing.assert_allclose(found.rate_nm_per_s, 3.2 + 30 * along)
    np.testing.assert_allclose(found.mean_per_um, 5.1 + 40 * along)
    np.testing.assert_allclose(found.height_um, 1.3 + 20 * along)


def test_gaps_stay_gaps_and_a_band_bridges_what_is_narrow() -> None:
    height = Y + 0
    height[20, 40] = np.nan
    height[:, 80:90] = np.nan
    line = ((10.0, 2.0), (10.0, 58.0))
    one = profile(height, X, Y, line, pixel_um=0.5)
    wide = profile(height, X, Y, line, pixel_um=0.5, width_um=3.0)
    inside = (one.distance_um > 38.1) & (one.distance_um < 42.4)
    assert np.isnan(one.height_um[inside]).all()
    assert np.isnan(wide.height_um[inside]).all()
    at = np.argmin(np.abs(one.distance_um - 18))
    assert np.isnan(one.height_um[at])
    assert wide.height_um[at] == pytest.approx(10, abs=0.3)
    assert np.isfinite(one.rate_nm_per_s).all()


def test_a_band_averages_across_the_line() -> None:
    rng = np.random.default_rng(0)
    noisy = rng.normal(0, 1, Y.shape)
    one, wide = (
        profile(noisy, X, Y, ((20, 2), (20, 58)), pixel_um=0.5, width_um=width).height_um.std()
        for width in (0, 4)
    )
    assert wide < 0.5 * one


def test_ends_on_the_border_are_inside() -> None:
    found = profile(Y, X, Y, ((0, 0), (39.5, 59.5)), pixel_um=0.5)
    assert np.isfinite(found.height_um).all()


def test_bad_lines_are_one_line() -> None:
    with pytest.raises(InputError, match=r"leaves the field, which ends at \(39.5, 59.5\) µm"):
        profile(Y, X, Y, ((0, 0), (10, 80)), pixel_um=0.5)
    with pytest.raises(InputError, match=r"0.1 µm long, a pixel 0.5 µm: draw it longer"):
        profile(Y, X, Y, ((5, 5), (5, 5.1)), pixel_um=0.5)
    with pytest.raises(InputError, match=r"the line must be y0,x0,y1,x1"):
        profile(Y, X, Y, ((5, 5), (np.nan, 5.1)), pixel_um=0.5)
    with pytest.raises(InputError, match=r"give three equal maps"):
        profile(Y, X[:5], Y, ((5, 5), (9, 5)), pixel_um=0.5)
