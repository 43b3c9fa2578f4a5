"""The areal Gaussian filter of ISO 16610-61, for maps with pixels that were not measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from lee.errors import InputError

# The weights have fallen below 1e-7 of the middle's at this many cut-off wavelengths.
_REACH = 1.1
_MIN_CUTOFF_PX = 2.0

Heights = NDArray[np.float64]


class ArealGaussian:
    """A Gaussian low-pass filter that lets half the amplitude of the cut-off wavelength pass.

    The weights are those of ISO 16610-61, ``exp(-pi (r / (a L))^2)`` with L the cut-off wavelength and
    ``a = sqrt(ln 2 / pi)``, applied as their exact transfer function. Beside the border and pixels that were
    not measured, the mean is taken under the weights that fall on measured pixels: nothing is filled, and
    within half a cut-off of such places the filter is one-sided.

    Parameters
    ----------
    known : (H, W) bool
        Pixels that were measured; the same for every map that is filtered. (1, W) filters a profile.
    cutoff_px : float, pixels
        Cut-off wavelength, at least 2 and at most the shorter side.
    name : str
        What messages call the filter.

    Raises
    ------
    InputError
        If the cut-off does not fit the map.
    """

    def __init__(self, known: NDArray[np.bool_], cutoff_px: float, name: str) -> None:
        shortest = min((n for n in known.shape if n > 1), default=1)
        if not _MIN_CUTOFF_PX <= cutoff_px <= shortest:
            raise InputError(
                f"{name}: its cut-off is {cutoff_px:.3g} pixels; give at least {_MIN_CUTOFF_PX:g} and at "
                f"most the shorter side of the map, {shortest}"
            )
        self._known = known
        margin = int(np.ceil(_REACH * cutoff_px))
        self._size = tuple(fft.next_fast_len(n + margin, real=True) for n in known.shape)
        down = fft.fftfreq(self._size[0])[:, None]
        along = fft.rfftfreq(self._size[1])[None, :]
        self._gain = np.exp2(-(cutoff_px**2) * (down**2 + along**2))
        self._weight = np.where(known, self._smoothed(known.astype(np.float64)), np.nan)

    def low(self, height_um: Heights) -> Heights:
        """Return what passes, (H, W); NaN where the map is not measured."""
        clean = np.where(self._known, height_um, 0.0)
        out: Heights = self._smoothed(clean) / self._weight
        return out

    def one_sided(self) -> float:
        """Return the share of measured pixels at which more than a tenth of the weight is missing."""
        return float((self._weight[self._known] < 0.9).mean()) if self._known.any() else 0.0

    def _smoothed(self, values: Heights) -> Heights:
        rows, columns = values.shape
        out: Heights = fft.irfft2(fft.rfft2(values, self._size) * self._gain, self._size)[:rows, :columns]
        return out
