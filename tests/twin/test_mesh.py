"""Columns of hexahedra over a height map: what is kept, what is smoothed away, what is refused."""

import numpy as np
import pytest

import lee.twin.mesh.columns
from lee.errors import InputError
from lee.twin import Cell, MeshSize
from lee.twin.mesh.columns import make_columns


def mesh_over(height, *, pixel_um=1.0, cell=None, **size):
    return make_columns(height, pixel_um=pixel_um, cell=cell or Cell(), size=MeshSize(**size))


def test_layers_grow_from_the_first_by_one_factor_to_the_bulk_plane():
    height = np.zeros((8, 8))
    height[3, 3] = 5.0
    columns = mesh_over(height, layers=20, first_um=0.5, smooth_um=0.0)
    assert columns.shape == (9, 9, 21)
    assert columns.plane_um == pytest.approx(columns.height_um.max() + 100)
    z = columns.z_um(columns.height_um, columns.plane_um)
    np.testing.assert_allclose(z[..., 0], columns.height_um)
    np.testing.assert_allclose(z[..., -1], columns.plane_um)
    steps = np.diff(columns.share) * 100
    assert steps[0] == pytest.approx(0.5)
    np.testing.assert_allclose(steps[1:] / steps[:-1], steps[1] / steps[0], rtol=1e-6)


def test_a_gap_is_graded_toward_both_electrodes():
    columns = mesh_over(np.zeros((2, 2)), cell=Cell(gap_um=500.0), layers=24)
    assert columns.plane_um == 500.0
    np.testing.assert_allclose(columns.share, 1 - columns.share[::-1], atol=1e-12)
    assert np.diff(columns.share)[0] * 500 == pytest.approx(2.0)


def test_a_gap_may_have_two_layers():
    columns = mesh_over(np.zeros((2, 2)), cell=Cell(gap_um=500.0), layers=2)
    np.testing.assert_allclose(columns.share, [0.0, 0.5, 1.0])


def test_columns_are_the_pixels_up_to_64_then_square_cells():
    assert mesh_over(np.zeros((10, 20))).shape[:2] == (11, 21)
    assert mesh_over(np.zeros((100, 200))).shape[:2] == (33, 65)
    assert mesh_over(np.zeros((100, 200)), columns=(5, 7)).shape[:2] == (6, 8)


def test_smooth_heights_are_kept_and_the_area_lost_is_reported():
    x = np.mgrid[:128, :128][1]
    height = 3 * np.cos(np.pi * (x + 0.5) / 64)
    columns = mesh_over(height, columns=(32, 32))
    np.testing.assert_allclose(columns.height_um[4], 3 * np.cos(np.pi * columns.x_um / 64), atol=0.05)
    assert "columns and 19 layers" in columns.notes[-1]
    np.testing.assert_allclose(columns.area_factor, 1, atol=0.002)
    rough = mesh_over(height + 0.8 * np.cos(np.pi * x / 3), columns=(32, 32))
    assert float(rough.notes[-1].split(", ")[-1].split(" %")[0]) > 10
    np.testing.assert_allclose(rough.height_um[:, 2:-2], columns.height_um[:, 2:-2], atol=0.1)
    # What the mesh does not show stays with its columns.
    assert rough.area_factor[4:-4, 4:-4].min() > 1.1


def test_maps_go_to_columns_and_back():
    y, x = (np.mgrid[:20, :30] + 0.5) * 2.0
    columns = mesh_over(np.zeros((20, 30)), pixel_um=2.0, columns=(10, 15))
    plain = 1 + 0.1 * x - 0.2 * y
    nodes = columns.to_nodes(plain)
    np.testing.assert_allclose(
        nodes[1:-1, 1:-1], (1 + 0.1 * columns.x_um - 0.2 * columns.y_um[:, None])[1:-1, 1:-1]
    )
    np.testing.assert_allclose(columns.to_pixels(nodes)[2:-2, 2:-2], plain[2:-2, 2:-2])
    assert columns.to_pixels(np.stack([nodes, nodes])).shape == (2, 20, 30)


def test_what_was_not_measured_is_filled_and_reported():
    height = np.full((16, 16), 4.0)
    height[5:9, 5:9] = np.nan
    columns = mesh_over(height)
    np.testing.assert_allclose(columns.pixels_um, 4.0, atol=1e-5)
    assert columns.filled.sum() == 16
    assert "6.2 % of the surface was not measured" in columns.notes[0]


def test_steep_walls_are_reported_and_then_refused():
    x = np.arange(32) * 1.0
    assert "walls of up to 72 degrees" in mesh_over(np.tile(np.minimum(3.0 * x, 30), (4, 1))).notes[0]
    with pytest.raises(InputError, match=r"wall of 84 degrees near x = 15 µm.*larger smooth_um"):
        mesh_over(np.tile(np.where(x < 16, 0.0, 20.0), (4, 1)), smooth_um=0.0)


@pytest.mark.parametrize(
    ("height", "more", "message"),
    [
        (np.zeros(5), {}, r"height_um has the shape \(5,\); give a map \(H, W\)"),
        (np.full((3, 3), np.nan), {}, "NaN throughout; there is no surface"),
        (np.full((3, 3), np.inf), {}, "infinite heights; mark what was not measured with NaN"),
        (np.zeros((3, 3)), {"pixel_um": 0.0}, "give the size of a pixel in µm, above 0"),
        (np.zeros((3, 3)), {"layers": 1}, "give at least 2 layers"),
        (np.zeros((3, 3)), {"first_um": 200.0}, "the first thinner than the layer or gap"),
        (np.zeros((3, 3)), {"columns": (0, 3)}, "give at least one cell along y and along x"),
        (
            np.diag([0.0, 0, 9]),
            {"cell": Cell(gap_um=8.0)},
            "gap of 8 µm is too small for a relief that rises",
        ),
    ],
)
def test_what_cannot_be_meshed_is_reported_in_one_line(height, more, message):
    with pytest.raises(InputError, match=message) as caught:
        mesh_over(height, **more)
    assert "\n" not in str(caught.value)


def test_a_mesh_too_large_for_memory_is_refused_before_it_is_made(monkeypatch):
    monkeypatch.setattr(lee.twin.mesh.columns, "_available_bytes", lambda: 10**9)
    with pytest.raises(
        InputError, match=r"1,016,379 nodes needs about 7.* GB and 1\.0 GB are free; give fewer"
    ):
        mesh_over(np.zeros((220, 220)), columns=(220, 218), layers=20)
