"""A measured surface: heights, their standard deviation, where they were measured, image and provenance."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lee.errors import InputError, MissingDependency
from lee.storage.atomic import new_folder
from lee.storage.description import json_values, versions
from lee.storage.luminance import luminance
from lee.storage.map_tiff import read_map, read_picture, write_map
from lee.storage.refusals import unreadable
from lee.surfaces.array_map import read_array_map
from lee.surfaces.instrument_map import INSTRUMENT_SUFFIXES, read_instrument_map
from lee.surfaces.provenance import Provenance

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes

FORMAT = "lee surface"
FORMAT_VERSION = 1
FILES = frozenset(
    {
        "height_um.tif",
        "height_filled_um.tif",
        "height_sigma_um.tif",
        "refocused.tif",
        "surface.glb",
        "preview.png",
        "surface.json",
    }
)


@dataclass(eq=False)
class Surface:
    """A measured surface on a regular grid; rows run down the image, height grows toward the objective.

    Parameters
    ----------
    height_um : (H, W) float32
        Measured height in µm; NaN where not measured.
    height_filled_um : (H, W) float32
        A height everywhere: `height_um` where `valid`, else filled from the heights around.
    height_sigma_um : (H, W) float32
        Standard deviation of `height_um` in µm; NaN where not measured.
    valid : (H, W) bool
        True where the height was measured.
    refocused : (H, W) float32
        All-in-focus image in camera counts; NaN throughout where there is none.
    pixel_um : float
        Size of a pixel in the plane of the sample, µm; pixels are square.
    provenance : Provenance
        How the surface was measured: scan, calibration, parameters, drift, rejected frames, and what was not
        measured and why.
    colour : (H, W, 3) float32, optional
        All-in-focus image in red, green and blue, counts, of frames in colour; `refocused` is its luminance.

    Raises
    ------
    InputError
        If shapes differ, a map is empty or not two-dimensional, `pixel_um` is not positive and finite, or
        `valid` and `height_um` contradict each other.
    """

    height_um: NDArray[np.float32]
    height_filled_um: NDArray[np.float32]
    height_sigma_um: NDArray[np.float32]
    valid: NDArray[np.bool_]
    refocused: NDArray[np.float32]
    pixel_um: float
    provenance: Provenance = field(default_factory=Provenance)
    colour: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        for name in ("height_um", "height_filled_um", "height_sigma_um", "refocused"):
            setattr(self, name, np.asarray(getattr(self, name), dtype=np.float32))
        self.valid = np.asarray(self.valid, dtype=np.bool_)
        shape = self.height_um.shape
        if len(shape) != 2 or 0 in shape:
            raise InputError(f"height_um must be a non-empty two-dimensional map, not of shape {shape}")
        for name in ("height_filled_um", "height_sigma_um", "valid", "refocused"):
            if getattr(self, name).shape != shape:
                raise InputError(
                    f"{name} has shape {getattr(self, name).shape}, height_um {shape}: they must agree"
                )
        if self.colour is not None:
            self.colour = np.asarray(self.colour, dtype=np.float32)
            if self.colour.shape != (*shape, 3):
                raise InputError(f"colour has shape {self.colour.shape}: it must be {(*shape, 3)}")
        self.pixel_um = float(self.pixel_um)
        if not (np.isfinite(self.pixel_um) and self.pixel_um > 0):
            raise InputError(f"pixel_um must be a positive number of µm, not {self.pixel_um}")
        if not np.array_equal(np.isfinite(self.height_um), self.valid):
            raise InputError("valid must be True exactly where height_um is finite")
        if not np.isfinite(self.height_filled_um).all():
            raise InputError("height_filled_um must be finite everywhere: fill what was not measured")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.height_um.shape
        return rows, columns

    @property
    def coverage(self) -> float:
        """Share of the pixels that were measured, 0 to 1."""
        return float(self.valid.mean())

    @property
    def metadata(self) -> Mapping[str, object]:
        """The provenance as ``surface.json`` holds it, read-only."""
        return MappingProxyType(self.provenance.to_json())

    def __repr__(self) -> str:
        """Return one line: size, coverage, range of heights and median standard deviation."""
        rows, columns = self.shape
        parts = [f"{rows} × {columns} px of {self.pixel_um:.4g} µm", f"{100 * self.coverage:.1f} % measured"]
        if self.valid.any():
            low, high = np.nanmin(self.height_um), np.nanmax(self.height_um)
            parts.append(f"height {low:.2f} to {high:.2f} µm")
        if np.isfinite(self.height_sigma_um).any():
            parts.append(f"median σ {np.nanmedian(self.height_sigma_um):.3g} µm")
        return f"<Surface: {', '.join(parts)}>"

    def _repr_html_(self) -> str:
        """Return a small picture of the heights above the line of `repr`, for notebooks."""
        from lee.figures.surface import height_picture

        png = io.BytesIO()
        height_picture(self).savefig(png, format="png")
        inline = base64.b64encode(png.getvalue()).decode("ascii")
        line = html.escape(repr(self))
        return f'<img alt="height map" src="data:image/png;base64,{inline}"><br><code>{line}</code>'

    def to_xarray(self) -> xarray.Dataset:
        """Return the maps as an `xarray.Dataset` with named axes, units and the provenance.

        Returns
        -------
        xarray.Dataset
            ``height_um``, ``height_filled_um``, ``height_sigma_um``, ``valid`` and ``refocused`` over (y, x),
            ``colour`` over (y, x, rgb) if there is one, with the coordinates ``y_um`` and ``x_um``; the
            attribute ``provenance`` is JSON.

        Raises
        ------
        MissingDependency
            If xarray is not installed.
        """
        try:
            import xarray
        except ImportError as error:
            raise MissingDependency("to_xarray needs xarray: pip install xarray") from error
        units = {"height_um": "um", "height_filled_um": "um", "height_sigma_um": "um", "refocused": "counts"}
        maps: dict[str, tuple[tuple[str, ...], NDArray[np.generic], dict[str, str]]] = {
            name: (("y", "x"), getattr(self, name), {"units": unit}) for name, unit in units.items()
        }
        if self.colour is not None:
            maps["colour"] = (("y", "x", "rgb"), self.colour, {"units": "counts"})
        rows, columns = self.shape
        return xarray.Dataset(
            {**maps, "valid": (("y", "x"), self.valid)},
            coords={
                "y_um": ("y", np.arange(rows) * self.pixel_um, {"units": "um"}),
                "x_um": ("x", np.arange(columns) * self.pixel_um, {"units": "um"}),
            },
            attrs={
                "pixel_um": self.pixel_um,
                "provenance": json.dumps(json_values(self.metadata), allow_nan=False),
            },
        )

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw the heights with a colour bar in µm, as the camera shows the sample; not measured is grey.

        Parameters
        ----------
        axes : matplotlib.axes.Axes, optional
            Where to draw; by default on a new figure of pyplot, which a notebook shows.

        Returns
        -------
        matplotlib.axes.Axes
            Its coordinates are µm, its figure is ``axes.figure``.
        """
        from lee.figures.surface import plot_heights

        return plot_heights(self, axes)

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write the surface as a folder of TIFF maps, a textured model, a preview and their description.

        The folder appears under its name only when all of it is written. The maps carry their pixel size in
        µm where ImageJ looks for it. `refocused.tif` is in colour if there is one, and rounded to 8 or 16 bit
        if the frames had no more (``provenance.frame_dtype``); all else comes back from `load` bit for bit.

        Parameters
        ----------
        folder : str or Path
            Where to; must not exist unless `overwrite`.
        overwrite : bool
            Replace an older folder of this kind. One that holds anything else is never replaced.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        InputError
            If the folder exists.
        StorageError
            If it cannot be written, or the disk is full.
        """
        from lee.export.export import export
        from lee.figures.surface import save_preview

        with new_folder(folder, overwrite=overwrite, known=FILES) as place:
            for name in ("height_um", "height_filled_um", "height_sigma_um"):
                write_map(place / f"{name}.tif", getattr(self, name), self.pixel_um)
            write_map(place / "refocused.tif", self._refocused_as_recorded(), self.pixel_um)
            export(self, place / "surface.glb")
            save_preview(self, place / "preview.png")
            text = json.dumps(json_values(self._description()), indent=2, allow_nan=False)
            (place / "surface.json").write_text(text + "\n", encoding="utf-8")
        return Path(folder)

    @classmethod
    def load(cls, path: str | Path, *, pixel_um: float | None = None) -> Surface:
        """Read a folder that `save` wrote, or one height map: TIFF or ``.npy`` in µm, or an instrument's.

        A single map brings no standard deviation and no image (both NaN throughout); where it was not
        measured it is filled with the nearest measured height.

        Parameters
        ----------
        path : str or Path
            The folder, or the height map.
        pixel_um : float, optional
            Size of a pixel; only for a single map that does not carry it.

        Raises
        ------
        InputError
            If something is missing or cannot be read, or the pixel size is unknown.
        """
        path = Path(path)
        if not path.exists():
            raise InputError(
                f"{path} does not exist: give a folder written by `lee reconstruct` or a height map"
            )
        if path.name == "height_um.tif" and (path.parent / "surface.json").is_file():
            path = path.parent
        return _load_folder(path) if path.is_dir() else _load_height(path, pixel_um)

    def export(
        self,
        path: str | Path,
        *,
        filled: bool | None = None,
        max_vertices: int | None = None,
        overwrite: bool = False,
    ) -> Path:
        """Write a 3D model or a height map for another program; the suffix (.glb, .x3p) selects the format.

        See `lee.export.export.export` for the parameters, and ``lee export --help`` for the formats.

        Raises
        ------
        InputError
            If the suffix is unknown, the file exists and `overwrite` is not set, or nothing was measured.
        StorageError
            If the file cannot be written.
        """
        from lee.export.export import export

        return export(self, path, filled=filled, max_vertices=max_vertices, overwrite=overwrite)

    def _refocused_as_recorded(self) -> NDArray[np.generic]:
        dtype = self.provenance.frame_dtype
        image = self.refocused if self.colour is None else self.colour
        if dtype not in ("uint8", "uint16") or not np.isfinite(image).all():
            return image
        return np.clip(np.rint(image), 0, np.iinfo(dtype).max).astype(dtype)

    def _description(self) -> dict[str, object]:
        measured = self.height_um[self.valid]
        sigma = self.height_sigma_um[self.valid]
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "written": datetime.now(UTC).isoformat(timespec="seconds"),
            "shape_px": list(self.shape),
            "pixel_um": self.pixel_um,
            "axes": "rows run down the image; height grows toward the objective; NaN is not measured",
            "coverage": self.coverage,
            "height_um": _summary(measured),
            "height_sigma_um": _summary(sigma),
            "versions": dict(self.provenance.versions) or versions(),
            "metadata": self.provenance.to_json(),
        }


def _load_folder(folder: Path) -> Surface:
    described = folder / "surface.json"
    if not described.is_file():
        raise InputError(f"{folder} holds no surface.json: give a folder written by `lee reconstruct`")
    try:
        description = json.loads(described.read_text(encoding="utf-8"))
        if description["format"] != FORMAT or description["format_version"] > FORMAT_VERSION:
            raise InputError(f"{described} is of a kind this version of lee does not read: update lee")
        pixel_um, provenance = float(description["pixel_um"]), Provenance.from_json(description["metadata"])
        provenance = replace(provenance, versions=dict(description.get("versions", {})))
    except OSError as error:
        raise unreadable(described, error, "reconstruct again") from error
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{described} cannot be read ({error}): reconstruct again") from error
    height, _ = read_map(folder / "height_um.tif")
    filled, _ = read_map(folder / "height_filled_um.tif")
    sigma, _ = read_map(folder / "height_sigma_um.tif")
    image = read_picture(folder / "refocused.tif")
    colour = image if image.ndim == 3 else None
    refocused = image if colour is None else luminance(colour)
    return Surface(height, filled, sigma, np.isfinite(height), refocused, pixel_um, provenance, colour)


def _load_height(path: Path, pixel_um: float | None) -> Surface:
    from scipy.ndimage import distance_transform_edt

    suffix = path.suffix.lower()
    if suffix in INSTRUMENT_SUFFIXES:
        height, pixel_um = read_instrument_map(path, pixel_um=pixel_um)
    else:
        read = read_array_map if suffix == ".npy" else read_map
        height, pixel_um = read(path, pixel_um=pixel_um)
    if pixel_um is None:
        raise InputError(f"{path} does not hold the size of a pixel: give it in µm (--pixel-um, pixel_um=)")
    height = np.where(np.isfinite(height), height, np.float32(np.nan))
    valid = np.isfinite(height)
    if not valid.any():
        raise InputError(f"{path} holds no finite height")
    nearest = distance_transform_edt(~valid, return_distances=False, return_indices=True)
    unknown = np.full(height.shape, np.nan, np.float32)
    provenance = Provenance(notes={"source": str(path), "filled_by": "nearest measured height"})
    return Surface(height, height[tuple(nearest)], unknown, valid, unknown.copy(), pixel_um, provenance)


def _summary(values: NDArray[np.float32]) -> dict[str, float | None]:
    values = values[np.isfinite(values)]
    if values.size == 0:
        return {"min": None, "median": None, "max": None}
    return {"min": float(values.min()), "median": float(np.median(values)), "max": float(values.max())}
