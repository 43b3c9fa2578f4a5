"""Mean, Gaussian and principal curvatures of a surface, at a stated scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from lee.errors import InputError
from lee.kernels.curvature import Family, Map, curvature_arguments, curvature_maps, curvature_window
from lee.surfaces.height_map import height_map
from lee.surfaces.noise_correlation import Noise, noise_amplification, noise_of

if TYPE_CHECKING:
    from lee.surfaces.surface import Surface


@dataclass(frozen=True, eq=False)
class Curvature:
    """Curvatures of a surface, 1/µm: a trench is positive, a peak negative.

    Parameters
    ----------
    mean_per_um, gaussian_per_um2 : (H, W) float32
        Mean and Gaussian curvature; NaN where the surface was not measured, or too little around it.
    max_per_um, min_per_um : (H, W) float32
        Principal curvatures.
    scale_um : float
        The smoothing that belongs to them, see `lee.curvature`.
    pixel_um : float
        Size of a pixel.
    family : {"savgol", "gaussian"}
        Kind of smoothing.
    radius_px : int
        The window reaches this far to each side.
    mean_sigma_per_um, gaussian_sigma_per_um2 : (H, W) float32, optional
        Standard deviations from those of the heights, where they were given.
    automatic : dict, optional
        How an automatic scale was chosen: scales tried, and for each the estimated rms error.
    noise_um, noise_correlation_px : float, optional
        Errors of the heights that scale and standard deviations belong to: their typical size, and the
        standard deviation of the Gaussian that makes white noise like them. None where neither is known.
    """

    mean_per_um: Map
    gaussian_per_um2: Map
    max_per_um: Map
    min_per_um: Map
    scale_um: float
    pixel_um: float
    family: Family
    radius_px: int
    mean_sigma_per_um: Map | None = None
    gaussian_sigma_per_um2: Map | None = None
    automatic: dict[str, object] | None = None
    noise_um: float | None = None
    noise_correlation_px: float | None = None


def curvature(
    height_um: ArrayLike | Surface,
    *,
    pixel_um: float | None = None,
    scale_um: float | Literal["auto"] = "auto",
    family: Family = "savgol",
    height_sigma_um: ArrayLike | float | None = None,
    noise_correlation_px: float | None = None,
    threads: int = 0,
) -> Curvature:
    """Measure mean, Gaussian and principal curvatures of a height map.

    At every measured pixel a polynomial is fitted by least squares to the measured pixels of a window; its
    slopes and second derivatives there give ``mean = 1/2 div(grad h / sqrt(1 + |grad h|^2))``, ``gaussian =
    (h_xx h_yy - h_xy^2) / (1 + |grad h|^2)^2`` and ``max, min = mean +- sqrt(mean^2 - gaussian)``. Nothing is
    filled: pixels that were not measured take no part and stay NaN. The smoothing is part of the result:
    features smaller than `scale_um` are flattened.

    Parameters
    ----------
    height_um : (H, W) float32, µm, or Surface
        Height map. Other real dtypes are copied to float32. NaN and infinite pixels are not measured. On a
        CUDA device it must be float32 and contiguous; the results are then CuPy's, and the scale must be
        given.
    pixel_um : float, µm, optional
        Size of a pixel; pixels are square. A surface brings its own.
    scale_um : float, µm, or "auto"
        How much is smoothed away. For ``"gaussian"`` the standard deviation of the weights, which end at four
        of them. For ``"savgol"`` that of the Gaussian whose Laplacian is as noisy, so that both families are
        equally noisy at the same scale; the square reaches about 3.5 times as far to each side, in whole
        pixels: the nearest possible scale is taken, and reported. By default the scale whose estimated mean
        squared error of the mean curvature is least: noise from the heights' errors, correlated
        over `noise_correlation_px`; bias from what changes between scales beyond it (Lepski's idea).
    family : {"savgol", "gaussian"}
        A polynomial of order 4, all pixels alike (Savitzky-Golay in two dimensions), or one of order 2 under
        Gaussian weights, which gives the derivatives of a Gaussian. The first is closer to the truth on
        curved relief, the second has no side lobes. At the border the first shifts its square inside the
        image and evaluates off centre, the second clips its window: values there are up to eight times as
        noisy.
    height_sigma_um : (H, W) float32 or float, µm, optional
        Standard deviation of the heights; its square is averaged over each window. By default that of the
        surface; of an array it is unknown: the results have no standard deviations, and an automatic scale
        estimates it from the heights. For the gaussian family the result is up to 40 % too small beside
        borders and pixels that were not measured.
    noise_correlation_px : float, pixels, optional
        Correlation length of the heights' errors: the standard deviation of a Gaussian that makes white noise
        like them; 0 = independent from pixel to pixel. Correlated errors average out less: the curvature's
        standard deviations are those of independent errors times a factor, that of the Laplacian in a
        complete window under stationary errors, the same for the whole map. By default it is estimated
        from how the Laplacian's mean square falls with the scale, which the errors rule at the finest scales;
        up to 5.7 px, and 0 where the field is too small to estimate it. On a CUDA device the default is 0.
    threads : int
        0 = all available cores. The result does not depend on it.

    Returns
    -------
    Curvature
        All NaN where the surface is, and where too little is measured: where the fit has no single solution
        or its Laplacian is more than eight times as noisy as that of a complete window.

    Raises
    ------
    InputError
        If an argument has the wrong shape or is out of range, or the window of `scale_um` is smaller than the
        fit needs or wider than 1024 pixels to each side.

    Examples
    --------
    >>> curved = lee.curvature(surface, scale_um=3.0)
    >>> np.nanmax(curved.mean_per_um)  # the sharpest trench
    """
    given = height_map(height_um, pixel_um, operation="curvature")
    pixel_um = given.pixel_um
    sigma_um = given.height_sigma_um if height_sigma_um is None else height_sigma_um
    height, sigma, on_device = curvature_arguments(
        "curvature", given.height_um, pixel_um, family, sigma_um, threads
    )
    if noise_correlation_px is not None and not (
        np.isfinite(noise_correlation_px) and noise_correlation_px >= 0
    ):
        raise InputError(f"curvature: noise_correlation_px is {noise_correlation_px}; give px >= 0, or None")
    automatic = None
    noise: Noise | None = None
    if isinstance(scale_um, str):
        if scale_um != "auto":
            raise InputError(f'curvature: scale_um is {scale_um!r}; give µm above 0, or "auto"')
        if on_device:
            raise InputError(
                "curvature: an automatic scale is found in the host's memory; give scale_um for heights on a "
                "CUDA device"
            )
        from lee.surfaces.curvature_scale import automatic_scale

        noise = noise_of(height, sigma, correlation_px=noise_correlation_px, threads=threads)
        chosen = automatic_scale(height, sigma, noise, pixel_um=pixel_um, family=family, threads=threads)
        scale, automatic = chosen.scale_um, chosen.described()
    else:
        scale = float(scale_um)
    pixel_um = float(pixel_um)
    radius_px, used_um = curvature_window(
        family=family, scale_um=scale, pixel_um=pixel_um, operation="curvature"
    )
    if noise is None and sigma is not None:
        if on_device:
            noise = Noise(None, noise_correlation_px or 0.0)
        else:
            noise = noise_of(height, sigma, correlation_px=noise_correlation_px, threads=threads)
    if noise is not None and sigma is not None and noise.correlation_px > 0:
        sigma = sigma * np.float32(noise_amplification(family, used_um / pixel_um, noise.correlation_px))
    maps = curvature_maps(height, sigma, family=family, scale_um=scale, pixel_um=pixel_um, threads=threads)
    return Curvature(
        mean_per_um=maps.mean,
        gaussian_per_um2=maps.gauss,
        max_per_um=maps.high,
        min_per_um=maps.low,
        scale_um=used_um,
        pixel_um=pixel_um,
        family=family,
        radius_px=radius_px,
        mean_sigma_per_um=maps.mean_sigma,
        gaussian_sigma_per_um2=maps.gauss_sigma,
        automatic=automatic,
        noise_um=None if noise is None else noise.rms_um,
        noise_correlation_px=None if noise is None else noise.correlation_px,
    )
