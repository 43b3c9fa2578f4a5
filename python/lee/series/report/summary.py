"""What a run came to, in numbers and sentences."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lee.series.region_curves import rate_ratio
from lee.series.report.results import SeriesResults

if TYPE_CHECKING:
    import pandas as pd

_MOST_ROWS = 12
_CONVENTIONS = (
    "Lengths are in µm, times in s from the first scan, rates in nm/s. Height grows away from the substrate, "
    "toward the objective. A trench has positive mean curvature, a peak negative. Hatched pixels were not "
    "measured and take no part in any number."
)
_AREAL_COLUMNS = {
    "time_s": "t (s)",
    "Sa_um": "Sa (µm)",
    "Sq_um": "Sq (µm)",
    "Sz_um": "Sz (µm)",
    "Ssk": "Ssk",
    "Sku": "Sku",
    "Sdq": "Sdq",
    "Sdr_percent": "Sdr (%)",
    "area_um2": "area (µm²)",
    "volume_um3": "volume (µm³)",
    "deposited_um3": "deposited (µm³)",
    "area_per_volume_per_um": "area/volume (1/µm)",
    "coverage": "measured",
}

Rows = list[dict[str, object]]


def summary(r: SeriesResults) -> tuple[str, Rows]:
    """Tell a run in a few sentences and a table of ``what`` and ``value``.

    Maps are read one at a time, and thinned.
    """
    count = len(r.times_s)
    span = float(r.times_s[-1] - r.times_s[0])
    rows, columns = np.shape(r.heights[0])
    shares = [float(np.isfinite(np.asarray(r.heights[k])[::2, ::2]).mean()) for k in range(count)]
    lost = sum(share == 0 for share in shares)
    measured = [share for share in shares if share > 0]
    table: Rows = [
        {
            "what": "scans",
            "value": f"{count} in {span:.0f} s" + (f", {lost} without a surface" if lost else ""),
        },
        {
            "what": "field",
            "value": f"{columns * r.pixel_um:.4g} × {rows * r.pixel_um:.4g} µm "
            f"({columns} × {rows} pixels of {r.pixel_um:.4g} µm)",
        },
    ]
    if measured:
        told = f"{np.median(measured):.1%} of the field in the median scan, {min(measured):.1%} in the worst"
        table.append({"what": "measured", "value": told})
    medians = [_median(r.rate[k]) for k in range(count)]
    for phase in dict.fromkeys(p for p in r.phases):
        scans = [k for k in range(count) if r.phases[k] == phase]
        table.append({"what": f"rate, {phase}" if phase else "rate", "value": _rates(medians, scans)})
    if r.rate_sigma is not None:
        sigmas = [s for k in range(count) if np.isfinite(s := _median(r.rate_sigma[k]))]
        if sigmas:
            table.append(
                {
                    "what": "σ of the rate of a pixel",
                    "value": f"{np.median(sigmas):.2g} nm/s in the median scan",
                }
            )
    if r.region_table is not None and len(r.region_table):
        ratio = ratio_of_kinds(r.region_table)
        for phase, value in _ratios(ratio, r.phases).items():
            name = f"trench and protrusion rates, {phase}" if phase else "trench and protrusion rates"
            table.append({"what": name, "value": value})
    for name, relation in r.relations.items():
        low, high = relation.spearman_interval
        told = f"Spearman ρ = {relation.spearman:.2f}" if np.isfinite(relation.spearman) else "unknown"
        if np.isfinite([low, high]).all():
            told += f", {relation.confidence:.0%} interval {low:.2f} to {high:.2f}"
        table.append({"what": f"curvature and rate, {name}", "value": told})
    failed = [f"{scan} has no surface: {reason}" for scan, reason in r.failed.items()]
    implied = [r.alignment.implies] if r.alignment is not None and r.alignment.implies else []
    said = [_sentence(one) for one in (*r.notes, *failed)]
    said += [one for one in map(_sentence, implied) if one not in said]
    return "\n\n".join([*said, _CONVENTIONS]), table


def _sentence(said: str) -> str:
    """Begin with a capital, unless it is a file's name, and end with a full stop."""
    words = said.split(maxsplit=1)
    first = words[0] if words and not words[0].isalpha() else said[:1].upper() + said[1:].split(" ", 1)[0]
    return " ".join([first, *words[1:]]).rstrip(".") + "."


def ratio_of_kinds(table: "pd.DataFrame") -> "pd.DataFrame | None":
    """Compare trenches with protrusions, scan by scan; None where there are not both."""
    if "kind" not in table or not {"trench", "protrusion"} <= set(table["kind"]):
        return None
    return rate_ratio(table)


def said_of_ratio(ratio: "pd.DataFrame | None", phases: Sequence[str]) -> str:
    """Tell how much faster trenches changed than protrusions, phase by phase."""
    return " ".join(
        f"Trenches against protrusions{', ' + phase if phase else ''}: rates {value}."
        for phase, value in _ratios(ratio, phases).items()
    )


def areal_rows(table: "pd.DataFrame") -> tuple[Rows, str]:
    """Give rows for a report, at most twelve scans, and what is to be said of them."""
    kept = np.unique(np.linspace(0, len(table) - 1, min(len(table), _MOST_ROWS)).round().astype(int))
    rows: Rows = [
        {
            said: _number(row[name], share=name == "coverage")
            for name, said in _AREAL_COLUMNS.items()
            if name in row
        }
        for row in table.iloc[kept].to_dict("records")
    ]
    text = (
        "A compact deposit fills its trenches: area falls and settles while volume grows, so area over "
        "volume falls. Where it rises during plating, area grows faster than volume: an early sign of "
        "dendrites."
    )
    told = []
    scale = table["scale_um"].iloc[0] if "scale_um" in table else np.nan
    if np.isfinite(scale):
        told.append(f"area and slopes are taken at a scale of {scale:.3g} µm")
    datum = table["datum_um"].iloc[0] if "datum_um" in table else np.nan
    if np.isfinite(datum):
        told.append(f"volume counts from a height of {datum:.3g} µm")
    projected = table["projected_um2"].iloc[0] if "projected_um2" in table else np.nan
    if np.isfinite(projected):
        told.append(f"the field seen from above has {projected:.0f} µm²")
    if told:
        said = "; ".join(told)
        text += f"\n\n{said[0].upper()}{said[1:]}."
    if len(kept) < len(table):
        text += f" {len(kept)} of {len(table)} scans are listed."
    return rows, text


def _ratios(ratio: "pd.DataFrame | None", phases: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    if ratio is None:
        return found
    for phase in dict.fromkeys(phases):
        part = ratio[[phases[k] == phase for k in ratio["scan"]]]
        known = part["ratio"][np.isfinite(part["ratio"])]
        if len(known):
            found[phase] = (
                f"{known.iloc[0]:.2f} to 1 at first, {known.iloc[-1]:.2f} to 1 at last"
                if len(known) > 1
                else f"{known.iloc[0]:.2f} to 1"
            )
    return found


def _rates(medians: Sequence[float], scans: Sequence[int]) -> str:
    known = [medians[k] for k in scans if np.isfinite(medians[k])]
    if not known:
        return f"{len(scans)} scans, no rate measured"
    return f"{len(scans)} scans, median {known[0]:.3g} nm/s at first, {known[-1]:.3g} nm/s at last"


def _median(values: Any) -> float:
    thinned: NDArray[np.float32] = np.asarray(values, np.float32)[::2, ::2]
    known = thinned[np.isfinite(thinned)]
    return float(np.median(known)) if known.size else float("nan")


def _number(value: object, *, share: bool = False) -> str:
    number = float(value)  # type: ignore[arg-type]
    if not np.isfinite(number):
        return "not measured"
    if share:
        return f"{number:.1%}"
    return f"{number:.0f}" if abs(number) >= 1000 else f"{number:.4g}"
