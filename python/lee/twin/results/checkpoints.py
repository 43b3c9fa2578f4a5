"""Checkpoints of a growth on disk, to resume from after an interruption."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lee.errors import InputError
from lee.storage.atomic import new_file
from lee.twin.results.solution import Balance

_ABOUT, _RESUME = "growth.json", "resume.npz"


def fingerprint(*parts: Any) -> str:
    """Identify inputs: arrays by their bytes, all else by its text."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(
            np.ascontiguousarray(part).tobytes() if isinstance(part, np.ndarray) else repr(part).encode()
        )
        digest.update(b"|")
    return digest.hexdigest()


class Checkpoints:
    """A folder with one file for each time, and one to resume from.

    ``growth.json`` describes the growth, ``time_00000.npz`` and so on hold the maps, ``resume.npz`` the
    solver's checkpoint after the last of them.

    Parameters
    ----------
    folder : str or Path
        Made if it is not there.
    of : str
        `fingerprint` of all that shapes the result, apart from the times.
    about : dict
        Written to ``growth.json``, for people to read.

    Raises
    ------
    InputError
        If the folder holds another growth, or cannot be written.
    """

    def __init__(self, folder: str | Path, of: str, about: dict[str, Any]) -> None:
        self._folder = Path(folder)
        about_file = self._folder / _ABOUT
        if about_file.exists():
            try:
                held = json.loads(about_file.read_text(encoding="utf-8"))["fingerprint"]
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise InputError(f"{about_file}: cannot be read; give a new folder") from error
            if held != of:
                raise InputError(
                    f"{self._folder}: holds a growth of another surface, cell or mesh; give a new folder"
                )
            return
        with new_file(about_file) as partial:
            partial.write_text(json.dumps({"fingerprint": of, **about}, indent=1), encoding="utf-8")

    def save(
        self,
        maps: dict[str, NDArray[Any]],
        solver: dict[str, NDArray[Any]],
        balances: list[Balance],
        count: int,
    ) -> None:
        """Write the maps of a time, number `count` - 1, and the solver's checkpoint."""
        self._write(f"time_{count - 1:05d}.npz", maps)
        steps = np.array(json.dumps([asdict(balance) for balance in balances]))
        self._write(_RESUME, {**solver, "books": steps, "count": np.array(count)})

    def load(self) -> tuple[list[dict[str, Any]], dict[str, Any], list[Balance]] | None:
        """Return maps of each time, the checkpoint, and the steps' balances; None if nothing was saved."""
        if not (self._folder / _RESUME).exists():
            return None
        solver = self._read(_RESUME)
        balances = [
            Balance(**{**step, "residuals": tuple(step["residuals"])})
            for step in json.loads(str(solver.pop("books")))
        ]
        maps = [self._read(f"time_{index:05d}.npz") for index in range(int(solver.pop("count")))]
        return maps, solver, balances

    def _write(self, name: str, arrays: dict[str, NDArray[Any]]) -> None:
        with new_file(self._folder / name) as partial, partial.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]

    def _read(self, name: str) -> dict[str, Any]:
        try:
            with np.load(self._folder / name) as held:
                return dict(held)
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"{self._folder / name}: cannot be read; give a new folder") from error
