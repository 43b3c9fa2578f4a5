"""How napari reads a surface: image, height, standard deviation, what was not measured, and relief.

`napari.yaml` beside this file names it to napari. napari itself is not imported: layers are plain tuples.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Layer = tuple[Any, dict[str, Any], str]
_MAX_VERTICES = 250_000


def surface_reader(path: str | Sequence[str]) -> Callable[[str | Sequence[str]], list[Layer]] | None:
    """Return `read_surface` for a folder that `lee reconstruct` wrote, or its ``surface.json``, else None."""
    return read_surface if isinstance(path, str) and (_folder(path) / "surface.json").is_file() else None


def read_surface(path: str | Sequence[str]) -> list[Layer]:
    """Read a surface as layers of napari, in µm, y down the image.

    Parameters
    ----------
    path : str
        The folder, or its ``surface.json``.

    Returns
    -------
    list of (data, options, kind)
        Images (H, W) of the refocused image, height and standard deviation in µm, labels (H, W) with 1 where
        nothing was measured, and the relief as a surface (z, y, x), which is shown when it is switched on.

    Raises
    ------
    InputError
        As `lee.Surface.load`.
    """
    from lee.export.mesh import build_mesh
    from lee.surfaces.surface import Surface

    folder = _folder(str(path))
    surface = Surface.load(folder)
    pixel = surface.pixel_um
    flat: dict[str, Any] = {"scale": (pixel, pixel), "units": ("um", "um")}
    layers: list[Layer] = []

    def add(data: Any, kind: str, name: str, **options: Any) -> None:
        layers.append((data, {"name": f"{folder.name}: {name}", **options}, kind))

    if surface.colour is not None:
        top = max(float(np.nanmax(surface.colour)), 1.0)
        add(np.clip(surface.colour / top, 0, 1), "image", "image", rgb=True, **flat)
    elif np.isfinite(surface.refocused).any():
        add(surface.refocused, "image", "image", colormap="gray", **flat)
    for data, name, colours in (
        (surface.height_um, "height (um)", "viridis"),
        (surface.height_sigma_um, "standard deviation (um)", "magma"),
    ):
        known = data[np.isfinite(data)]
        if known.size:
            low, high = (float(value) for value in np.percentile(known, (0.5, 99.5)))
            limits = (low, max(high, low + 1e-6))
            shown = {"contrast_limits": limits, "colormap": colours, "visible": colours == "viridis"}
            add(data, "image", name, **shown, **flat)
    add((~surface.valid).astype(np.uint8), "labels", "not measured", visible=False, **flat)
    if min(surface.shape) > 1:
        mesh = build_mesh(surface, max_vertices=_MAX_VERTICES)
        x, y, z = mesh.position_um.T
        corners = np.stack([z, (surface.shape[0] - 1) * pixel - y, x], axis=1)
        space = {"scale": (1.0, 1.0, 1.0), "units": ("um", "um", "um"), "colormap": "viridis"}
        add((corners, mesh.triangles.astype(np.int64), z.copy()), "surface", "relief", visible=False, **space)
    return layers


def _folder(path: str) -> Path:
    place = Path(path)
    return place.parent if place.name == "surface.json" else place
