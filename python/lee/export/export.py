"""Write a surface as a 3D model; the suffix of the file tells the format."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lee.errors import InputError
from lee.export.gltf import write_glb, write_gltf
from lee.export.gsf import write_gsf
from lee.export.mesh import MAX_VERTICES, Mesh, build_mesh
from lee.export.mesh_formats import write_mtl, write_obj, write_ply, write_png, write_stl
from lee.export.x3p import write_x3p
from lee.storage.atomic import new_file

if TYPE_CHECKING:
    from lee.surfaces.surface import Surface

_MESH_WRITERS: dict[str, Callable[[Mesh, Path], None]] = {
    ".glb": write_glb,
    ".gltf": write_gltf,
    ".ply": write_ply,
    ".stl": write_stl,
}
_MAP_WRITERS = {".x3p": write_x3p, ".gsf": write_gsf}
SUFFIXES = (*_MESH_WRITERS, ".obj", *_MAP_WRITERS, ".blend")


def export(
    surface: "Surface", path: str | Path, *, filled: bool | None = None, max_vertices: int | None = None
) -> Path:
    """Write a surface as a 3D model.

    ========  ==============================================================================================
    ``.glb``  binary glTF 2.0 with the refocused image as texture; 1 um is shown as 1 mm, height points up
    ``.gltf`` the same as one text file
    ``.obj``  Wavefront OBJ in um, with ``.mtl`` and ``.png`` of the same name beside it
    ``.ply``  binary PLY in um with normals and colours
    ``.stl``  binary STL in um: shape only, an open sheet
    ``.x3p``  ISO 25178-72 in metres for metrology programs: every pixel, NaN where not measured
    ``.gsf``  the same for Gwyddion, which takes no pixel size from a TIFF
    ``.blend``  a Blender scene; needs the extra ``blender``
    ========  ==============================================================================================

    Models have x to the right, y up the image and z toward the objective. What was not measured is modelled
    with the filled height and tinted orange, or left out.

    Parameters
    ----------
    surface : Surface
    path : str or Path
        Where to; an older file is replaced, and only once the new one is complete.
    filled : bool, optional
        True models the gaps with `height_filled_um`, False leaves holes. By default models are filled; X3P
        and GSF are not.
    max_vertices : int, optional
        Pixels are averaged in square blocks until a model has no more vertices (default 500 000). X3P and GSF
        always hold every pixel.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        If the suffix is unknown, no model can be made, or the file cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{path.name!r}: no format of that suffix: use one of {', '.join(SUFFIXES)}")
    if suffix in _MAP_WRITERS:
        with new_file(path) as partial:
            _MAP_WRITERS[suffix](surface, partial, filled=bool(filled))
        return path
    if suffix == ".blend":
        from lee.export.blender import require_bpy, write_blend

        require_bpy()
    limit = MAX_VERTICES if max_vertices is None else max_vertices
    mesh = build_mesh(surface, filled=filled is not False, max_vertices=limit)
    if suffix == ".obj":
        _export_obj(mesh, path)
        return path
    with new_file(path) as partial:
        if suffix == ".blend":
            write_blend(mesh, partial)
        else:
            _MESH_WRITERS[suffix](mesh, partial)
    return path


def _export_obj(mesh: Mesh, path: Path) -> None:
    material, image = path.with_suffix(".mtl"), path.with_suffix(".png")
    with new_file(image) as partial:
        write_png(mesh, partial)
    with new_file(material) as partial:
        write_mtl(partial, image.name)
    with new_file(path) as partial:
        write_obj(mesh, partial, material.name)
