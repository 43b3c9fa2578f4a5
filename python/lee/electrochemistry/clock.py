"""The offset between the clocks of microscope and potentiostat, from the edges of plating and stripping."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.electrochemistry.cell_data import CellData
from lee.electrochemistry.height_by_charge import HeightFit, charge_columns, fit_at, misfits
from lee.errors import InputError
from lee.statistics.persistent_errors import fit_with_persistent_errors

Floats = NDArray[np.float64]

_MIN_SCANS = 6
# Share of the scans that must lie within the record at an offset that is tried.
_INSIDE = 0.6
# Offsets that are tried, and offsets times scans at once: time and memory of long runs.
_MOST_TRIALS, _MOST_POINTS = 6000, 2e6
_REFINED = 41
_SURE_SIGMAS = 3.0
# Share of the heights' variance that the charge must explain before its sign is believed.
_EXPLAINED = 0.5
# Another offset that fits nearly as well: rise of the misfit, as of chi-squared.
_RIVAL = 9.0
# An outlier stands out by so much, at least of so much, and its neighbours by this share of it the other way.
_OUTLIER_SIGMAS, _LEAST_OUTLIER_UM, _BESIDE = 6.0, 0.02, 0.25
# Minima of the misfit that are looked at closely.
_CANDIDATES = 12


@dataclass(frozen=True)
class ClockOffset:
    """A scan at time t, from the first scan on, saw the surface at the record's time t + `offset_s`.

    Parameters
    ----------
    offset_s, sigma_s : float, s
        The standard error is NaN where nothing tests the offset.
    source : str
        "edges", "given", "clocks" (both state date and time) or "assumed" (the record began with the scans).
    edges : int
        Changes of plating, stripping and rest between the first scan and the last.
    plating_sign : int
        Sign of the record's current under which the surface grows; 0 where the heights do not tell.
    outliers : tuple of int
        Scans whose mean height is inconsistent with the others and the charge.
    notes : tuple of str
    """

    offset_s: float
    sigma_s: float
    source: str
    edges: int = 0
    plating_sign: int = 0
    outliers: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The offset and its error, for a message."""
        if np.isfinite(self.sigma_s):
            return f"{self.offset_s:.3g} ± {self.sigma_s:.2g} s"
        return f"{self.offset_s:.4g} s (error unknown)"


def fit_clock_offset(
    data: CellData, times_s: ArrayLike, height_um: ArrayLike, *, guess_s: float | None = None
) -> ClockOffset:
    """Find the offset of the clocks at which the mean height follows the charge best.

    The mean height is a constant, plus one factor times the charge of positive currents, plus one times that
    of negative currents: its bends are the edges of the current. Steady drift of the stage changes the
    factors only. The offset includes the time from the start of a scan to the moment the surface is in focus.

    Parameters
    ----------
    data : CellData
    times_s : (T,) float, s
        Of the scans, from the first on.
    height_um : (T,) float, µm
        Mean height of the field; NaN where not measured.
    guess_s : float, s, optional
        Offset that both clocks state; it decides among offsets that fit alike, and is taken where no edge
        lies within the scans.

    Returns
    -------
    ClockOffset

    Raises
    ------
    InputError
        If scans and record never overlap.
    """
    times, heights = np.asarray(times_s, np.float64), np.asarray(height_um, np.float64)
    known = np.flatnonzero(np.isfinite(heights))
    if known.size < _MIN_SCANS:
        return _without_edges(data, times, heights, guess_s)
    span = _trials(data, times[known])
    if span is None:
        return _without_edges(data, times, heights, guess_s)
    trials, fewest = span
    outliers = _outliers(times[known], heights[known])
    t, h = np.delete(times[known], outliers), np.delete(heights[known], outliers)
    named = tuple(known[outliers].tolist())
    found = misfits(data, t, h, trials, fewest - len(outliers))
    step = float(trials[1] - trials[0])
    candidates, scores = _refined(data, t, h, trials, found)
    k = _best(candidates, scores, guess_s)
    best, least = float(candidates[k]), float(scores[k])
    fit = fit_at(data, t, h, best)
    inside_s = t[fit.inside]
    edges = data.edges_s()
    within = int(((edges > inside_s[0] + best) & (edges < inside_s[-1] + best)).sum())
    parameters = fit.charge_c.shape[1] + 2
    if within == 0 or fit.explained < _EXPLAINED or inside_s.size < parameters + 1:
        return replace(_without_edges(data, times, heights, guess_s), outliers=named)
    interval = float(np.median(np.diff(t)))
    change = _change(data, inside_s, fit, best, 0.05 * interval)
    columns = np.concatenate([np.ones((inside_s.size, 1)), fit.charge_c, change], axis=1)
    persistent = fit_with_persistent_errors(columns, h[fit.inside], inside_s)
    # The misfit took errors for independent; persistent ones move the best offset a little.
    moved = float(persistent.coefficients[-1])
    best += moved if abs(moved) < interval else 0.0
    sampling = float(np.median(np.diff(data.time_s)))
    # Between two scans the misfit is no parabola: a bottom wider than the derivative says counts.
    bottom = np.abs(trials[found <= least + 1] - best)
    own = max(persistent.sigma_of(-1), float(bottom[bottom < 2 * interval].max(initial=0.0)))
    sigma = float(np.hypot(own, np.hypot(sampling, step / 20) / np.sqrt(12)))
    if not sigma < 0.25 * float(t[-1] - t[0]):
        return replace(_without_edges(data, times, heights, guess_s), outliers=named)
    notes = []
    away = np.abs(candidates - best) > max(_SURE_SIGMAS * sigma, 2 * interval)
    rivals = candidates[away & (scores < least + _RIVAL)]
    if rivals.size:
        nearest = float(rivals[int(np.argmin(np.abs(rivals - best)))])
        notes.append(
            f"An offset of the clocks of {nearest:.3g} s fits nearly as well as {best:.3g} s; if the record "
            "repeats itself, state the offset (--clock-offset-s)."
        )
    if guess_s is not None and abs(best - guess_s) > max(_SURE_SIGMAS * sigma, interval):
        notes.append(
            f"The clocks state an offset of {guess_s:.4g} s, the edges {best:.3g} ± {sigma:.2g} s: one of "
            "the "
            "clocks is wrong; that of the edges is used."
        )
    return ClockOffset(best, sigma, "edges", within, int(np.sign(fit.factors.sum())), named, tuple(notes))


def _trials(data: CellData, t: Floats) -> tuple[Floats, int] | None:
    """Return the offsets at which enough scans lie within the record, and how many are enough."""
    fewest = max(round(_INSIDE * t.size), _MIN_SCANS - 1)
    low, high = float(data.time_s[0] - t[t.size - fewest]), float(data.time_s[-1] - t[fewest - 1])
    if high <= low:
        return None
    step = max(float(np.median(np.diff(t))) / 20, (high - low) / min(_MOST_TRIALS, _MOST_POINTS / t.size))
    return np.arange(low, high + step, step), fewest


def _outliers(t: Floats, h: Floats) -> list[int]:
    """Return scans that stand out from both neighbours, which then seem to stand out the other way.

    An edge of the current bends the heights at one scan only.
    """
    share = (t[1:-1] - t[:-2]) / (t[2:] - t[:-2])
    off = np.zeros(t.size)
    off[1:-1] = h[1:-1] - (1 - share) * h[:-2] - share * h[2:]
    limit = _OUTLIER_SIGMAS * max(1.4826 * float(np.median(np.abs(off[1:-1]))), _LEAST_OUTLIER_UM)
    before, after = -np.sign(off) * np.roll(off, 1), -np.sign(off) * np.roll(off, -1)
    size = np.abs(off)
    alone = (np.minimum(before, after) > _BESIDE * size) & (np.maximum(before, after) < size)
    return [int(k) for k in np.flatnonzero((size > limit) & alone) if 1 < k < t.size - 2]


def _without_edges(data: CellData, times: Floats, heights: Floats, guess_s: float | None) -> ClockOffset:
    begin, end = float(data.time_s[0]), float(data.time_s[-1])
    if guess_s is not None and times[0] + guess_s < end and times[-1] + guess_s > begin:
        return ClockOffset(guess_s, float("nan"), "clocks", plating_sign=_sign(data, times, heights, guess_s))
    if guess_s is not None:
        where = str(data.provenance.get("file", "cell data"))
        raise InputError(
            f"{where}: by their clocks the record ends {_apart(data, times, guess_s)}, and no edge of the "
            "current tells otherwise; correct the time zone or date, or state the offset (--clock-offset-s)"
        )
    note = (
        "No edge of the current tells the offset between the clocks: the record is taken to begin with the "
        "first scan (state it with --clock-offset-s)."
    )
    sign = _sign(data, times, heights, begin)
    return ClockOffset(begin, float("nan"), "assumed", plating_sign=sign, notes=(note,))


def _sign(data: CellData, times: Floats, heights: Floats, offset: float) -> int:
    known = np.isfinite(heights)
    fit = fit_at(data, times[known], heights[known], offset)
    sure = fit.explained > _EXPLAINED and fit.inside.sum() > fit.charge_c.shape[1] + 1
    return int(np.sign(fit.factors.sum())) if sure else 0


def _apart(data: CellData, times: Floats, offset: float) -> str:
    before = times[0] + offset - data.time_s[-1]
    if before >= 0:
        return f"{before:.4g} s before the first scan"
    return f"long after the scans: it begins {data.time_s[0] - times[-1] - offset:.4g} s after the last"


def _refined(data: CellData, t: Floats, h: Floats, trials: Floats, found: Floats) -> tuple[Floats, Floats]:
    """Return the deepest minima among the trials, each looked at closely, and their misfits."""
    padded = np.concatenate([[np.inf], found, [np.inf]])
    minima = np.flatnonzero((found <= padded[:-2]) & (found <= padded[2:]) & np.isfinite(found))
    deepest = minima[np.argsort(found[minima])][:_CANDIDATES]
    step = float(trials[1] - trials[0])
    fine = trials[deepest][:, None] + np.linspace(-step, step, _REFINED)[None, :]
    scores = misfits(data, t, h, fine.ravel(), 0).reshape(fine.shape)
    lowest = scores.argmin(axis=1)
    rows = np.arange(len(deepest))
    return fine[rows, lowest], scores[rows, lowest]


def _best(candidates: Floats, scores: Floats, guess_s: float | None) -> int:
    """Return the lowest; of those that are nearly as low, the nearest to the guess."""
    if guess_s is None:
        return int(scores.argmin())
    alike = np.flatnonzero(scores < scores.min() + _RIVAL)
    return int(alike[np.argmin(np.abs(candidates[alike] - guess_s))])


def _change(data: CellData, t: Floats, fit: HeightFit, offset: float, step: float) -> Floats:
    """Return how the fitted heights change with the offset, (N, 1) µm/s."""
    later, earlier = (charge_columns(data, t + offset + sign * step) for sign in (1, -1))
    moved = (later - earlier) / (2 * step)
    if fit.charge_c.shape[1] == 1:
        return np.asarray(moved.sum(axis=1, keepdims=True) * fit.factors[0], dtype=np.float64)
    return np.asarray(moved @ fit.factors[:, None], dtype=np.float64)
