"""Hills of a surface against a slow flood from the top, and against a metrology package."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lee.devices.virtual.scene.texture import smooth_field
from lee.surfaces.roughness.hills import hills


def flooded(height, least):
    """Number of hills of at least this prominence: pixels rise from the water one by one, highest first."""
    prominence, of = {}, {}

    def root(at):
        while of[at] != at:
            at = of[at]
        return at

    pixels = [tuple(p) for p in np.argwhere(np.isfinite(height))]
    for y, x in sorted(pixels, key=lambda p: -height[p]):
        near = {root((y + dy, x + dx)) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (y + dy, x + dx) in of}
        of[y, x] = (y, x)
        ordered = sorted(near, key=lambda p: height[p])
        if ordered:
            of[y, x] = ordered[-1]
        for lower in ordered[:-1]:
            prominence[lower] = height[lower] - height[y, x]
            of[lower] = ordered[-1]
    islands = sum(of[p] == p for p in of)
    return islands + sum(v >= least for v in prominence.values())


@settings(max_examples=40, deadline=None)
@given(
    arrays.arrays(
        np.float64,
        arrays.array_shapes(min_dims=2, max_dims=2, max_side=9),
        elements=st.sampled_from([0.0, 1.0, 1.5, 2.0, 3.0, np.nan]),
    ),
    st.sampled_from([0.25, 0.5, 1.0, 2.0]),
)
def test_as_many_hills_as_the_flood_leaves(height, least):
    found = hills(height, least)
    assert len(found.y) == flooded(height, least)


def test_as_many_hills_as_a_metrology_package():
    surfalize = pytest.importorskip("surfalize")
    height = smooth_field((160, 140), 7, np.random.default_rng(3)).astype(np.float64)
    theirs = surfalize.Surface(height.copy(), 1, 1)
    area = theirs.projected_area()
    assert len(hills(height, 0.05 * np.ptp(height)).y) == round(theirs.Spd(exclude_edge=False) * area)


def test_peaks_are_where_they_are_and_as_prominent_as_they_are():
    y, x = np.mgrid[:60, :90]
    height = sum(
        a * np.exp(-((y - v) ** 2 + (x - u) ** 2) / 50) for v, u, a in ((30, 20, 3.0), (30, 60, 2.0))
    )
    found = hills(height, 0.5)
    assert sorted(zip(found.y.tolist(), found.x.tolist(), strict=True)) == [(30, 20), (30, 60)]
    assert found.inside.all()
    lower = found.prominence_um[np.isfinite(found.prominence_um)]
    assert lower == pytest.approx([2 - height[30, 20:60].min()], abs=1e-6)
    edge = hills(np.tile(np.arange(9.0), (9, 1)), 0.5)
    assert not edge.inside.any()  # a slope that the border cuts is no peak
