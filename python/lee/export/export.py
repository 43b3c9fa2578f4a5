"""Write a surface to a file of another program; the suffix of the file selects the format."""

from pathlib import Path
from typing import TYPE_CHECKING

from lee.export.exporter import ExportOptions
from lee.export.mesh import MAX_VERTICES
from lee.export.registry import exporter_for
from lee.storage.atomic import new_file, refuse_to_replace, replace

if TYPE_CHECKING:
    from lee.surfaces.surface import Surface


def export(
    surface: "Surface",
    path: str | Path,
    *,
    filled: bool | None = None,
    max_vertices: int | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a surface as a 3D model or a height map.

    The suffix selects the format: ``lee export --help`` and `lee.export.registry.exporters` list them. Models
    have x to the right, y up the image and z toward the objective. Where nothing was measured they show the
    filled height, tinted orange, or a hole.

    Parameters
    ----------
    surface : Surface
    path : str or Path
        The file to write. Nothing has this name until it is complete.
    filled : bool, optional
        True writes `height_filled_um` where nothing was measured, False leaves holes. By default models are
        filled, height maps are not.
    max_vertices : int, optional
        Pixels are averaged in square blocks until a model has no more vertices (default 500 000). Height maps
        always hold every pixel.
    overwrite : bool
        Replace an older file of that name, and for OBJ its material and image.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        If the suffix is unknown, the file exists and `overwrite` is not set, no model can be made, or the
        file cannot be written.
    """
    path = Path(path)
    exporter = exporter_for(path)
    companions = [path.with_suffix(suffix) for suffix in exporter.companions]
    options = ExportOptions(filled, MAX_VERTICES if max_vertices is None else max_vertices)
    with new_file(path, overwrite=overwrite) as partial:
        if not overwrite:
            for companion in companions:
                refuse_to_replace(companion)
        exporter.write(surface, partial, options)
        for companion in companions:
            replace(partial.with_name(companion.name), companion)
    return path
