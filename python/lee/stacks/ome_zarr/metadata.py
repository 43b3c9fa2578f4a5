"""Axes, scale and channels of an OME-Zarr image: NGFF 0.1 to 0.6."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from lee.errors import InputError
from lee.stacks.calibration.stated import StatedCalibration
from lee.storage.length_units import s_per_unit, um_per_unit

_LETTERS = {
    **{letter: letter for letter in "tczyxp"},
    **{"time": "t", "channel": "c", "position": "p", "depth": "z"},
}
_NOTE = ", unit not stated, taken as µm"


@dataclass(frozen=True)
class NgffImage:
    """One image: the array of its largest level, and what its metadata states.

    Attributes
    ----------
    array : zarr.Array
    axes : list of str
        Small letters; a number for an axis without a name.
    scale, offset : (ndim,) float64
    units : list of str or None
        Along each axis.
    labels : dict of str to list of str
        Names of the channels.
    heights_um : list of float or None
        Uneven heights, as lee writes them: the attribute ``lee: {"z_um": [...]}``.
    """

    array: Any
    axes: list[str]
    scale: NDArray[np.float64]
    offset: NDArray[np.float64]
    units: list[str | None]
    labels: Mapping[str, list[str]]
    heights_um: list[float] | None
    is_ome: bool

    def calibration(self, depth: str | None, count: int) -> StatedCalibration:
        """Calibration of a stack along an axis."""
        found = StatedCalibration()
        if self.is_ome:
            if depth == "z":
                factor, note = self._um("z")
                if factor is not None:
                    k = self.axes.index("z")
                    planes = np.arange(count, dtype=np.float64)
                    found.z_um = (self.offset[k] + self.scale[k] * planes) * factor
                    found.z_um_source = "OME-Zarr scale" + note
            (y, _), (x, note) = self._um("y"), self._um("x")
            if y is not None and x is not None:
                scale_y, scale_x = (float(self.scale[self.axes.index(axis)]) for axis in "yx")
                found.pixel_yx_um = (scale_y * y, scale_x * x)
                found.pixel_um_source = "OME-Zarr scale" + note
        if self.heights_um is not None:
            found.z_um, found.z_um_source = np.asarray(self.heights_um, np.float64), "lee attribute z_um"
        return found

    def times_s(self) -> NDArray[np.float64] | None:
        """When each time began, from the scale of a time axis with a unit."""
        if not self.is_ome or "t" not in self.axes:
            return None
        k = self.axes.index("t")
        scale = s_per_unit(self.units[k])
        if scale is None or not self.scale[k] > 0:
            return None
        return np.arange(self.array.shape[k], dtype=np.float64) * float(self.scale[k]) * scale

    def _um(self, axis: str) -> tuple[float | None, str]:
        """Return the unit along an axis in µm; without one, a scale of 1 is a default that nobody chose."""
        k = self.axes.index(axis)
        if self.units[k] is None:
            return (None, "") if self.scale[k] == 1 else (1.0, _NOTE)
        return um_per_unit(self.units[k]), ""


def images_of(node: zarr.Array[Any] | zarr.Group, path: Path) -> list[NgffImage]:
    """Return the images of a zarr node: an array, an image, or a collection as bioformats2raw writes it.

    Raises
    ------
    InputError
        If there is none, or its axes are unusable.
    """
    if isinstance(node, zarr.Array):
        return [_plain(node)]
    attributes = _attributes(node)
    if "plate" in attributes:
        raise InputError(f"{path}: is a plate of many wells; give one image in it, such as {path / 'A/1/0'}")
    if "multiscales" in attributes:
        if len(attributes["multiscales"]) != 1:
            raise InputError(f"{path}: holds {len(attributes['multiscales'])} multiscale images; give one")
        return [_image(node, attributes, path)]
    found = []
    for number in range(len(list(node.group_keys()))):
        inner = node.get(str(number))
        if not isinstance(inner, zarr.Group) or "multiscales" not in _attributes(inner):
            break
        found.append(_image(inner, _attributes(inner), path / str(number)))
    if not found:
        raise InputError(
            f"{path}: is a zarr group without multiscales metadata; give an OME-Zarr image or an array"
        )
    return found


def _plain(array: zarr.Array[Any]) -> NgffImage:
    attributes: Mapping[str, Any] = dict(array.attrs)
    named = getattr(array.metadata, "dimension_names", None) or attributes.get("_ARRAY_DIMENSIONS")
    letters = [_LETTERS.get(str(name).lower(), "") for name in named] if named else []
    if len(letters) != array.ndim or letters[-2:] != ["y", "x"] or len(set(letters)) < len(letters):
        first = ["z"] if array.ndim == 3 else [str(k) for k in range(array.ndim - 2)]
        letters = [*first, "y", "x"][-array.ndim :] if array.ndim > 1 else []
    heights = (attributes.get("lee") or {}).get("z_um")
    ones, zeros = np.ones(array.ndim), np.zeros(array.ndim)
    return NgffImage(array, letters, ones, zeros, [None] * array.ndim, {}, heights, False)


def _image(group: zarr.Group, attributes: Mapping[str, Any], path: Path) -> NgffImage:
    multiscale = attributes["multiscales"][0]
    level = multiscale["datasets"][0]
    array: Any = group[level["path"]]
    axes = multiscale.get("axes")
    if axes is None:
        systems = multiscale.get("coordinateSystems") or [{}]
        axes = systems[0].get("axes", "tczyx"[-array.ndim :])
    names = [axis if isinstance(axis, str) else str(axis["name"]) for axis in axes]
    letters = [_LETTERS.get(name.lower(), str(k)) for k, name in enumerate(names)]
    if len(letters) != array.ndim or len(set(letters)) < len(letters):
        raise InputError(f"{path}: names the axes {','.join(names)} of an array of shape {array.shape}")
    scale, offset = _transform(multiscale, level, array.ndim, path)
    channels = (attributes.get("omero") or {}).get("channels") or []
    labels = [str(channel.get("label") or k) for k, channel in enumerate(channels)]
    return NgffImage(
        array,
        letters,
        scale,
        offset,
        [None if isinstance(axis, str) else axis.get("unit") for axis in axes],
        {"c": labels} if labels else {},
        (attributes.get("lee") or {}).get("z_um"),
        True,
    )


def _attributes(group: zarr.Group) -> Mapping[str, Any]:
    attributes: dict[str, Any] = dict(group.attrs)
    return {**attributes, **attributes.get("ome", {})}


def _transform(
    multiscale: Mapping[str, Any], level: Mapping[str, Any], ndim: int, path: Path
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scale and translation of level 0: its own transforms, then those of the whole pyramid."""
    scale, offset = np.ones(ndim), np.zeros(ndim)
    steps = [*level.get("coordinateTransformations", []), *multiscale.get("coordinateTransformations", [])]
    while steps:
        step = steps.pop(0)
        kind = step["type"]
        if kind == "sequence":
            steps[:0] = step["transformations"]
        elif kind == "scale":
            factor = _numbers(step["scale"], ndim, "scale", path)
            scale, offset = scale * factor, offset * factor
        elif kind == "translation":
            offset = offset + _numbers(step["translation"], ndim, "translation", path)
        elif kind != "identity":
            raise InputError(
                f"{path}: a coordinate transformation of the kind {kind} is not read; save it with scale and "
                "translation"
            )
    return scale, offset


def _numbers(stated: Any, ndim: int, kind: str, path: Path) -> NDArray[np.float64]:
    found = np.asarray(stated, dtype=np.float64)
    if found.shape != (ndim,):
        raise InputError(f"{path}: states a {kind} of {found.size} numbers for {ndim} axes; save it again")
    return found
