"""The mean height of a deposit as the charge makes it, at an assumed offset of the clocks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lee.electrochemistry.cell_data import CellData

Floats = NDArray[np.float64]

# No mean height is known better; a few scans that happen to fit exactly must not outweigh many that fit well.
_FLOOR_UM = 0.003
# Charge of the lesser sign that counts, against that of the greater: less is noise of a resting cell.
_LEAST_CHARGE = 1e-3


class HeightFit(NamedTuple):
    """Charge (N, 1 or 2) that was fitted, its factors, which scans are in the record, the share explained."""

    charge_c: Floats
    factors: Floats
    inside: NDArray[np.bool_]
    explained: float


def charge_columns(data: CellData, times_s: Floats) -> Floats:
    """Return charge of positive and of negative currents until each time, (N, 2) C; no current outside."""
    return np.stack([np.interp(times_s, data.time_s, part) for part in data.charges_by_sign_c], axis=1)


def misfits(data: CellData, t: Floats, h: Floats, offsets: Floats, fewest: int) -> Floats:
    """Return how badly the heights follow the charge at every offset: minus twice the log-likelihood.

    Scans outside the record count as not explained at all: an offset is not chosen for leaving scans out.

    Parameters
    ----------
    t, h : (N,) float64, s and µm
    offsets : (M,) float64, s
    fewest : int
        Scans that must lie inside; with fewer the misfit is infinite.
    """
    times = t[None, :] + offsets[:, None]
    inside = (times >= data.time_s[0]) & (times <= data.time_s[-1])
    count = inside.sum(axis=1)
    charge = charge_columns(data, times.ravel()).reshape(*times.shape, 2)
    weight = inside / np.maximum(count, 1)[:, None]
    charge = (charge - np.einsum("nt,ntk->nk", weight, charge)[:, None, :]) * inside[..., None]
    target = (h[None, :] - (weight @ h)[:, None]) * inside
    whole = np.einsum("nt,nt->n", target, target)
    # Normal equations of two columns, and of their sum where a factor would have the wrong sign.
    aa, bb = (np.einsum("nt,nt->n", charge[..., k], charge[..., k]) for k in range(2))
    ab = np.einsum("nt,nt->n", charge[..., 0], charge[..., 1])
    ah, bh = (np.einsum("nt,nt->n", charge[..., k], target) for k in range(2))
    determinant = aa * bb - ab**2
    flat = 1e-18 * float(np.max(aa + bb, initial=0.0))
    sound = (determinant > 1e-9 * aa * bb) & (aa > flat) & (bb > flat)
    safe = np.where(sound, determinant, 1.0)
    a, b = (bb * ah - ab * bh) / safe, (aa * bh - ab * ah) / safe
    size = aa + bb + 2 * ab
    one = whole - np.where(size > flat, (ah + bh) ** 2 / np.where(size > flat, size, 1.0), 0.0)
    rest = np.where(sound & (a * b > 0), whole - (a * ah + b * bh), one)
    least = _FLOOR_UM**2
    variance = np.maximum(rest / np.maximum(count, 1), least)
    found = count * np.log(variance) + (t.size - count) * np.log(max(float(np.var(h)), least))
    return np.where(count >= fewest, found, np.inf)


def fit_at(data: CellData, t: Floats, h: Floats, offset: float) -> HeightFit:
    """Fit the heights of the scans inside the record at one offset."""
    times = t + offset
    inside: NDArray[np.bool_] = (times >= data.time_s[0]) & (times <= data.time_s[-1])
    charge, target = charge_columns(data, times)[inside], h[inside]
    spans = np.ptp(charge, axis=0) if inside.any() else np.zeros(2)
    used = spans > _LEAST_CHARGE * max(float(spans.max()), 1e-300)
    charge = charge[:, used]
    if charge.shape[1] == 0 or inside.sum() < 2:
        return HeightFit(np.zeros((int(inside.sum()), 0)), np.zeros(0), inside, 0.0)
    rest, factors = _solved(charge, target)
    if charge.shape[1] == 2 and factors[0] * factors[1] <= 0:  # one of them would grow under either current
        charge = charge.sum(axis=1, keepdims=True)
        rest, factors = _solved(charge, target)
    whole = float(np.sum((target - target.mean()) ** 2))
    return HeightFit(charge, factors, inside, 1 - rest / whole if whole > 0 else 0.0)


def _solved(columns: Floats, h: Floats) -> tuple[float, Floats]:
    centred, target = columns - columns.mean(axis=0), h - h.mean()
    factors = np.linalg.lstsq(centred, target, rcond=None)[0]
    return float(np.sum((target - centred @ factors) ** 2)), factors
