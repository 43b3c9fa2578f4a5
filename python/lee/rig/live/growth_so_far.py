"""Growth of a run while it goes on: the rate over the last surfaces, and regions over time.

What `lee series` measures afterwards at every pixel, here on blocks of pixels, scan by scan, at a cost that
does not grow with the run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lee.series.alignment.scan_alignment import align, apply
from lee.series.growth.rates import rates
from lee.series.region_curves import region_curves
from lee.surfaces.block_mean import block_mean
from lee.surfaces.curvature import curvature
from lee.surfaces.regions import Region, find_regions
from lee.surfaces.surface import Surface

Map = NDArray[np.float32]

WINDOW, LEAST_SCANS = 5, 3
_SIDE_PX, _SCALE_PX = 256, 240
# Of each kind, the largest so many.
_REGIONS_EACH = 3
_LEAST_MEASURED = 0.1
# Of what another surface covers: less is a scan that ended early, with heights of what it did not reach.
_LEAST_COVERED = 0.5
WHOLE = "whole field"


class RateMap(NamedTuple):
    """Rate at the time of one scan, (h, w) nm/s, NaN where not measured; the scans it was fitted to."""

    rate_nm_per_s: Map
    sigma_nm_per_s: Map
    pixel_um: float
    at: str
    first: str
    last: str


class _Past(NamedTuple):
    number: int
    scan: str
    time_s: float
    change_um: Map


class GrowthSoFar:
    """Takes one surface after the other.

    Surfaces are laid over the first sideways, as `lee series` does; along the axis they are taken as they
    are: a stage that drifts by 1 nm/s adds 1 nm/s to every rate. What the first surface lacks stays unknown.

    Attributes
    ----------
    rate : RateMap or None
        After three surfaces.
    regions : list of Region
        The whole field and, after three surfaces, trenches and protrusions, on the blocks' grid.
    times_s : list of float
        Of every surface taken.
    scans : list of str
    """

    def __init__(self) -> None:
        self._first: Surface | None = None
        self._forget()

    def add(self, scan: str, time_s: float, surface: Surface) -> None:
        """Take the surface of a scan later than the others.

        One that covers less than half of what the first does is left out; one that covers twice as much takes
        the place of the first, and all begins anew.
        """
        if self._first is None or self._first.coverage < _LEAST_COVERED * surface.coverage:
            self._begin(surface)
        elif surface.coverage < _LEAST_COVERED * self._first.coverage:
            return
        self.scans.append(scan)
        self.times_s.append(time_s)
        past = _Past(len(self.scans) - 1, scan, time_s, self._change(surface))
        self._window.append(past)
        if len(self.regions) == 1 and len(self._window) == LEAST_SCANS:
            self._find()
        else:
            self._follow(past)
        if len(self._window) >= LEAST_SCANS:
            self._fit()

    def curves(self) -> dict[str, Any]:
        """Return what the page draws: mean change in height and mean rate of every region, None unknown."""
        return {
            "times_s": self.times_s,
            "scans": self.scans,
            "regions": [
                {
                    "name": region.name,
                    "kind": region.kind,
                    "area_um2": float(region.mask.sum()) * self._pixel_um**2,
                    "change_um": [_known(value) for value in self._changes_um[region.name]],
                    "rate_nm_per_s": [
                        _known(self._rates[region.name].get(k, (np.nan, np.nan))[0])
                        for k in range(len(self.scans))
                    ],
                    "rate_se_nm_per_s": [
                        _known(self._rates[region.name].get(k, (np.nan, np.nan))[1])
                        for k in range(len(self.scans))
                    ],
                }
                for region in self.regions
            ],
        }

    def _forget(self) -> None:
        self.rate: RateMap | None = None
        self.regions: list[Region] = []
        self.times_s: list[float] = []
        self.scans: list[str] = []
        self._changes_um: dict[str, list[float]] = {}
        self._rates: dict[str, dict[int, tuple[float, float]]] = {}
        self._first_coarse: Map = np.zeros((0, 0), np.float32)
        self._block, self._pixel_um = 1, 0.0
        self._window: deque[_Past] = deque(maxlen=WINDOW)

    def _begin(self, surface: Surface) -> None:
        self._forget()
        self._first = surface
        self._block = max(1, -(-max(surface.shape) // _SIDE_PX))
        self._pixel_um = self._block * surface.pixel_um
        self._first_coarse = block_mean(surface.height_um, self._block)[0]
        self._take_regions([Region(WHOLE, "drawn", np.ones(self._first_coarse.shape, np.bool_))])

    def _change(self, surface: Surface) -> Map:
        """Mean change of blocks since the first surface; of the heights it would wander with their gaps."""
        first = self._first
        assert first is not None
        if surface is first:
            return self._first_coarse - self._first_coarse
        images = [first.refocused, surface.refocused]
        shown = images if all(np.isfinite(image).any() for image in images) else None
        laid = align([first.height_um, surface.height_um], shown, pixel_um=surface.pixel_um)
        change, share = block_mean(apply(laid, surface.height_um, scan=1) - first.height_um, self._block)
        return np.where(share >= 0.5, change, np.float32(np.nan))

    def _find(self) -> None:
        """Find trenches and protrusions, once, as bent in most of the first surfaces."""
        assert self._first is not None
        # Means of blocks do not tell how noisy pixels are: the scale is found on pixels, amid the field.
        middle = tuple(slice(max(n - _SCALE_PX, 0) // 2, (n + _SCALE_PX) // 2) for n in self._first.shape)
        scale = curvature(
            self._first.height_um[middle],
            pixel_um=self._first.pixel_um,
            height_sigma_um=self._first.height_sigma_um[middle],
            threads=1,
        ).scale_um
        bent = [
            curvature(
                self._first_coarse + past.change_um, pixel_um=self._pixel_um, scale_um=scale, threads=1
            ).mean_per_um
            for past in self._window
        ]
        regions = find_regions(np.stack(bent), pixel_um=self._pixel_um, most=_REGIONS_EACH)
        self._take_regions([*self.regions, *regions])
        for past in self._window:
            self._follow(past)

    def _take_regions(self, regions: Sequence[Region]) -> None:
        self.regions = list(regions)
        self._changes_um = {region.name: [] for region in regions}
        self._rates = {region.name: {} for region in regions}

    def _follow(self, past: _Past) -> None:
        for region in self.regions:
            here = past.change_um[region.mask]
            known = np.isfinite(here)
            self._changes_um[region.name].append(
                float(here[known].mean()) if known.mean() >= _LEAST_MEASURED else np.nan
            )

    def _fit(self) -> None:
        """Fit rates to the last surfaces; that of the middle one is told: the ends are less certain."""
        window = list(self._window)
        middle = len(window) - 1 - len(window) // 2
        heights = [past.change_um for past in window]
        times = [past.time_s for past in window]
        found = list(rates(heights, None, times, window=len(window)))
        told = window[middle]
        self.rate = RateMap(
            found[middle].rate_nm_per_s,
            found[middle].rate_sigma_nm_per_s,
            self._pixel_um,
            told.scan,
            window[0].scan,
            window[-1].scan,
        )
        table = region_curves(
            self.regions,
            heights,
            [one.rate_nm_per_s for one in found],
            [one.rate_sigma_nm_per_s for one in found],
            times,
            pixel_um=self._pixel_um,
        )
        for row in table[table["scan"] == middle].to_dict("records"):
            rate, error = float(row["rate_nm_per_s"]), float(row["rate_se_nm_per_s"])
            self._rates[str(row["region"])][told.number] = rate, error


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
