"""Rows of an accuracy table: what must be reached, what is aimed at, and what each seed got."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.table import Cell, lines, write_csv


@dataclass(frozen=True)
class Row:
    """A figure, the smaller the better unless `at_least`: its limit, its aim, what each seed got."""

    what: str
    of: str
    unit: str
    must: float
    aim: float
    got: tuple[float, ...]
    at_least: bool = False

    @property
    def worst(self) -> float:
        """The largest, or the smallest of what is better large; NaN where any is."""
        return float(np.min(self.got) if self.at_least else np.max(self.got))

    @property
    def verdict(self) -> str:
        """Say which bound the worst seed keeps."""
        sign = -1 if self.at_least else 1
        worst, aim, must = (sign * one for one in (self.worst, self.aim, self.must))
        return "aim" if worst <= aim else "must" if worst <= must else "MISSED"

    def cells(self) -> dict[str, Cell]:
        """Return the row of the table."""
        return {
            "what": self.what,
            "of": self.of,
            "unit": self.unit,
            "must": self.must,
            "aim": self.aim,
            "got": self.worst,
            "": self.verdict,
            "seeds": " ".join(f"{one:.3g}" for one in self.got),
        }


def print_rows(rows: Sequence[Row], csv: Path | None = None) -> None:
    """Print the table, and write it to a file if one is given."""
    cells = [row.cells() for row in rows]
    print(*lines(cells), sep="\n")
    if csv:
        write_csv(cells, csv)
