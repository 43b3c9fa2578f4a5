"""A followed run on disk: what a solution's folder holds, and the accounts from scan to scan."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lee.errors import InputError
from lee.storage.atomic import new_folder
from lee.twin.following.follow import Followed
from lee.twin.results.folder import FILES as SOLUTION_FILES
from lee.twin.results.folder import write_solution

INTERVALS = "intervals.csv"
FILES = frozenset({*SOLUTION_FILES, INTERVALS})


def save_followed(
    followed: Followed,
    folder: str | Path,
    *,
    overwrite: bool = False,
    metadata: Mapping[str, Any] | None = None,
    films: bool = True,
) -> Path:
    """Write a followed run as a folder, which appears under its name only when all of it is written.

    It holds what `lee.twin.results.folder.save_solution` writes, for each scan, and ``intervals.csv``.

    Parameters
    ----------
    followed : Followed
    folder : str or Path
        Must not exist unless `overwrite`.
    overwrite : bool
        Replace an older folder of this kind.
    metadata : mapping, optional
        Where the run came from; must fit into JSON.
    films : bool

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InputError
        If no scan was reached, or the folder exists.
    """
    solution = followed.solution
    if not len(solution.times_s):
        raise InputError(f"nothing to write to {folder}: no scan was reached; {solution.stopped or 'follow'}")
    with new_folder(folder, overwrite=overwrite, known=FILES) as place:
        about = {
            **(metadata or {}),
            "scans": followed.scans,
            "scans_without_surface": [followed.scans[k] for k in followed.holes],
            "boundary_sigma_um": followed.sigma_um,
        }
        write_solution(place, solution, metadata=about, films=films)
        followed.intervals.to_csv(place / INTERVALS, index=False)
    return Path(folder)
