"""Micro-Manager's folders with one image file a frame, and `metadata.txt`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lee.errors import InputError
from lee.stacks.folder.names import FrameOrder
from lee.stacks.image_folder import FolderSource, image_files, natural_key
from lee.stacks.micro_manager.metadata import calibration_of_frames, parsed, whole_members
from lee.stacks.reader import PlaneSet

METADATA = "metadata.txt"
_INDICES = {"p": "PositionIndex", "t": "FrameIndex", "c": "ChannelIndex", "z": "SliceIndex"}
# In newer versions the indices of a frame are in a member of their own.
_COORDINATES = {"p": "position", "t": "time", "c": "channel", "z": "z"}


class ImageSetPlanes(PlaneSet):
    """The images of a folder along the axes that ``metadata.txt`` states, also after a crash."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        members = whole_members((folder / METADATA).read_text(encoding="utf-8", errors="replace"))
        self.summary = parsed(members.get("Summary"))
        self.frames: dict[tuple[int, ...], tuple[Path, Mapping[str, object]]] = {}
        coordinates = {
            Path(key).name: parsed(value) for key, value in members.items() if key.startswith("Coords-")
        }
        for key, value in members.items():
            facts = parsed(value)
            if not key.startswith(("FrameKey-", "Metadata-")):
                continue
            path = folder / Path(str(facts.get("FileName") or key)).name
            place = coordinates.get(path.name, {})
            index = tuple(
                _whole(facts.get(_INDICES[axis], place.get(_COORDINATES[axis], 0))) for axis in _INDICES
            )
            if path.is_file():
                self.frames[index] = path, facts
        if not self.frames:
            raise InputError(
                f"{folder / METADATA}: names no image that is in its folder; copy the folder again"
            )
        self._levels = {axis: sorted({index[k] for index in self.frames}) for k, axis in enumerate(_INDICES)}
        self.axes = {axis: len(levels) for axis, levels in self._levels.items()}
        names = self.summary.get("ChNames")
        if isinstance(names, list) and len(names) == self.axes["c"]:
            self.labels = {"c": [str(name) for name in names]}

    def stack(self, depth: str | None, fixed: Mapping[str, int]) -> FolderSource:
        """Open the images along `depth`."""
        places = [
            tuple(self._levels[axis][k if axis == depth else fixed[axis]] for axis in self.axes)
            for k in range(1 if depth is None else self.axes[depth])
        ]
        there = [place in self.frames for place in places]
        count = sum(there)
        if not all(there[:count]) or not count:
            raise InputError(
                f"{self.folder}: plane {there.index(False)} of {len(places)} is missing; copy the folder "
                "again"
            )
        files = [self.frames[place][0] for place in places[:count]]
        source = FolderSource(self.folder, FrameOrder(files))
        facts = [self.frames[place][1] for place in places[:count]]
        found = calibration_of_frames(facts, self.summary, along_z=depth == "z")
        if found.pixel_yx_um is None:
            found.pixel_yx_um, found.pixel_um_source = source.pixel_yx_um, source.pixel_um_source
        found.apply_to(source)
        planned = _whole(self.summary.get("Slices", 0)) if depth == "z" else 0
        lost = max(planned, len(places)) - count
        if lost > 0:
            source.notes = (
                *source.notes,
                f"holds {count} of the {count + lost} planes that its metadata states, as after an "
                f"acquisition that was stopped; the last {lost} are missing",
            )
        source.metadata["format"] = "Micro-Manager images"
        return source


def _whole(value: object) -> int:
    try:
        return int(value)  # type: ignore[call-overload,no-any-return]
    except (OverflowError, TypeError, ValueError):
        return 0


class PositionFolders(PlaneSet):
    """Folders of images side by side, one for each position."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._sets = [ImageSetPlanes(folder) for folder in folders]
        first = self._sets[0]
        for other in self._sets:
            if other.axes != first.axes:
                raise InputError(
                    f"{other.folder}: holds {_lengths(other)}, {first.folder.name} holds {_lengths(first)}; "
                    "give the folder of one position"
                )
        self.axes = {**first.axes, "p": len(folders)}
        self.labels = {**first.labels, "p": [folder.name for folder in folders]}

    def stack(self, depth: str | None, fixed: Mapping[str, int]) -> FolderSource:
        """Open the images of one position."""
        if depth == "p":
            raise InputError(
                f"{self._sets[0].folder.parent}: its positions are no scan; give another z_axis (--z-axis)"
            )
        chosen = fixed["p"]
        return self._sets[chosen].stack(depth, {**fixed, "p": 0})


def _lengths(planes: ImageSetPlanes) -> str:
    return " × ".join(f"{n} {axis}" for axis, n in planes.axes.items())


def _position_folders(folder: Path) -> list[Path]:
    """Return the folders of images in a folder that holds no files of a scan itself, in natural order."""
    if image_files(folder):
        return []
    return sorted(
        (path for path in folder.iterdir() if _is_set(path)), key=lambda path: natural_key(path.name)
    )


def _is_set(folder: Path) -> bool:
    if not folder.is_dir() or not (folder / METADATA).is_file():
        return False
    with (folder / METADATA).open("rb") as file:
        return b'"Summary"' in file.read(4096)


class ImageSetReader:
    """A folder of single images with the metadata of Micro-Manager, or one that holds such folders."""

    name = "Micro-Manager images"
    reads = f"a folder of Micro-Manager images ({METADATA})"

    def recognises(self, path: Path) -> bool:
        """Whether a folder, or a folder in it, has that metadata."""
        return path.is_dir() and (_is_set(path) or bool(_position_folders(path)))

    def open(self, path: Path) -> PlaneSet:
        """Read the metadata; images are read when asked for."""
        folders = [path] if _is_set(path) else _position_folders(path)
        return ImageSetPlanes(folders[0]) if len(folders) == 1 else PositionFolders(folders)
