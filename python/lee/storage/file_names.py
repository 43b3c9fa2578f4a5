"""Names that Windows gives another meaning than that of a file."""

from __future__ import annotations

import os
import re
from pathlib import Path

from lee.errors import InputError

_WINDOWS = os.name == "nt"
_DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\.|$)", re.IGNORECASE)
_MEANT_OTHERWISE = re.compile(r'[<>:"|?*\x00-\x1f]')


def refuse_reserved(path: Path) -> None:
    """Refuse a path to write to, on Windows, where one of its names would be lost or be a device.

    ``nul`` takes everything and keeps nothing, ``a:b`` hides b within a, and ``a.`` becomes ``a``.

    Raises
    ------
    InputError
        If so; the message names the part at fault.
    """
    if not _WINDOWS:
        return
    for name in path.parts[1 if path.anchor else 0 :]:
        what = _reserved(name)
        if what:
            raise InputError(f"{path}: on Windows {name!r} {what}: choose another output name")


def _reserved(name: str) -> str:
    if name in (".", ".."):
        return ""
    if _DEVICES.match(name):
        return "is a device and no file"
    if name.endswith((".", " ")):
        return "would lose its last character"
    held = _MEANT_OTHERWISE.search(name)
    return f"holds {held[0]!r}, which no name may" if held else ""
