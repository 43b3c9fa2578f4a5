"""The formats a surface can be exported to: built-in ones, and those that other packages add."""

import warnings
from importlib.metadata import entry_points
from pathlib import Path

from lee.errors import InputError
from lee.export.blender import BlendExporter
from lee.export.exporter import Exporter
from lee.export.gltf import GlbExporter, GltfExporter
from lee.export.gsf import GsfExporter
from lee.export.gwy import GwyExporter
from lee.export.obj import ObjExporter
from lee.export.ply import PlyExporter
from lee.export.stl import StlExporter
from lee.export.sur import SurExporter
from lee.export.x3p import X3pExporter

ENTRY_POINTS = "lee.exporters"
_BUILT_IN: tuple[Exporter, ...] = (
    GlbExporter(),
    GltfExporter(),
    ObjExporter(),
    PlyExporter(),
    StlExporter(),
    X3pExporter(),
    GsfExporter(),
    GwyExporter(),
    SurExporter(),
    BlendExporter(),
)
_registered: dict[str, Exporter] = {}


def register_exporter(exporter: Exporter) -> None:
    """Offer a format in this process; packages offer theirs through the entry points ``lee.exporters``.

    Raises
    ------
    InputError
        If it is no `Exporter`, or another one has its suffix.
    """
    _check(exporter, "register_exporter", exporters())
    _registered[exporter.suffix] = exporter


def exporters() -> dict[str, Exporter]:
    """Every format by its suffix: built-in ones, then those registered, then those of other packages.

    An entry point names an `Exporter`, or a class that makes one without arguments. One that cannot be loaded
    or whose suffix is taken is skipped with a warning, so that a broken package spoils no other format.
    """
    found = {exporter.suffix: exporter for exporter in _BUILT_IN} | _registered
    for entry in entry_points(group=ENTRY_POINTS):
        try:
            loaded = entry.load()
            exporter = loaded() if isinstance(loaded, type) else loaded
            _check(exporter, f"{ENTRY_POINTS}: {entry.name} = {entry.value}", found)
        except Exception as error:
            warnings.warn(f"an exporter of another package is skipped: {error}", stacklevel=2)
            continue
        found[exporter.suffix] = exporter
    return found


def exporter_for(path: Path) -> Exporter:
    """Choose the format by the suffix of a file name.

    Raises
    ------
    InputError
        If no format has that suffix; the message lists those there are.
    """
    known = exporters()
    try:
        return known[path.suffix.lower()]
    except KeyError:
        raise InputError(f"{path.name!r}: no format has this suffix; use one of {', '.join(known)}") from None


def _check(exporter: object, where: str, known: dict[str, Exporter]) -> None:
    if not isinstance(exporter, Exporter):
        raise InputError(
            f"{where}: {exporter!r} is not an exporter; it needs suffix, holds, summary, "
            "companions and write()"
        )
    if not exporter.suffix.startswith(".") or exporter.suffix != exporter.suffix.lower():
        raise InputError(
            f"{where}: the suffix {exporter.suffix!r} must be in lower case and begin with a dot"
        )
    if exporter.suffix in known:
        raise InputError(f"{where}: {exporter.suffix} is already written by {known[exporter.suffix]!r}")
