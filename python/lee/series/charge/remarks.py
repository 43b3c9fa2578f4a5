"""What is doubtful about a record and its balance, one sentence each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lee.electrochemistry.cell_data import CellData
from lee.electrochemistry.clock import ClockOffset
from lee.electrochemistry.faraday import PhaseBalance
from lee.series.charge.options import ChargeOptions

Floats = NDArray[np.float64]

# Efficiencies beyond these are more likely a wrong area or unit.
_UNLIKELY = (0.2, 1.5)


def within(data: CellData, record_s: Floats) -> NDArray[np.bool_]:
    """Return which times lie within the record."""
    inside: NDArray[np.bool_] = (record_s >= data.time_s[0]) & (record_s <= data.time_s[-1])
    return inside


def plating_sign(options: ChargeOptions, data: CellData, clock: ClockOffset, notes: list[str]) -> int:
    """Return the sign of the current that plates, and add what is doubtful about it to the notes."""
    names = {1: "positive", -1: "negative"}
    if options.plating_current != "auto":
        sign = 1 if options.plating_current == "positive" else -1
        if clock.plating_sign == -sign:
            notes.append(
                f"A {names[sign]} current is stated to plate (--plating-current), but the surface grows "
                "under the "
                f"{names[-sign]} one: correct it, or check the polarity of the cell."
            )
        return sign
    if clock.plating_sign:
        if data.cathodic_sign == -clock.plating_sign:
            notes.append(
                f"The surface grows under {names[clock.plating_sign]} current, which the record calls "
                "anodic: the "
                "electrode seen is the counter electrode, or the leads are swapped."
            )
        return clock.plating_sign
    sign = data.cathodic_sign or -1
    notes.append(
        f"The heights do not tell which current plates: the {names[sign]} one is taken (--plating-current)."
    )
    return sign


def coverage_notes(data: CellData, record_s: Floats) -> list[str]:
    """Name scans outside the record, and gaps of the record between the scans."""
    notes = []
    where = str(data.provenance.get("file", "cell data"))
    out = int((~within(data, record_s)).sum())
    if record_s[-1] > data.time_s[-1]:
        notes.append(
            f"{where} ends {record_s[-1] - data.time_s[-1]:.4g} s before the last scan: {out} scans lie "
            "outside the "
            "record and take no part in the balance."
        )
    elif out:
        notes.append(
            f"{where} begins {data.time_s[0] - record_s[0]:.4g} s after the first scan: {out} scans lie "
            "outside the "
            "record and take no part in the balance."
        )
    for begin, end in data.gaps_s:
        if end > record_s[0] and begin < record_s[-1]:
            notes.append(
                f"{where} holds no row from {begin:.6g} to {end:.6g} s: the charge of these "
                f"{end - begin:.4g} s is "
                "interpolated."
            )
    return notes


def judgement_of(by_phase: list[PhaseBalance], times: Floats, expected: Floats) -> list[str]:
    """Name an efficiency that cannot be, and what a drift of the stage would do to it."""
    notes = []
    for one in by_phase:
        low, high = _UNLIKELY
        if one.efficiency - 2 * one.sigma > high or one.efficiency + 2 * one.sigma < low:
            notes.append(
                f"The {one.phase} measured is {one.efficiency:.3g} times what the charge makes of dense "
                "metal: check "
                "the electrode's area (--electrode-area-cm2), the unit of the current, and the window's "
                "share."
            )
    total = float(np.nansum(np.abs(np.diff(expected, axis=0))))
    span = float(times[-1] - times[0])
    if by_phase and total > 0 and span > 0:
        share = 100 * 1e-3 * span / total
        notes.append(
            f"A stage that drifts by 1 nm/s changes the efficiency by {share:.2g} %, which its error does "
            "not hold."
        )
    return notes
