"""Current and potential of a cell over time, as a potentiostat recorded them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError

Floats = NDArray[np.float64]

# A pause between two rows counts as a gap above so many long ones (nine in ten are shorter), and seconds.
_LONG_SHARE, _GAP_INTERVALS = 0.9, 5.0
_GAP_S = 2.0


@dataclass(frozen=True, eq=False)
class CellData:
    """Current and potential of a cell over time; read by `read_cell_data`.

    Parameters
    ----------
    time_s : (N,) float64, s
        Since the record's own zero, never decreasing: where the current jumps, two rows may share a time.
    current_a : (N,) float64, A
        With the sign of the file; see `cathodic_sign`.
    potential_v : (N,) float64, V
        NaN where the file states none.
    started : datetime, optional
        Date and time of ``time_s = 0`` on the clock of the potentiostat's computer, where the file states it.
    cathodic_sign : {-1, 1} or None
        Sign that the file gives to a reducing current at the working electrode; None where it states none.
    electrode_area_cm2 : float, cm², optional
        Of the working electrode, as stated in the file.
    provenance : mapping
        File, format, instrument, columns, rows, and what was derived rather than read.
    notes : tuple of str
        What a reader of the results should know, one sentence each.

    Raises
    ------
    InputError
        If lengths differ, there are fewer than two rows, a time or current is not finite, or time runs back.
    """

    time_s: Floats
    current_a: Floats
    potential_v: Floats
    started: datetime | None = None
    cathodic_sign: int | None = None
    electrode_area_cm2: float | None = None
    provenance: Mapping[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("time_s", "current_a", "potential_v"):
            values = np.array(getattr(self, name), dtype=np.float64)
            values.setflags(write=False)
            object.__setattr__(self, name, values)
        where = str(self.provenance.get("file", "cell data"))
        count = self.time_s.size
        if self.time_s.ndim != 1 or self.current_a.shape != (count,) or self.potential_v.shape != (count,):
            raise InputError(
                f"{where}: {count} times, {self.current_a.size} currents and {self.potential_v.size} "
                "potentials; "
                "give one of each for every row"
            )
        if count < 2:
            raise InputError(f"{where}: holds {count} row(s); a record needs two or more")
        for name, values in (("time", self.time_s), ("current", self.current_a)):
            if not np.isfinite(values).all():
                k = int(np.argmin(np.isfinite(values)))
                raise InputError(f"{where}: the {name} of row {k} is {values[k]}; give finite numbers")
        back = np.flatnonzero(np.diff(self.time_s) < 0)
        if back.size:
            k = int(back[0])
            raise InputError(
                f"{where}: time runs back from {self.time_s[k]:g} to {self.time_s[k + 1]:g} s after row {k}; "
                "give the time since the start of the record, not that of each step"
            )

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self.time_s.size)

    @property
    def duration_s(self) -> float:
        """Time from the first row to the last."""
        return float(self.time_s[-1] - self.time_s[0])

    @cached_property
    def charge_c(self) -> Floats:
        """Charge since the first row, (N,) C: the current integrated by the trapezoidal rule."""
        steps = 0.5 * (self.current_a[1:] + self.current_a[:-1]) * np.diff(self.time_s)
        return np.concatenate([[0.0], np.cumsum(steps)])

    @cached_property
    def charges_by_sign_c(self) -> tuple[Floats, Floats]:
        """Charge of positive and of negative currents since the first row, (N,) C each."""
        first, last, spans = self.current_a[:-1], self.current_a[1:], np.diff(self.time_s)
        parts = []
        for sign in (1.0, -1.0):
            a, b = np.maximum(sign * first, 0), np.maximum(sign * last, 0)
            # Where the line between two rows crosses zero, only its part on this side counts.
            crossing = (first * last < 0) & (a + b > 0)
            share = np.where(crossing, (a + b) / np.where(crossing, np.abs(first) + np.abs(last), 1.0), 1.0)
            parts.append(np.concatenate([[0.0], sign * np.cumsum(0.5 * (a + b) * share * spans)]))
        return parts[0], parts[1]

    def charge_at(self, times_s: ArrayLike) -> Floats:
        """Return the charge passed until each time, C; NaN outside the record."""
        return self.interpolated(self.charge_c, times_s)

    def interpolated(self, values: Floats, times_s: ArrayLike) -> Floats:
        """Interpolate values of the rows in time; NaN outside the record."""
        times = np.asarray(times_s, dtype=np.float64)
        return np.interp(times, self.time_s, values, left=np.nan, right=np.nan)

    def mean_current_a(self, begin_s: ArrayLike, end_s: ArrayLike) -> Floats:
        """Return the mean current between two times, A: charge over time; NaN outside the record."""
        begin, end = (np.asarray(times, dtype=np.float64) for times in (begin_s, end_s))
        return (self.charge_at(end) - self.charge_at(begin)) / (end - begin)

    def mean_potential_v(self, begin_s: ArrayLike, end_s: ArrayLike) -> Floats:
        """Return the mean potential between two times, V; NaN outside the record, or where unknown."""
        steps = 0.5 * (self.potential_v[1:] + self.potential_v[:-1]) * np.diff(self.time_s)
        known = np.isfinite(steps)
        whole = np.concatenate([[0.0], np.cumsum(np.where(known, steps, 0.0))])
        seen = np.concatenate([[0.0], np.cumsum(np.where(known, np.diff(self.time_s), 0.0))])
        begin, end = (np.asarray(times, dtype=np.float64) for times in (begin_s, end_s))
        area, span = (self.interpolated(v, end) - self.interpolated(v, begin) for v in (whole, seen))
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(span > 0.5 * (end - begin), area / span, np.nan)

    @cached_property
    def gaps_s(self) -> list[tuple[float, float]]:
        """Begin and end of each pause that is far longer than the record's typical interval, s."""
        spans = np.diff(self.time_s)
        long = float(np.quantile(spans[spans > 0], _LONG_SHARE)) if (spans > 0).any() else 0.0
        wide = np.flatnonzero(spans > max(_GAP_INTERVALS * long, _GAP_S))
        return [(float(self.time_s[k]), float(self.time_s[k + 1])) for k in wide]

    def edges_s(self, *, least: float = 0.1) -> Floats:
        """Return when the current jumps: from plating to stripping, to rest or from it, s.

        Parameters
        ----------
        least : float
            Smallest jump that counts, against the largest current of the record.
        """
        size = float(np.abs(self.current_a).max())
        if size == 0:
            return np.zeros(0)
        state = np.where(np.abs(self.current_a) < least * size, 0, np.sign(self.current_a))
        at = np.flatnonzero(np.diff(state) != 0)
        return 0.5 * (self.time_s[at] + self.time_s[at + 1])
