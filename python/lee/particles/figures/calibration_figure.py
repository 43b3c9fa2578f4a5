"""Figure of a size calibration: its particles, the curve with its band, its range, and the residuals."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter
from numpy.typing import NDArray

from lee.figures.maps import page
from lee.particles.calibration.curve import Values
from lee.particles.calibration.size_calibration import Calibration

_POINTS, _CURVE, _OUTLIERS, _BEYOND = "#333333", "#0072B2", "#D55E00", "#ececec"
_MANY = 60  # points whose error bars would run together


def calibration_figure(calibration: Calibration, *, title: str = "") -> Figure:
    """Draw a calibration: diameter over intensity, and below it the residuals of the particles.

    Parameters
    ----------
    calibration : Calibration
    title : str
        Above the summary.

    Returns
    -------
    matplotlib.figure.Figure
        1600 pixels wide. Bars are one standard deviation, where errors were given; in the residuals both
        errors are combined. The dark band holds the curve with 68 % confidence, the light one 68 % of the
        particles measured without error. Intensities beyond the range are grey. Outliers beyond the axes are
        triangles at the border.
    """
    counts = calibration.points["intensity_counts"].to_numpy()
    nm = calibration.points["diameter_nm"].to_numpy()
    low, high = calibration.range_counts
    x = np.linspace(np.log(low), np.log(high), 300)
    curve = np.exp(calibration.curve.at(x))
    of_curve = np.sqrt(calibration.curve.variance(x))
    of_particle = np.hypot(of_curve, calibration.scatter)

    figure = page(8.6)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.4, 1))
    intensity_sigma, nm_sigma = (
        calibration.points[name].to_numpy() if name in calibration.points else np.zeros(len(counts))
        for name in ("intensity_sigma_counts", "diameter_sigma_nm")
    )
    _bands(above, np.exp(x), curve, curve * of_curve, curve * of_particle)
    _bands(below, np.exp(x), 0 * x, 100 * of_curve, 100 * of_particle)
    off = np.exp(np.log(nm) - calibration.curve.at(np.log(counts)))
    _draw(above, calibration.used, counts, nm, intensity_sigma, nm_sigma)
    both = np.hypot(nm_sigma / nm, calibration.curve.slope(np.log(counts)) * intensity_sigma / counts)
    _draw_residuals(below, calibration.used, counts, 100 * (off - 1), 100 * off * both)

    above.set(xscale="log", yscale="log")
    shown = (counts - intensity_sigma).clip(counts / 2).min(), (counts + intensity_sigma).max()
    margin = (shown[1] / shown[0]) ** 0.04
    for axes in (above, below):
        axes.set_xlim(shown[0] / margin, shown[1] * margin)
        axes.axvspan(shown[0] / margin / 10, low, color=_BEYOND, zorder=0, linewidth=0)
        axes.axvspan(high, shown[1] * margin * 10, color=_BEYOND, zorder=0, linewidth=0)
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
    wide = nm.max() / nm.min() > 10
    above.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if wide else (1, 1.5, 2, 3, 4, 5, 6, 8)))
    above.yaxis.set_major_formatter(ScalarFormatter())
    above.yaxis.set_minor_formatter(NullFormatter())
    above.set_ylabel("particle diameter (nm)")
    below.set_ylabel("deviation from the curve (%)")
    below.set_xlabel("scattered intensity (counts); grey: beyond the calibration range")
    summary = [
        f"{int(calibration.used.sum())} particles, {curve[0]:.3g} to {curve[-1]:.3g} nm",
        f"scatter beyond the given errors {100 * calibration.scatter:.2g} %",
    ]
    above.set_title("\n".join([*([title] if title else []), ", ".join(summary)]), fontsize=10)
    above.legend(loc="upper left", edgecolor="none", framealpha=0.85)
    return figure


def _bands(axes: Axes, counts: Values, middle: Values, of_curve: Values, of_particle: Values) -> None:
    for sigma, shade, name in (
        (of_particle, 0.16, "68 % of particles measured without error"),
        (of_curve, 0.4, "68 % confidence band of the curve"),
    ):
        axes.fill_between(
            counts,
            middle - sigma,
            middle + sigma,
            color=_CURVE,
            alpha=shade,
            linewidth=0,
            label=name,
            zorder=1,
        )
    axes.plot(counts, middle, color=_CURVE, linewidth=1.6, label="curve", zorder=3)


def _draw(
    axes: Axes, used: NDArray[np.bool_], x: Values, y: Values, x_sigma: Values | None, y_sigma: Values
) -> None:
    faint = len(x) > _MANY
    for which, colour, mark, name in (
        (used, _POINTS, "o", "particles of known diameter"),
        (~used, _OUTLIERS, "D", "outliers, ignored"),
    ):
        if which.any():
            axes.errorbar(
                x[which], y[which], xerr=None if x_sigma is None else x_sigma[which], yerr=y_sigma[which],
                fmt=mark, color=colour, ecolor=(colour, 0.3 if faint else 0.7), elinewidth=1,
                markersize=3.5 if faint else 5, zorder=2 if mark == "o" else 4, label=name,
            )  # fmt: skip


def _draw_residuals(
    axes: Axes, used: NDArray[np.bool_], counts: Values, percent: Values, sigma: Values
) -> None:
    """Draw the residuals, within the range of those of the particles used."""
    reach = 1.1 * float((np.abs(percent) + sigma)[used].max())
    reach = max(reach, 1.0, 1.1 * max(abs(end) for end in axes.dataLim.intervaly))
    inside = np.abs(percent) < reach
    _draw(axes, used[inside], counts[inside], percent[inside], None, sigma[inside])
    for side, mark in ((percent >= reach, "^"), (percent <= -reach, "v")):
        border = np.sign(percent[side]) * 0.94 * reach
        axes.scatter(counts[side], border, marker=mark, color=_OUTLIERS, s=36, zorder=4)
    axes.set_ylim(-reach, reach)
