"""The least error that noise leaves to any focus measure of second moments, for a scan of known truth.

sigma = 1.26 sqrt(w dz / N) / SNR: w the standard deviation in z of the focus curve of the variance, dz the
step, N the pixels of the window, SNR the rms of the texture over that of the noise in focus.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.floating]
_CELL_PX = 9
_FWHM_OF_SIGMA = 2.355


def noise_limit_um(
    frames: NDArray[np.generic],
    quiet: Floats,
    z_um: NDArray[np.float64],
    truth_um: Floats,
    pixels: int,
) -> float:
    """Return the limit of the rms error, µm.

    Parameters
    ----------
    frames : (Z, H, W), counts
    quiet : (Z, H, W) float, counts
        The same frames without noise.
    z_um : (Z,) float64
    truth_um : (H, W)
    pixels : int
        Of the window.
    """
    step = float(np.median(np.abs(np.diff(z_um))))
    variance = np.stack([local_variance(frame) for frame in quiet])
    away = z_um[:, None, None] - truth_um[None]
    focus = np.abs(away) <= step / 2
    noise = float(np.var((frames - quiet)[focus]))
    texture = float(variance[focus].mean())
    width = curve_width_um(variance, away, step)
    return float(1.26 * np.sqrt(width * step / pixels) / np.sqrt(texture / noise))


def local_variance(frame: Floats) -> Floats:
    """Return the variance (H, W) of a frame in cells around each pixel."""
    image = np.asarray(frame, dtype=np.float64)
    mean = ndimage.uniform_filter(image, _CELL_PX)
    return np.asarray(ndimage.uniform_filter(image**2, _CELL_PX) - mean**2)


def curve_width_um(curves: Floats, away_um: Floats, step_um: float) -> float:
    """Return the standard deviation of the mean focus curve, from its width at half height.

    `curves` (Z, H, W) at distances `away_um` (Z, H, W) from each pixel's height.
    """
    reach = float(min(-away_um.min(), away_um.max()))
    edges = np.arange(-reach, reach + step_um / 2, step_um)
    count, _ = np.histogram(away_um, edges)
    total, _ = np.histogram(away_um, edges, weights=curves)
    mean = total / np.maximum(count, 1)
    base = float(np.percentile(mean[count > 0], 5))
    above = mean - base > (mean.max() - base) / 2
    return float(np.count_nonzero(above) * step_um / _FWHM_OF_SIGMA)


def repeated(frames: NDArray[np.generic], quiet: Floats) -> NDArray[np.generic]:
    """Return frames (Z, H, W) of the same scan with other noise: their own, turned by 180 degrees."""
    counts = np.rint(quiet + (frames - quiet)[:, ::-1, ::-1])
    most = np.iinfo(frames.dtype).max
    return np.clip(counts, 0, most).astype(frames.dtype)
