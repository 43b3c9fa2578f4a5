"""The reader of TIFF files."""

from __future__ import annotations

from pathlib import Path

from lee.stacks.tiff.companion import COMPANION_SUFFIX, first_file_of
from lee.stacks.tiff.page_list import TIFF_SUFFIXES
from lee.stacks.tiff.planes import TiffPlanes


class TiffReader:
    """A multi-page TIFF, BigTIFF, OME-TIFF (or its companion), ImageJ or Micro-Manager stack."""

    name = "TIFF"
    reads = "a TIFF stack"

    def recognises(self, path: Path) -> bool:
        """Whether the suffix is one of TIFF, or that of the metadata beside OME-TIFFs."""
        known = path.suffix.lower() in TIFF_SUFFIXES or path.name.lower().endswith(COMPANION_SUFFIX)
        return known and path.is_file()

    def open(self, path: Path) -> TiffPlanes:
        """Read and check the headers of all pages."""
        return TiffPlanes(first_file_of(path) if path.suffix.lower() == ".ome" else path)
