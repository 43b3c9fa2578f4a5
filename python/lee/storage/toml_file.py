"""TOML files from people: one clear line where they cannot be read."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from lee.errors import InputError
from lee.storage.refusals import unreadable


def read_toml(path: Path, whose: str) -> dict[str, Any]:
    """Read a file.

    Parameters
    ----------
    path : Path
    whose : str
        What the file describes: "a cell's", "a rig's".

    Raises
    ------
    InputError
        If it cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise unreadable(path, error, f"give {whose} TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        escaped = "\\" in reason or "hex value" in reason  # as a name of Windows reads within "..."
        advice = "; put names with \\ in '...' instead of \"...\"" if escaped else ""
        raise InputError(f"{path}: is not TOML ({reason}){advice}") from error
