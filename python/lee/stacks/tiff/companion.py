"""OME-TIFFs whose metadata is in a file of its own, ``.companion.ome``."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from lee.errors import InputError
from lee.stacks.tiff.ome_xml import OmeXml

COMPANION_SUFFIX = ".companion.ome"
# A companion states a few hundred bytes a plane.
_MAX_BYTES = 256 * 2**20


def companion_of(xml: str, path: Path) -> Path | None:
    """Return the companion that the OME-XML of a TIFF refers to; None where that holds the metadata itself.

    The companion lies beside the TIFF, whatever folder the XML states; it may be missing.
    """
    if "BinaryOnly" not in xml:
        return None
    try:
        root = ElementTree.fromstring(xml[xml.find("<") : xml.rfind(">") + 1])
    except (ElementTree.ParseError, ValueError):
        return None
    only = root.find("{*}BinaryOnly")
    name = "" if only is None else Path(only.get("MetadataFile", "").replace("\\", "/")).name
    return path.with_name(name) if name else None


def read_companion(path: Path) -> str:
    """Read the OME-XML of a companion.

    Raises
    ------
    InputError
        If it is no regular file, or larger than any.
    """
    if not path.is_file():
        raise InputError(f"{path}: is not a file; give the companion of an OME-TIFF")
    if path.stat().st_size > _MAX_BYTES:
        raise InputError(f"{path}: is larger than the metadata of any scan; save it again as OME-TIFF")
    return path.read_bytes().decode("utf-8", errors="replace")


def first_file_of(companion: Path) -> Path:
    """Return the first TIFF of those that a companion names and that lie beside it.

    Raises
    ------
    InputError
        If there is none.
    """
    names = sorted(OmeXml(read_companion(companion), str(companion)).files())
    for name in names:
        place = companion.with_name(Path(name.replace("\\", "/")).name)
        if place.is_file():
            return place
    wanted = f", such as {names[0]}," if names else ""
    raise InputError(
        f"{companion}: none of its images{wanted} is beside it; put all files of the set in one folder"
    )
