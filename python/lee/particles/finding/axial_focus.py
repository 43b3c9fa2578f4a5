"""Brightness of particles along the optical axis, and the height at which each is in focus."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

Map = NDArray[np.float32]
Values = NDArray[np.float64]

_REACH = 3.0  # of a spot, in its standard deviations
_RING = (4.0, 6.0)  # where its background is taken
# Spots brighter than this measure the depth of a point's focus, if there are enough of them.
_BRIGHT_SNR = 15.0
_MIN_BRIGHT = 8
# Step of the offsets tried, as a share of the spacing of slices.
_FINE_STEP = 0.02
# Brightness along the axis is no Gaussian: on rendered scans the maximum was off, beyond noise, by this share
# of its standard deviation.
_NOT_GAUSSIAN = 0.02
# Share of a spot that must be seen.
_MIN_SEEN = 0.3
# Rings of a bright spot: their reach, in its standard deviations; their largest share of its peak; and the
# smallest offset at which they are brightest, in standard deviations of the light along the axis.
_HALO_REACH, _HALO_SHARE, _HALO_OFFSET = 6.0, 0.5, 0.8
# Signal over noise from which a slice counts as showing a particle.
_SEEN_SNR = 3.0


class AxialFocus(NamedTuple):
    """Where along the axis particles are in focus; all (N,).

    ``offset_um`` and its standard deviation: from the surface, positive toward the objective; NaN where the
    brightness has no maximum among the slices. ``peak``, ``peak_sigma``: counts, at that height. ``planes``:
    number of slices that show the particle. ``at_end``: brightest in the first or last slice.
    """

    offset_um: Values
    offset_sigma_um: Values
    peak: Values
    peak_sigma: Values
    planes: NDArray[np.int64]
    at_end: NDArray[np.bool_]

    def only(self, which: NDArray[np.bool_]) -> AxialFocus:
        """Keep some of them."""
        return self._replace(**{name: values[which] for name, values in self._asdict().items()})


def axial_profiles(slices: Map, y_px: Values, x_px: Values, width_px: Values) -> Values:
    """Fit the peaks of spots at known positions, all spots of a slice together.

    Parameters
    ----------
    slices : (K, H, W) float32, counts
        Differences; NaN is ignored.
    y_px, x_px, width_px : (N,) float64, px

    Returns
    -------
    (K, N) float64, counts
        NaN where too little of the spot was measured.
    """
    count = len(y_px)
    if count == 0:
        return np.zeros((len(slices), 0))
    spots = [_spot(slices.shape[1:], y_px[k], x_px[k], width_px[k]) for k in range(count)]
    pixels, position = np.unique(np.concatenate([where for where, _ in spots]), return_inverse=True)
    owner = np.repeat(np.arange(count), [len(where) for where, _ in spots])
    bells = np.concatenate([shape for _, shape in spots])
    model = sparse.csr_matrix((bells, (position, owner)), (len(pixels), count))
    # A pixel's background is that of the spots over it.
    share = sparse.diags(1 / np.asarray(model.sum(axis=1)).ravel()) @ model
    out = np.full((len(slices), count), np.nan)
    for number, one in enumerate(slices):
        counted = one.ravel()[pixels].astype(np.float64)
        good = np.isfinite(counted)
        background = np.array([_background(one, y_px[k], x_px[k], width_px[k]) for k in range(count)])
        signal = np.where(good, counted - share @ background, 0)
        seen = sparse.diags(good.astype(np.float64)) @ model
        normal = (seen.T @ seen).tocsc()
        enough = normal.diagonal() > _MIN_SEEN * np.pi * width_px**2
        normal += sparse.diags(np.where(enough, 1e-6 * normal.diagonal(), 1.0))
        out[number] = np.where(enough, splu(normal.tocsc()).solve(seen.T @ signal), np.nan)
    return out


def fit_focus(
    profile: Values, sigma: Values, offsets_um: Values, usual_um: float
) -> tuple[AxialFocus, float]:
    """Fit Gaussians of one common width to brightness along the axis.

    Parameters
    ----------
    profile, sigma : (K, N) float64, counts
        Peaks in K slices and their standard deviations; NaN where nothing was seen.
    offsets_um : (K,) float64, µm
        Evenly spaced, rising.
    usual_um : float, µm
        Standard deviation of the Gaussian, where there are too few bright particles to measure it.

    Returns
    -------
    AxialFocus
    float
        The width used, µm.
    """
    known = np.isfinite(profile) & np.isfinite(sigma) & (sigma > 0)
    weight = np.where(known, 1 / np.where(known, sigma, 1) ** 2, 0)
    value = np.where(known, profile, 0)
    depth = _depth(value, weight, offsets_um, usual_um)
    step = offsets_um[1] - offsets_um[0] if len(offsets_um) > 1 else 1.0
    places = np.arange(offsets_um[0], offsets_um[-1] + 0.5 * _FINE_STEP * step, _FINE_STEP * step)
    gain, information = _gain(value, weight, offsets_um, places, depth)
    best = gain.argmax(axis=0)
    who = np.arange(profile.shape[1])
    at_end = (best == 0) | (best == len(places) - 1)
    best = np.clip(best, min(1, len(places) - 1), max(len(places) - 2, 0))
    curvature = np.zeros(len(who))
    offset = np.full(len(who), np.nan)
    if len(places) > 2:
        before, here, after = (gain[best + k, who] for k in (-1, 0, 1))
        curvature = (2 * here - before - after) / (_FINE_STEP * step) ** 2
        with np.errstate(invalid="ignore", divide="ignore"):
            shift = 0.5 * (after - before) / (2 * here - before - after)
        offset = places[best] + np.where(np.isfinite(shift), np.clip(shift, -1, 1), 0) * _FINE_STEP * step
    # Half the gain in chi square is the logarithm of the likelihood.
    has_focus = (known.sum(axis=0) >= 3) & (curvature > 0) & ~at_end
    with np.errstate(divide="ignore", invalid="ignore"):
        offset_sigma = np.where(has_focus, np.sqrt(2 / curvature + (_NOT_GAUSSIAN * depth) ** 2), np.nan)
        peak = np.sqrt(gain[best, who] / information[best, who])
        peak_sigma = np.sqrt(1 / information[best, who])
    planes = (known & (value > _SEEN_SNR * np.where(known, sigma, np.inf))).sum(axis=0)
    return AxialFocus(
        np.where(has_focus, offset, np.nan),
        offset_sigma,
        peak,
        peak_sigma,
        planes,
        at_end & (known.sum(axis=0) >= 3),
    ), depth


def find_halos(
    focus: AxialFocus, places_px: tuple[Values, Values, Values], depth_um: float
) -> NDArray[np.bool_]:
    """Find the spots that are diffraction rings of a bright neighbour and no particles, (N,) bool.

    The rings of a point grow out of focus, where its own light fades. A spot beside a brighter one that is
    brightest off the surface, and away from that neighbour's own focus, is such a ring.

    Parameters
    ----------
    focus : AxialFocus
        Relative to the surface.
    places_px : three of (N,) float64, px
        y, x and width of their spots.
    depth_um : float, µm
        Standard deviation of a point's brightness along the axis.
    """
    y_px, x_px, width_px = places_px
    out = np.zeros(len(y_px), np.bool_)
    if not len(out):
        return out
    tree = cKDTree(np.column_stack([y_px, x_px]))
    with np.errstate(invalid="ignore"):
        off = focus.at_end | (np.abs(focus.offset_um) > _HALO_OFFSET * depth_um)
    for k in np.flatnonzero(off):
        near = np.array(tree.query_ball_point((y_px[k], x_px[k]), _HALO_REACH * width_px[k]))
        apart = np.abs(focus.offset_um[near] - focus.offset_um[k]) > _HALO_OFFSET * depth_um
        near = near[~off[near] | ((apart | focus.at_end[k]) & ~focus.at_end[near])]
        out[k] = len(near) > 0 and focus.peak[near].max() * _HALO_SHARE > focus.peak[k]
    return out


def _gain(
    value: Values, weight: Values, offsets: Values, places: Values, depth: float
) -> tuple[Values, Values]:
    """Chi square gained by a Gaussian at each offset, (M, N), and the information on its peak."""
    shape = np.exp(-0.5 * ((offsets[None, :] - places[:, None]) / depth) ** 2)
    product = np.clip(shape @ (weight * value), 0, None)
    information = shape**2 @ weight
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(information > 0, product**2 / information, 0), information


def _depth(value: Values, weight: Values, offsets: Values, usual_um: float) -> float:
    """Return the median over the bright particles of the width that fits each best."""
    bright = np.flatnonzero((np.sqrt(weight) * value).max(axis=0) > _BRIGHT_SNR)
    if len(bright) < _MIN_BRIGHT or len(offsets) < 5:
        return usual_um
    tried = usual_um * np.geomspace(0.4, 3.0, 25)
    inside = offsets[1:-1]
    gains = np.stack(
        [
            _gain(value[:, bright], weight[:, bright], offsets, np.linspace(inside[0], inside[-1], 41), s)[
                0
            ].max(axis=0)
            for s in tried
        ]
    )
    chosen = gains.argmax(axis=0)
    inner = (chosen > 0) & (chosen < len(tried) - 1)
    return float(np.median(tried[chosen[inner]])) if inner.sum() >= _MIN_BRIGHT else usual_um


def _spot(shape: tuple[int, ...], y: float, x: float, width: float) -> tuple[NDArray[np.intp], Values]:
    reach = _REACH * width
    rows = np.arange(max(int(np.ceil(y - reach)), 0), min(int(y + reach), shape[0] - 1) + 1)
    columns = np.arange(max(int(np.ceil(x - reach)), 0), min(int(x + reach), shape[1] - 1) + 1)
    bell = np.exp(-0.5 * ((rows - y) / width) ** 2)[:, None] * np.exp(-0.5 * ((columns - x) / width) ** 2)
    return (rows[:, None] * shape[1] + columns).ravel(), bell.ravel()


def _background(difference: Map, y: float, x: float, width: float) -> float:
    reach = int(np.ceil(_RING[1] * width))
    row, column = round(y), round(x)
    rows = slice(max(row - reach, 0), row + reach + 1)
    columns = slice(max(column - reach, 0), column + reach + 1)
    part = difference[rows, columns]
    off_y = np.arange(rows.start, rows.start + part.shape[0])[:, None] - y
    off_x = np.arange(columns.start, columns.start + part.shape[1]) - x
    away = np.hypot(off_y, off_x) / width
    ring = part[(away >= _RING[0]) & (away <= _RING[1]) & np.isfinite(part)]
    return float(np.median(ring)) if len(ring) else 0.0
