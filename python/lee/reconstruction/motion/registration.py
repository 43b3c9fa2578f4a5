"""Lateral displacement between two frames of a scan, from many tiles, with its covariance."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from lee.stacks.grey import Frame

Real = NDArray[np.float32] | NDArray[np.float64]
Complex = NDArray[np.complex64]

# Frames are binned until their longer side is below this: fast, and what survives defocus is coarse anyway.
_WORK_SIDE_PX = 640
_TILE_PX = 128
_LOWEST_BIN = 5
_HIGHEST_SHARE = 0.35
_EVEN_PX = 15
_WHITENING = 0.7
_EVEN_PERCENTILE = 20
_EVEN_FLOOR = 0.3
_TILE_FLOOR_PX = 0.02
_NEWTON_STEPS = 3
_TOLERANCE = 4.0

# Expected change of magnification between two compared frames.
_SCALE_CHANGE = 0.005
# Enlargements searched through where the magnification is followed, and the tiles that must show one.
_MOST_ENLARGED = 0.04
_ENLARGED_STEP = 0.004
_MIN_TILES = 3
# Coarse structure, cycles a pixel.
_COARSE_SHARE = 0.15


class Enlargement(NamedTuple):
    """Magnification of one frame over that of another, less 1, and the variance of that."""

    value: float
    variance: float


class Displacement(NamedTuple):
    """Displacement of the content of one frame against another.

    ``shift_px`` (2,) float64, (dy, dx) in pixels of the frame, in the middle of it; ``covariance_px2`` (2, 2)
    float64; ``enlargement`` the magnification against the other frame.
    """

    shift_px: NDArray[np.float64]
    covariance_px2: NDArray[np.float64]
    enlargement: Enlargement = Enlargement(0.0, np.inf)


class TileSpectra(NamedTuple):
    """Band-passed spectra of a frame's tiles, (T, Fy, Fx) complex64, and the factor it was binned by."""

    spectra: Complex
    binning: int


class TileGrid:
    """Cuts frames of one shape into overlapping tiles and compares them.

    Frames are divided by their local contrast first: on a slope the sharp zone moves as z changes, and a
    correlation weighted by contrast would take that for motion. Spectra are taken under a Hann window, cut
    to the band from `_LOWEST_BIN` to `_HIGHEST_SHARE`: shading, which is fixed to the sensor, is below,
    noise above. Many tiles rather than one spectrum: a bubble or a flake that moves by itself affects a
    few tiles, which then lose weight against the rest.

    Parameters
    ----------
    shape : (H, W)
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self.binning = max(1, -(-max(shape) // _WORK_SIDE_PX))
        height, width = shape[0] // self.binning, shape[1] // self.binning
        self._size = (height, width)
        side = _TILE_PX
        while side > 16 and side > min(height, width) // 2:
            side //= 2
        self._side = min(side, height, width)
        self._rows = _starts(height, self._side)
        self._columns = _starts(width, self._side)
        middle = (np.array([height, width]) - self._side) / 2
        self._centres = (
            np.stack(np.meshgrid(self._rows, self._columns, indexing="ij"), axis=-1).reshape(-1, 2) - middle
        )
        hann = np.hanning(self._side + 2)[1:-1].astype(np.float32)
        self._window = hann[:, None] * hann[None, :]
        highest = max(int(_HIGHEST_SHARE * self._side), 1)
        self._y_bins = np.r_[0 : highest + 1, -highest:0]
        self._fy = (self._y_bins / self._side).astype(np.float32)
        self._fx = (np.arange(highest + 1) / self._side).astype(np.float32)
        radius = np.hypot(self._fy[:, None], self._fx[None, :]) * self._side
        lowest = min(_LOWEST_BIN, highest / 2)
        # Columns with fx > 0 stand for their conjugates too.
        self._band = np.where((radius >= lowest) & (radius <= highest), 1.0, 0.0).astype(np.float32)
        self._band *= np.where(self._fx > 0, 1.0, 0.5).astype(np.float32)
        coarse = radius < _COARSE_SHARE * self._side
        self._coarse, self._fine = self._band * coarse, self._band * ~coarse

    def spectra(self, frame: Frame) -> TileSpectra:
        """Compute the spectra of the tiles of `frame` (H, W), uint8, uint16 or float32."""
        small = _evened(_binned(frame, self.binning))
        side = self._side
        views = np.lib.stride_tricks.sliding_window_view(small, (side, side))
        tiles = views[np.ix_(self._rows, self._columns)].reshape(-1, side, side)
        tiles = tiles * self._window
        spectra = fft.rfft2(tiles, axes=(1, 2), workers=1)
        return TileSpectra(spectra[:, self._y_bins, : len(self._fx)], self.binning)

    def displacements(
        self, reference: TileSpectra, moved: TileSpectra
    ) -> tuple[Displacement | None, list[Displacement | None]]:
        """Find the displacement of `moved` against `reference`; None where nothing compares.

        From all tiles, and from those of each quarter of the field.
        """
        nothing: list[Displacement | None] = [None] * 4
        cross = _cross(reference, moved, self._band)
        strength = np.abs(cross).sum(axis=(1, 2))
        if not strength.max() > 0:
            return None, nothing
        start, _ = self._whole_pixels(cross[strength > 0].sum(axis=0))
        starts = np.repeat(start[None], len(cross), axis=0)
        shifts, covariance, usable = self._refined(cross, starts, starts)
        below, right = self._centres[:, 0] > 0, self._centres[:, 1] > 0
        quarters = [(below == y) & (right == x) for y in (False, True) for x in (False, True)]
        everywhere, *parts = (
            self._voted(shifts, covariance, usable & tiles) for tiles in (np.ones_like(usable), *quarters)
        )
        return everywhere, parts

    def enlargements(
        self, reference: TileSpectra, moved: TileSpectra
    ) -> tuple[Enlargement | None, Enlargement | None]:
        """Find the enlargement of `moved` against `reference`, from coarse and from fine structure.

        The two agree where the magnification has changed. Where the sharp zone moves over steep relief, which
        looks like it, they do not: the finer the structure, the more it seems to move.
        """
        cross = _cross(reference, moved, self._band)
        if not np.abs(cross).max() > 0:
            return None, None
        best = 0.0
        starts = np.zeros_like(self._centres)
        for enlargement in np.arange(-_MOST_ENLARGED, _MOST_ENLARGED + 1e-9, _ENLARGED_STEP):
            apart = enlargement * self._centres
            start, peak = self._whole_pixels((cross * self._turns(apart)).sum(axis=0))
            if peak > best:
                best, starts = peak, start + apart
        shifts, _, _ = self._refined(cross, starts, starts)
        coarse, fine = (
            self._enlargement(*self._refined(_cross(reference, moved, band), shifts, starts))
            for band in (self._coarse, self._fine)
        )
        return coarse, fine

    def _enlargement(
        self, shifts: NDArray[np.float64], covariance: NDArray[np.float64], usable: NDArray[np.bool_]
    ) -> Enlargement | None:
        if usable.sum() < _MIN_TILES:
            return None
        fitted, spread = _agreed(
            shifts[usable], covariance[usable], self._centres[usable], scale_change=_MOST_ENLARGED
        )
        return _without_expectation(fitted, spread, _MOST_ENLARGED)

    def _refined(
        self, cross: Complex, shifts: NDArray[np.float64], starts: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        """Move `shifts` (T, 2) to the maxima of the correlations; return them, covariances, which count."""
        for _ in range(_NEWTON_STEPS):
            gradient, curvature, _ = self._slopes(cross, shifts)
            step = np.linalg.solve(curvature, gradient[..., None])[..., 0]
            shifts = shifts + np.clip(step, -0.5, 0.5)
        _, curvature, scatter = self._slopes(cross, shifts)
        inverse = np.linalg.inv(curvature)
        covariance = inverse @ scatter @ inverse + _TILE_FLOOR_PX**2 * np.eye(2)
        # A tile whose correlation has no maximum there, or whose Newton steps diverged, is ignored.
        usable = (np.linalg.eigvalsh(curvature)[:, 0] > 0) & (np.abs(shifts - starts).max(axis=1) < 1.5)
        return shifts, covariance, usable & np.isfinite(covariance).all(axis=(1, 2))

    def _voted(
        self, shifts: NDArray[np.float64], covariance: NDArray[np.float64], tiles: NDArray[np.bool_]
    ) -> Displacement | None:
        if not tiles.any():
            return None
        fitted, spread = _agreed(shifts[tiles], covariance[tiles], self._centres[tiles])
        return Displacement(
            fitted[:2] * self.binning,
            spread[:2, :2] * self.binning**2,
            _without_expectation(fitted, spread, _SCALE_CHANGE),
        )

    def _whole_pixels(self, cross: Complex) -> tuple[NDArray[np.float64], float]:
        """Return the displacement (2,) at the maximum of a correlation, and the maximum."""
        spectrum = np.zeros((self._side, self._side // 2 + 1), dtype=np.complex64)
        spectrum[self._y_bins, : len(self._fx)] = cross
        correlation = fft.irfft2(spectrum, (self._side, self._side), workers=1)
        # irfft2 carries conj(F1) F2 = |F1|^2 exp(-2 pi i f d) to a peak at +d.
        peak = np.array(np.unravel_index(int(correlation.argmax()), correlation.shape))
        shift = np.where(peak > self._side // 2, peak - self._side, peak).astype(np.float64)
        return shift, float(correlation.max())

    def _turns(self, shifts: NDArray[np.float64]) -> Complex:
        """Factors that move the correlations of the tiles back by `shifts` (T, 2)."""
        rows = np.exp(2j * np.pi * shifts[:, :1] * self._fy).astype(np.complex64)
        columns = np.exp(2j * np.pi * shifts[:, 1:] * self._fx).astype(np.complex64)
        return np.asarray(rows[:, :, None] * columns[:, None, :])

    def _slopes(
        self, cross: Complex, shifts: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Gradient, negative curvature and noise of the gradient of each tile's correlation at `shifts`."""
        turned = cross * self._turns(shifts)
        fy, fx = 2 * np.pi * self._fy, 2 * np.pi * self._fx
        powers_x = np.stack([np.ones_like(fx), fx, fx * fx], axis=1)
        even = turned.real @ powers_x
        odd = turned.imag @ powers_x[:, :2]
        noise = np.square(turned.imag) @ powers_x
        gradient = -np.stack([odd[..., 0] @ fy, odd[..., 1].sum(axis=1)], axis=1).astype(np.float64)
        return gradient, _matrix(even, fy) + 1e-9 * np.eye(2), _matrix(noise, fy)


def _cross(reference: TileSpectra, moved: TileSpectra, band: NDArray[np.float32]) -> Complex:
    cross = np.conj(reference.spectra) * moved.spectra
    # Nearly whitened: the narrower the peak, the less a sharp zone that moves over a slope pulls it;
    # fully whitened, noise would dominate the frames far out of focus.
    cross *= band / (np.abs(cross) + 1e-12) ** _WHITENING
    return cross


def _without_expectation(
    fitted: NDArray[np.float64], spread: NDArray[np.float64], expected: float
) -> Enlargement:
    """Enlargement as the tiles alone give it, which was expected to be 0 within `expected`."""
    variance = 1 / max(1 / float(spread[2, 2]) - 1 / expected**2, 1e-3 / expected**2)
    return Enlargement(float(fitted[2]) * variance / float(spread[2, 2]), variance)


def _matrix(sums: Real, fy: Real) -> NDArray[np.float64]:
    mixed = sums[..., 1] @ fy
    entries = [sums[..., 0] @ (fy * fy), mixed, mixed, sums[..., 2].sum(axis=1)]
    return np.stack(entries, axis=1).reshape(-1, 2, 2).astype(np.float64)


def _agreed(
    shifts: NDArray[np.float64],
    covariance: NDArray[np.float64],
    centres: NDArray[np.float64],
    *,
    scale_change: float = _SCALE_CHANGE,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit a translation and a change of scale, (3,), to the tiles; what contradicts the rest loses weight.

    Optics that are not telecentric magnify out-of-focus frames differently; ignored, that would move
    the mean whenever the textured tiles are not spread evenly around the centre.
    """
    information = np.linalg.inv(covariance)
    model = np.concatenate([np.tile(np.eye(2), (len(shifts), 1, 1)), centres[:, :, None]], axis=2)
    prior = np.diag([0.0, 0.0, 1 / scale_change**2])
    # What does not change from turn to turn is multiplied out once.
    levers = model.transpose(0, 2, 1) @ information
    normals, pulls = (levers @ model).reshape(-1, 9), (levers @ shifts[:, :, None])[:, :, 0]
    fitted = np.array([*np.median(shifts, axis=0), 0.0])
    for _ in range(8):
        residual = shifts - model @ fitted
        distance = (residual[:, None, :] @ information @ residual[:, :, None])[:, 0, 0]
        ordered = np.sort(distance)  # np.median takes ten times as long for so few
        middle = 0.5 * float(ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2])
        weight = 1 / (1 + distance / (_TOLERANCE * max(middle / 1.4, 1.0)))
        normal = (weight @ normals).reshape(3, 3) + prior
        fitted = np.linalg.solve(normal, weight @ pulls)
    share = float((weight * distance).sum() / max(2 * weight.sum(), 1e-9))
    return fitted, np.linalg.inv(normal) * max(share, 1.0)


def _evened(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Band-pass the image and divide it by its local strength."""
    fine = ndimage.uniform_filter(image, 3, mode="nearest") - ndimage.uniform_filter(
        image, _EVEN_PX, mode="nearest"
    )
    # A running sum of squares may end slightly below 0 where the image is flat.
    mean_square = np.maximum(ndimage.uniform_filter(fine * fine, _EVEN_PX, mode="nearest"), 0)
    strength = np.sqrt(mean_square)
    floor = float(np.percentile(strength[::4, ::4], _EVEN_PERCENTILE)) * _EVEN_FLOOR + 1e-6
    return np.asarray(np.clip(fine / (strength + np.float32(floor)), -3, 3))


def _starts(length: int, side: int) -> NDArray[np.intp]:
    count = max(int(np.ceil((length - side) / (0.75 * side))), 0) + 1
    return np.rint(np.linspace(0, length - side, count)).astype(np.intp)


def _binned(frame: Frame, factor: int) -> NDArray[np.float32]:
    if factor == 1:
        return frame.astype(np.float32)
    height, width = frame.shape[0] // factor, frame.shape[1] // factor
    kept = frame[: height * factor, : width * factor]
    wide = np.uint16 if frame.dtype == np.uint8 and factor <= 256 else np.float32
    rows = np.add.reduce(kept.reshape(height, factor, width * factor), axis=1, dtype=wide)
    total = rows[:, 0::factor].astype(np.float32)
    for column in range(1, factor):
        total += rows[:, column::factor]
    return np.asarray(total / np.float32(factor * factor))
