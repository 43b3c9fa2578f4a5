"""Micro-Manager's folders with one image file a frame, and `metadata.txt`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lee.errors import InputError
from lee.stacks.folder.names import FrameOrder
from lee.stacks.image_folder import FolderSource
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
    except (TypeError, ValueError):
        return 0


class ImageSetReader:
    """A folder of single images with the metadata of Micro-Manager."""

    name = "Micro-Manager images"
    reads = f"a folder of Micro-Manager images ({METADATA})"

    def recognises(self, path: Path) -> bool:
        """Whether a folder has that metadata."""
        if not path.is_dir() or not (path / METADATA).is_file():
            return False
        with (path / METADATA).open("rb") as file:
            return b'"Summary"' in file.read(4096)

    def open(self, path: Path) -> ImageSetPlanes:
        """Read the metadata; images are read when asked for."""
        return ImageSetPlanes(path)
