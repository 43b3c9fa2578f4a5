"""The charge in the report of a series: figure, sentences and rows."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lee.figures.maps import page
from lee.figures.phases import shade_phases
from lee.figures.report import Rows
from lee.series.charge.balance import ChargeBalance

_PHASES = {"plating": "#0072B2", "stripping": "#CC79A7"}
_MEASURED, _EXPECTED, _POTENTIAL = "#0072B2", "#D55E00", "#009E73"


def charge_figure(balance: ChargeBalance) -> Figure:
    """Draw current and potential under the scans, and measured against expected thickness.

    Parameters
    ----------
    balance : ChargeBalance

    Returns
    -------
    matplotlib.figure.Figure
        1600 pixels wide: current, potential where it is known and, where the electrode's area is known, the
        thickness over time and over the charge.
    """
    table, phases = balance.table, balance.table["phase"].tolist()
    known_area = balance.area_cm2 is not None
    figure = page(6.6 if known_area else 3.4)
    grid = figure.subplots(2 if known_area else 1, 2, squeeze=False)
    if balance.area_cm2 is None:
        _over_time(grid[0, 0], balance, "current_a", 1e3, "current (mA)", _EXPECTED)
    else:
        density = 1e3 * balance.window_share / balance.area_cm2
        _over_time(grid[0, 0], balance, "current_a", density, "current density (mA/cm²)", _EXPECTED)
    if table["potential_v"].notna().any():
        _over_time(grid[0, 1], balance, "potential_v", 1.0, "potential (V)", _POTENTIAL)
    else:
        grid[0, 1].set_axis_off()
    if not known_area:
        return figure
    time, charge = grid[1]
    low, high = (table["expected_um"] + sign * 2 * table["expected_sigma_um"] for sign in (-1, 1))
    time.fill_between(table["time_s"], low, high, color=_EXPECTED, alpha=0.2, linewidth=0)
    time.plot(
        table["time_s"],
        table["expected_um"],
        color=_EXPECTED,
        label=f"dense {balance.metal.name} by Faraday's law",
    )
    time.plot(table["time_s"], table["measured_um"], "o", color=_MEASURED, markersize=4, label="measured")
    shade_phases(time, table["time_s"], phases)
    time.legend(frameon=False)
    _label(time, "time (s)", "mean thickness gained (µm)")
    named = {
        one.phase: f"{one.phase}: {100 * one.efficiency:.1f} ± {100 * one.sigma:.1f} %"
        for one in balance.by_phase
    }
    for phase in dict.fromkeys(phases):
        rows = table[[one == phase for one in phases]]
        charge.plot(
            rows["charge_c_per_cm2"],
            rows["measured_um"],
            "o-",
            color=_PHASES.get(phase, "#777777"),
            markersize=4,
            linewidth=0.8,
            label=named.get(phase, phase or "unknown"),
        )
    ends = np.array([np.nanmin(table["charge_c_per_cm2"]), np.nanmax(table["charge_c_per_cm2"])])
    charge.plot(ends, ends * balance.metal.um_per_c_per_cm2, color=_EXPECTED, label="Faraday's law")
    charge.legend(frameon=False)
    _label(charge, "charge (C/cm²)", "mean thickness gained (µm)")
    return figure


def charge_sentences(balance: ChargeBalance) -> list[str]:
    """Return the balance in sentences: the clocks, what plates, and each phase's efficiency."""
    clock = balance.clock
    sources = {
        "edges": f"from {clock.edges} edge{'s' * (clock.edges != 1)} of the current",
        "given": "as given",
        "clocks": "by the date and time that both state",
        "assumed": "assumed",
    }
    sign = "positive" if balance.plating_sign > 0 else "negative"
    found = [f"clock offset {clock.text}, {sources[clock.source]}; {sign} current plates"]
    if balance.by_phase and balance.area_cm2 is not None:
        found += [one.text for one in balance.by_phase]
        share = 100 * balance.relative_sigma
        held = (
            f"of the electrode's area and the window's share, {share:.2g} %"
            if share
            else "the electrode's area and the window's share are taken as exact"
        )
        found.append(
            "the errors hold the scatter of the mean heights, a third of their standard deviation as bias, "
            f"missing pixels and the clock's offset; {held}"
        )
    return found


def charge_rows(balance: ChargeBalance) -> Rows:
    """Return a row for each phase: expected and measured thickness, and efficiency."""
    return [
        {
            "phase": one.phase,
            "by the charge (µm)": f"{one.expected_um:.3f}",
            "measured (µm)": f"{one.expected_um * one.efficiency:.3f}",
            "efficiency": f"{100 * one.efficiency:.1f} ± {100 * one.sigma:.1f} %",
        }
        for one in balance.by_phase
    ]


def _over_time(axes: Axes, balance: ChargeBalance, name: str, factor: float, label: str, colour: str) -> None:
    table, trace = balance.table, balance.trace
    axes.plot(trace["time_s"], factor * trace[name], color=colour, linewidth=1.0, label="record")
    axes.plot(table["time_s"], factor * table[name], "o", color=colour, markersize=4, label="mean of a scan")
    axes.axhline(0, color="black", linewidth=0.8)
    shade_phases(axes, table["time_s"], table["phase"].tolist())
    axes.legend(frameon=False)
    _label(axes, "time (s)", label)


def _label(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(color="#cccccc", linewidth=0.6)
    axes.set_axisbelow(True)
