"""Detectors of bright spots that others offer, each called as suits it best on Gaussian spots in white noise.

All get the difference of two frames in units of its noise, which they need not estimate, and the width of a
spot. Their other settings gave the most of what counts (F1) among those tried: trackpy's diameter and
separation, sep's deblending and places, the reach of DAOStarFinder's kernel and its cuts by shape.
"""

import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
Places = NDArray[np.float64]
FWHM = 2.3548  # of a Gaussian, in standard deviations


@dataclass(frozen=True)
class Detector:
    """A detector; ``find(difference, sigma_px, threshold)`` gives places (N, 2), (y, x) in px.

    ``thresholds`` are those to try; empty where it takes its own, which `find` then gets as NaN.
    """

    name: str
    package: str
    distribution: str
    find: Callable[[Image, float, float], Places]
    thresholds: tuple[float, ...]

    def is_here(self) -> bool:
        return importlib.util.find_spec(self.package) is not None


def trackpy_locate(difference: Image, sigma_px: float, threshold: float) -> Places:
    import trackpy

    trackpy.quiet()
    diameter = 2 * round(3 * sigma_px) + 1
    found = trackpy.locate(difference - difference.min(), diameter, minmass=threshold, separation=5)
    return np.asarray(found[["y", "x"]], dtype=np.float64)


def sep_extract(difference: Image, sigma_px: float, threshold: float) -> Places:
    import sep

    sep.set_extract_pixstack(max(300_000, difference.size // 2))
    reach = int(np.ceil(3 * sigma_px))
    v, u = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    found = sep.extract(
        difference,
        threshold,
        err=np.ones_like(difference),  # an array: with a number it does not weigh its filter
        filter_kernel=np.exp(-0.5 * (v**2 + u**2) / sigma_px**2),
        minarea=1,
        deblend_nthresh=64,
        deblend_cont=1e-5,
        clean=False,
    )
    x, y, _ = sep.winpos(difference, found["x"], found["y"], np.full(len(found), sigma_px))
    return np.stack([y, x], axis=1)


def skimage_blob_log(difference: Image, sigma_px: float, threshold: float) -> Places:
    from skimage import feature

    blob_log: Any = feature.blob_log
    found = blob_log(difference, min_sigma=sigma_px, max_sigma=sigma_px, num_sigma=1, threshold=threshold)
    return np.asarray(found[:, :2], dtype=np.float64)


def photutils_dao(difference: Image, sigma_px: float, threshold: float) -> Places:
    from photutils.detection import DAOStarFinder

    anything = (-np.inf, np.inf)
    finder = DAOStarFinder(
        threshold,
        FWHM * sigma_px,
        sigma_radius=3.0,
        min_separation=1.5,
        sharpness_range=anything,
        roundness_range=anything,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it found nothing
        found = finder(difference)
    if found is None:
        return np.zeros((0, 2))
    return np.stack([found["y_centroid"], found["x_centroid"]], axis=1)


def big_fish(difference: Image, sigma_px: float, threshold: float) -> Places:
    from bigfish.detection import detect_spots

    given = None if np.isnan(threshold) else threshold
    found = detect_spots(difference, threshold=given, voxel_size=(1, 1), spot_radius=(sigma_px, sigma_px))
    return np.asarray(found, dtype=np.float64)


def big_fish_decomposed(difference: Image, sigma_px: float, threshold: float) -> Places:
    """Return also what its fits, which draw at random, split dense places into; they need whole numbers."""
    from bigfish.detection import decompose_dense, detect_spots

    counts = np.rint(500 * (difference - difference.min())).clip(0, 65535).astype(np.uint16)
    of_spot = {"voxel_size": (1, 1), "spot_radius": (sigma_px, sigma_px)}
    given = None if np.isnan(threshold) else 500 * threshold
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names it uses have changed; dense places may be too few
        found, _, _ = decompose_dense(
            counts, detect_spots(counts, threshold=given, **of_spot), beta=2, **of_spot
        )
    return np.asarray(found, dtype=np.float64)


def span(low: float, high: float, count: int) -> tuple[float, ...]:
    return tuple(np.linspace(low, high, count).tolist())


DETECTORS = (
    Detector("trackpy.locate", "trackpy", "trackpy", trackpy_locate, span(9, 14, 6)),
    Detector("sep.extract", "sep", "sep", sep_extract, span(4.0, 5.6, 7)),
    Detector("skimage blob_log", "skimage", "scikit-image", skimage_blob_log, span(1, 1.5, 6)),
    Detector("photutils DAOStarFinder", "photutils", "photutils", photutils_dao, span(3.6, 5.0, 8)),
    Detector("big-fish detect_spots", "bigfish", "big-fish", big_fish, span(0.5, 0.8, 7)),
    Detector("big-fish detect_spots", "bigfish", "big-fish", big_fish, ()),
    Detector("big-fish decompose_dense", "bigfish", "big-fish", big_fish_decomposed, ()),
)
