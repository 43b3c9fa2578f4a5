"""Current and potential under every scan, phases by the current's sign, and Faraday's balance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lee.electrochemistry.cell_data import CellData
from lee.electrochemistry.clock import ClockOffset, fit_clock_offset
from lee.electrochemistry.faraday import Metal, PhaseBalance, fit_efficiency, metal_named
from lee.electrochemistry.height_by_charge import charge_columns
from lee.errors import InputError
from lee.series.charge.options import ChargeOptions
from lee.series.charge.remarks import coverage_notes, judgement_of, plating_sign, within
from lee.series.charge.thickness import add_thickness, mean_heights

Floats = NDArray[np.float64]
Maps = Sequence[NDArray[np.float32]]

PHASES = ("plating", "stripping")
# Below this share of the run's largest mean current a scan is at rest.
_REST_SHARE = 0.02
# Of the charge of a scan: what the lesser sign has at least where the phase turns.
_TURNING_SHARE = 0.1
_TRACE_POINTS = 4000
_CLOCK_STEP_S = 0.5


@dataclass(frozen=True, eq=False)
class ChargeBalance:
    """What a run's charge tells; made by `charge_balance`.

    Attributes
    ----------
    clock : ClockOffset
    plating_sign : int
        Sign of the record's current that plates.
    phases : list of str
        Of every scan: plating, stripping or rest; empty outside the record.
    turning : (T,) bool
        Whether plating turns to stripping, or back, during a scan.
    table : DataFrame
        A row for each scan: its time, time of the record, phase, mean current and potential, charge since the
        first scan and, where the electrode's area is known, expected and measured thickness and volume.
    trace : DataFrame
        The record itself while the run lasts, thinned for drawing: time, current and potential.
    by_phase : list of PhaseBalance
        Empty where the area is not known, or the heights were measured against a stated growth.
    area_cm2 : float or None
    metal : Metal
    window_share : float
    relative_sigma : float
        Of the expected thickness, by the area's and the window share's errors.
    notes : list of str
    """

    clock: ClockOffset
    plating_sign: int
    phases: list[str]
    turning: NDArray[np.bool_]
    table: pd.DataFrame
    trace: pd.DataFrame
    by_phase: list[PhaseBalance]
    area_cm2: float | None
    metal: Metal
    window_share: float
    relative_sigma: float
    notes: list[str]

    def to_json(self) -> dict[str, object]:
        """Return what the table does not hold, for ``charge.json``."""
        return {
            "clock_offset_s": self.clock.offset_s,
            "clock_offset_sigma_s": self.clock.sigma_s,
            "clock_offset_source": self.clock.source,
            "edges": self.clock.edges,
            "plating_current": "positive" if self.plating_sign > 0 else "negative",
            "electrode_area_cm2": self.area_cm2,
            "metal": self.metal.name,
            "window_share": self.window_share,
            "expected_relative_sigma": self.relative_sigma,
            "efficiency": {
                one.phase: {
                    "value": one.efficiency,
                    "sigma": one.sigma,
                    "sigma_of_the_fit": one.sigma_fit,
                    "expected_um": one.expected_um,
                }
                for one in self.by_phase
            },
            "notes": self.notes,
        }


def charge_balance(
    options: ChargeOptions,
    times_s: Floats,
    heights_um: Maps,
    sigmas_um: Maps,
    *,
    pixel_um: float,
    guess_s: float | None = None,
    given_growth: bool = False,
) -> ChargeBalance:
    """Lay the potentiostat's record under a run's scans, and the charge against the measured growth.

    Parameters
    ----------
    options : ChargeOptions
    times_s : (T,) float64, s
        From the first scan.
    heights_um : T of (H, W) float32, µm
        Aligned heights, NaN where not measured.
    sigmas_um : T of (H, W) float32, µm
        Standard deviations of the heights.
    pixel_um : float, µm
    guess_s : float, s, optional
        Time of the record at the first scan, by the date and time that both state.
    given_growth : bool
        Whether the heights' mean was set to a stated growth: then it tells nothing of the charge.

    Returns
    -------
    ChargeBalance

    Raises
    ------
    InputError
        If the record and the scans never overlap.
    """
    data = options.record
    times = np.asarray(times_s, np.float64)
    height, shared = mean_heights(heights_um, sigmas_um)
    notes = list(data.notes)
    if options.clock_offset_s is not None:
        _refuse_apart(data, times + options.clock_offset_s)
        found = fit_clock_offset(data, times, height, guess_s=options.clock_offset_s)
        clock = ClockOffset(
            options.clock_offset_s, float("nan"), "given", 0, found.plating_sign, found.outliers
        )
        if found.source == "edges" and abs(found.offset_s - clock.offset_s) > 3 * found.sigma_s:
            notes.append(
                f"The offset of the clocks is given as {clock.offset_s:.4g} s; the edges of the current "
                "lie at "
                f"{found.text}."
            )
    else:
        clock = fit_clock_offset(data, times, height, guess_s=guess_s)
    notes += clock.notes
    record_s = times + clock.offset_s
    _refuse_apart(data, record_s)
    sign = plating_sign(options, data, clock, notes)
    begin, end = _spans(record_s, centred=clock.source == "edges")
    inside = (begin >= data.time_s[0]) & (end <= data.time_s[-1])
    notes += coverage_notes(data, record_s)
    current = sign * data.mean_current_a(begin, end)
    phases, turning = _phases(data, begin, end, sign)
    trace = _trace(data, clock.offset_s, begin, end, sign)
    table = pd.DataFrame(
        {
            "scan": np.arange(times.size),
            "time_s": times,
            "record_s": record_s,
            "phase": phases,
            "current_a": current,
            "potential_v": data.mean_potential_v(begin, end),
        }
    )
    area = options.electrode_area_cm2
    if area is None:
        area = data.electrode_area_cm2
        notes.append(
            "The electrode's area is not given: there is no balance of charge and volume "
            "(--electrode-area-cm2)."
            if area is None
            else f"The electrode's area is the one that the record states, {area:g} cm² "
            "(--electrode-area-cm2)."
        )
    elif data.electrode_area_cm2 is not None and abs(area / data.electrode_area_cm2 - 1) > 0.01:
        notes.append(
            f"The record states an electrode of {data.electrode_area_cm2:g} cm², and {area:g} cm² is "
            "given: the "
            "given one is used."
        )
    metal = metal_named(options.metal)
    by_phase: list[PhaseBalance] = []
    relative = hypot(
        0.0
        if options.electrode_area_cm2 is None
        else options.electrode_area_sigma_cm2 / options.electrode_area_cm2,
        options.window_share_sigma / options.window_share,
    )
    if area is not None:
        factor = options.window_share / area
        passed = factor * sign * (data.charge_at(record_s) - data.charge_at(_first_inside(record_s, data)))
        table["current_density_ma_per_cm2"] = 1e3 * current * factor
        table["charge_c_per_cm2"] = passed
        expected = _expected_um(data, record_s, sign, factor * metal.um_per_c_per_cm2)
        change = None
        if clock.source == "edges":
            later, earlier = (
                _expected_um(data, record_s + step, sign, factor * metal.um_per_c_per_cm2)
                for step in (_CLOCK_STEP_S, -_CLOCK_STEP_S)
            )
            change = (later - earlier) / (2 * _CLOCK_STEP_S)
        notes += [
            f"Scan {k} is an outlier: its mean height is inconsistent with the others and the charge; it "
            "takes no "
            "part in the balance."
            for k in clock.outliers
        ]
        seen = np.where(inside | within(data, record_s), height, np.nan)
        seen[list(clock.outliers)] = np.nan
        if given_growth:
            notes.append(
                "The mean growth was stated (--reference model): it cannot be held against the charge."
            )
        else:
            by_phase = fit_efficiency(
                times,
                seen,
                expected,
                PHASES,
                change_um_per_s=change,
                relative_sigma=relative,
                shared_um=shared,
            )
        add_thickness(
            table,
            (passed + 0.0) * metal.um_per_c_per_cm2,
            height,
            phases,
            pixel_um,
            heights_um,
            relative,
            shared,
        )
        notes += judgement_of(by_phase, times, expected)
        if not by_phase and not given_growth:
            notes.append("Too few scans, or too little charge, for a balance of charge and volume.")
    return ChargeBalance(
        clock,
        sign,
        phases,
        turning,
        table,
        trace,
        by_phase,
        area,
        metal,
        options.window_share,
        relative,
        notes,
    )


def _spans(record_s: Floats, *, centred: bool) -> tuple[Floats, Floats]:
    """Return begin and end of each scan on the record's clock; a fitted offset points at its middle."""
    if record_s.size < 2:
        return record_s, record_s + 1.0
    steps = np.diff(record_s)
    lasts = np.minimum(np.append(steps, np.median(steps)), np.median(steps))
    begin = record_s - lasts / 2 if centred else record_s
    return begin, begin + lasts


def _first_inside(record_s: Floats, data: CellData) -> float:
    inside = record_s[within(data, record_s)]
    return float(inside[0]) if inside.size else float("nan")


def _expected_um(data: CellData, record_s: Floats, sign: int, um_per_c: float) -> Floats:
    """Return dense thickness by the charges of plating and of stripping, (T, 2) µm; stripping falls."""
    charge = charge_columns(data, record_s) * sign * um_per_c
    return charge if sign > 0 else charge[:, ::-1]


def _phases(data: CellData, begin: Floats, end: Floats, sign: int) -> tuple[list[str], NDArray[np.bool_]]:
    positive, negative = (
        (data.interpolated(part, end) - data.interpolated(part, begin)) / (end - begin)
        for part in data.charges_by_sign_c
    )
    size = positive - negative
    largest = float(np.nanmax(size)) if np.isfinite(size).any() else 0.0
    found = []
    for mean, total in zip(sign * (positive + negative), size, strict=True):
        if not np.isfinite(mean):
            found.append("")
        elif total <= _REST_SHARE * largest or largest == 0:
            found.append("rest")
        else:
            found.append("plating" if mean > 0 else "stripping")
    turning: NDArray[np.bool_] = np.minimum(positive, -negative) > _TURNING_SHARE * size
    return found, turning


def _trace(data: CellData, offset_s: float, begin: Floats, end: Floats, sign: int) -> pd.DataFrame:
    kept = np.flatnonzero((data.time_s >= begin[0]) & (data.time_s <= end[-1]))
    kept = kept[:: max(kept.size // _TRACE_POINTS, 1)]
    return pd.DataFrame(
        {
            "time_s": data.time_s[kept] - offset_s,
            "current_a": sign * data.current_a[kept],
            "potential_v": data.potential_v[kept],
        }
    )


def _refuse_apart(data: CellData, record_s: Floats) -> None:
    if not within(data, record_s).any():
        where = str(data.provenance.get("file", "cell data"))
        raise InputError(
            f"{where}: the record covers {data.time_s[0]:.6g} to {data.time_s[-1]:.6g} s, and the scans "
            "lie at "
            f"{record_s[0]:.6g} to {record_s[-1]:.6g} s of its clock: they never overlap; correct "
            "--clock-offset-s, or "
            "give the record of this run"
        )
