"""Complex wavelets (Forster et al. 2004) as a focus measure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lee.reconstruction.focus.measure import DeviceKind, FocusSearch, SearchOptions


class ComplexWavelets:
    """Energy of complex wavelet coefficients, as `lee.reconstruction.focus.complex_wavelets` defines it."""

    name = "wavelet"
    devices: tuple[DeviceKind, ...] = ("cpu",)
    takes_target = False

    def search(self, options: SearchOptions) -> FocusSearch:
        """Start the search; the windows are those of the wavelets, not of `options`."""
        from lee.reconstruction.focus.wavelet_search import WaveletSearch

        return WaveletSearch(options)
