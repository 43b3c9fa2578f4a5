"""Plating, stripping and rest along a time axis, with the same colours in every figure."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

PHASE_COLOURS = {"plating": "#e3eef8", "stripping": "#fdebdc", "rest": "#eeeeee"}


def phase_spans(times_s: ArrayLike, phases: Sequence[str] | None) -> list[tuple[float, float, str]]:
    """Join scans of equal phase to spans of time.

    Parameters
    ----------
    times_s : (T,) float, s
    phases : sequence of str, optional
        One for each scan; None or empty where not known.

    Returns
    -------
    list of (start, end, phase)
        In s. A phase ends halfway between its last scan and the next one's first.
    """
    times = np.asarray(times_s, np.float64)
    if phases is None or times.size == 0:
        return []
    changes = [k for k in range(1, times.size) if phases[k] != phases[k - 1]]
    edges = [0, *changes, times.size]
    at = [times[0], *((times[k - 1] + times[k]) / 2 for k in changes), times[-1]]
    return [(float(at[n]), float(at[n + 1]), str(phases[edges[n]])) for n in range(len(at) - 1)]


def shade_phases(axes: Axes, times_s: ArrayLike, phases: Sequence[str] | None, *, named: bool = True) -> None:
    """Tint the background of an axes over time by phase, and name the phases along its top."""
    times = np.asarray(times_s, np.float64)
    whole = float(times[-1] - times[0]) if times.size > 1 else 0.0
    margin = 0.015 * whole or 0.5
    first, last = float(times[0]) - margin, float(times[-1]) + margin
    axes.set_xlim(first, last)
    spans = phase_spans(times, phases)
    for k, (start, end, phase) in enumerate(spans):
        left, right = (first if k == 0 else start), (last if k == len(spans) - 1 else end)
        axes.axvspan(left, right, color=PHASE_COLOURS.get(phase, "#f6f6f6"), linewidth=0, zorder=0)
        if named and phase and right - left > 0.1 * (last - first):
            axes.text((left + right) / 2, 1.01, phase, ha="center", va="bottom", fontsize=9, color="#555555",
                      transform=axes.get_xaxis_transform())  # fmt: skip
