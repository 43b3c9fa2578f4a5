"""Grids and means keep slopes up to the edge, cells their sum, and a plane has no detail."""

import numpy as np
import pytest

from lee.reconstruction.second_look.detail import (
    REACH_PX,
    block_sum,
    laplacian,
    smooth,
    spread,
    spread_on,
    straightened,
)


def plane(shape, down=0.3, across=-0.2):
    y, x = np.indices(shape) + 0.5
    return (1 + down * y + across * x).astype(np.float32)


def test_a_plane_has_no_detail_and_a_spot_has_the_kernel_s():
    assert laplacian(plane((9, 12))).shape == (9 - 2 * REACH_PX, 12 - 2 * REACH_PX)
    np.testing.assert_allclose(laplacian(plane((9, 12))), 0, atol=1e-5)
    spot = np.zeros((9, 9), np.float32)
    spot[4, 4] = 1
    seen = laplacian(spot)
    assert seen.sum() == pytest.approx(0, abs=1e-6)
    assert seen[2, 2] < -1
    np.testing.assert_allclose(seen, seen.T)


@pytest.mark.parametrize("side", [1, 2, 4])
def test_cells_keep_the_sum_and_a_plane_to_its_edge(side):
    image = plane((16, 24))
    cells = block_sum(image, side)
    assert cells.sum() == pytest.approx(image.sum(), rel=1e-5)
    np.testing.assert_allclose(spread_on(cells / side**2, side), image, atol=1e-4)
    inside = np.s_[side:-side, side:-side]
    np.testing.assert_allclose(spread(cells / side**2, side)[inside], image[inside], atol=1e-4)


@pytest.mark.parametrize("extent", [(48.0, 64.0), (44.5, 60.25)])
def test_means_beside_the_edge_follow_the_slope(extent):
    high, wide = (int(np.ceil(n)) for n in extent)
    image = plane((48, 64))
    seen = np.zeros_like(image)
    seen[:high, :wide] = 1
    means = smooth(image * seen, 2.0) / np.maximum(smooth(seen, 2.0), 1e-6)
    off = np.abs(means - image)[:high, :wide]
    left = np.abs(straightened(means, 2.0, extent) - image)[:high, :wide]
    assert off.max() > 0.3
    assert left.max() < 0.35 * off.max()
    np.testing.assert_array_equal(straightened(means[:6, :6], 2.0, (6.0, 6.0)), means[:6, :6])
