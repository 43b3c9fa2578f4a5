"""The search for the focus of one scan, for focus measures written in NumPy: all but the measure itself."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from lee.errors import InputError
from lee.reconstruction.focus.cells import CellRecord, CellSamples, at_pixels, nearest_sample
from lee.reconstruction.focus.measure import FocusMaxima, Map, SearchOptions
from lee.reconstruction.focus.peak_tracker import PeakTracker
from lee.reconstruction.motion.subpixel_shift import shift_frame

# Frames are averaged over one such part of the depth of field.
_GROUPS_A_DEPTH = 5.0
_MIN_SHIFT_PX = 0.02
_NOISE_STEP_PX = 4
# Noise: this quantile of the focus over the field, in the average where it is smallest.
_NOISE_QUANTILE = 0.05
# Noise alone reaches this multiple of that at one pixel in a hundred of a scan of 100 averages.
_MIN_PEAK = 4.0

# Share of each source in the variance of a height: the variance of the fit, the scatter of heights about
# their mean over 5 by 5 pixels, and the squared Laplacian of the smoothed heights. Fitted once, to 68 %
# within one standard deviation, with the wavelets on seven rendered scenes, gentle and rugged, of three pixel
# sizes and two steps in z: 62 to 76 % were within one, at least 96.6 % within three.
_OF_FIT, _OF_SCATTER, _OF_BEND = 0.57, 11.2, 16.7
_RELIEF_PX, _SCATTER_PX = 5, 7
# Smallest standard deviation, in widths of the focus curve.
_MIN_SIGMA = 0.006


class PeakSearch(ABC):
    """Search for the focus with a measure that turns a frame into a map of focus.

    Frames closer together than a fifth of the depth of field are averaged and their drift is corrected. Each
    pixel keeps the two largest maxima of its focus curve; a Gaussian fitted around the larger one gives the
    height. Offers what `lee.reconstruction.focus.measure.FocusSearch` asks for.

    Parameters
    ----------
    options : SearchOptions
    reach : int
        Groups of frames to each side of a maximum that the fit takes in.
    """

    levels = 1

    def __init__(self, options: SearchOptions, *, reach: int = 3) -> None:
        self._options = options
        self._tracker = PeakTracker(options.shape, reach)
        self._sum: Map | None = None
        self._z_in_group: list[float] = []
        self._drift_in_group: list[tuple[float, float]] = []
        self._z_um: list[float] = []
        self._last: tuple[float, int] | None = None
        self._saturation = np.inf
        self._cells = CellSamples(options.shape)
        self._noise = np.inf

    @abstractmethod
    def focus_of(self, frame: Map) -> Map:
        """Measure the focus of every pixel of a frame, counts, >= 0; NaN where there is none."""

    def consistent(self, plane: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Return where the plane of best focus is consistent with what else the measure knows."""
        return np.ones(plane.shape, np.bool_)

    def push(self, frame: ArrayLike, z_um: float, drift_y_px: float, drift_x_px: float, /) -> None:
        """Take the next frame."""
        self._check_z(z_um)
        extent_um = self._options.depth_of_field_um / _GROUPS_A_DEPTH
        if self._z_in_group and abs(z_um - self._z_in_group[0]) >= extent_um:
            self._end_group()
        image = np.asarray(frame, dtype=np.float32)
        self._sum = image.copy() if self._sum is None else self._sum + image
        self._z_in_group.append(z_um)
        self._drift_in_group.append((drift_y_px, drift_x_px))

    def _check_z(self, z_um: float) -> None:
        if self._last is not None:
            last, direction = self._last
            now = int(np.sign(z_um - last))
            if now == 0 or direction not in (0, now):
                raise InputError(
                    f"refocuser: z_um goes from {last:f} to {z_um:f}; it must rise or fall from frame to "
                    "frame throughout a scan"
                )
            self._last = z_um, now
        else:
            self._last = z_um, 0

    def _end_group(self) -> None:
        if self._sum is None:
            return
        mean = (self._sum / np.float32(len(self._z_in_group))).astype(np.float32)
        dy, dx = np.mean(self._drift_in_group, axis=0)
        if max(abs(dy), abs(dx)) > _MIN_SHIFT_PX:
            mean = shift_frame(mean, -float(dy), -float(dx))
        focus = self.focus_of(mean)
        z = float(np.mean(self._z_in_group))
        self._cells.take(z, mean, focus, saturation=self._saturation)
        sample = focus[::_NOISE_STEP_PX, ::_NOISE_STEP_PX]
        if np.isfinite(sample).any():
            self._noise = min(self._noise, float(np.nanquantile(sample, _NOISE_QUANTILE)))
        self._tracker.push(focus, mean)
        self._z_um.append(z)
        self._sum = None
        self._z_in_group, self._drift_in_group = [], []

    def saturate_at(self, counts: float, /) -> None:
        """Take pixels at and above `counts` for saturated from now on."""
        self._saturation = counts

    def preview(self) -> Map:
        """Return the heights so far: of the plane of best focus."""
        plane = self._tracker.plane[0]
        z = np.array([*self._z_um, np.nan], dtype=np.float32)
        return np.where(plane > 0, z[plane], np.float32(np.nan))

    def close(self) -> None:
        """End the scan."""
        self._end_group()
        self._tracker.finish()

    def finish(self) -> tuple[Map, Map, Map]:
        """Close the scan; return height, standard deviation and all-in-focus image."""
        self.close()
        height, sigma = self._tracker.fit(0, np.array(self._z_um), self._options.threads)
        in_focus = np.isfinite(height) & np.isfinite(sigma) & self.consistent(self._tracker.plane[0])
        in_focus &= self._tracker.peak[0] > _MIN_PEAK * self.noise
        height, sigma = (np.where(in_focus, values, np.float32(np.nan)) for values in (height, sigma))
        width_um = self._options.depth_of_field_um / 2.355
        return height, _standard_deviation(height, sigma, width_um), self._tracker.counts[0].copy()

    def textured(self, _beside_stronger: bool, /) -> NDArray[np.uint8]:
        """Return where a maximum stands clear of the noise."""
        return np.asarray(self._tracker.peak[0] > _MIN_PEAK * self.noise, dtype=np.uint8)

    def record(self) -> CellRecord:
        """Return what cells showed over the scan."""
        return self._cells.record()

    def reject(self, occluded: NDArray[np.uint8], /) -> None:
        """Drop maxima nearest to a sample in which their cell was occluded."""
        z_um = np.array(self._z_um)
        sample = nearest_sample(self._cells.record().z_um, z_um)
        self._tracker.reject([at_pixels(occluded[k] != 0, self._options.shape) for k in sample])

    def peaks(self, level: int, /) -> FocusMaxima:
        """Return the two largest maxima of each pixel; there is one level, 0."""
        if level != 0:
            raise IndexError(f"focus: there is no level {level}, only level 0")
        z = np.array(self._z_um)
        fits = [self._tracker.fit(slot, z, self._options.threads)[0] for slot in (0, 1)]
        widths = [self._tracker.widths(slot, z) for slot in (0, 1)]
        return FocusMaxima(np.stack(fits), self._tracker.peak, np.stack(widths))

    @property
    def rests(self) -> list[tuple[float, float, float]]:
        """Return the groups' heights with no residual drift: averages are shifted by fractions of pixels."""
        return [(z, 0.0, 0.0) for z in self._z_um]

    @property
    def noise(self) -> float:
        """Focus where least is in focus, over the field and the scan."""
        return self._noise if np.isfinite(self._noise) else 0.0

    @property
    def state_bytes_per_pixel(self) -> float:
        """Memory held for each pixel, bytes."""
        return self._tracker.bytes_per_pixel + 4.0


def _standard_deviation(height: Map, of_fit: Map, width_um: float) -> Map:
    """Return the standard deviation of heights, from noise and from relief that the focus averages over."""
    measured = np.isfinite(height)
    heights = np.where(measured, height, 0).astype(np.float64)

    def mean_of(values: NDArray[np.float64], side: int) -> NDArray[np.float64]:
        total = ndimage.uniform_filter(np.where(measured, values, 0), side, mode="nearest")
        share = ndimage.uniform_filter(measured.astype(np.float64), side, mode="nearest")
        return np.asarray(total / np.maximum(share, 1e-9))

    smooth = mean_of(heights, _RELIEF_PX)
    scatter = mean_of((heights - smooth) ** 2, _SCATTER_PX)
    whole = ndimage.uniform_filter(np.where(measured, heights, smooth), _RELIEF_PX, mode="nearest")
    bend = ndimage.laplace(ndimage.uniform_filter(whole, _RELIEF_PX, mode="nearest")) ** 2
    noise = mean_of(np.where(measured, of_fit, 0).astype(np.float64) ** 2, 3)
    variance = _OF_FIT * noise + _OF_SCATTER * scatter + _OF_BEND * bend + (_MIN_SIGMA * width_um) ** 2
    return np.where(measured, np.sqrt(variance), np.nan).astype(np.float32)
