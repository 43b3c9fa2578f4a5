"""A solution on disk: what is written comes back, in files that others read."""

import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tifffile
import xarray
from matplotlib.figure import Figure

from lee.errors import InputError
from lee.storage.map_tiff import read_map
from lee.twin import Cell
from lee.twin.comparison.compare import compare
from lee.twin.comparison.window import CellSection, window_current
from lee.twin.results import folder as output
from lee.twin.results.fields import cross_section, current_density
from lee.twin.results.figures import environment, potentials, scale_of, view, window_profile
from lee.twin.results.folder import MAPS, TIFFS, load_maps, save_solution
from lee.twin.results.vtu import write_electrode, write_fields
from tests.support.twin_solution import CURRENT_MA_PER_CM2, PIXEL_UM, SHAPE, made_solution


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    solution = made_solution()
    return solution, save_solution(
        solution, tmp_path_factory.mktemp("twin") / "solution", metadata={"surface": "made by hand"}
    )


def test_maps_come_back(written):
    solution, folder = written
    found = load_maps(folder)
    for name in MAPS:
        assert np.array_equal(getattr(found, name), getattr(solution, name)), name
    assert np.array_equal(found.times_s, solution.times_s)
    assert np.array_equal(found.filled, solution.filled)
    assert (found.pixel_um, found.kind, found.cell) == (PIXEL_UM, "tertiary", Cell())
    assert found.metadata == {"surface": "made by hand"}


def test_what_comes_back_is_compared_like_a_solution(written):
    solution, folder = written
    measured = solution.height_rate_nm_per_s[-1] + 2
    kept, fresh = (compare(one, measured).statistics for one in (load_maps(folder), solution))
    assert kept.equals(fresh)


def test_xarray_opens_the_maps_with_dimensions_and_units(written):
    solution, folder = written
    opened = xarray.open_zarr(folder / "maps.zarr")
    assert dict(opened.sizes) == {"t": 2, "y": SHAPE[0], "x": SHAPE[1]}
    assert set(opened.coords) == {"time_s", "y_um", "x_um"}
    assert opened.height_rate_nm_per_s.attrs["units"] == "nm/s"
    assert opened.electrode_v.attrs["units"] == "V"
    assert np.array_equal(opened.potential_v.values, solution.potential_v)
    assert opened.x_um.values[1] == PIXEL_UM


def test_every_map_is_a_tiff_that_knows_its_pixels(written):
    solution, folder = written
    names = sorted(path.name for path in (folder / "maps").iterdir())
    assert len(names) == 2 * len(TIFFS)
    values, pixel_um = read_map(folder / "maps" / "height_rate_nm_per_s_0001_100s.tif")
    assert np.array_equal(values, solution.height_rate_nm_per_s[1])
    assert pixel_um == pytest.approx(PIXEL_UM)
    with tifffile.TiffFile(folder / "maps" / names[0]) as tif:
        assert tif.imagej_metadata["unit"] == "um"


def test_the_folder_reports_what_was_assumed_and_how_it_went(written):
    solution, folder = written
    described = json.loads((folder / "solution.json").read_text())
    assert described["notes"] == ["made by hand"]
    assert described["largest_mass_error"] == 2e-9
    assert described["steps"] == 2
    assert described["cell"]["transference"] == 0.398
    assert described["maps"]["normal_rate_nm_per_s"][0]["median"] == pytest.approx(
        np.median(solution.normal_rate_nm_per_s[0])
    )
    balances = pd.read_csv(folder / "balances.csv")
    assert list(balances.time_s) == [1.0, 100.0]
    assert list(balances.last_residual) == [1e-9, 1e-9]
    for name in ("environment.png", "potentials.png", "electrode.png"):
        assert (folder / name).stat().st_size > 20_000
    assert not list(folder.glob("*.mp4"))


def read_vtu(path):
    """Read a VTU with raw appended data, following the XML alone."""
    text = path.read_bytes()
    start = text.index(b"_", text.index(b"<AppendedData")) + 1
    head = text[: text.index(b"<AppendedData")] + b"</VTKFile>"
    tree = ElementTree.fromstring(head)
    assert tree.attrib["header_type"] == "UInt64"
    kinds = {"Float32": "<f4", "Float64": "<f8", "Int64": "<i8", "UInt8": "u1"}
    arrays, end = {}, 0
    for node in tree.iter("DataArray"):
        at = start + int(node.attrib["offset"])
        size = int(np.frombuffer(text, "<u8", 1, at)[0])
        values = np.frombuffer(text[at + 8 : at + 8 + size], kinds[node.attrib["type"]])
        parts = int(node.attrib["NumberOfComponents"])
        arrays[node.attrib["Name"]] = values.reshape(-1, parts) if parts > 1 else values
        end = max(end, at + 8 + size)
    assert text[end:] == b"\n</AppendedData>\n</VTKFile>\n"
    piece = tree.find(".//Piece").attrib
    return arrays, int(piece["NumberOfPoints"]), int(piece["NumberOfCells"])


def test_fields_are_hexahedra_of_positive_volume_that_fill_the_electrolyte(tmp_path):
    solution = made_solution()
    write_fields(tmp_path / "fields.vtu", solution, 1)
    arrays, points, cells = read_vtu(tmp_path / "fields.vtu")
    ny, nx, nz = solution.fields.z_um.shape[1:]
    assert (points, cells) == (ny * nx * nz, (ny - 1) * (nx - 1) * (nz - 1))
    corner = arrays["Points"][arrays["connectivity"].reshape(-1, 8)]
    # VTK's order: four around below, four around above, both counterclockwise seen from above.
    edges = [corner[:, k] - corner[:, 0] for k in (1, 3, 4)]
    assert (np.einsum("ij,ij->i", np.cross(edges[0], edges[1]), edges[2]) > 0).all()
    assert np.allclose(corner[:, 4:, :2], corner[:, :4, :2])
    seen = np.cross(edges[0], edges[1])[:, 2].reshape(-1, nz - 1)[:, 0].sum()
    assert seen == pytest.approx(SHAPE[0] * SHAPE[1] * PIXEL_UM**2)
    assert set(arrays["types"]) == {12}
    assert arrays["offsets"][-1] == 8 * cells
    # Rows run down the image, y up.
    assert arrays["Points"][0, 1] == SHAPE[0] * PIXEL_UM
    assert np.allclose(arrays["concentration_mol_per_l"], solution.fields.concentration_mol_per_l[1].ravel())


def test_the_electrode_is_quadrilaterals_that_look_up(tmp_path):
    solution = made_solution()
    write_electrode(tmp_path / "electrode.vtu", solution, 0)
    arrays, _, cells = read_vtu(tmp_path / "electrode.vtu")
    corner = arrays["Points"][arrays["connectivity"].reshape(-1, 4)]
    assert (np.cross(corner[:, 1] - corner[:, 0], corner[:, 3] - corner[:, 0])[:, 2] > 0).all()
    assert set(arrays["types"]) == {9}
    assert cells == len(corner)
    assert np.allclose(arrays["normal_rate_nm_per_s"], 38)
    assert np.allclose(arrays["Points"][:, 2], solution.fields.z_um[0][..., 0].ravel())


def test_vtk_itself_reads_the_fields(tmp_path):
    pyvista = pytest.importorskip("pyvista")
    write_fields(tmp_path / "fields.vtu", made_solution(), 1)
    grid = pyvista.read(tmp_path / "fields.vtu")
    assert grid.compute_cell_sizes()["Volume"].min() > 0


def test_paraview_collections_name_every_file(written):
    solution, folder = written
    for part in ("electrolyte", "electrode"):
        tree = ElementTree.parse(folder / "fields" / f"{part}.pvd")
        entries = [node.attrib for node in tree.iter("DataSet")]
        assert [float(e["timestep"]) for e in entries] == list(solution.times_s)
        assert all((folder / "fields" / e["file"]).is_file() for e in entries)


def test_the_current_is_the_gradients_on_a_sheared_mesh():
    # The potential of the fixture makes 80 mA/cm² straight down, also where the columns' layers slope.
    current = current_density(made_solution(), 1)
    assert np.allclose(current[..., 2], -CURRENT_MA_PER_CM2, rtol=1e-9)
    assert np.abs(current[..., :2]).max() < 0.05 * CURRENT_MA_PER_CM2
    # What is left sideways is the relief's own curvature between nodes, second order in their distance.
    flat = cross_section(made_solution(), 1)
    x, z, along_x, along_z = flat.on_grid(40, 30)
    inside = z[:, None] < np.interp(x, flat.x_um, flat.z_um[:, 0])[None, :]
    assert np.isnan(along_z[inside]).all()
    assert np.allclose(along_z[~inside], -CURRENT_MA_PER_CM2)
    assert np.isfinite(along_x[~inside]).all()


def test_a_section_runs_through_the_deepest_place_or_where_it_is_asked():
    solution = made_solution()
    deepest = cross_section(solution, 0)
    assert deepest.z_um[:, 0].min() == solution.fields.z_um[0][..., 0].min()
    assert cross_section(solution, 0, y_um=11.0).y_um == pytest.approx(12.0, abs=2.0)
    with pytest.raises(InputError, match="y = 99 µm is outside the field, 0 to 24 µm"):
        cross_section(solution, 0, y_um=99)


def test_films_are_written_of_four_times_or_more(tmp_path, monkeypatch):
    for name in ("environment", "potentials"):
        monkeypatch.setattr(output, name, lambda solution: Figure())
    monkeypatch.setattr(output, "view", lambda solution, path: path.write_bytes(b""))
    folder = save_solution(made_solution(times_s=(1, 2, 3, 4)), tmp_path / "solution")
    for name in ("concentration.mp4", "height_rate.mp4"):
        assert b"moov" in (folder / name).read_bytes()[:65536]
    assert not (folder / "growth.mp4").exists()
    again = save_solution(made_solution(times_s=(1, 2, 3, 4)), folder, overwrite=True, films=False)
    assert not list(again.glob("*.mp4"))


def test_figures_of_one_time_and_of_primary_distributions_are_drawn(tmp_path):
    one = made_solution(times_s=(5.0,), kind="primary")
    figure = environment(one, y_um=10.0)
    assert "primary distribution" in figure.get_suptitle()
    # Three maps and one section, each with its colour bar.
    assert len(figure.axes) == 4
    assert [len(axes.child_axes) for axes in figure.axes] == [1] * 4
    labels = [axes.child_axes[0].get_ylabel() for axes in figure.axes]
    assert labels == ["c (mol/L)", "i (mA/cm²)", "height rate (nm/s)", "c (mol/L)"]
    assert len(potentials(one).axes) == 2
    view(one, tmp_path / "view.png", name="current_density_ma_per_cm2", k=0)
    assert (tmp_path / "view.png").stat().st_size > 20_000


def test_times_are_chosen_so_that_the_start_does_not_take_up_the_colours():
    grown = made_solution(times_s=(0.0, 1.0, 2.0, 3.0, 4.0), grown_um=0.5)
    titles = [axes.get_title() for axes in environment(grown).figure.axes]
    assert titles[0::3][:3] == ["concentration, 1 s", "concentration, 3 s", "concentration, 4 s"]
    # All sections at one place, though the deepest wanders.
    assert len({title.split(",")[0] for title in titles[9:]}) == 1


def test_a_time_whose_contrast_common_colours_hide_is_drawn_on_its_own_too():
    made = made_solution(times_s=(1.0, 2.0))
    offset = np.array([0.0, 100.0], np.float32)[:, None, None]
    moved = replace(made, current_density_ma_per_cm2=made.current_density_ma_per_cm2 + offset)
    titles = [axes.get_title() for axes in environment(moved).axes]
    assert [title for title in titles if title.startswith("current density, 2 s")] == [
        "current density, 2 s", "current density, 2 s, own scale",
    ]  # fmt: skip
    assert not any("own scale" in axes.get_title() for axes in environment(made).axes)


def test_the_window_is_drawn_with_both_means():
    pytest.importorskip("ngsolve")
    found = window_current(Cell(), CellSection(extension_um=600))
    axes = window_profile(found, (200.0, 400.0)).axes[0]
    line = axes.lines[0]
    inside = (line.get_xdata() >= 0.2) & (line.get_xdata() <= 0.4)
    assert line.get_ydata()[inside].mean() == pytest.approx(found.window_ma_per_cm2, rel=0.02)
    words = [text.get_text() for text in axes.get_legend().get_texts()]
    assert f"mean in the window {found.window_ma_per_cm2:.1f}, {100 * found.loss:.1f} % lower" in words


def test_a_uniform_map_is_drawn_in_one_colour():
    scale = scale_of(np.full((1, 4, 4), 80.0, np.float32) + 1e-5, "viridis")
    assert scale.high - scale.low == pytest.approx(0.08)
    assert scale.low < 80 < scale.high


def test_an_older_folder_is_not_lost(written, tmp_path):
    solution, folder = written
    with pytest.raises(InputError, match="exists already"):
        save_solution(solution, folder)
    other = tmp_path / "measurements"
    other.mkdir()
    (other / "notes.txt").write_text("do not lose")
    with pytest.raises(InputError, match=re.escape("also holds 'notes.txt'")):
        save_solution(solution, other, overwrite=True)


def test_a_solution_without_a_time_is_refused(tmp_path):
    empty = made_solution(times_s=())
    with pytest.raises(InputError, match="no time was reached"):
        save_solution(empty, tmp_path / "solution")
    assert not (tmp_path / "solution").exists()


def test_damaged_folders_are_reported(written, tmp_path):
    with pytest.raises(
        InputError, match=r"holds no solution\.json: give a folder written by `lee twin solve`"
    ):
        load_maps(tmp_path)
    (tmp_path / "solution.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        load_maps(tmp_path)
    (tmp_path / "solution.json").write_text(json.dumps({"format": "lee twin", "format_version": 99}))
    with pytest.raises(InputError, match="update lee"):
        load_maps(tmp_path)


def test_a_growth_keeps_its_heights_and_few_of_the_large_fields(tmp_path, monkeypatch):
    for name in ("environment", "potentials"):
        monkeypatch.setattr(output, name, lambda solution: Figure())
    monkeypatch.setattr(output, "view", lambda solution, path: path.write_bytes(b""))
    grown = made_solution(times_s=tuple(range(1, 15)), grown_um=0.5)
    folder = save_solution(grown, tmp_path / "grown")
    assert b"moov" in (folder / "growth.mp4").read_bytes()[:65536]
    volumes = sorted(path.name for path in (folder / "fields").glob("electrolyte_*.vtu"))
    assert len(volumes) == 12
    assert (volumes[0], volumes[-1]) == ("electrolyte_0000.vtu", "electrolyte_0013.vtu")
    assert len(list((folder / "fields").glob("electrode_*.vtu"))) == 14
    entries = ElementTree.parse(folder / "fields" / "electrolyte.pvd").iter("DataSet")
    assert [node.attrib["file"] for node in entries] == volumes
    height, _ = read_map(folder / "maps" / "height_um_0013_14s.tif")
    assert np.array_equal(height, grown.height_um[13])
    assert load_maps(folder).height_um[13].mean() - load_maps(folder).height_um[0].mean() > 6
