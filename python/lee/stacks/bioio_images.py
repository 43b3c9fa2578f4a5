"""Microscopes' own formats through the optional package bioio and its plug-ins."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from lee.errors import InputError, MissingDependency, reason_of
from lee.stacks.calibration.stated import StatedCalibration, heights_of
from lee.stacks.grey import Frame, Samples, as_grey, as_rgb, grey_dtype
from lee.stacks.reader import FrameSource, PlaneSet

# Suffix -> the plug-in of bioio that reads it.
_PLUGINS = {
    ".czi": "bioio-czi",
    ".nd2": "bioio-nd2",
    ".lif": "bioio-lif",
    ".dv": "bioio-dv",
    ".sldy": "bioio-sldy",
    **dict.fromkeys(
        (".oir", ".oib", ".oif", ".vsi", ".ims", ".lsm", ".zvi", ".stk", ".ipl", ".xdce"), "bioio-bioformats"
    ),
}


class BioioPlanes(PlaneSet):
    """The planes of a microscope's file: times, channels, z, and scenes as positions."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = Lock()
        plugin = _PLUGINS[path.suffix.lower()]
        try:
            from bioio import BioImage
        except ImportError as error:
            raise MissingDependency(
                f"{path}: files of this format are read through bioio: pip install bioio {plugin}"
            ) from error
        try:
            self.image = BioImage(path)
            scenes = list(self.image.scenes)
        except Exception as error:  # plug-ins raise errors of any kind
            raise InputError(
                f"{path}: bioio cannot open it ({reason_of(error)[:200]}); pip install {plugin}, or copy the "
                "file again if that is there"
            ) from error
        self._scenes = [str(scene) for scene in scenes]
        self._take_axes()

    def _take_axes(self) -> None:
        dims = self.image.dims
        self.axes = {"p": len(self._scenes), "t": int(dims.T), "c": int(dims.C), "z": int(dims.Z)}
        self.labels = {"p": self._scenes, "c": [str(n) for n in self.image.channel_names or ()]}

    def at_position(self, k: int) -> None:
        """Take the axes of scene k: scenes of one file may differ in size."""
        self.image.set_scene(k)
        self._take_axes()

    def stack(self, depth: str | None, fixed: Mapping[str, int]) -> BioioStack:
        """Open the planes along `depth`."""
        return BioioStack(self, depth, fixed)


class BioioStack(FrameSource):
    """One stack of a microscope's file."""

    def __init__(self, planes: BioioPlanes, depth: str | None, fixed: Mapping[str, int]) -> None:
        self._planes, self._depth = planes, depth
        self._fixed = {axis.upper(): fixed.get(axis, 0) for axis in "tcz" if axis != depth}
        image = planes.image
        if planes.axes["p"] > 1:
            image.set_scene(fixed["p"])
        dims = image.dims
        self.colour = "S" in dims.order
        count = (
            int(getattr(dims, depth.upper())) if depth in ("t", "c", "z") else planes.axes.get(depth or "", 1)
        )
        if depth == "p":
            raise InputError(
                f"{planes.path}: its scenes are no scan; give z_axis (--z-axis) as one of t, c, z"
            )
        self.shape = (count, int(dims.Y), int(dims.X))
        self.dtype = grey_dtype(np.dtype(image.dtype), str(planes.path))
        self.metadata = {"format": f"bioio {planes.path.suffix.lower()}", "source_dtype": str(image.dtype)}
        if self.colour:
            self.metadata["luminance"] = "Rec. 601"
        self._calibrate(image.physical_pixel_sizes)

    def _calibrate(self, size: Any) -> None:
        found = StatedCalibration()
        if self._depth == "z" and size.Z is not None:
            found = heights_of(
                self.shape[0],
                positions_um=None,
                positions="",
                step_um=float(size.Z),
                step="step stated by the file",
            )
        if size.Y is not None and size.X is not None:
            found.pixel_yx_um, found.pixel_um_source = (float(size.Y), float(size.X)), "stated by the file"
        found.apply_to(self)

    def read(self, k: int) -> Frame:
        """Decode frame k."""
        return as_grey(self._decoded(k), self.name(k))

    def read_rgb(self, k: int) -> Frame:
        """Decode frame k in colour."""
        return as_rgb(self._decoded(k), self.name(k))

    def _decoded(self, k: int) -> Samples:
        place = self._fixed | ({self._depth.upper(): k} if self._depth else {})
        order, image = "YXS" if self.colour else "YX", self._planes.image
        try:
            with self._planes.lock:
                if self.colour and self._planes.path.suffix.lower() == ".czi":
                    # Samples are blue, green, red there; read lazily, bioio-czi 3.0 repeats the first one.
                    return np.asarray(image.get_image_data(order, **place))[..., ::-1]
                return np.asarray(image.get_image_dask_data(order, **place).compute())
        except Exception as error:  # plug-ins raise errors of any kind on damaged files
            raise InputError(
                f"{self.name(k)}: bioio cannot decode it ({reason_of(error)[:200]}); copy the file again if "
                "it is damaged, or export the scan as OME-TIFF"
            ) from error

    def name(self, k: int) -> str:
        """File and frame number."""
        return f"{self._planes.path}, frame {k}"


class BioioReader:
    """A microscope's own format."""

    name = "bioio"
    reads = f"a microscope's file ({', '.join(sorted(_PLUGINS))}; needs bioio)"

    def recognises(self, path: Path) -> bool:
        """Whether the suffix is one that a plug-in of bioio reads."""
        return path.suffix.lower() in _PLUGINS and path.is_file()

    def open(self, path: Path) -> BioioPlanes:
        """Read the metadata; planes are read when asked for."""
        return BioioPlanes(path)
