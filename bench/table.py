"""Tables on the terminal and in CSV files, and the machine they were measured on."""

import csv
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from lee import _core

Cell = str | float | int
Row = Mapping[str, Cell]


def machine() -> str:
    """Return what a figure depends on: cores, instruction set."""
    return f"{_core.available_cores()} cores, {_core.instruction_set()}"


def shown(value: Cell) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return f"{value:,}"
    if not np.isfinite(value):
        return "-"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def lines(rows: Sequence[Row], formats: Mapping[str, Callable[[Cell], str]] | None = None) -> list[str]:
    """Return a table's lines: its heading, then each row; words to the left, numbers to the right."""
    names = list(rows[0])
    cells = [[(formats or {}).get(name, shown)(row[name]) for name in names] for row in rows]
    wide = [max(len(name), *(len(line[k]) for line in cells)) for k, name in enumerate(names)]
    left = [isinstance(rows[0][name], str) for name in names]

    def joined(parts: Sequence[str]) -> str:
        padded = (
            p.ljust(w) if is_left else p.rjust(w) for p, w, is_left in zip(parts, wide, left, strict=True)
        )
        return "  ".join(padded).rstrip()

    return [joined(names), *(joined(line) for line in cells)]


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """Write rows under all their names; the file appears whole or not at all."""
    part = path.with_name(path.name + ".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)
    os.replace(part, path)
