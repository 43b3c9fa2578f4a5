"""How a series was measured, as a paragraph for a paper: only what the results at hand state."""

import numpy as np

from lee.series.report.results import SeriesResults
from lee.storage.description import versions

_FOCUS = {
    "variance": "the normalised variance (Sun, Duthaler and Nelson, 2004), extended to the gradient's tensor",
    "wavelet": "complex wavelets (Forster, Van De Ville, Berent, Sage and Unser, 2004)",
}
_REFERENCES = {
    "variance": "Y. Sun, S. Duthaler, B. J. Nelson, Microscopy Research and Technique 65, 139-149 (2004).",
    "wavelet": "B. Forster, D. Van De Ville, J. Berent, D. Sage, M. Unser, Microscopy Research and Technique "
    "65, 33-42 (2004).",
    "iso": "ISO 25178-2:2021, Geometrical product specifications (GPS) - Surface texture: Areal.",
}


def methods(results: SeriesResults) -> str:
    """Return the paragraph, an empty line, and the references it needs."""
    settings, rows_columns = results.settings, np.shape(results.heights[0])
    focus = str(settings.get("reconstruction: focus", ""))
    share = np.mean([np.isfinite(np.asarray(results.heights[k])).mean() for k in range(len(results.times_s))])
    measured_by = f" by {_FOCUS[focus]}" if focus in _FOCUS else ""
    sentences = [
        f"Heights were measured in {len(results.times_s)} focal scans over {results.times_s[-1]:.4g} s"
        f"{measured_by}, with lee {versions()['lee-microscopy']}.",
        f"A field had {rows_columns[0]} x {rows_columns[1]} pixels of {results.pixel_um:.4g} µm; "
        f"{100 * share:.1f} % of the pixels were measured, the others took no part.",
        "Scans were aligned laterally to the first.",
    ]
    window = settings.get("window of the rate (scans)")
    if window is not None:
        sentences.append(f"Growth rates are slopes of heights over time, fitted to {window} scans each.")
    if results.scale_um is not None:
        sentences.append(
            f"Mean curvature, positive in trenches, was computed from local polynomials at a scale of "
            f"{results.scale_um:.3g} µm."
        )
    if results.relations:
        one = next(iter(results.relations.values()))
        sentences.append(
            f"Correlations have {100 * one.confidence:.0f} % intervals from blocks of the field drawn with "
            "replacement."
        )
    areal = results.areal_table is not None and len(results.areal_table) > 0
    if areal:
        sentences.append("True area and areal parameters follow ISO 25178-2.")
    needed = ([_REFERENCES[focus]] if focus in _REFERENCES else []) + ([_REFERENCES["iso"]] if areal else [])
    return "\n\n".join([" ".join(sentences), *needed])
