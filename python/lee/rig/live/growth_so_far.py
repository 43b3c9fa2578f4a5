"""Growth of a run in progress: the rate over the last surfaces, and regions over time.

`lee series` measures the same afterwards at every pixel. Here it is measured on blocks of pixels, scan by
scan, at a cost that does not grow with the run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lee.series.alignment.scan_alignment import align, apply_alignment
from lee.series.growth.rates import rates
from lee.series.region_curves import region_curves
from lee.surfaces.block_mean import block_mean
from lee.surfaces.curvature import curvature
from lee.surfaces.regions import Region, find_regions
from lee.surfaces.surface import Surface

Map = NDArray[np.float32]

# Surfaces that a rate is fitted to, at most and at least.
MAX_SCANS, MIN_SCANS = 5, 3
_MAX_SIDE_PX, _SCALE_PX = 256, 240
# Trenches and protrusions that are shown, the largest of each.
_MAX_REGIONS_EACH = 3
_MIN_MEASURED = 0.1
# Smallest coverage relative to another surface: less means a scan that ended early, with wrong heights where
# the surface was beyond its range.
_MIN_RELATIVE_COVERAGE = 0.5
WHOLE = "whole field"


class RateMap(NamedTuple):
    """Rate at the time of scan ``at``, (h, w) nm/s, NaN where not measured, fitted to scans first to last."""

    rate_nm_per_s: Map
    sigma_nm_per_s: Map
    pixel_um: float
    at: str
    first: str
    last: str


class _Change(NamedTuple):
    number: int
    scan: str
    time_s: float
    change_um: Map


class GrowthSoFar:
    """Growth measured from one surface after the other.

    Surfaces are aligned to the first laterally, as by `lee series`, but not axially: a stage that drifts by
    1 nm/s adds 1 nm/s to every rate. Pixels that the first surface did not measure stay not measured.

    Attributes
    ----------
    rate : RateMap or None
        None before three surfaces.
    regions : list of Region
        The whole field and, after three surfaces, trenches and protrusions, on the grid of blocks.
    times_s : list of float
        Time of every surface that counts.
    scans : list of str
    """

    def __init__(self) -> None:
        self._first: Surface | None = None
        self._reset()

    def add(self, scan: str, time_s: float, surface: Surface) -> None:
        """Add the surface of a scan later than the others.

        A surface that covers less than half of what the first covers is ignored. One that covers more than
        twice as much as the first replaces it, and everything starts again.
        """
        if self._first is None or self._first.coverage < _MIN_RELATIVE_COVERAGE * surface.coverage:
            self._begin(surface)
        elif surface.coverage < _MIN_RELATIVE_COVERAGE * self._first.coverage:
            return
        self.scans.append(scan)
        self.times_s.append(time_s)
        newest = _Change(len(self.scans) - 1, scan, time_s, self._change(surface))
        self._window.append(newest)
        if len(self.regions) == 1 and len(self._window) == MIN_SCANS:
            self._find_regions()
        else:
            self._add_to_curves(newest)
        if len(self._window) >= MIN_SCANS:
            self._fit()

    def curves(self) -> dict[str, object]:
        """Return mean change in height and mean rate of every region over time; None where not measured."""
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

    def _reset(self) -> None:
        self.rate: RateMap | None = None
        self.regions: list[Region] = []
        self.times_s: list[float] = []
        self.scans: list[str] = []
        self._changes_um: dict[str, list[float]] = {}
        self._rates: dict[str, dict[int, tuple[float, float]]] = {}
        self._first_coarse: Map = np.zeros((0, 0), np.float32)
        self._block, self._pixel_um = 1, 0.0
        self._window: deque[_Change] = deque(maxlen=MAX_SCANS)

    def _begin(self, surface: Surface) -> None:
        self._reset()
        self._first = surface
        self._block = max(1, -(-max(surface.shape) // _MAX_SIDE_PX))
        self._pixel_um = self._block * surface.pixel_um
        self._first_coarse = block_mean(surface.height_um, self._block)[0]
        self._take_regions([Region(WHOLE, "drawn", np.ones(self._first_coarse.shape, np.bool_))])

    def _change(self, surface: Surface) -> Map:
        """Return the mean change of every block since the first surface.

        A difference of mean heights would depend on which pixels of a block were measured.
        """
        first = self._first
        assert first is not None
        if surface is first:
            return self._first_coarse - self._first_coarse
        images = [first.refocused, surface.refocused]
        usable = images if all(np.isfinite(image).any() for image in images) else None
        alignment = align([first.height_um, surface.height_um], usable, pixel_um=surface.pixel_um)
        change, share = block_mean(
            apply_alignment(alignment, surface.height_um, scan=1) - first.height_um, self._block
        )
        return np.where(share >= 0.5, change, np.float32(np.nan))

    def _find_regions(self) -> None:
        """Find trenches and protrusions, once, by the curvature of the first three surfaces."""
        assert self._first is not None
        # Block means hide the noise of pixels: the scale is found on pixels in the middle of the field.
        middle = tuple(slice(max(n - _SCALE_PX, 0) // 2, (n + _SCALE_PX) // 2) for n in self._first.shape)
        scale = curvature(
            self._first.height_um[middle],
            pixel_um=self._first.pixel_um,
            height_sigma_um=self._first.height_sigma_um[middle],
            threads=1,
        ).scale_um
        curvatures = [
            curvature(
                self._first_coarse + one.change_um, pixel_um=self._pixel_um, scale_um=scale, threads=1
            ).mean_per_um
            for one in self._window
        ]
        regions = find_regions(np.stack(curvatures), pixel_um=self._pixel_um, most=_MAX_REGIONS_EACH)
        self._take_regions([*self.regions, *regions])
        for one in self._window:
            self._add_to_curves(one)

    def _take_regions(self, regions: Sequence[Region]) -> None:
        self.regions = list(regions)
        self._changes_um = {region.name: [] for region in regions}
        self._rates = {region.name: {} for region in regions}

    def _add_to_curves(self, newest: _Change) -> None:
        for region in self.regions:
            here = newest.change_um[region.mask]
            known = np.isfinite(here)
            self._changes_um[region.name].append(
                float(here[known].mean()) if known.mean() >= _MIN_MEASURED else np.nan
            )

    def _fit(self) -> None:
        """Fit rates to the last surfaces; keep that of the middle one, since the ends are less certain."""
        window = list(self._window)
        middle = len(window) - 1 - len(window) // 2
        heights = [one.change_um for one in window]
        times = [one.time_s for one in window]
        found = list(rates(heights, None, times, window=len(window)))
        centre = window[middle]
        self.rate = RateMap(
            found[middle].rate_nm_per_s,
            found[middle].rate_sigma_nm_per_s,
            self._pixel_um,
            centre.scan,
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
            self._rates[str(row["region"])][centre.number] = rate, error


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
