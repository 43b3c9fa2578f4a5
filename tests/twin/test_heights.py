"""A Surface goes in wherever a height map does, with its own filled heights and its mask."""

import numpy as np
import pytest

from lee.errors import InputError
from lee.surfaces.surface import Surface
from lee.twin import Cell, MeshSize, compare, export_comsol, grow, solve
from lee.twin.mesh.heights import whole_heights

PIXEL_UM = 4.0
SIZE = MeshSize(columns=(6, 8), layers=6)
COMMON = {"cell": Cell(), "mesh": SIZE, "report": None}


def measured():
    """A relief with a hole, whose filled heights lie deeper than what is around it."""
    y, x = (np.mgrid[:12, :16] + 0.5) * PIXEL_UM
    height = (3 * np.sin(x / 10) + 0.05 * y).astype(np.float32)
    filled = height.copy()
    height[4:7, 5:9] = np.nan
    filled[4:7, 5:9] -= 6
    unknown = np.full(height.shape, np.nan, np.float32)
    sigma = np.where(np.isfinite(height), np.float32(0.1), unknown)
    return Surface(height, filled, sigma, np.isfinite(height), unknown, PIXEL_UM)


def test_a_surface_brings_its_filled_heights_its_mask_and_its_pixel_size():
    surface = measured()
    heights = whole_heights(surface)
    np.testing.assert_array_equal(heights.height_um, surface.height_filled_um)
    np.testing.assert_array_equal(heights.filled, ~surface.valid)
    assert heights.pixel_um == PIXEL_UM
    assert (
        "6.2 % of the surface was not measured and has the surface's own filled heights" in heights.notes[0]
    )
    alone = whole_heights(surface.height_um, PIXEL_UM)
    np.testing.assert_array_equal(alone.height_um[surface.valid], surface.height_um[surface.valid])
    # Without them the hole is filled from around.
    assert (alone.height_um - heights.height_um)[~surface.valid].min() > 3
    with pytest.raises(InputError, match="twin: the size of a pixel is missing; give pixel_um in µm"):
        whole_heights(surface.height_um)


@pytest.mark.parametrize("compute", [solve, pytest.param(grow, marks=pytest.mark.slow)])
def test_solve_and_grow_take_a_surface(compute):
    pytest.importorskip("ngsolve")
    surface = measured()
    found = compute(surface, times_s=[0.0, 1.0], **COMMON)
    same = compute(surface.height_filled_um, pixel_um=PIXEL_UM, times_s=[0.0, 1.0], **COMMON)
    # The surface states its errors, whose area the map alone does not tell from relief.
    np.testing.assert_allclose(found.normal_rate_nm_per_s, same.normal_rate_nm_per_s, rtol=2e-3)
    np.testing.assert_array_equal(found.filled, ~surface.valid)
    np.testing.assert_array_equal(found.measured, surface.valid)
    assert not same.filled.any()


def test_compare_and_the_comsol_export_take_a_surface(tmp_path):
    surface = measured()
    rates = np.full(surface.shape, 30.0)
    found = compare(rates, rates, height_um=surface)
    same = compare(rates, rates, height_um=surface.height_filled_um, pixel_um=PIXEL_UM)
    np.testing.assert_array_equal(found.computed_nm_per_s, same.computed_nm_per_s)
    options = {"cell": Cell(), "times_s": [1], "mesh": SIZE, "build": "never"}
    one = export_comsol(surface, tmp_path / "one", **options)
    other = export_comsol(surface.height_filled_um, tmp_path / "other", pixel_um=PIXEL_UM, **options)
    for name in ("height.txt", "mesh.mphtxt"):
        assert (one / name).read_bytes() == (other / name).read_bytes()


def test_the_command_takes_the_filled_heights_of_a_folder(tmp_path):
    from lee.cli.twin.options import InputOptions

    surface = measured()
    surface.save(tmp_path / "surface")
    options = {"cell": None, "exchange_current": None, "efficiency": None, "columns": 8, "layers": 6,
               "first_um": None, "tolerance": 1e-4, "smooth_um": None, "pixel_um": None}  # fmt: skip
    for path in (tmp_path / "surface", tmp_path / "surface" / "height_um.tif"):
        given = InputOptions(surface=path, **options).read()
        np.testing.assert_array_equal(given.heights.height_filled_um, surface.height_filled_um)
    # A single map stores none: the twin fills its holes.
    (tmp_path / "alone").mkdir()
    (tmp_path / "surface" / "height_um.tif").rename(tmp_path / "alone" / "height_um.tif")
    given = InputOptions(surface=tmp_path / "alone" / "height_um.tif", **options).read()
    np.testing.assert_array_equal(given.heights, surface.height_um)
