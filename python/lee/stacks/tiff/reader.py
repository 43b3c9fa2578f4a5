"""The reader of TIFF files."""

from __future__ import annotations

from pathlib import Path

from lee.stacks.tiff.page_list import TIFF_SUFFIXES
from lee.stacks.tiff.planes import TiffPlanes


class TiffReader:
    """A multi-page TIFF, BigTIFF, OME-TIFF, ImageJ or Micro-Manager stack."""

    name = "TIFF"
    reads = "a TIFF stack"

    def recognises(self, path: Path) -> bool:
        """Whether the suffix is one of TIFF."""
        return path.suffix.lower() in TIFF_SUFFIXES and path.is_file()

    def open(self, path: Path) -> TiffPlanes:
        """Read and check the headers of all pages."""
        return TiffPlanes(path)
