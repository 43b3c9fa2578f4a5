"""Baseline focus measures with OpenCV, with which accuracy is compared.

Variance and Tenengrad in windows of three sizes, the frame of the largest value, and around it a weighted
parabola through the logarithm of the focus curve.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

WINDOWS_PX = (5, 9, 21)
HALF_FRAMES = 6

Curves = NDArray[np.float32]
Heights = NDArray[np.float64]


@dataclass(frozen=True)
class Peer:
    """A baseline and the heights it found.

    ``name`` is the measure and its window, ``height_um`` (H, W) float64 µm, never NaN.
    """

    name: str
    height_um: Heights


def variance(frame: NDArray[np.float32], window_px: int) -> Curves:
    """Return the variance of counts in a square window, (H, W)."""
    mean = cv2.boxFilter(frame, -1, (window_px, window_px))
    squares = cv2.sqrBoxFilter(frame, -1, (window_px, window_px))
    return np.asarray(squares - mean * mean)


def tenengrad(frame: NDArray[np.float32], window_px: int) -> Curves:
    """Return the mean squared Sobel gradient in a square window, (H, W)."""
    across = cv2.Sobel(frame, cv2.CV_32F, 1, 0)
    along = cv2.Sobel(frame, cv2.CV_32F, 0, 1)
    return np.asarray(cv2.boxFilter(across * across + along * along, -1, (window_px, window_px)))


MEASURES: dict[str, Callable[[NDArray[np.float32], int], Curves]] = {
    "variance": variance,
    "Tenengrad": tenengrad,
}


def fitted_heights(curves: Curves, z_um: NDArray[np.float64], half_frames: int = HALF_FRAMES) -> Heights:
    """Fit the focus curves around their largest values.

    Parameters
    ----------
    curves : (Z, H, W) float32, any unit
        Focus of each frame, larger is sharper.
    z_um : (Z,) float64, µm
        Heights in focus, rising or falling, evenly or not.
    half_frames : int
        Frames on either side of the maximum that the fit sees; the window is moved inward at the ends of the
        scan.

    Returns
    -------
    (H, W) float64, µm
        Top of the parabola through the log curve, each sample weighted by its focus squared; the maximum's
        own frame where the parabola opens upward or its vertex is outside the window.
    """
    count = len(curves)
    half = min(half_frames, (count - 1) // 2)
    at = curves.argmax(axis=0)
    middle = np.clip(at, half, count - 1 - half)
    peak = np.take_along_axis(curves, at[None], 0)[0].astype(np.float64)
    power = np.zeros((5, *at.shape))
    moment = np.zeros((3, *at.shape))
    for offset in range(-half, half + 1):
        frame = middle + offset
        u = z_um[frame] - z_um[middle]
        share = np.take_along_axis(curves, frame[None], 0)[0] / np.maximum(peak, 1e-9)
        log = np.log(np.maximum(share, 1e-9))
        term = np.square(share, dtype=np.float64)
        for p in range(5):
            power[p] += term
            if p < 3:
                moment[p] += term * log
            term = term * u
    s0, s1, s2, s3, s4 = power
    t0, t1, t2 = moment
    # Cramer's rule for log = a + b u + c u^2; the determinant cancels from b / c and gives c its sign.
    determinant = s0 * (s2 * s4 - s3 * s3) - s1 * (s1 * s4 - s2 * s3) + s2 * (s1 * s3 - s2 * s2)
    slope = t1 * (s0 * s4 - s2 * s2) - t0 * (s1 * s4 - s2 * s3) - t2 * (s0 * s3 - s1 * s2)
    bend = t0 * (s1 * s3 - s2 * s2) - t1 * (s0 * s3 - s1 * s2) + t2 * (s0 * s2 - s1 * s1)
    with np.errstate(divide="ignore", invalid="ignore"):
        top = -0.5 * slope / bend
    reach = np.abs(z_um[middle + half] - z_um[middle - half]) / 2
    fits = (determinant > 0) & (bend < 0) & (np.abs(top) <= reach)
    return np.asarray(np.where(fits, z_um[middle] + np.where(fits, top, 0.0), z_um[at]))


def all_peers(frames: NDArray[np.generic], z_um: NDArray[np.float64]) -> list[Peer]:
    """Return every measure in every window, on frames (Z, H, W) of any depth."""
    found = []
    curves = np.empty(frames.shape, dtype=np.float32)
    for name, measure in MEASURES.items():
        for window in WINDOWS_PX:
            for k, frame in enumerate(frames):
                curves[k] = measure(frame.astype(np.float32), window)
            found.append(Peer(f"{name} {window}", fitted_heights(curves, z_um)))
    return found


def best_peer(peers: list[Peer], truth_um: NDArray[np.floating]) -> Peer:
    """Return the one with the least rms error: picked knowing the truth, as no user could."""
    return min(peers, key=lambda peer: float(np.mean(np.square(peer.height_um - truth_um))))
