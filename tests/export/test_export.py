import errno
import hashlib
import json
import struct
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from lee.errors import InputError, MissingDependency, StorageError
from lee.export.export import export
from lee.export.mesh import block_mean, build_mesh
from lee.export.registry import exporters
from lee.surfaces.surface import Surface

PIXEL_UM = 0.5
ROWS, COLUMNS = 12, 16


def marked_surface() -> Surface:
    """Flat at 10 um but for a peak at row 2, column 12, with a bright patch at the image's top left."""
    height = np.full((ROWS, COLUMNS), 10, np.float32)
    height[2, 12] = 14
    image = np.full((ROWS, COLUMNS), 50, np.float32)
    image[:4, :5] = 200
    valid = np.ones((ROWS, COLUMNS), bool)
    valid[8:, :3] = False
    gaps = np.where(valid, height, np.float32(np.nan))
    return Surface(gaps, height, np.where(valid, np.float32(0.1), np.float32(np.nan)), valid, image, PIXEL_UM)


def check_geometry(vertices: np.ndarray, faces: np.ndarray) -> None:
    """Peak to the right and up, lengths in um, triangles counter-clockwise seen from the objective."""
    np.testing.assert_allclose(vertices[:, :2].min(axis=0), 0)
    np.testing.assert_allclose(vertices[:, :2].max(axis=0), [(COLUMNS - 1) * PIXEL_UM, (ROWS - 1) * PIXEL_UM])
    peak = vertices[vertices[:, 2].argmax()]
    np.testing.assert_allclose(peak, [12 * PIXEL_UM, (ROWS - 1 - 2) * PIXEL_UM, 14], rtol=1e-5)
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    assert (np.cross(b - a, c - a)[:, 2] > 0).all()


@pytest.mark.parametrize("suffix", [".obj", ".ply", ".stl"])
def test_models_read_elsewhere_have_the_right_shape(tmp_path: Path, suffix: str) -> None:
    trimesh = pytest.importorskip("trimesh")
    mesh = trimesh.load_mesh(export(marked_surface(), tmp_path / f"m{suffix}"), process=False)
    check_geometry(np.asarray(mesh.vertices), np.asarray(mesh.faces))
    assert len(mesh.faces) == 2 * (ROWS - 1) * (COLUMNS - 1)


@pytest.mark.parametrize("suffix", [".glb", ".gltf"])
def test_gltf_stands_upright_in_millimetres_a_micrometre(tmp_path: Path, suffix: str) -> None:
    trimesh = pytest.importorskip("trimesh")
    scene = trimesh.load_scene(export(marked_surface(), tmp_path / f"m{suffix}"))
    (mesh,) = scene.geometry.values()
    check_geometry(np.asarray(mesh.vertices), np.asarray(mesh.faces))
    assert mesh.visual.material.metallicFactor == 0
    low, high = scene.bounds
    np.testing.assert_allclose(high + low, 0, atol=1e-9)
    np.testing.assert_allclose(high - low, [7.5e-3, 4e-3, 5.5e-3], rtol=1e-5)  # glTF's y is up
    world = scene.to_geometry()
    peak = np.asarray(world.vertices)[np.asarray(world.vertices)[:, 1].argmax()]
    assert peak[0] > 0 > peak[2]  # right of the middle; the image's top is away from the viewer


@pytest.mark.parametrize("suffix", [".glb", ".obj"])
def test_the_picture_lies_the_right_way_round(tmp_path: Path, suffix: str) -> None:
    trimesh = pytest.importorskip("trimesh")
    mesh = trimesh.load(export(marked_surface(), tmp_path / f"m{suffix}"), force="mesh", process=False)
    vertices = np.asarray(mesh.vertices)
    if suffix == ".glb":
        vertices = vertices[:, [0, 2, 1]] * [1, -1, 1]
    bright = np.asarray(mesh.visual.to_color().vertex_colors)[:, :3].min(axis=1) > 128
    middle = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    assert bright.sum() >= 12
    assert (vertices[bright, 0] < middle[0]).all()
    assert (vertices[bright, 1] > middle[1]).all()


def test_glb_follows_the_container_format(tmp_path: Path) -> None:
    content = export(marked_surface(), tmp_path / "m.glb").read_bytes()
    magic, edition, length = struct.unpack_from("<4sII", content)
    assert (magic, edition, length) == (b"glTF", 2, len(content))
    size, kind = struct.unpack_from("<I4s", content, 12)
    assert kind == b"JSON"
    assert size % 4 == 0
    document = json.loads(content[20 : 20 + size])
    assert document["asset"]["extras"]["metres_per_um"] == 1e-3
    views = document["bufferViews"]
    assert all(view["byteOffset"] % 4 == 0 for view in views)
    picture = views[document["images"][0]["bufferView"]]
    start = 20 + size + 8 + picture["byteOffset"]
    assert content[start : start + 8] == b"\x89PNG\r\n\x1a\n"
    assert document["accessors"][0]["max"][2] == 14


def test_obj_finds_its_material_and_picture(tmp_path: Path) -> None:
    export(marked_surface(), tmp_path / "m.obj")
    assert "mtllib m.mtl" in (tmp_path / "m.obj").read_text()
    assert "map_Kd m.png" in (tmp_path / "m.mtl").read_text()
    assert Image.open(tmp_path / "m.png").size == (COLUMNS, ROWS)
    assert {entry.name for entry in tmp_path.iterdir()} == {"m.obj", "m.mtl", "m.png"}


def test_gaps_are_tinted_where_filled_and_open_where_not(tmp_path: Path) -> None:
    surface = marked_surface()
    filled, opened = build_mesh(surface, filled=True), build_mesh(surface, filled=False)
    assert len(filled.position_um) == ROWS * COLUMNS
    assert len(opened.position_um) == surface.valid.sum()
    assert opened.triangles.max() == len(opened.position_um) - 1
    assert np.isfinite(opened.position_um).all()
    assert np.isfinite(opened.normal).all()
    red, _, blue = filled.texture[10, 1].astype(int)
    assert red > blue + 50
    assert np.ptp(opened.texture[10, 1].astype(int)) == 0


def test_large_surfaces_are_averaged_not_skipped() -> None:
    surface = marked_surface()
    mesh = build_mesh(surface, max_vertices=50)
    assert len(mesh.position_um) == 6 * 8
    assert mesh.position_um[:, 2].max() == pytest.approx(11)  # the peak of 14 among three pixels of 10
    np.testing.assert_allclose(mesh.position_um[:, 0].max(), (COLUMNS - 1.5) * PIXEL_UM)


def test_blocks_at_the_edge_may_be_smaller() -> None:
    values = np.arange(15, dtype=np.float32).reshape(3, 5)
    values[0, 0] = np.nan
    mean, share = block_mean(values, 2)
    np.testing.assert_allclose(mean, [[(1 + 5 + 6) / 3, 5, 6.5], [10.5, 12.5, 14]])
    np.testing.assert_allclose(share, [[0.75, 1, 1], [1, 1, 1]])


def test_normals_lean_away_from_the_slope() -> None:
    rows, columns = np.mgrid[0:6, 0:7].astype(np.float32)
    height = 0.5 * columns - 2.0 * rows  # rises to the right and, in the model, up the image
    none = np.full_like(height, np.nan)
    mesh = build_mesh(Surface(height, height, none, np.ones(height.shape, bool), none, 1.0))
    np.testing.assert_allclose(mesh.normal, np.tile([-0.5, -2, 1] / np.sqrt(5.25), (42, 1)), rtol=1e-5)


def test_without_an_image_the_model_is_coloured_by_height() -> None:
    surface = marked_surface()
    surface.refocused[:] = np.nan
    assert len(np.unique(build_mesh(surface).rgb, axis=0)) >= 2


def test_x3p_holds_every_pixel_in_metres(tmp_path: Path) -> None:
    surface = marked_surface()
    with zipfile.ZipFile(export(surface, tmp_path / "m.x3p")) as archive:
        main, checksum = archive.read("main.xml"), archive.read("md5checksum.hex").decode()
        root = ElementTree.fromstring(main)
        assert root.tag == "{http://www.opengps.eu/2008/ISO5436_2}ISO5436_2"
        points = archive.read(root.findtext("Record3/DataLink/PointDataLink", ""))
    assert checksum == f"{hashlib.md5(main).hexdigest()} *main.xml\n"
    assert root.findtext("Record3/DataLink/MD5ChecksumPointData") == hashlib.md5(points).hexdigest()
    assert float(root.findtext("Record1/Axes/CX/Increment", "")) == pytest.approx(0.5e-6)
    size = (int(root.findtext(f"Record3/MatrixDimension/Size{axis}", "")) for axis in "YX")
    height_m = np.frombuffer(points, "<f4").reshape(*size)
    np.testing.assert_allclose(height_m * 1e6, surface.height_um, rtol=1e-6)


@pytest.mark.skipif(
    find_spec("surfalize") is None, reason="surfalize reads X3P independently; it is not installed"
)
def test_x3p_is_read_by_a_metrology_package(tmp_path: Path) -> None:
    import surfalize

    surface = marked_surface()
    read = surfalize.Surface.load(export(surface, tmp_path / "m.x3p"))
    np.testing.assert_allclose(read.data, surface.height_um, rtol=1e-5)
    assert (read.step_x, read.step_y) == pytest.approx((PIXEL_UM, PIXEL_UM))


def test_gsf_holds_every_pixel_in_metres(tmp_path: Path) -> None:
    surface = marked_surface()
    content = export(surface, tmp_path / "m.gsf").read_bytes()
    header, _, _ = content.partition(b"\0")
    lines = header.decode().splitlines()
    fields = dict(line.split(" = ") for line in lines[1:])
    assert lines[0] == "Gwyddion Simple Field 1.0"
    assert (fields["XRes"], fields["YRes"], fields["XYUnits"], fields["ZUnits"]) == ("16", "12", "m", "m")
    assert float(fields["XReal"]) == pytest.approx(8e-6)
    start = len(header) + 4 - len(header) % 4
    height_m = np.frombuffer(content[start:], "<f4").reshape(ROWS, COLUMNS)
    np.testing.assert_allclose(height_m * 1e6, surface.height_um, rtol=1e-6)


# What is written through packages that may be absent.
NEEDS = {".blend": "bpy", ".sur": "surfalize", ".gwy": "gwyfile"}


@pytest.mark.parametrize("suffix", [s for s in exporters() if s not in NEEDS or find_spec(NEEDS[s])])
def test_an_older_file_is_replaced_and_nothing_else_left(tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"m{suffix.upper()}"
    target.write_text("older")
    with pytest.raises(
        InputError,
        match=r"exists already: choose another output name, or replace it \(--overwrite, overwrite=True\)",
    ):
        marked_surface().export(target)
    assert target.read_text() == "older"
    assert marked_surface().export(target, overwrite=True) == target
    assert target.stat().st_size > 100
    assert not [entry for entry in tmp_path.iterdir() if entry.stem != "m"]


def test_a_full_disk_keeps_the_older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "m.ply"
    target.write_text("older")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("lee.export.ply.PlyExporter.write_mesh", full)
    with pytest.raises(StorageError, match=r"no space left to write .*m\.ply"):
        export(marked_surface(), target, overwrite=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.ply"]
    assert target.read_text() == "older"


def test_misuse_is_reported(tmp_path: Path) -> None:
    surface = marked_surface()
    with pytest.raises(InputError, match=r"'m\.fbx': no format has this suffix; use one of \.glb"):
        surface.export(tmp_path / "m.fbx")
    with pytest.raises(InputError, match="a model needs at least 4"):
        surface.export(tmp_path / "m.glb", max_vertices=3)
    (tmp_path / "m.glb").mkdir()
    with pytest.raises(InputError, match="is a folder, not a file"):
        surface.export(tmp_path / "m.glb")
    gap = np.full((4, 4), np.nan, np.float32)
    empty = Surface(gap, np.zeros_like(gap), gap, np.zeros((4, 4), bool), gap, 1.0)
    with pytest.raises(InputError, match="nothing was measured densely enough"):
        empty.export(tmp_path / "n.stl", filled=False)
    line = np.ones((1, 9), np.float32)
    with pytest.raises(InputError, match="cannot be meshed"):
        Surface(line, line, line, np.ones((1, 9), bool), line, 1.0).export(tmp_path / "n.stl")


def test_blender_is_asked_for_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bpy", None)
    with pytest.raises(MissingDependency, match=r'pip install "\.\[blender\]" in the folder of lee'):
        marked_surface().export(tmp_path / "m.blend")


@pytest.mark.skipif(find_spec("bpy") is None, reason="needs bpy")
def test_blender_opens_the_scene(tmp_path: Path) -> None:
    import bpy

    bpy.ops.wm.open_mainfile(filepath=str(marked_surface().export(tmp_path / "m.blend")))
    assert {item.type for item in bpy.data.objects} == {"MESH", "CAMERA", "LIGHT"}
    assert len(bpy.data.meshes["surface"].vertices) == ROWS * COLUMNS
    assert bpy.data.images[0].packed_file is not None
