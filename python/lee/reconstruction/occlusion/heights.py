"""Heights near and beneath occlusions: focus maxima that go on where the measured surface ends.

Where an occlusion only veiled the surface its maximum is there, among others: `continue_surface` takes it for
measured where it continues the surface beside it; `continued_behind` fills what remains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lee.reconstruction.focus.cells import cells_of, nearest_sample
from lee.reconstruction.focus.measure import FocusMaxima, over_field
from lee.surfaces.filling import fill

# A maximum as wide in z as the depth of field demands may be the surface.
_WIDTH_LIMITS = (0.6, 1.3)
# Holes at least so wide are filled from heights at least so far from their edge: errors of what is seen past
# the edge of an occlusion fade over about that distance.
_HOLE_PX, _RIM_PX = 3, 8

# The measured surface is continued step by step, by maxima that lie so near the plane through what is known
# around them: within a number of its spreads, and between shares of the depth of field. Most pixels of the
# step must find one.
_STEPS, _STEP_PX = 12, 2
_PLANE_PX, _PLANE_REACH_PX = 4.0, 10
_SPREADS, _LEAST_DEPARTURE, _MAX_DEPARTURE = 2.5, 0.06, 0.2
_MEAN_PX = 2.0
_MIN_SIGNAL_TO_NOISE = 15.0
_MOST, _MOST_PX = 0.55, 5


@dataclass(frozen=True)
class SurfaceMaxima:
    """Focus maxima among which the surface's is sought.

    Parameters
    ----------
    levels : list of FocusMaxima
        Level k has a pixel for 2^k by 2^k pixels.
    z_um : (N,) float64, µm
        Heights of the samples of `opaque`.
    opaque : (N, h, w) bool
        Samples of cells whose maxima certainly are no surface's.
    noise : float, counts
        Focus that noise alone gives.
    depth_um : float, µm
        Full width at half maximum of the focus curve.
    """

    levels: list[FocusMaxima]
    z_um: NDArray[np.float64]
    opaque: NDArray[np.bool_]
    noise: float
    depth_um: float

    def candidates(
        self,
        shape: tuple[int, ...],
        box: tuple[slice, slice],
        *,
        least: float,
    ) -> list[NDArray[np.float32]]:
        """Return their heights in a part of the field (H, W), µm, as maps; inf where a maximum is unfit.

        It must stand `least` times above the noise and be as wide as the focus curve, and lie in no opaque
        sample.
        """
        out = []
        for level, found in enumerate(self.levels):
            width = found.width_um / (self.depth_um / 2.355)
            fits = (found.peak > least * self.noise) & (width > _WIDTH_LIMITS[0]) & (width < _WIDTH_LIMITS[1])
            for z in np.where(fits, found.z_um, np.inf):
                candidate = over_field(z, level, shape)[box]
                out.append(candidate)
                y, x = np.nonzero(np.isfinite(candidate))
                sample = nearest_sample(self.z_um, candidate[y, x])
                rows, columns = cells_of(y + box[0].start, x + box[1].start, self.opaque.shape[1:])
                hidden = self.opaque[sample, rows, columns]
                candidate[y[hidden], x[hidden]] = np.inf
        return out


def continue_surface(
    height: NDArray[np.float32],
    sigma: NDArray[np.float32],
    valid: NDArray[np.bool_],
    zone: NDArray[np.bool_],
    maxima: SurfaceMaxima,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Continue a measured surface some way into a zone, by maxima that go on where it ends.

    Parameters
    ----------
    height, sigma : (H, W) float32, µm
    valid : (H, W) bool
        Where they are measured.
    zone : (H, W) bool
        Where the surface may be continued.
    maxima : SurfaceMaxima

    Returns
    -------
    height, sigma : (H, W) float32, µm
        The standard deviation is that of the surface beside, widened by the departure from it.
    valid : (H, W) bool
    """
    box = _box_around(zone, _STEPS * _STEP_PX + _MOST_PX)
    if box is None:
        return height, sigma, valid
    candidates = maxima.candidates(height.shape, box, least=_MIN_SIGNAL_TO_NOISE)
    height, sigma, valid = height.copy(), sigma.copy(), valid.copy()
    continue_into(height[box], sigma[box], valid[box], zone[box], candidates, maxima.depth_um, _STEPS)
    return height, sigma, valid


def continue_into(
    height: NDArray[np.float32],
    sigma: NDArray[np.float32],
    known: NDArray[np.bool_],
    zone: NDArray[np.bool_],
    candidates: Sequence[NDArray[np.float32]],
    depth_um: float,
    steps: int,
) -> None:
    """Continue heights, in place, from where they are known into a zone, by the candidates that go on.

    Parameters
    ----------
    height, sigma : (H, W) float32, µm, and known, zone : (H, W) bool
    candidates : sequence of (H, W) float32, µm
        Inf where there is none.
    depth_um : float, µm
    steps : int
        At most so many, of two pixels each.
    """
    labels, _ = ndimage.label(zone, np.ones((3, 3)))
    for part in ndimage.find_objects(labels):
        box = tuple(slice(max(side.start - _PLANE_REACH_PX, 0), side.stop + _PLANE_REACH_PX) for side in part)
        inside = [of[box] for of in candidates]
        for _ in range(steps):
            if not _one_step(height[box], sigma[box], known[box], zone[box], inside, depth_um):
                break


def _one_step(
    height: NDArray[np.float32],
    sigma: NDArray[np.float32],
    known: NDArray[np.bool_],
    zone: NDArray[np.bool_],
    candidates: Sequence[NDArray[np.float32]],
    depth_um: float,
) -> bool:
    """Continue heights by one step; return whether any could be."""
    ring = ndimage.binary_dilation(known, np.ones((3, 3)), iterations=_STEP_PX) & ~known & zone
    at = np.nonzero(ring)
    if at[0].size == 0:
        return False
    plane, spread = _plane_of_known(height, known, at)
    departure = np.full(at[0].size, np.inf, np.float32)
    nearest = plane.copy()
    for candidate in candidates:
        distance = np.abs(candidate[at] - plane)
        nearer = distance < departure
        departure[nearer], nearest[nearer] = distance[nearer], candidate[at][nearer]
    limit = np.clip(_SPREADS * spread, _LEAST_DEPARTURE * depth_um, _MAX_DEPARTURE * depth_um)
    fits = np.zeros(ring.shape, bool)
    fits[at] = departure < limit
    among = ndimage.uniform_filter(ring.astype(np.float32), _MOST_PX)
    fits &= ndimage.uniform_filter(fits.astype(np.float32), _MOST_PX) > _MOST * among
    taken = fits[at]
    if not taken.any():
        return False
    beside = _mean_of_known(sigma, known)[at]
    height[fits] = nearest[taken]
    sigma[fits] = np.hypot(beside, departure)[taken]
    known |= fits
    return True


def _plane_of_known(
    height: NDArray[np.float32], known: NDArray[np.bool_], at: tuple[NDArray[np.intp], ...]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the plane through the known heights around pixels, there, and their spread about it."""
    offset = np.arange(-_PLANE_REACH_PX, _PLANE_REACH_PX + 1)
    gaussian = np.exp(-0.5 * (offset / _PLANE_PX) ** 2)
    kernels = [gaussian * offset**power for power in range(3)]

    def moment(of: NDArray[np.float64], down: int, across: int) -> NDArray[np.float64]:
        rows = ndimage.correlate1d(of, kernels[down], axis=0, mode="constant")
        return np.asarray(ndimage.correlate1d(rows, kernels[across], axis=1, mode="constant")[at])

    one = known.astype(np.float64)
    level = float(height[known].mean())
    values = np.where(known, height - level, 0.0)
    powers = ((0, 0), (1, 0), (0, 1))
    normal = np.array([[moment(one, a[0] + b[0], a[1] + b[1]) for b in powers] for a in powers])
    normal = np.moveaxis(normal, -1, 0)
    # Slopes hardly seen stay small.
    normal[:, (1, 2), (1, 2)] += 0.05 * _PLANE_PX**2 * normal[:, :1, 0] + 1e-9
    normal[:, 0, 0] += 1e-9
    right = np.stack([moment(values, *power) for power in powers], axis=-1)
    found = np.linalg.solve(normal, right[..., None])[..., 0]
    left = moment(values**2, 0, 0) - (found * right).sum(axis=-1)
    spread = np.sqrt(np.maximum(left, 0) / normal[:, 0, 0])
    return (found[:, 0] + level).astype(np.float32), spread.astype(np.float32)


def _box_around(zone: NDArray[np.bool_], margin: int) -> tuple[slice, slice] | None:
    rows, columns = np.flatnonzero(zone.any(axis=1)), np.flatnonzero(zone.any(axis=0))
    if rows.size == 0:
        return None
    down, across = (slice(max(int(at[0]) - margin, 0), int(at[-1]) + margin + 1) for at in (rows, columns))
    return down, across


def _mean_of_known(values: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    def blurred(of: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(ndimage.gaussian_filter(of, _MEAN_PX, truncate=2))

    total = blurred(np.where(known, values, 0).astype(np.float32))
    share = blurred(known.astype(np.float32))
    return np.asarray(total / np.maximum(share, np.float32(1e-9)), dtype=np.float32)


def continued_behind(
    height: NDArray[np.float32], known: NDArray[np.bool_], zone: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Continue a surface behind occlusions, from a little way off.

    The rim of such a hole is seen past an occlusion, if at all, and small errors there bend the whole fill.

    Parameters
    ----------
    height : (H, W) float32, µm
    known : (H, W) bool
    zone : (H, W) bool
        Near occlusions.

    Returns
    -------
    filled : (H, W) float32, µm
        Equal to `height` where `known`, but for the rims.
    rims : (H, W) bool
        Known pixels that were not used.
    """
    holes = ndimage.binary_opening(~known & zone, np.ones((3, 3)), iterations=_HOLE_PX)
    rims = known & ndimage.binary_dilation(holes, iterations=_RIM_PX)
    return fill(height, known & ~rims), rims
