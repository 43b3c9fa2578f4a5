"""Amplification and linearity of the heights, from steps of known height, after ISO 25178-600 and -700."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

from lee.errors import InputError
from lee.metrology.quantity import MeasuredQuantity, named
from lee.storage.csv_table import read_table
from lee.surfaces.roughness.step import Kind, step_of_map
from lee.surfaces.surface import Surface

_DIFFERENT = 1e-3  # relative difference of known heights that count as different

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Linearity:
    """Amplification and linearity.

    Parameters
    ----------
    kind : {"linearity"}
    quantities : tuple of MeasuredQuantity
    details : DataFrame
        A row per step: ``step name known_um known_sigma_um measured_um measured_se_um deviation_um``.
    holds : str
    """

    kind: str
    quantities: tuple[MeasuredQuantity, ...]
    details: pd.DataFrame
    holds: str

    def __getitem__(self, name: str) -> MeasuredQuantity:
        """Return the quantity of that name."""
        return named(self.quantities, name)


def linearity(
    measured_um: ArrayLike,
    known_um: ArrayLike,
    *,
    measured_se_um: ArrayLike | None = None,
    known_sigma_um: ArrayLike | None = None,
    names: tuple[str, ...] = (),
) -> Linearity:
    """Fit measured over known heights of steps.

    The line is fitted by least squares, weighted by the errors of both; with an offset where three or more
    different heights are known, else through zero. If the steps scatter about it by more than their errors,
    as they do where the instrument is not linear, one more error that all steps have alike explains the rest
    (Mandel & Paule, Anal. Chem. 42 (1970) 1194): the line then is close to the plain regression.

    Parameters
    ----------
    measured_um, known_um : (N,) µm
        Heights of steps; their signs are ignored.
    measured_se_um, known_sigma_um : (N,) µm, optional
        Their standard errors; the scatter decides if neither is known.
    names : tuple of str

    Returns
    -------
    Linearity
        ``amplification`` (slope of the line), ``offset_um``, ``linearity_um`` (largest deviation of a step
        from the line) and ``scatter_over_errors`` (1 where the errors explain the deviations).

    Raises
    ------
    InputError
        If sizes differ, no height is known, or one is 0 or not finite.
    """
    measured, known = (np.abs(np.atleast_1d(np.asarray(v, np.float64))) for v in (measured_um, known_um))
    if measured.ndim != 1 or measured.shape != known.shape or not measured.size:
        raise InputError(f"linearity: {measured.size} measured and {known.size} known heights; give one each")
    if not (np.isfinite(measured).all() and np.isfinite(known).all() and (known > 0).all()):
        raise InputError("linearity: heights must be finite, and known ones not 0")
    count = len(known)
    own, given = (
        np.zeros(count) if v is None else np.broadcast_to(np.asarray(v, np.float64), (count,))
        for v in (measured_se_um, known_sigma_um)
    )
    if not (np.isfinite(own).all() and np.isfinite(given).all() and (own >= 0).all() and (given >= 0).all()):
        raise InputError("linearity: standard errors must be µm, not below 0")
    through_zero = len(np.unique(np.round(np.log(known) / _DIFFERENT))) < 3
    design = known[:, None] if through_zero else np.stack([known, np.ones(count)], axis=1)
    slope = float(known @ measured / (known @ known))
    error = np.hypot(own, slope * given)
    stated = bool((error > 0).all())
    degrees = count - design.shape[1]
    weight = 1 / error if stated else np.ones(count)
    inverse, fitted, off = _line(design, measured, weight)
    square = float(np.sum((off * weight) ** 2)) / degrees if degrees > 0 else float("nan")
    factor = 1.0
    if not stated:
        factor = float(np.sqrt(square)) if degrees > 0 else float("nan")
    elif square > 1:
        weight = 1 / np.sqrt(error**2 + _excess(design, measured, error))
        inverse, fitted, off = _line(design, measured, weight)
    sigma = np.sqrt(np.sum(inverse**2, axis=1)) * factor
    quantities = [MeasuredQuantity("amplification", float(fitted[0]), float(sigma[0]))]
    why = "three different known heights are needed"
    if through_zero:
        quantities += [
            MeasuredQuantity("offset_um", np.nan, note=why),
            MeasuredQuantity("linearity_um", np.nan, note=why),
        ]
    else:
        worst = int(np.argmax(np.abs(off)))
        # What a step's own error leaves of it in its deviation from a line it took part in.
        hat = design @ inverse * weight[None, :]
        left = np.eye(count) - hat
        of_off = np.sqrt((left**2) @ error**2) if stated else np.full(count, np.nan)
        note = f"at {known[worst]:.4g} µm"
        if stated and abs(off[worst]) < 2 * of_off[worst]:
            note += ", within its errors"
        quantities += [
            MeasuredQuantity("offset_um", float(fitted[1]), float(sigma[1])),
            MeasuredQuantity("linearity_um", float(abs(off[worst])), float(of_off[worst]), note),
        ]
    scatter = float(np.sqrt(square)) if stated and degrees > 0 else float("nan")
    quantities.append(MeasuredQuantity("scatter_over_errors", scatter))
    details = pd.DataFrame(
        {
            "step": np.arange(count),
            "name": list(names) or [""] * count,
            "known_um": known,
            "known_sigma_um": given,
            "measured_um": measured,
            "measured_se_um": own,
            "fitted_um": design @ fitted,
            "deviation_um": off,
        }
    )
    return Linearity(
        "linearity",
        tuple(quantities),
        details,
        "± holds the scatter over each step, and the stated errors of the known heights; not errors that all "
        "steps share",
    )


def _line(design: Values, measured: Values, weight: Values) -> tuple[Values, Values, Values]:
    """Return the weighted pseudo-inverse, the line, and the deviations from it."""
    inverse = np.asarray(np.linalg.pinv(design * weight[:, None]), np.float64)
    fitted = inverse @ (measured * weight)
    return inverse, fitted, np.asarray(measured - design @ fitted)


def _excess(design: Values, measured: Values, error: Values) -> float:
    """Return the square of the error that explains, with those stated, the scatter about the line, µm²."""
    degrees = int(len(measured) - design.shape[1])

    def more(square: float) -> float:
        weight = 1 / np.sqrt(error**2 + square)
        return float(np.sum((_line(design, measured, weight)[2] * weight) ** 2)) - degrees

    plain = _line(design, measured, np.ones(len(measured)))[2]
    most = 2 * float(plain @ plain) / degrees
    return float(optimize.brentq(more, 0.0, most, xtol=1e-9 * most))


def read_steps(path: str | Path, *, kind: Kind = "groove", pixel_um: float | None = None) -> Linearity:
    """Measure the steps that a table lists, and fit them.

    Parameters
    ----------
    path : str or Path
        CSV with a row per step: ``map`` (a surface or height map, relative to the table), ``step_um`` (its
        known height) and, if known, ``step_sigma_um``.
    kind : {"edge", "groove"}
        Shape of the steps; a groove is also a bar.
    pixel_um : float, µm, optional
        Size of a pixel, for maps that do not state it.

    Raises
    ------
    InputError
        If the table or a map cannot be read, or as `step_of_map` and `linearity`.
    """
    table = Path(path)
    measured, errors, known, sigma, names = [], [], [], [], []
    for line, row in read_table(table, ["map", "step_um"], optional=["step_sigma_um"]):
        try:
            known.append(float(row["step_um"]))
            sigma.append(float(row.get("step_sigma_um") or 0))
        except ValueError:
            raise InputError(
                f"{table}, line {line}: step_um is {row['step_um']!r}, step_sigma_um "
                f"{row.get('step_sigma_um', '')!r}; give µm"
            ) from None
        surface = Surface.load(table.parent / row["map"], pixel_um=pixel_um)
        try:
            step = step_of_map(surface.height_um.astype(np.float64), pixel_um=surface.pixel_um, kind=kind)
        except InputError as error:
            raise InputError(f"{table.parent / row['map']}: {error}") from error
        measured.append(step.height_um)
        errors.append(step.se_um)
        names.append(row["map"])
    if not known:
        raise InputError(f"{table}: lists no step; give rows of map,step_um")
    missing = [name for name, error in zip(names, errors, strict=True) if not np.isfinite(error)]
    if missing:
        raise InputError(f"{table.parent / missing[0]}: too few lines cross the step: give 16 or more")
    return linearity(measured, known, measured_se_um=errors, known_sigma_um=sigma, names=tuple(names))
