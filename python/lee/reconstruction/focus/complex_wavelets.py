"""Focus from complex wavelets: the transform, the focus measure, the votes of the subbands.

After Forster, Van De Ville, Berent, Sage and Unser (2004).

As in the paper: the complex, symmetric Daubechies wavelets of six taps, in a decimated separable
transform; the modulus of a coefficient measures how sharp its slice is; subbands and neighbours are made
consistent. Unlike the paper: the paper takes, for each coefficient, the slice with the largest modulus,
transforms the winners back to a fused image and reads the height from the slice whose grey value comes
nearest. Here the squared moduli of all subbands and levels are gathered into one focus measure a pixel,
so that its curve over z can be fitted between the slices; nothing is transformed back, the all-in-focus
image takes each pixel from its slice. Consistency is by medians, not majorities, since slices are thin
here and neighbours seldom equal.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pywt
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from lee.errors import InputError
from lee.reconstruction.focus.measure import Map
from lee.reconstruction.focus.peak_tracker import PeakTracker

LEVELS = 2  # details of about 2 and 4 pixels; coarser ones smear steep relief and hardly change with focus
_MARGIN_PX = 3 * 2**LEVELS  # reach of the coarsest wavelet beyond the border
_MIN_MEAN = 1e-6  # counts; a mean of the image below this gives no focus

_SIDE = math.sqrt(15)
LOW_PASS = np.array([-3 + _SIDE * 1j, 5 + _SIDE * 1j, 30 - 2 * _SIDE * 1j]) * (math.sqrt(2) / 64)
LOW_PASS = np.concatenate([LOW_PASS, LOW_PASS[::-1]])
HIGH_PASS = (-1.0) ** np.arange(6) * LOW_PASS.conj()

Complex = NDArray[np.complex64]


class WaveletHeights(NamedTuple):
    """Heights from the wavelets' focus curves."""

    height_um: Map
    sigma_um: Map
    sharp: Map


def wavelet_focus(frame: ArrayLike) -> Map:
    """Measure the focus of a frame by the energy of its complex wavelet coefficients.

    The squared moduli of the three detail subbands of two levels are summed, the finest averaged over 3
    by 3 coefficients, interpolated to the pixels, and divided by the local mean of the image.

    Parameters
    ----------
    frame : (H, W) real, counts
        Borders are mirrored. Where pixels are NaN or infinite, and as far as a wavelet reaches, there is no
        focus.

    Returns
    -------
    (H, W) float32
        Counts, >= 0; NaN where there is none.

    Raises
    ------
    InputError
        If the frame is not a non-empty two-dimensional array of real numbers.
    """
    grey = _checked(frame)
    return focus_from(*subband_energies(grey), grey)


def wavelet_heights(
    frames: Iterable[ArrayLike], z_um: ArrayLike, *, reach: int = 3, threads: int = 0
) -> WaveletHeights:
    """Find heights from a scan's wavelet focus, with memory that does not grow with the scan.

    Each pixel keeps the largest maximum of its focus and the focus in the planes within `reach` of it; a
    parabola fitted to their logarithm gives the height, as in `lee.kernels.argmax_refocus`. Besides, each
    subband keeps its own best plane at every coefficient. A pixel is measured only where these agree: its
    plane is within `reach` of the median of its 3 by 3 neighbours, and of the plane of the three subbands of
    one of the levels: their median, then the median over 3 by 3 coefficients.

    Parameters
    ----------
    frames : iterable of (H, W) real, counts
        As many as heights, all of one shape. Steps of an eighth to a quarter of the depth of field are
        best.
    z_um : (Z,) float64, µm
        The height each frame focuses on; strictly rising or falling.
    reach : int
        Planes to each side of the maximum that the fit takes in.
    threads : int
        0 = all available cores.

    Returns
    -------
    WaveletHeights
        ``height_um``, ``sigma_um`` and ``sharp``, each (H, W) float32. The standard deviation is that of
        the fit alone, without the error that the wavelets' extent causes on relief: it is too small, unlike
        that of `lee.reconstruct`. Heights are NaN where the maximum is at an end of the scan, no peak fits,
        or subbands and neighbours do not agree.

    Raises
    ------
    InputError
        If frames and heights do not match, or heights are not strictly monotonic.
    """
    z = np.asarray(z_um, dtype=np.float64)
    steps = np.diff(z)
    if z.ndim != 1 or z.size == 0 or not np.isfinite(z).all() or not ((steps > 0).all() or (steps < 0).all()):
        raise InputError(
            "wavelet: z_um is not a strictly rising or falling list of heights; give one per frame"
        )
    if reach < 1:
        raise InputError(f"wavelet: reach is {reach}; give a number of planes >= 1")
    tracker: PeakTracker | None = None
    votes = SubbandVotes()
    count = 0
    for count, frame in enumerate(frames, 1):
        grey = _checked(frame)
        tracker = tracker or PeakTracker((grey.shape[0], grey.shape[1]), reach)
        first = tracker.plane[0].shape
        if grey.shape != first:
            raise InputError(
                f"wavelet: frame {count - 1} is {grey.shape}, the first {first}; give equal ones"
            )
        if count > z.size:
            break
        energies, mean = subband_energies(grey)
        votes.take(energies)
        tracker.push(focus_from(energies, mean, grey), grey)
    if tracker is None or count != z.size:
        given = f"more than {z.size}" if count > z.size else str(count)
        raise InputError(f"wavelet: {given} frames but {z.size} heights; give a height for each frame")
    tracker.finish()
    height, sigma = tracker.fit(0, z, threads)
    rejected = ~votes.agree(tracker.plane[0], reach)
    height[rejected] = sigma[rejected] = np.nan
    return WaveletHeights(height, sigma, tracker.counts[0])


class SubbandVotes:
    """The plane in which each subband's coefficient is largest, kept while frames arrive."""

    def __init__(self) -> None:
        self._kept: list[list[tuple[Map, NDArray[np.int32]]]] = []
        self._count = 0

    @property
    def bytes(self) -> int:
        """Memory held."""
        return sum(part.nbytes for level in self._kept for band in level for part in band)

    def take(self, energies: list[list[Map]]) -> None:
        """Take the next frame, as `subband_energies` gives it."""
        if not self._kept:
            self._kept = [
                [(np.full(band.shape, -1, np.float32), np.zeros(band.shape, np.int32)) for band in bands]
                for bands in energies
            ]
        for kept, bands in zip(self._kept, energies, strict=True):
            for (largest, plane), band in zip(kept, bands, strict=True):
                now = _smooth(band)
                wins = now > largest
                np.copyto(largest, now, where=wins)
                np.copyto(plane, self._count, where=wins)
        self._count += 1

    def agree(self, plane: NDArray[np.int32], reach: int) -> NDArray[np.bool_]:
        """Return where a pixel's plane is within `reach` of those of its subbands and of its neighbours."""
        votes = []
        for level, kept in enumerate(self._kept, 1):
            of_level = np.median([of_band for _, of_band in kept], axis=0).astype(np.float32)
            votes.append(_repeated(ndimage.median_filter(of_level, 3), level, plane.shape))
        by_subbands = np.min(np.abs(np.subtract(votes, plane)), axis=0) <= reach
        around = ndimage.median_filter(plane, 3)
        return np.asarray(by_subbands & (np.abs(plane - around) <= reach))


def _checked(frame: ArrayLike) -> Map:
    raw = np.asarray(frame)
    if raw.ndim != 2 or raw.size == 0 or raw.dtype.kind not in "fiub":
        raise InputError(f"wavelet: a frame of {raw.dtype} with shape {raw.shape}; give a grey one, (H, W)")
    return raw.astype(np.float32)


def _bank(part: NDArray[np.float64], high: NDArray[np.float64]) -> pywt.Wavelet:
    # The library transforms with real filters: the complex ones are a real and an imaginary bank.
    return pywt.Wavelet("complex Daubechies", filter_bank=(part, high, part[::-1], high[::-1]))


_BANKS = (_bank(LOW_PASS.real, HIGH_PASS.real), _bank(LOW_PASS.imag, HIGH_PASS.imag))


def _along(values: Map | Complex, axis: int) -> tuple[Complex, Complex]:
    """Split into the low and the high half of a complex transform along an axis."""
    (low, high), (low_i, high_i) = (
        pywt.dwt(values, bank, mode="periodization", axis=axis) for bank in _BANKS
    )
    return low + np.complex64(1j) * low_i, high + np.complex64(1j) * high_i


def subband_energies(grey: Map) -> tuple[list[list[Map]], Map]:
    """Give squared moduli of each level's three detail subbands, and the coarsest mean of the image."""
    unit = 2**LEVELS
    rest = [-n % unit for n in grey.shape]
    padded = np.pad(
        np.nan_to_num(grey, nan=0.0, posinf=0.0, neginf=0.0),
        [(_MARGIN_PX, _MARGIN_PX + extra) for extra in rest],
        mode="symmetric",
    )
    approximation: Map | Complex = padded
    found: list[list[Map]] = []
    for level in range(1, LEVELS + 1):
        low, high = _along(approximation, 0)
        approximation, across = _along(low, 1)
        edge = _MARGIN_PX >> level
        inner = np.s_[edge : approximation.shape[0] - edge, edge : approximation.shape[1] - edge]
        bands = (across, *_along(high, 1))
        found.append([(band.real**2 + band.imag**2)[inner].astype(np.float32) for band in bands])
    # Each level doubles the mean.
    return found, (np.abs(approximation[inner]) / unit).astype(np.float32)


def _smooth(band: Map) -> Map:
    return np.asarray(ndimage.uniform_filter(band, 3, mode="nearest"), dtype=np.float32)


def focus_from(energies: list[list[Map]], mean: Map, grey: Map) -> Map:
    """Gather the subbands into one value per pixel; from level to level by linear interpolation."""
    total = np.zeros_like(mean)
    for level in range(LEVELS, 0, -1):
        energy = np.sum(energies[level - 1], axis=0)
        # The finest coefficients are many: their average is as local as a single coarser one, and less
        # noisy.
        total += _smooth(energy) if level == 1 else energy
        if level == 1:
            total /= np.maximum(mean, _MIN_MEAN)
        total = _doubled(total)
        mean = _doubled(mean) if level > 1 else mean
    return _masked(total[: grey.shape[0], : grey.shape[1]], grey)


def _doubled(band: Map) -> Map:
    """Interpolate linearly to pixels of half the size; level beyond the last centres."""
    for axis in (0, 1):
        values = np.moveaxis(band, axis, 0)
        padded = np.concatenate([values[:1], values, values[-1:]])
        out = np.empty((2 * len(values), *values.shape[1:]), np.float32)
        out[0::2] = 0.75 * values + 0.25 * padded[:-2]
        out[1::2] = 0.75 * values + 0.25 * padded[2:]
        band = np.moveaxis(out, 0, axis)
    return band


def _repeated(band: Map, level: int, shape: tuple[int, ...]) -> Map:
    """Repeat each coefficient for the pixels it stands for."""
    size = 2**level
    return np.asarray(np.repeat(np.repeat(band, size, axis=0), size, axis=1)[: shape[0], : shape[1]])


def _masked(focus: Map, grey: Map) -> Map:
    missing = ~np.isfinite(grey)
    if missing.any():
        focus = np.where(ndimage.maximum_filter(missing, 2 * _MARGIN_PX + 1), np.float32(np.nan), focus)
    return np.asarray(focus, dtype=np.float32)
