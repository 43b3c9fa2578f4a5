"""From a height map to its scale-limited surface: form, S-filter and L-filter of ISO 25178-2."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lee.errors import InputError
from lee.surfaces.roughness.areal_filter import ArealGaussian
from lee.surfaces.roughness.form import form

Heights = NDArray[np.float64]


class ScaleLimited:
    """Form and filters of one map; all are linear: those of a sum are the sum of theirs.

    Parameters
    ----------
    known : (H, W) bool
        Pixels that were measured.
    pixel_um : float, µm
    form_order : int
        As in `form`.
    s_filter_um, l_filter_um : float, µm, optional
        Cut-off wavelengths.

    Raises
    ------
    InputError
        If a filter does not fit the map, or the S-filter is not finer than the L-filter.
    """

    def __init__(
        self,
        known: NDArray[np.bool_],
        pixel_um: float,
        form_order: int,
        s_filter_um: float | None,
        l_filter_um: float | None,
    ) -> None:
        for name, cutoff in (("S-filter", s_filter_um), ("L-filter", l_filter_um)):
            if cutoff is not None and not (np.isfinite(cutoff) and cutoff > 0):
                raise InputError(f"{name}: its cut-off is {cutoff} µm; give µm above 0")
        if s_filter_um is not None and l_filter_um is not None and s_filter_um >= l_filter_um:
            raise InputError(
                f"roughness: the S-filter ({s_filter_um:g} µm) must be finer than the L-filter "
                f"({l_filter_um:g} µm)"
            )
        whole = ndimage.minimum_filter(known, size=3, mode="constant", cval=0)
        self.holds_inside = bool(whole.any())  # pixels with eight measured neighbours
        self.known, self.pixel_um, self.cutoff_um = known, pixel_um, l_filter_um
        self._order = form_order
        self._fine, self._coarse = (
            None if cutoff is None else ArealGaussian(known, cutoff / pixel_um, name)
            for name, cutoff in (("S-filter", s_filter_um), ("L-filter", l_filter_um))
        )
        self.one_sided = max(0.0 if f is None else f.one_sided() for f in (self._fine, self._coarse))

    def without_form(self, height: Heights) -> Heights:
        """Return the S-F surface."""
        flat = height - form(height, self._order)
        if self._fine is not None:
            flat = self._fine.low(flat)
            flat = flat - form(flat, self._order)
        return flat

    def limited(self, flat: Heights) -> Heights:
        """Return the S-L surface of an S-F surface, about its mean."""
        if self._coarse is not None:
            flat = flat - self._coarse.low(flat)
        out: Heights = flat - flat[self.known].mean()
        return out
