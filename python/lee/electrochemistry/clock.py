"""The offset between the clocks of microscope and potentiostat, from the edges of plating and stripping."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.electrochemistry.cell_data import CellData
from lee.errors import InputError
from lee.statistics.persistent_errors import fit_with_persistent_errors

Floats = NDArray[np.float64]

_MIN_SCANS = 6
# Share of the scans that must lie within the record at an offset that is tried.
_INSIDE = 0.6
_MOST_TRIALS = 6000
_REFINED = 41
_SURE_SIGMAS = 3.0
# Share of the heights' variance that the charge must explain before its sign is believed.
_EXPLAINED = 0.5
# Another offset that fits nearly as well: rise of the misfit, in units of its variance.
_RIVAL = 9.0


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
    notes : tuple of str
    """

    offset_s: float
    sigma_s: float
    source: str
    edges: int = 0
    plating_sign: int = 0
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The offset and its error, for a message."""
        if np.isfinite(self.sigma_s):
            return f"{self.offset_s:.3g} ± {self.sigma_s:.2g} s"
        return f"{self.offset_s:.4g} s (error unknown)"


def charge_columns(data: CellData, times_s: Floats) -> Floats:
    """Return charge of positive and of negative currents until each time, (N, 2) C; no current outside."""
    return np.stack([np.interp(times_s, data.time_s, part) for part in data.charges_by_sign_c], axis=1)


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
    known = np.isfinite(heights)
    t, h = times[known], heights[known]
    begin, end = float(data.time_s[0]), float(data.time_s[-1])
    if t.size < _MIN_SCANS:
        return _without_edges(data, times, guess_s)
    inside = max(round(_INSIDE * t.size), 2)
    # The earliest and the latest offset at which enough scans lie within the record.
    low, high = begin - float(t[t.size - inside]), end - float(t[inside - 1])
    if high <= low:
        return _without_edges(data, times, guess_s)
    interval = float(np.median(np.diff(t)))
    step = max(interval / 20, (high - low) / _MOST_TRIALS)
    trials = np.arange(low, high + step, step)
    misfits = _misfits(data, t, h, trials)
    k = _best(trials, misfits, guess_s, t.size)
    fine = np.linspace(trials[k] - step, trials[k] + step, _REFINED)
    best = float(fine[int(np.argmin(_misfits(data, t, h, fine)))])
    misfit, plating, sign = _misfit(data, t, h, best)
    edges = data.edges_s()
    within = int(((edges > t[0] + best) & (edges < t[-1] + best)).sum())
    if within == 0:
        return replace(_without_edges(data, times, guess_s), plating_sign=sign)
    columns = np.concatenate([np.ones((t.size, 1)), plating, _change(data, t, h, best, interval)], axis=1)
    fit = fit_with_persistent_errors(columns, h, t)
    # The misfit took errors for independent; persistent ones move the best offset a little.
    moved = float(fit.coefficients[-1])
    best += moved if abs(moved) < interval else 0.0
    sampling = float(np.median(np.diff(data.time_s)))
    scatter = misfit / max(t.size - 4, 1)
    # Between two scans the misfit is no parabola: a bottom wider than the derivative says counts.
    bottom = np.abs(trials[misfits <= misfit + scatter] - best)
    wide = float(bottom[bottom < 2 * interval].max(initial=0.0))
    own = max(fit.sigma_of(-1), wide)
    sigma = float(np.hypot(own, np.hypot(sampling, step / 20) / np.sqrt(12)))
    if not sigma < 0.25 * float(t[-1] - t[0]):
        return replace(_without_edges(data, times, guess_s), edges=within, plating_sign=sign)
    notes = []
    away = np.abs(trials - best) > max(_SURE_SIGMAS * sigma, 2 * interval)
    rivals = trials[away & (misfits < misfit + _RIVAL * scatter)]
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
    return ClockOffset(best, sigma, "edges", within, sign, tuple(notes))


def _without_edges(data: CellData, times: Floats, guess_s: float | None) -> ClockOffset:
    begin, end = float(data.time_s[0]), float(data.time_s[-1])
    if guess_s is not None and times[0] + guess_s < end and times[-1] + guess_s > begin:
        return ClockOffset(guess_s, float("nan"), "clocks")
    if guess_s is not None:
        where = str(data.provenance.get("file", "cell data"))
        raise InputError(
            f"{where}: by their clocks the record ends {_apart(data, times, guess_s)}, and no edge of the "
            "current "
            "tells otherwise; correct the time zone or date, or state the offset (--clock-offset-s)"
        )
    note = (
        "No edge of the current tells the offset between the clocks: the record is taken to begin with the "
        "first "
        "scan (state it with --clock-offset-s)."
    )
    return ClockOffset(begin, float("nan"), "assumed", notes=(note,))


def _apart(data: CellData, times: Floats, offset: float) -> str:
    before = times[0] + offset - data.time_s[-1]
    if before >= 0:
        return f"{before:.4g} s before the first scan"
    return f"long after the scans: it begins {data.time_s[0] - times[-1] - offset:.4g} s after the last"


def _best(trials: Floats, misfits: Floats, guess_s: float | None, count: int) -> int:
    k = int(np.argmin(misfits))
    if guess_s is None:
        return k
    alike = np.flatnonzero(misfits < misfits[k] * (1 + _RIVAL / max(count - 4, 1)))
    minima = [int(j) for j in alike if misfits[j] <= misfits[max(int(j) - 1, 0) : int(j) + 2].min()] or [k]
    return minima[int(np.argmin(np.abs(trials[minima] - guess_s)))]


def _misfits(data: CellData, t: Floats, h: Floats, offsets: Floats) -> Floats:
    """Return the sum of squared residuals at every offset, with factors as `_misfit` has them."""
    charge = charge_columns(data, (t[None, :] + offsets[:, None]).ravel()).reshape(offsets.size, t.size, 2)
    charge -= charge.mean(axis=1, keepdims=True)
    target = h - h.mean()
    whole = float(target @ target)
    # Normal equations of two columns, and of their sum where a factor would have the wrong sign.
    aa, bb = (np.einsum("nt,nt->n", charge[..., k], charge[..., k]) for k in range(2))
    ab = np.einsum("nt,nt->n", charge[..., 0], charge[..., 1])
    ah, bh = (charge[..., k] @ target for k in range(2))
    determinant = aa * bb - ab**2
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b = (bb * ah - ab * bh) / determinant, (aa * bh - ab * ah) / determinant
        two = whole - (a * ah + b * bh)
        size = aa + bb + 2 * ab
        one = whole - (ah + bh) ** 2 / size
    flat = 1e-18 * float(np.max(aa + bb, initial=0.0))
    one = np.where(size > flat, one, whole)
    sound = (determinant > 1e-9 * aa * bb) & (aa > flat) & (bb > flat) & (a * b > 0)
    return np.asarray(np.maximum(np.where(sound, two, one), 0.0), dtype=np.float64)


def _misfit(data: CellData, t: Floats, h: Floats, offset: float) -> tuple[float, Floats, int]:
    """Return the sum of squared residuals, the columns of charge that were used, and the plating sign."""
    charge = charge_columns(data, t + offset)
    used = [
        charge[:, k]
        for k in range(2)
        if np.ptp(charge[:, k]) > 1e-9 * max(float(np.abs(charge).max()), 1e-300)
    ]
    if not used:
        return float(np.sum((h - h.mean()) ** 2)), np.zeros((t.size, 0)), 0
    columns = np.stack(used, axis=1)
    rest, factors = _solved(columns, h)
    if len(used) == 2 and factors[0] * factors[1] <= 0:  # one of them would grow under either current
        columns = columns.sum(axis=1, keepdims=True)
        rest, factors = _solved(columns, h)
    explained = 1 - rest / max(float(np.sum((h - h.mean()) ** 2)), 1e-300)
    return rest, columns, int(np.sign(factors.sum())) if explained > _EXPLAINED else 0


def _solved(columns: Floats, h: Floats) -> tuple[float, Floats]:
    centred, target = columns - columns.mean(axis=0), h - h.mean()
    factors = np.linalg.lstsq(centred, target, rcond=None)[0]
    return float(np.sum((target - centred @ factors) ** 2)), factors


def _change(data: CellData, t: Floats, h: Floats, offset: float, interval: float) -> Floats:
    """Return how the fitted heights change with the offset, (N, 1) µm/s."""
    _, columns, _ = _misfit(data, t, h, offset)
    _, factors = _solved(columns, h)
    step = 0.05 * interval
    later, earlier = (charge_columns(data, t + offset + sign * step) for sign in (1, -1))
    moved = (later - earlier) / (2 * step)
    if columns.shape[1] == 1:
        return np.asarray(moved.sum(axis=1, keepdims=True) * factors[0], dtype=np.float64)
    return np.asarray(moved @ factors[:, None], dtype=np.float64)
