"""Two height maps of one place on one grid: orientation, shift, scale of the pixel, rotation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage, optimize

from lee.errors import InputError
from lee.surfaces.block_mean import block_mean
from lee.surfaces.roughness.form import form

_SEARCHED_PX = 192  # longest side of the maps whose place is searched
_LEAST_OVERLAP = 0.25  # of the smaller map
_LEAST_PX = 16
_POINTS = 20_000
_BETTER = 1.05  # another orientation must fit so much better than the one given
_LEAST_CORRELATION = 0.3
_MOST_SCALE, _MOST_TURN_DEG = 0.06, 5.0  # beyond, a fit has found a place that is alike by chance
_SMOOTHED_PX = (4.0, 1.5, 0.0)

Heights = NDArray[np.float64]
# quarter turns and mirroring of the first map, as they are named
ORIENTATIONS = {
    (0, False): "as given",
    (1, False): "turned by 90°",
    (2, False): "turned by 180°",
    (3, False): "turned by 270°",
    (0, True): "mirrored left to right",
    (1, True): "mirrored left to right, then turned by 90°",
    (2, True): "mirrored left to right, then turned by 180°",
    (3, True): "mirrored left to right, then turned by 270°",
}


@dataclass(frozen=True, eq=False)
class AlignedMaps:
    """Two maps on the grid of the first, which is as coarse as the coarser of them.

    Parameters
    ----------
    first_um, second_um : (H, W) float64, µm
        NaN where not measured, or outside the other map.
    pixel_um : float, µm
    orientation : str
        What was done to the first map: a value of `ORIENTATIONS`.
    shift_um, shift_se_um : (float, float), µm
        Where the middle of the first map lies in the second, (y, x) from its middle.
    scale, scale_se : float
        Size of the first map's pixel over what is stated, if that of the second is right.
    rotation_deg, rotation_se_deg : float, degrees
        Of the first map against the second, from x toward y.
    overlap : float
        Share of the smaller map that both measured.
    smoothed_um : (float, float), µm
        Standard deviation of the Gaussian that averaged each map to the common pixel; 0 for the coarser.
    """

    first_um: Heights
    second_um: Heights
    pixel_um: float
    orientation: str
    shift_um: tuple[float, float]
    shift_se_um: tuple[float, float]
    scale: float
    scale_se: float
    rotation_deg: float
    rotation_se_deg: float
    overlap: float
    smoothed_um: tuple[float, float]


def align(
    first_um: Heights, first_pixel_um: float, second_um: Heights, second_pixel_um: float
) -> AlignedMaps:
    """Bring two maps of one place onto one grid.

    The finer map is averaged to the pixels of the coarser. The place, and which of the eight orientations
    fits, follow from the masked correlation of both; shift, scale and rotation from least squares, the
    amplification and the tilt between the maps being free. Pixel sizes must be right within about 3 %, and
    the rotation within about 2° of a quarter turn.

    Parameters
    ----------
    first_um, second_um : (H, W) float64, µm
        NaN where not measured.
    first_pixel_um, second_pixel_um : float, µm

    Raises
    ------
    InputError
        If a map is smaller than 16 × 16 pixels of the coarser, or constant, or no place is found where they
        are alike.
    """
    pixel = max(first_pixel_um, second_pixel_um)
    coarse = [
        _coarsened(one, pixel / size)
        for one, size in ((first_um, first_pixel_um), (second_um, second_pixel_um))
    ]
    for name, one in zip(("first", "second"), coarse, strict=True):
        known = one[np.isfinite(one)]
        if min(one.shape) < _LEAST_PX or known.size < _LEAST_PX**2 or not float(np.ptp(known)) > 0:
            raise InputError(
                f"compare: the {name} map has {known.size} measured pixels of {pixel:.4g} µm, or is "
                f"constant; {_LEAST_PX} × {_LEAST_PX} with relief are needed"
            )
    flat = [one - form(one, 1) for one in coarse]
    turned, start = _place(flat[0], flat[1])
    first, second = _oriented(coarse[0], turned), coarse[1]
    found, errors = _refined(_oriented(flat[0], turned), flat[1], start)
    half = _half(first.shape)
    if abs(found[2] / half) > _MOST_SCALE or abs(np.degrees(found[3] / half)) > _MOST_TURN_DEG:
        raise InputError(
            f"compare: the maps fit only with pixels {np.exp(found[2] / half):.3g} times as large as stated, "
            f"turned by {np.degrees(found[3] / half):.3g}°: give two maps of one place, with pixel sizes "
            "right within 3 %"
        )
    at = _positions(first.shape, second.shape, found)
    seen = _sampled(second, at)
    both = np.isfinite(first) & np.isfinite(seen)
    return AlignedMaps(
        np.where(both, first, np.nan),
        np.where(both, seen, np.nan),
        pixel,
        ORIENTATIONS[turned],
        (float(found[0] * pixel), float(found[1] * pixel)),
        (float(errors[0] * pixel), float(errors[1] * pixel)),
        float(np.exp(found[2] / half)),
        float(errors[2] / half),
        float(np.degrees(found[3] / half)),
        float(np.degrees(errors[3] / half)),
        float(both.sum() / min(np.isfinite(one).sum() for one in coarse)),
        (_smoothing(pixel, first_pixel_um), _smoothing(pixel, second_pixel_um)),
    )


def _smoothing(pixel: float, own: float) -> float:
    """Return the Gaussian of the variance of a pixel, less that of a smaller one, in their unit."""
    return float(np.sqrt(max(pixel**2 - own**2, 0.0) / 12))


def _coarsened(values: Heights, ratio: float) -> Heights:
    """Average over pixels `ratio` times as large; the middle of the map stays its middle."""
    known = np.isfinite(values)
    values = np.where(known, values, np.nan)
    if ratio < 1 + 1e-6:
        return values
    sigma = _smoothing(ratio, 1.0)
    weight = ndimage.gaussian_filter(known.astype(np.float64), sigma, mode="constant")
    mean = ndimage.gaussian_filter(np.where(known, values, 0.0), sigma, mode="constant")
    shape = [int(np.floor(n / ratio)) for n in values.shape]
    at = np.meshgrid(
        *(
            (n - 1) / 2 + (np.arange(m) - (m - 1) / 2) * ratio
            for n, m in zip(values.shape, shape, strict=True)
        ),
        indexing="ij",
    )
    weight, mean = (ndimage.map_coordinates(one, at, order=1) for one in (weight, mean))
    out: Heights = np.where(weight > 0.5, mean / np.maximum(weight, 1e-9), np.nan)
    return out


def _oriented(values: Heights, turned: tuple[int, bool]) -> Heights:
    turns, mirrored = turned
    return np.ascontiguousarray(np.rot90(values[:, ::-1] if mirrored else values, turns))


def _place(first: Heights, second: Heights) -> tuple[tuple[int, bool], Heights]:
    """Return the orientation, and the shift of the middles, px, at which the maps are most alike."""
    block = max(1, -(-max(*first.shape, *second.shape) // _SEARCHED_PX))
    small = [block_mean(one, block)[0].astype(np.float64) for one in (first, second)]
    best: dict[tuple[int, bool], tuple[float, float, Heights]] = {}
    for turned in ORIENTATIONS:
        best[turned] = _correlated(_oriented(small[0], turned), small[1])
    chosen = max(best, key=lambda turned: best[turned][0])
    if best[chosen][0] < _BETTER * best[0, False][0]:
        chosen = (0, False)
    _, correlation, shift = best[chosen]
    if not correlation > _LEAST_CORRELATION:
        raise InputError(
            f"compare: the maps are nowhere alike (correlation {correlation:.2f}): give two maps of one "
            "place, with pixel sizes right within 3 %"
        )
    # Blocks at the far edge are cut, so that the middle of blocks is not that of pixels; the fit corrects it.
    return chosen, shift * block


def _correlated(first: Heights, second: Heights) -> tuple[float, float, Heights]:
    """Return the best score over all shifts, its correlation, and the shift of the middles, px.

    Masked normalised correlation (Padfield 2012), scored by correlation times the root of the overlap.
    """
    size = [fft.next_fast_len(a + b - 1, real=True) for a, b in zip(first.shape, second.shape, strict=True)]
    parts = []
    for one in (first, second):
        known = np.isfinite(one)
        clean = np.where(known, one, 0.0)
        parts.append([fft.rfft2(part, size) for part in (known.astype(np.float64), clean, clean**2)])
    (mask_a, a, a2), (mask_b, b, b2) = parts

    def over(p: NDArray[np.complex128], q: NDArray[np.complex128]) -> Heights:
        product: Heights = fft.irfft2(np.conj(p) * q, size)
        return product

    count = np.maximum(np.rint(over(mask_a, mask_b)), 0)
    sum_a, sum_b = over(a, mask_b), over(mask_a, b)
    n = np.maximum(count, 1)
    covariance = over(a, b) - sum_a * sum_b / n
    spread = (over(a2, mask_b) - sum_a**2 / n) * (over(mask_a, b2) - sum_b**2 / n)
    least = _LEAST_OVERLAP * min(np.isfinite(one).sum() for one in (first, second))
    usable = (count >= max(least, 4)) & (spread > 1e-12 * float(spread.max()))
    correlation = np.where(usable, covariance / np.sqrt(np.where(usable, spread, 1.0)), -1.0)
    score = np.where(usable, correlation * np.sqrt(count), -1.0)
    at = np.unravel_index(int(np.argmax(score)), score.shape)
    shift = [
        (int(k) if k < b else int(k) - n) + (a - b) / 2
        for k, a, b, n in zip(at, first.shape, second.shape, size, strict=True)
    ]
    return float(score.max()), float(correlation[at]), np.array(shift, np.float64)


def _half(shape: tuple[int, ...]) -> float:
    return float(np.hypot(shape[0], shape[1]) / 2)


def _positions(
    shape: tuple[int, ...], other: tuple[int, ...], found: Heights, at: Heights | None = None
) -> Heights:
    """Return where pixels of the first map lie in the second, px; all of them, or the given ones."""
    if at is None:
        at = np.array(np.meshgrid(*(np.arange(n, dtype=np.float64) for n in shape), indexing="ij"))
    half = _half(shape)
    scale, angle = np.exp(found[2] / half), found[3] / half
    y, x = at[0] - (shape[0] - 1) / 2, at[1] - (shape[1] - 1) / 2
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    return np.array(
        [
            (other[0] - 1) / 2 + found[0] + cos * y + sin * x,
            (other[1] - 1) / 2 + found[1] - sin * y + cos * x,
        ]
    )


def _filled(values: Heights) -> Heights:
    known = np.isfinite(values)
    nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    out: Heights = values[tuple(nearest)]
    return out


def _sampled(values: Heights, at: Heights) -> Heights:
    """Interpolate by cubic splines; NaN beside pixels that were not measured and outside."""
    known = np.isfinite(values)
    read = ndimage.map_coordinates(_filled(values), at, order=3, mode="nearest")
    share = ndimage.map_coordinates(known.astype(np.float64), at, order=1, mode="grid-constant")
    out: Heights = np.where(share > 0.99, read, np.nan)
    return out


def _refined(first: Heights, second: Heights, start: Heights) -> tuple[Heights, Heights]:
    """Return shift y, x, log scale and angle (times half a diagonal), in px, and their standard errors."""
    places = np.argwhere(np.isfinite(first))
    step = max(1, len(places) // _POINTS)
    chosen = places[::step].T
    found = np.array([*start, 0.0, 0.0])
    result = None
    for sigma in _SMOOTHED_PX:
        one, other = (_smoothed(values, sigma) for values in (first, second))
        spline = ndimage.spline_filter(_filled(other), order=3, mode="mirror")
        share = np.isfinite(other).astype(np.float64)
        heights = one[tuple(chosen)]

        def residuals(
            moved: Heights, spline: Heights = spline, share: Heights = share, heights: Heights = heights
        ) -> Heights:
            at = _positions(first.shape, second.shape, moved, chosen.astype(np.float64))
            read = ndimage.map_coordinates(spline, at, order=3, prefilter=False, mode="mirror")
            weight = np.clip(ndimage.map_coordinates(share, at, order=1, mode="grid-constant"), 0, 1)
            design = np.stack([read, np.ones(read.size), at[0] / 1e3, at[1] / 1e3], axis=1) * weight[:, None]
            fitted = np.linalg.lstsq(design, heights * weight, rcond=None)[0]
            off = heights * weight - design @ fitted
            out: Heights = off * np.sqrt(len(off) / max(float(weight.sum()), 1.0))
            return out

        now = residuals(found)
        typical = 1.4826 * float(np.median(np.abs(now)))
        result = optimize.least_squares(
            residuals, found, loss="soft_l1", f_scale=max(2 * typical, 1e-9), max_nfev=60
        )
        found = result.x
    assert result is not None
    spread = float(np.mean(result.fun**2))
    alike = _alike(first, result.fun, chosen)
    # As many pixels share one error as are correlated; of these the sample holds one in `step`.
    covariance = np.linalg.pinv(result.jac.T @ result.jac) * spread * max(alike / step, 1.0)
    return found, np.sqrt(np.maximum(np.diag(covariance), 0.0))


def _smoothed(values: Heights, sigma_px: float) -> Heights:
    if sigma_px == 0:
        return values
    known = np.isfinite(values)
    weight = ndimage.gaussian_filter(known.astype(np.float64), sigma_px)
    mean = ndimage.gaussian_filter(np.where(known, values, 0.0), sigma_px) / np.maximum(weight, 1e-9)
    out: Heights = np.where(known, mean, np.nan)
    return out


def _alike(first: Heights, off: Heights, chosen: NDArray[np.intp]) -> float:
    """Return how many pixels share one error of the differences, from neighbours in the sample's rows."""
    rows, columns = chosen
    neighbours = (np.diff(rows) == 0) & (np.diff(columns) > 0)
    gap = float(np.median(np.diff(columns)[neighbours])) if neighbours.any() else 1.0
    square = float(np.mean(off**2))
    if not neighbours.any() or not square > 0:
        return 1.0
    alike = float(np.mean((off[1:] * off[:-1])[neighbours])) / square
    if alike < 0.05:
        return 1.0
    # A Gaussian's correlation exp(-(g / 2 l)^2) at the gap g covers 4 pi l^2 pixels.
    length = gap / (2 * np.sqrt(-np.log(min(alike, 0.99))))
    return float(max(4 * np.pi * length**2, 1.0))
