"""Measured height rates beside the computed ones: those that were given, or those of the moving boundary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lee.surfaces.curvature import curvature
from lee.surfaces.regions import Region, find_regions
from lee.twin.comparison.compare import Comparison, compare
from lee.twin.following.boundary import MapsOverTime

if TYPE_CHECKING:
    from lee.twin.following.follow import Followed

# Where no region is curved enough: the lowest and the highest share of the field.
_TENTH = 0.1


def compare_rates(
    followed: Followed,
    rates_nm_per_s: MapsOverTime | None = None,
    sigmas_nm_per_s: MapsOverTime | None = None,
    regions: Sequence[Region] = (),
) -> Comparison | None:
    """Compare the height rates of a run with the computed ones, at every scan that was reached.

    Scans at which the current jumps have two rates, and are left out.

    Parameters
    ----------
    followed : Followed
    rates_nm_per_s, sigmas_nm_per_s : T of (H, W) float, nm/s, optional
        Measured height rates and their standard deviations. By default the speed of the moving boundary,
        without standard deviations.
    regions : sequence of Region
        By default the trenches and protrusions of the first surface.

    Returns
    -------
    Comparison or None
        None if a rate cannot be measured: there are fewer than two scans, or too few pixels.
    """
    solution = followed.solution
    count = len(solution.times_s)
    measured = [
        k
        for k in range(min(count, len(followed.scans)))
        if k not in followed.holes and not np.isin(solution.times_s[k], followed.boundary.breaks_s)
    ]
    if rates_nm_per_s is None:
        columns, path = followed.boundary.columns, followed.boundary.path
        rates = [columns.to_pixels(path.speed_um_per_s[k]) * 1e3 for k in measured]
    else:
        rates = [followed.on_own_grid(np.asarray(rates_nm_per_s[k], np.float64)) for k in measured]
        measured, rates = _told(measured, rates)
    if len(followed.scans) < 2 or not rates:
        return None
    sigmas = None
    if sigmas_nm_per_s is not None:
        sigmas = np.stack(
            [followed.on_own_grid(np.asarray(sigmas_nm_per_s[k], np.float64)) for k in measured]
        )
    return compare(
        solution,
        np.stack(rates),
        sigma_nm_per_s=sigmas,
        times_s=solution.times_s[measured],
        regions=[
            Region(region.name, region.kind, followed.on_own_grid(region.mask.astype(np.float64)) > 0.5)
            for region in regions
        ]
        or regions_of(followed),
    )


def _told(scans: list[int], rates: list[NDArray[np.float64]]) -> tuple[list[int], list[NDArray[np.float64]]]:
    """Keep the scans that have rates at enough pixels."""
    enough = [k for k, rate in enumerate(rates) if np.isfinite(rate).sum() >= 30]
    return [scans[k] for k in enough], [rates[k] for k in enough]


def regions_of(followed: Followed) -> list[Region]:
    """Find trenches and protrusions by curvature, or take the lowest and the highest tenth of the field."""
    height, pixel_um = followed.solution.height_um[0], followed.solution.pixel_um
    found: list[Region] = []
    if min(height.shape) >= 8:
        found = find_regions(curvature(height, pixel_um=pixel_um).mean_per_um, pixel_um=pixel_um, most=4)
    low, high = np.quantile(height, (_TENTH, 1 - _TENTH))
    for kind, name, mask in (
        ("trench", "lowest tenth", height <= low),
        ("protrusion", "highest tenth", height >= high),
    ):
        if not any(region.kind == kind for region in found):
            found.append(Region(name, kind, mask))
    return found
