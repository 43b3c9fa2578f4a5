"""The summary of a series, in sentences and numbers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.figures.report import Rows
from lee.series.region_curves import rate_ratio
from lee.series.report.results import SeriesResults

if TYPE_CHECKING:
    import pandas as pd

_MAX_ROWS = 12
RATE_ERRORS = (
    "The standard deviation of a rate holds errors of the heights that are new in every scan or move slowly "
    "from scan to scan, both measured on this run, and what is not known of how growth bends over time; it "
    "does not hold drift of the stage along z, an error of its scale, errors that move in proportion to "
    "time, and how the focus window flattens features narrower than itself."
)
_REGION_ERRORS = (
    "The standard error of a region's rate holds the same for the mean of its pixels, neighbours with like "
    "errors counted once, and how the focus window flattens growth that varies over its width; that of a "
    "ratio of rates follows from both of its rates. They do not hold drift of the stage along z, nor an "
    "error of its scale."
)
_AREAL_ERRORS = (
    "The standard error of an area holds how the focus window and the errors of the heights change it at "
    "this scale, and that of a deposited volume the errors of the heights, neighbours with like errors "
    "counted once; they do not hold relief finer than the scale, drift of the stage along z, nor that a "
    "surface that grows is seen a little later where it is higher."
)
_CONVENTIONS = (
    "Lengths are in µm, times in s from the first scan, rates in nm/s. Height grows away from the substrate, "
    "toward the objective. The mean curvature of a trench is positive, that of a peak negative. Hatched "
    "pixels were not measured and are excluded from all numbers."
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
    "area_se_um2": "± (µm²)",
    "volume_um3": "volume (µm³)",
    "deposited_um3": "deposited (µm³)",
    "deposited_se_um3": "± (µm³)",
    "area_per_volume_per_um": "area/volume (1/µm)",
    "coverage": "measured",
}


def summary(r: SeriesResults) -> tuple[str, Rows]:
    """Summarise a series in a few sentences and a table of ``quantity`` and ``value``.

    Maps are read one at a time, and subsampled.
    """
    count = len(r.times_s)
    span = float(r.times_s[-1] - r.times_s[0])
    rows, columns = np.shape(r.heights[0])
    shares = [float(np.isfinite(np.asarray(r.heights[k])[::2, ::2]).mean()) for k in range(count)]
    lost = sum(share == 0 for share in shares)
    measured = [share for share in shares if share > 0]
    table: Rows = [
        {
            "quantity": "scans",
            "value": f"{count} in {span:.0f} s" + (f", {lost} without a surface" if lost else ""),
        },
        {
            "quantity": "field",
            "value": f"{columns * r.pixel_um:.4g} × {rows * r.pixel_um:.4g} µm "
            f"({columns} × {rows} pixels of {r.pixel_um:.4g} µm)",
        },
    ]
    if measured:
        value = (
            f"{100 * np.median(measured):.1f} % of the field in the median scan, {100 * min(measured):.1f} "
            "% in the worst"
        )
        table.append({"quantity": "measured", "value": value})
    medians = [_median(r.rate[k]) for k in range(count)]
    for phase in dict.fromkeys(p for p in r.phases):
        scans = [k for k in range(count) if r.phases[k] == phase]
        table.append({"quantity": f"rate, {phase}" if phase else "rate", "value": _rates(medians, scans)})
    if r.rate_sigma is not None:
        sigmas = [s for k in range(count) if np.isfinite(s := _median(r.rate_sigma[k]))]
        if sigmas:
            table.append(
                {
                    "quantity": "σ of the rate of a pixel",
                    "value": f"{np.median(sigmas):.2g} nm/s in the median scan",
                }
            )
    if r.region_table is not None and len(r.region_table):
        ratio = ratio_of_kinds(r.region_table)
        for phase, value in _ratios(ratio, r.phases).items():
            name = f"trench and protrusion rates, {phase}" if phase else "trench and protrusion rates"
            table.append({"quantity": name, "value": value})
    for name, relation in r.relations.items():
        low, high = relation.spearman_interval
        value = f"Spearman ρ = {relation.spearman:.2f}" if np.isfinite(relation.spearman) else "unknown"
        if np.isfinite([low, high]).all():
            value += f", {100 * relation.confidence:.0f} % interval {low:.2f} to {high:.2f}"
        table.append({"quantity": f"curvature and rate, {name}", "value": value})
    failed = [f"{scan} has no surface: {reason}" for scan, reason in r.failed.items()]
    implied = [r.alignment.implies] if r.alignment is not None and r.alignment.implies else []
    sentences = [_sentence(one) for one in (*r.notes, *failed)]
    sentences += [one for one in map(_sentence, implied) if one not in sentences]
    return "\n\n".join([*sentences, _CONVENTIONS, RATE_ERRORS]), table


def _sentence(text: str) -> str:
    """Begin with a capital, unless it is a file's name, and end with a full stop."""
    words = text.split(maxsplit=1)
    first = words[0] if words and not words[0].isalpha() else text[:1].upper() + text[1:].split(" ", 1)[0]
    return " ".join([first, *words[1:]]).rstrip(".") + "."


def ratio_of_kinds(table: "pd.DataFrame") -> "pd.DataFrame | None":
    """Compare the rates of trenches and protrusions, scan by scan; None unless there are both."""
    if "kind" not in table or not {"trench", "protrusion"} <= set(table["kind"]):
        return None
    return rate_ratio(table)


def ratio_sentences(ratio: "pd.DataFrame | None", phases: Sequence[str]) -> str:
    """State the ratio of the rates of trenches and protrusions, phase by phase, and what errors hold."""
    stated = [
        f"Rates of trenches to protrusions{', ' + phase if phase else ''}: {value}."
        for phase, value in _ratios(ratio, phases).items()
    ]
    return " ".join([*stated, _REGION_ERRORS])


def areal_section(table: "pd.DataFrame") -> tuple[str, Rows]:
    """Return the text and the rows, at most twelve scans, of the section on area and roughness."""
    kept = np.unique(np.linspace(0, len(table) - 1, min(len(table), _MAX_ROWS)).round().astype(int))
    rows: Rows = [
        {
            heading: _number(row[name], share=name == "coverage")
            for name, heading in _AREAL_COLUMNS.items()
            if name in row
        }
        for row in table.iloc[kept].to_dict("records")
    ]
    text = (
        "A compact deposit fills its trenches: its area falls to a constant while its volume grows, so the "
        "ratio of area to volume falls. If the ratio rises during plating, area grows faster than volume: "
        "an early sign of dendrites."
    )
    remarks = []
    scale = table["scale_um"].iloc[0] if "scale_um" in table else np.nan
    if np.isfinite(scale):
        remarks.append(f"area and slopes are measured at a scale of {scale:.3g} µm")
    datum = table["datum_um"].iloc[0] if "datum_um" in table else np.nan
    if np.isfinite(datum):
        remarks.append(f"volume is measured above a height of {datum:.3g} µm")
    projected = table["projected_um2"].iloc[0] if "projected_um2" in table else np.nan
    if np.isfinite(projected):
        remarks.append(f"the projected area of the field is {projected:.0f} µm²")
    if remarks:
        joined = "; ".join(remarks)
        text += f"\n\n{joined[0].upper()}{joined[1:]}."
    if "area_se_um2" in table:
        text += f" {_AREAL_ERRORS}"
    if len(kept) < len(table):
        text += f" {len(kept)} of {len(table)} scans are listed."
    return text, rows


def _ratios(ratio: "pd.DataFrame | None", phases: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    if ratio is None:
        return found
    for phase in dict.fromkeys(phases):
        part = ratio[[phases[k] == phase for k in ratio["scan"]]]
        known = part[np.isfinite(part["ratio"])]
        stated = [
            f"{one:.2f} ± {se:.2g} to 1" for one, se in zip(known["ratio"], known["ratio_se"], strict=True)
        ]
        if len(known) > 1:
            found[phase] = f"{stated[0]} in the first scan, {stated[-1]} in the last"
        elif stated:
            found[phase] = stated[0]
    return found


def _rates(medians: Sequence[float], scans: Sequence[int]) -> str:
    known = [medians[k] for k in scans if np.isfinite(medians[k])]
    if not known:
        return f"{len(scans)} scans, no rate measured"
    return f"{len(scans)} scans, median {known[0]:.3g} nm/s in the first, {known[-1]:.3g} nm/s in the last"


def _median(values: ArrayLike) -> float:
    thinned: NDArray[np.float32] = np.asarray(values, np.float32)[::2, ::2]
    known = thinned[np.isfinite(thinned)]
    return float(np.median(known)) if known.size else float("nan")


def _number(value: object, *, share: bool = False) -> str:
    number = float(value)  # type: ignore[arg-type]
    if not np.isfinite(number):
        return "not measured"
    if share:
        return f"{100 * number:.1f} %"
    return f"{number:.0f}" if abs(number) >= 1000 else f"{number:.4g}"
