"""Inversion of measured rates for a map of current efficiency, or of exchange current.

Both are fits of a positive map's logarithm, see `smooth_fit`: its roughness is penalised, by as much
as the stated standard deviations of the rates leave room for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import uniform_filter

from lee.errors import InputError
from lee.twin.comparison.smooth_fit import Map, SmoothFit, laplacian, resolution_um, roughness

_LIKELY = 1.5
_NEWTON_STEPS = 30
_DRAWS = 16
_MAX_LOG = 12.0
_SMOOTHED_PX = 5
_CLOSE_ENOUGH, _MAX_STALE, _UNEXPLAINED = 0.03, 3, 1.2


@dataclass(frozen=True, eq=False)
class Inversion:
    """A map that would explain measured rates, with its uncertainty.

    Attributes
    ----------
    value : (H, W) float64
        Efficiency (dimensionless), or exchange current density (A/m²). Defined everywhere: where nothing was
        measured it is the smoothest continuation.
    sigma : (H, W) float64
        Standard deviation from noise and from smoothing, the logarithm being assumed to be as rough
        everywhere as it is on average. NaN where nothing was measured, or not asked for.
    rate_nm_per_s : (H, W) float64
        Rates with this map.
    chi2_per_pixel : float
        Mean squared misfit over the stated variances.
    expected_chi2_per_pixel : float
        Its expected value: 1 less the share of the data's freedom that the map uses up.
    regularisation : float
        Lambda.
    resolution_um : float
        Wavelength of which half the amplitude is kept; shorter ones are smoothed away.
    efficiency : float
        The uniform efficiency that was fitted beside a map of exchange current; NaN for a map of efficiency.
    evaluations : int
        Solutions of the twin that were needed.
    notes : tuple of str
        What is assumed, and what weakens the result.
    """

    value: Map
    sigma: Map
    rate_nm_per_s: Map
    chi2_per_pixel: float
    expected_chi2_per_pixel: float
    regularisation: float
    resolution_um: float
    efficiency: float
    evaluations: int
    notes: tuple[str, ...]


def efficiency_map(
    full_rate_nm_per_s: ArrayLike,
    measured_nm_per_s: ArrayLike,
    sigma_nm_per_s: ArrayLike,
    *,
    pixel_um: float,
    regularisation: float | None = None,
    draws: int = _DRAWS,
    seed: int = 0,
) -> Inversion:
    """Find the current efficiency that would explain measured rates.

    Given the current, efficiency is a ratio, known pixel by pixel; the penalty only keeps noise out of it.

    Parameters
    ----------
    full_rate_nm_per_s : (H, W) float, nm/s
        Computed rate at an efficiency of 1, above 0; in the same direction as the measured one.
    measured_nm_per_s : (H, W) float, nm/s
        Measured rate at the same current (see `lee.twin.window_current`); NaN where not measured.
    sigma_nm_per_s : (H, W) float or float, nm/s
        Its standard deviation. Errors of neighbours are taken to be independent: where they are correlated,
        the result's `sigma` is too small.
    pixel_um : float, µm
    regularisation : float, optional
        Lambda; by default from the discrepancy principle.
    draws : int
        Repetitions with drawn noise that `sigma` is taken from; with 0 it is NaN.
    seed : int

    Returns
    -------
    Inversion

    Raises
    ------
    InputError
        If shapes differ, a computed rate or a standard deviation is not above 0, or nothing was measured.
    """
    full = np.asarray(full_rate_nm_per_s, np.float64)
    measured, weight = _checked("efficiency_map", full, measured_nm_per_s, sigma_nm_per_s, pixel_um)
    if not (np.isfinite(full).all() and (full > 0).all()):
        raise InputError(
            "efficiency_map: the computed rate is not above 0 everywhere, as while stripping or at rest: "
            "compare plating alone, or seek no map (--explain nothing)"
        )
    level = float((weight * measured * full).sum() / (weight * full**2).sum())
    if not level > 0:
        raise InputError(
            "efficiency_map: the mean measured rate is not above 0; for stripping change the sign"
        )
    # Near the mean the logarithm's fit is this linear one, in which lambda is cheap to find.
    linear = SmoothFit(weight * (full * level) ** 2, measured / (full * level))
    strength, reason = _given(regularisation) or linear.chosen()
    log = _fit_log(full, measured, weight, strength, np.log(level) + np.zeros(full.shape))
    rate = full * np.exp(log)
    sigma = np.full(full.shape, np.nan)
    if draws > 1:
        near = SmoothFit(weight * rate**2, measured)
        # Of few draws a single pixel's variance is rough; its neighbours' is the same.
        variance = sum(drawn**2 for drawn in near.draws(strength, draws, seed)) / draws
        spread = np.sqrt(uniform_filter(variance, _SMOOTHED_PX, mode="nearest"))
        sigma = np.where(weight > 0, np.exp(log) * spread, np.nan)
    return Inversion(
        value=np.exp(log),
        sigma=sigma,
        rate_nm_per_s=rate,
        chi2_per_pixel=_chi2(measured, rate, weight),
        expected_chi2_per_pixel=linear.expected_chi2(strength),
        regularisation=strength,
        resolution_um=resolution_um(strength, linear.scale, pixel_um),
        efficiency=float("nan"),
        evaluations=0,
        notes=(
            "the computed current is taken to be exact: its error enters the efficiency in proportion",
            reason,
            *_beyond(np.exp(log), weight > 0),
        ),
    )


def exchange_current_map(
    solve: Callable[[Map], ArrayLike],
    measured_nm_per_s: ArrayLike,
    sigma_nm_per_s: ArrayLike,
    *,
    pixel_um: float,
    start_a_per_m2: float,
    max_solves: int = 12,
    progress: Callable[[int, float], None] | None = None,
) -> Inversion:
    """Find the exchange current that would explain measured rates, by solving the twin repeatedly.

    Gauss-Newton steps with a scalar for the derivative of the rate's logarithm by the exchange current's,
    estimated from step to step: on scales below conductivity times kinetic slope that derivative is near 1
    everywhere. With the total current given, rates hardly depend on the level of the exchange current: its
    geometric mean stays at `start_a_per_m2`, and the map shows ratios. A uniform efficiency is fitted
    alongside, so that the mean rate supports neither.

    Parameters
    ----------
    solve : callable
        Takes a map of exchange current (H, W), A/m², and returns the rate (H, W), nm/s, at an efficiency of 1
        and in the direction of the measured one.
    measured_nm_per_s, sigma_nm_per_s, pixel_um
        As in `efficiency_map`.
    start_a_per_m2 : float
        Exchange current to begin from, and geometric mean of the result.
    max_solves : int
        Largest number of solutions of the twin.
    progress : callable, optional
        Called with the number of solutions and the squared misfit per pixel.

    Returns
    -------
    Inversion
        ``sigma`` is NaN throughout: it would need as many solutions again for every draw.

    Raises
    ------
    InputError
        As `efficiency_map`, or if `solve` returns something else than positive rates on the grid.
    """
    if not (np.isfinite(start_a_per_m2) and start_a_per_m2 > 0):
        raise InputError(f"exchange_current_map: start_a_per_m2 is {start_a_per_m2}; give A/m² above 0")
    if max_solves < 2:
        raise InputError(f"exchange_current_map: max_solves is {max_solves}; give 2 or more")
    shape = np.shape(measured_nm_per_s)
    measured, weight = _checked(
        "exchange_current_map", np.ones(shape), measured_nm_per_s, sigma_nm_per_s, pixel_um
    )
    m, slope, stale = np.zeros(shape), 1.0, 0
    strength, reason, resolution = float("inf"), "no step was needed", float("inf")
    best: Inversion | None = None
    before: tuple[Map, Map] | None = None
    for k in range(max_solves):
        full = _solved(solve, start_a_per_m2 * np.exp(m), shape)
        level = float((weight * measured * full).sum() / (weight * full**2).sum())
        rate = level * full
        chi2 = _chi2(measured, rate, weight)
        if progress is not None:
            progress(k + 1, chi2)
        if before is not None:
            slope = _secant(m - before[0], np.log(full) - before[1], slope)
        before = (m, np.log(full))
        fit = SmoothFit(weight * (slope * rate) ** 2, (measured - rate) / (slope * rate) + m)
        aim = fit.expected_chi2(strength) if k else 1.0
        closer = best is None or abs(chi2 - aim) < abs(best.chi2_per_pixel - aim) - 0.01
        stale = 0 if closer else stale + 1
        if best is None or closer:
            best = Inversion(
                start_a_per_m2 * np.exp(m), np.full(shape, np.nan), rate, chi2, aim, strength, resolution,
                level, k + 1, (reason,),
            )  # fmt: skip
        if (k and abs(chi2 - aim) < _CLOSE_ENOUGH) or stale >= _MAX_STALE:
            break
        strength, reason = fit.chosen()
        resolution = resolution_um(strength, fit.scale, pixel_um)
        m = fit.at(strength, start=m)
        m = np.clip(m - m.mean(), -_MAX_LOG, _MAX_LOG)
    assert best is not None
    ratio = best.chi2_per_pixel / best.expected_chi2_per_pixel
    weak = () if ratio < _UNEXPLAINED else (
        f"the squared misfit stayed at {ratio:.2g} times the value expected from the standard deviations: "
        "this kind of map does not explain the rates",
    )  # fmt: skip
    return replace(
        best,
        evaluations=k + 1,
        notes=(
            f"the geometric mean is set to {start_a_per_m2:g} A/m²: with the total current given, rates "
            "hardly depend on it",
            f"a uniform efficiency of {best.efficiency:.3g} is fitted alongside",
            f"derivative of log rate by log exchange current {slope:.2f}, taken to be the same everywhere",
            *best.notes,
            *weak,
        ),
    )


def _checked(what: str, full: Map, measured: ArrayLike, sigma: ArrayLike, pixel_um: float) -> tuple[Map, Map]:
    """Return measured rates, 0 where unknown, and inverse variances, 0 where unknown."""
    rate = np.asarray(measured, np.float64)
    if rate.ndim != 2 or rate.shape != full.shape:
        raise InputError(
            f"{what}: measured rates are {rate.shape}, computed ones {full.shape}; give one grid"
        )
    if not (np.isfinite(pixel_um) and pixel_um > 0):
        raise InputError(f"{what}: pixel_um is {pixel_um}; give µm above 0")
    try:
        deviation = np.broadcast_to(np.asarray(sigma, np.float64), rate.shape)
    except ValueError as error:
        raise InputError(
            f"{what}: sigma is {np.shape(sigma)}, the rates {rate.shape}; give one grid"
        ) from error
    known = np.isfinite(rate) & np.isfinite(deviation)
    if not known.any():
        raise InputError(f"{what}: no pixel has a measured rate with a standard deviation")
    if (deviation[known] <= 0).any():
        raise InputError(f"{what}: a standard deviation is not above 0")
    return np.where(known, rate, 0), np.where(known, 1 / np.where(known, deviation, 1) ** 2, 0)


def _solved(solve: Callable[[Map], ArrayLike], exchange: Map, shape: tuple[int, ...]) -> Map:
    full = np.asarray(solve(exchange), np.float64)
    if full.shape != shape:
        raise InputError(f"exchange_current_map: solve returned {full.shape}, the rates are {shape}")
    if not (np.isfinite(full).all() and (full > 0).all()):
        raise InputError("exchange_current_map: solve returned rates that are not finite and above 0")
    return full


def _chi2(measured: Map, rate: Map, weight: Map) -> float:
    return float((weight * (measured - rate) ** 2).sum() / (weight > 0).sum())


def _given(regularisation: float | None) -> tuple[float, str] | None:
    if regularisation is None:
        return None
    if not (np.isfinite(regularisation) and regularisation > 0):
        raise InputError(f"regularisation is {regularisation}; give a number above 0")
    return float(regularisation), "lambda was given"


def _fit_log(full: Map, measured: Map, weight: Map, strength: float, start: Map) -> Map:
    """Minimise sum weight (measured - full e^m)^2 + strength |grad m|^2 by damped Gauss-Newton steps."""
    m = start

    def cost(at: Map) -> float:
        return float((weight * (measured - full * np.exp(at)) ** 2).sum()) + strength * roughness(at)

    value = cost(m)
    for _ in range(_NEWTON_STEPS):
        rate = full * np.exp(m)
        right = weight * rate * (measured - rate) - strength * laplacian(m)
        step = SmoothFit(weight * rate**2, measured).solve(right, strength, close=False)
        # A step of more than this in the logarithm is beyond what the linear model knows.
        share = min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-30))
        while share > 1e-4:
            trial = np.clip(m + share * step, -_MAX_LOG, _MAX_LOG)
            trial_value = cost(trial)
            if trial_value <= value:
                break
            share /= 2
        else:
            break
        gained, m, value = value - trial_value, trial, trial_value
        if gained < 1e-6 * value + 1e-30:
            break
    return m


def _secant(moved: Map, answered: Map, before: float) -> float:
    """Slope of the answer to the last step; levels aside, which the total current fixes."""
    moved, answered = moved - moved.mean(), answered - answered.mean()
    power = float((moved**2).sum())
    if power < 1e-8 * moved.size:
        return before
    return float(np.clip((moved * answered).sum() / power, 0.1, 1.5))


def _beyond(value: Map, known: NDArray[np.bool_]) -> tuple[str, ...]:
    share = float((value > _LIKELY)[known].mean())
    if share == 0:
        return ()
    return (f"{100 * share:.1f} % of the measured field would need an efficiency above {_LIKELY:g}",)
