"""Have the system bring files and names to the disk, so that they outlast a power cut."""

from __future__ import annotations

import os
from pathlib import Path

# Windows does not open folders as files; there a name is as durable as its file system makes it.
_FOLDER: int | None = getattr(os, "O_DIRECTORY", None)


def sync_file(path: Path) -> None:
    """Wait until a file is on the disk."""
    with path.open("r+b") as file:  # Windows brings only files to the disk that are open for writing
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system can tell."""
    if _FOLDER is None:
        return
    place = os.open(folder, os.O_RDONLY | _FOLDER)
    try:
        os.fsync(place)
    finally:
        os.close(place)


def sync_tree(folder: Path) -> None:
    """Wait until a folder and everything in it is on the disk."""
    for root, _, files in os.walk(folder):
        for name in files:
            sync_file(Path(root) / name)
        sync_folder(Path(root))
