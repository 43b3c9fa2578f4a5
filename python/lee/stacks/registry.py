"""The stack formats that can be read: built-in ones, and those that other packages add."""

import warnings
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from lee.errors import InputError
from lee.stacks.array import NpyReader
from lee.stacks.bioio_images import BioioReader
from lee.stacks.folder.image_file import IMAGE_SUFFIXES
from lee.stacks.image_folder import ImageFolderReader
from lee.stacks.internal_warnings import internal_warnings_hidden
from lee.stacks.micro_manager.image_set import ImageSetReader
from lee.stacks.micro_manager.ndtiff import NdTiffReader
from lee.stacks.ome_zarr.reader import ZarrReader
from lee.stacks.reader import FrameSource, PlaneSet, StackReader
from lee.stacks.recorded_scan import RecordedScanReader
from lee.stacks.tiff.reader import TiffReader
from lee.stacks.video import VideoReader

ENTRY_POINTS = "lee.stacks"
# In the order in which they are asked: a folder is looked at as OME-Zarr before it is one of images.
_BUILT_IN: tuple[StackReader, ...] = (
    ZarrReader(),
    NdTiffReader(),
    TiffReader(),
    ImageSetReader(),
    ImageFolderReader(),
    NpyReader(),
    RecordedScanReader(),
    VideoReader(),
    BioioReader(),
)
_registered: dict[str, StackReader] = {}


def register_reader(reader: StackReader) -> None:
    """Offer a format in this process; packages offer theirs through the entry points ``lee.stacks``.

    Raises
    ------
    InputError
        If it is no `StackReader`, or another one has its name.
    """
    _check(reader, "register_reader", readers())
    _registered[reader.name] = reader


def readers() -> dict[str, StackReader]:
    """Every reader by its name, in the order in which they are asked.

    First those of other packages, then those registered, then the built-in ones: so a special kind of TIFF
    may have a reader of its own. An entry point names a `StackReader`, or a class that makes one without
    arguments. One that cannot be loaded or whose name is taken is skipped with a warning, so that a broken
    package spoils no other format.
    """
    known = {reader.name: reader for reader in _BUILT_IN} | _registered
    added: dict[str, StackReader] = {}
    for entry in installed():
        try:
            loaded = entry.load()
            reader = loaded() if isinstance(loaded, type) else loaded
            _check(reader, f"{ENTRY_POINTS}: {entry.name} = {entry.value}", known | added)
        except Exception as error:
            warnings.warn(f"a stack reader of another package is skipped: {error}", stacklevel=2)
            continue
        added[reader.name] = reader
    return added | _registered | {reader.name: reader for reader in _BUILT_IN}


@cache
def installed() -> tuple[EntryPoint, ...]:
    """Return the entry points of the packages installed."""
    return tuple(entry_points(group=ENTRY_POINTS))


def reader_for(path: Path) -> StackReader | None:
    """Choose the first reader that recognises a file or folder; None where none does."""
    return next((reader for reader in readers().values() if reader.recognises(path)), None)


def open_source(path: Path) -> FrameSource | PlaneSet:
    """Open a file or folder with the reader that recognises it.

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    InputError
        If no reader recognises it; the message lists what can be read.
    """
    if not path.exists():
        raise FileNotFoundError(path)
    reader = reader_for(path)
    if reader is not None:
        with internal_warnings_hidden():
            return reader.open(path)
    if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES:
        raise InputError(f"{path}: is a single image; give the folder that holds the frames of the scan")
    *others, last = (reader.reads for reader in readers().values())
    what = "holds no stack" if path.is_dir() else "is not a stack"
    raise InputError(f"{path}: {what}; give {', '.join(others)} or {last}")


def _check(reader: object, where: str, known: dict[str, StackReader]) -> None:
    if not isinstance(reader, StackReader):
        raise InputError(
            f"{where}: {reader!r} is not a stack reader; it needs name, reads, recognises() and open()"
        )
    if reader.name in known:
        raise InputError(f"{where}: there is a reader {reader.name!r} already; give yours another name")
