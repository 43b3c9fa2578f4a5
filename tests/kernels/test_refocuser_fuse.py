"""How the refocuser weighs its window sizes, against the definition in float64."""

import numpy as np
import pytest

from tests.reference import refocuser_fuse
from tests.support.refocuser_scans import DEPTH_UM, core_of, pushed, scan_of


def assert_fused_as_defined(frames, z, window=(5, 5)):
    core = pushed(frames, z, window=window)
    height, sigma, _ = core.finish()
    maxima = [core.peaks(level) for level in range(core.levels)]
    want, want_sigma = refocuser_fuse.fuse(maxima, core.noise, DEPTH_UM, window)
    np.testing.assert_array_equal(np.isnan(height), np.isnan(want))
    np.testing.assert_array_equal(np.isnan(sigma), np.isnan(want))
    known = np.isfinite(want)
    # A maximum chosen, or a difference taken for an outlier, at equal odds.
    off = np.abs(height - want)[known] > 1e-4
    assert off.mean() < 1e-3
    np.testing.assert_allclose(sigma[known][~off], want_sigma[known][~off], rtol=2e-3)
    for beside in (False, True):
        want_textured = refocuser_fuse.textured(maxima, core.noise, window, beside=beside)
        # Thresholds are met to a rounding.
        assert (core.textured(beside).astype(bool) == want_textured).mean() > 0.999
    return np.isnan(want).mean()


@pytest.mark.parametrize("noise", [1.0, 5.0, 15.0])
@pytest.mark.parametrize(
    ("shape", "window"), [((64, 256), (5, 5)), ((132, 272), (3, 9)), ((20, 20), (5, 5)), ((9, 7), (5, 5))]
)
def test_windows_are_weighed_as_defined(shape, window, noise):
    frames, z = scan_of(shape, 24, np.uint16, noise=noise)
    assert_fused_as_defined(frames, z, window)


def test_windows_are_weighed_as_defined_where_some_see_nothing():
    frames, z = scan_of((96, 128), 24, np.uint8)
    frames[:, 20:80, 30:100] = 90
    assert assert_fused_as_defined(frames, z) > 0.1
    assert not pushed(frames, z).textured(True)[24:76, 34:96].any()
    assert pushed(frames, z).textured(True)[:14].mean() > 0.9


def test_texture_is_looked_for_when_the_scan_has_ended():
    core = core_of((20, 30))
    with pytest.raises(ValueError, match="refocuser: the scan has not ended, so maxima may still come"):
        core.textured(False)


@pytest.mark.parametrize("shape", [(63, 255), (130, 141)])
def test_windows_are_weighed_as_defined_at_odd_edges(shape):
    assert_fused_as_defined(*scan_of(shape, 24, np.uint16))
