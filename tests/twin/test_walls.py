"""Steep walls and ripples on the default mesh, against solutions that resolve them.

`python -m bench.twin_accuracy walls ripple` computes the resolved currents: triangles of fourth order that
follow the outline.
"""

import numpy as np
import pytest

from bench.twin_accuracy import ZONES, on_the_mesh, ripple, trench

pytest.importorskip("ngsolve")


@pytest.mark.parametrize(
    ("angle", "depth_um", "top", "floor", "columns", "most"),
    [
        (45.0, 20.0, 75.752, 70.761, 64, 0.003),
        (60.0, 40.0, 68.896, 59.297, 64, 0.004),
        (75.0, 20.0, 71.899, 66.871, 64, 0.005),
        (90.0, 20.0, 69.569, 64.499, 40, 0.004),
        (90.0, 20.0, 69.569, 64.499, 64, 0.004),
        (90.0, 40.0, 62.251, 53.271, 40, 0.0065),
        (90.0, 40.0, 62.251, 53.271, 64, 0.0065),
    ],
)
def test_currents_beside_steep_walls(angle, depth_um, top, floor, columns, most):
    """mA/cm² on the level top and floor of a trench; walls of 90 degrees are smoothed, their area kept."""
    found = on_the_mesh(trench(angle, depth_um), list(ZONES.values()), 0.5, columns)
    assert found == pytest.approx([top, floor], rel=most)


def test_a_ripple_finer_than_the_mesh_draws_the_current_of_its_area():
    rippled, smooth = on_the_mesh(ripple(), [(0.0, 40.0), (75.0, 100.0)], 0.125, 32)
    assert rippled == pytest.approx(88.864, rel=0.005)
    assert smooth == pytest.approx(71.201, rel=0.005)


def test_walls_of_90_degrees_are_smoothed_unless_the_smoothing_is_given():
    from lee.errors import InputError
    from lee.twin import Cell, MeshSize
    from lee.twin.mesh.columns import MAX_SLOPE, make_columns

    step = np.where(np.arange(64) < 32, 0.0, 40.0)[None].repeat(4, axis=0)
    made = make_columns(step, pixel_um=1.0, cell=Cell(), size=MeshSize())
    assert np.abs(np.diff(made.height_um, axis=1)).max() <= MAX_SLOPE
    assert made.area_factor.max() > 1.05
    with pytest.raises(InputError, match="wall of 87 degrees near x = "):
        make_columns(step, pixel_um=1.0, cell=Cell(), size=MeshSize(smooth_um=0.0))
