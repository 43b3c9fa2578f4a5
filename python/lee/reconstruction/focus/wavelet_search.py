"""The search for the focus with complex wavelets: their focus measure, and the votes of their subbands."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lee.reconstruction.focus.complex_wavelets import SubbandVotes, focus_from, subband_energies
from lee.reconstruction.focus.measure import Map, SearchOptions
from lee.reconstruction.focus.peak_search import PeakSearch


class WaveletSearch(PeakSearch):
    """Search with the energy of wavelet coefficients; heights that subbands contradict are not measured."""

    def __init__(self, options: SearchOptions) -> None:
        super().__init__(options)
        self._votes = SubbandVotes()

    def focus_of(self, frame: Map) -> Map:
        """Measure the focus of a frame; its subbands vote on the way."""
        energies, mean = subband_energies(frame)
        self._votes.take(energies)
        return focus_from(energies, mean, frame)

    def consistent(self, plane: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Return where subbands and neighbours agree with the plane of best focus."""
        return self._votes.agree(plane, self._tracker.reach)

    @property
    def state_bytes_per_pixel(self) -> float:
        """Memory held for each pixel, bytes."""
        votes = self._votes.bytes / self._tracker.plane[0].size
        return super().state_bytes_per_pixel + float(votes)
