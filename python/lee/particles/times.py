"""Particles and images of several times, selected by time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
import pandas as pd

from lee.errors import InputError
from lee.figures.maps import time_text

_T = TypeVar("_T")

_SAME = 1e-6  # a table that went through a file has seven digits


def by_time(particles: pd.DataFrame, times_s: Sequence[float] | None = None) -> dict[float, pd.DataFrame]:
    """Split a table of particles by the time of their scan.

    Parameters
    ----------
    particles : DataFrame
        With ``time_s``.
    times_s : sequence of float, s, optional
        All times that were searched: a time without particles is in no table. By default those of the
        particles; NaN, an unknown time, counts as one time.

    Returns
    -------
    dict of float to DataFrame
        In order of time, at least one.

    Raises
    ------
    InputError
        If a particle belongs to none of the times.
    """
    given = particles["time_s"].to_numpy(np.float64)
    if times_s is None or len(times_s) == 0:
        known = sorted({float(t) for t in given[np.isfinite(given)]})
        times = known + ([np.nan] if np.isnan(given).any() or not known else [])
    else:
        times = sorted(float(t) for t in times_s)
    if len(times) == 1 and (np.isnan(given).all() or np.isnan(times[0])):
        return {times[0]: particles}
    table = np.asarray(times)
    same = np.isclose(given[:, None], table[None, :], rtol=_SAME, atol=_SAME, equal_nan=True)
    unassigned = ~same.any(axis=1)
    if unassigned.any():
        raise InputError(
            f"a particle was found at {given[unassigned][0]:g} s, but the times searched are "
            f"{', '.join(f'{t:g}' for t in times)}"
        )
    which = np.argmax(same, axis=1)
    return {time: particles[which == k] for k, time in enumerate(times)}


def of_time(given: Mapping[float, _T] | _T, time_s: float, what: str) -> _T:
    """Select the value of a time from a mapping of times in s; anything else belongs to all times.

    Raises
    ------
    InputError
        If the mapping has none for that time.
    """
    if not isinstance(given, Mapping):
        return given
    for time, one in given.items():
        if np.isclose(time, time_s, rtol=_SAME, atol=_SAME, equal_nan=True):
            return one
    raise InputError(f"there is no {what} for {time_s:g} s: give one for each time, or one for all")


def time_title(time_s: float) -> str:
    """Format a time as the title of a panel; empty for an unknown one."""
    return f"t = {time_text(time_s)}" if np.isfinite(time_s) else ""
