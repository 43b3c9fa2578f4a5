"""Curvature maps on disk: TIFFs, a preview, and their parameters."""

import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lee.storage.atomic import new_folder
from lee.storage.map_tiff import write_map
from lee.surfaces.block_mean import block_mean
from lee.surfaces.curvature import Curvature

FORMAT = "lee curvature"
FORMAT_VERSION = 1
_MAPS = (
    "mean_per_um", "gaussian_per_um2", "max_per_um", "min_per_um", "mean_sigma_per_um",
    "gaussian_sigma_per_um2",
)  # fmt: skip
FILES = frozenset({*(f"{name}.tif" for name in _MAPS), "preview.png", "curvature.json"})
_SHOWN_PX = 800


def save_curvature(
    curvature: Curvature,
    folder: str | Path,
    *,
    overwrite: bool = False,
    metadata: Mapping[str, object] | None = None,
) -> Path:
    """Write curvature as a folder of float32 TIFF maps, a preview and their description.

    The folder takes its name only when it is complete. The maps carry their pixel size in µm.

    Parameters
    ----------
    curvature : Curvature
    folder : str or Path
        The folder to write; must not exist unless `overwrite`.
    overwrite : bool
        Replace an older folder of this kind. One that holds anything else is never replaced.
    metadata : mapping, optional
        Where the heights came from; must fit into JSON.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InputError
        If the folder exists, cannot be written, or the disk is full.
    """
    with new_folder(folder, overwrite=overwrite, known=FILES) as place:
        for name in _MAPS:
            values = getattr(curvature, name)
            if values is not None:
                write_map(place / f"{name}.tif", values, curvature.pixel_um)
        preview(curvature).savefig(place / "preview.png", format="png")
        text = json.dumps(_described(curvature, metadata or {}), indent=2, allow_nan=False)
        (place / "curvature.json").write_text(text + "\n", encoding="utf-8")
    return Path(folder)


def preview(curvature: Curvature) -> Figure:
    """Draw the four curvatures on one page, trenches red and peaks blue.

    Parameters
    ----------
    curvature : Curvature

    Returns
    -------
    matplotlib.figure.Figure
        1600 pixels wide at 100 dpi. Pixels that were not measured are grey.
    """
    figure = Figure(figsize=(16, 13), dpi=100, layout="constrained")
    figure.suptitle(
        f"{curvature.family}, scale {curvature.scale_um:.3g} µm; trenches are positive, peaks negative"
    )
    panels = (
        ("mean_per_um", "mean curvature (1/µm)"),
        ("gaussian_per_um2", "Gaussian curvature (1/µm²)"),
        ("max_per_um", "largest principal curvature (1/µm)"),
        ("min_per_um", "smallest principal curvature (1/µm)"),
    )
    for k, (name, label) in enumerate(panels):
        _panel(figure.add_subplot(2, 2, k + 1), getattr(curvature, name), curvature.pixel_um, label)
    return figure


def _panel(axes: Axes, values: npt.NDArray[np.float32], pixel_um: float, label: str) -> None:
    rows, columns = values.shape
    block = max(1, -(-max(values.shape) // _SHOWN_PX))
    known = np.abs(values[np.isfinite(values)])
    reach = (float(np.percentile(known, 99)) if known.size else 0.0) or 1e-6
    axes.set_facecolor("#b0b0b0")
    drawn = axes.imshow(
        block_mean(values, block)[0],
        extent=(0, columns * pixel_um, rows * pixel_um, 0),
        interpolation="nearest",
        cmap="RdBu_r",
        vmin=-reach,
        vmax=reach,
    )
    axes.figure.colorbar(drawn, ax=axes, extend="both", shrink=0.9)
    axes.set_title(label)
    axes.set_xlabel("x (µm)")
    axes.set_ylabel("y, down the image (µm)")


def _described(curvature: Curvature, metadata: Mapping[str, object]) -> dict[str, object]:
    maps = {name: getattr(curvature, name) for name in _MAPS if getattr(curvature, name) is not None}
    numbers = {f.name: getattr(curvature, f.name) for f in fields(curvature) if f.name not in _MAPS}
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "shape_px": list(curvature.mean_per_um.shape),
        "sign": "a trench is positive, a peak negative; NaN is not measured",
        "coverage": float(np.isfinite(curvature.mean_per_um).mean()),
        **numbers,
        "maps": {name: _summary(values) for name, values in maps.items()},
        "metadata": metadata,
    }


def _summary(values: npt.NDArray[np.float32]) -> dict[str, float | None]:
    known = values[np.isfinite(values)]
    if known.size == 0:
        return {"p05": None, "median": None, "p95": None, "rms": None}
    low, middle, high = (float(v) for v in np.percentile(known, (5, 50, 95)))
    rms = float(np.sqrt(np.mean(known.astype(np.float64) ** 2)))
    return {"p05": low, "median": middle, "p95": high, "rms": rms}
