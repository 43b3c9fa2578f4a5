"""A property of the instrument on disk: tables, one figure, and how it was measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from matplotlib.figure import Figure

from lee.metrology.quantity import InstrumentResult
from lee.storage.atomic import new_folder
from lee.storage.description import json_values, versions

FORMAT = "lee metrology"
FORMAT_VERSION = 1
FILES = frozenset({"quantities.csv", "details.csv", "figure.png", "metrology.json"})


def save_measured(
    found: InstrumentResult,
    figure: Figure,
    folder: str | Path,
    *,
    overwrite: bool = False,
    metadata: Mapping[str, object] | None = None,
) -> Path:
    """Write a result as a folder; it appears under its name only when it is complete.

    Parameters
    ----------
    found : InstrumentResult
    figure : matplotlib.figure.Figure
    folder : str or Path
        Must not exist unless `overwrite`.
    overwrite : bool
        Replace an older folder of this kind. One that holds anything else is never replaced.
    metadata : mapping, optional
        Inputs and options; must fit into JSON.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InputError
        If the folder exists.
    StorageError
        If it cannot be written, or the disk is full.
    """
    import pandas as pd

    with new_folder(folder, overwrite=overwrite, known=FILES) as place:
        pd.DataFrame([vars(one) for one in found.quantities]).to_csv(place / "quantities.csv", index=False)
        found.details.to_csv(place / "details.csv", index=False)
        figure.savefig(place / "figure.png", format="png")
        described = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "written": datetime.now(UTC).isoformat(timespec="seconds"),
            "kind": found.kind,
            "holds": found.holds,
            "quantities": {one.name: vars(one) for one in found.quantities},
            "versions": versions(),
            "metadata": metadata or {},
        }
        text = json.dumps(json_values(described), indent=2, allow_nan=False)
        (place / "metrology.json").write_text(text + "\n", encoding="utf-8")
    return Path(folder)
