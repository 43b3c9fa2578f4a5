"""Curvature: slopes, second derivatives and curvatures of a height map by local polynomial fits."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee import _core
from lee.errors import InputError
from lee.kernels import cuda_arrays
from lee.kernels.arguments import check_threads, device_image, image
from lee.kernels.cuda_arrays import Cupy, all_cuda

Family = Literal["savgol", "gaussian"]
FAMILIES = ("savgol", "gaussian")
Map = NDArray[np.float32]  # CuPy's array where the heights lie on a CUDA device


class _Smoothing(TypedDict):
    family: Family
    scale_um: float
    pixel_um: float


class CurvatureMaps(NamedTuple):
    """Curvatures in 1/µm (Gaussian in 1/µm²), and their standard deviations where known."""

    mean: Map
    gauss: Map
    high: Map
    low: Map
    mean_sigma: Map | None
    gauss_sigma: Map | None


def curvature_maps(
    height: Map, sigma: Map | None, *, family: Family, scale_um: float, pixel_um: float, threads: int = 0
) -> CurvatureMaps:
    """Call the kernel behind `lee.curvature`, which documents it, on arguments that are already checked.

    Parameters
    ----------
    height, sigma : (H, W) float32, µm
        From `curvature_arguments`; `sigma` may be None.
    """
    options = _Smoothing(family=family, scale_um=scale_um, pixel_um=pixel_um)
    if not cuda_arrays.is_cuda(height):
        return CurvatureMaps(*_core.curvature(height, sigma, **options, threads=int(threads)))
    xp = cuda_arrays.cupy("curvature")
    maps = [xp.empty(height.shape, np.float32) for _ in range(4)]
    sigmas = [None if sigma is None else xp.empty(height.shape, np.float32) for _ in range(2)]
    out = CurvatureMaps(*maps, *sigmas)
    _core.curvature(height, sigma, **options, **out._asdict(), stream=cuda_arrays.stream("curvature"))
    return out


class HeightDerivatives(NamedTuple):
    """Slopes, and second derivatives in 1/µm; x runs along rows, y down columns."""

    x: Map
    y: Map
    xx: Map
    xy: Map
    yy: Map


def height_derivatives(
    height_um: ArrayLike,
    *,
    pixel_um: float,
    scale_um: float,
    family: Family = "savgol",
    threads: int = 0,
) -> HeightDerivatives:
    """Measure slopes and second derivatives of a height map, as `lee.curvature` takes them.

    Parameters
    ----------
    height_um, pixel_um, scale_um, family, threads
        As in `lee.curvature`; the scale must be given.

    Returns
    -------
    HeightDerivatives
        Five (H, W) float32 maps, NaN where `lee.curvature` is.

    Raises
    ------
    InputError
        As `lee.curvature`.
    """
    height, _, on_device = curvature_arguments(
        "height_derivatives", height_um, pixel_um, family, None, threads
    )
    options = _Smoothing(family=family, scale_um=float(scale_um), pixel_um=float(pixel_um))
    curvature_window(**options, operation="height_derivatives")
    if on_device:
        xp = cuda_arrays.cupy("height_derivatives")
        out = HeightDerivatives(*(xp.empty(height.shape, np.float32) for _ in range(5)))
        stream = cuda_arrays.stream("height_derivatives")
        _core.height_derivatives(height, **options, **out._asdict(), stream=stream)
        return out
    return HeightDerivatives(*_core.height_derivatives(height, **options, threads=int(threads)))


def curvature_window(
    *, family: str, scale_um: float, pixel_um: float, operation: str = "curvature_window"
) -> tuple[int, float]:
    """Return the window of a scale: how far it reaches to each side, px, and its actual scale, µm.

    Raises
    ------
    InputError
        If the window is smaller than the fit needs, or wider than 1024 pixels to each side; the message
        begins with `operation`.
    """
    try:
        return _core.curvature_window(family=family, scale_um=scale_um, pixel_um=pixel_um)
    except ValueError as error:
        raise InputError(str(error).replace("curvature_window", operation)) from error


def curvature_arguments(
    operation: str,
    height_um: ArrayLike,
    pixel_um: float,
    family: str,
    height_sigma_um: ArrayLike | float | None,
    threads: int,
) -> tuple[Map, Map | None, bool]:
    """Check and convert heights and their standard deviations; the third value is True on a CUDA device."""
    if not (np.isfinite(pixel_um) and pixel_um > 0):
        raise InputError(f"{operation}: pixel_um is {pixel_um}; give µm above 0")
    if family not in FAMILIES:
        raise InputError(f"{operation}: family is {family!r}; give {' or '.join(map(repr, FAMILIES))}")
    check_threads(operation, threads)
    one_sigma = float(height_sigma_um) if isinstance(height_sigma_um, int | float | np.number) else None
    arrays: dict[str, object] = {"height_um": height_um}
    if height_sigma_um is not None and one_sigma is None:
        arrays["height_sigma_um"] = height_sigma_um
    if one_sigma is not None and not one_sigma >= 0:
        raise InputError(f"{operation}: height_sigma_um is {one_sigma}; give µm >= 0")
    on_device = all_cuda(operation, **arrays)
    taken = device_image if on_device else image
    height: Map = taken(height_um, operation, "height_um")
    if height_sigma_um is None:
        return height, None, on_device
    if one_sigma is not None:
        xp: Cupy = cuda_arrays.cupy(operation) if on_device else np
        sigma = xp.empty(height.shape, np.float32)
        sigma.fill(one_sigma)
    else:
        sigma = taken(height_sigma_um, operation, "height_sigma_um")
    if sigma.shape != height.shape:
        raise InputError(
            f"{operation}: height_um is {height.shape} but height_sigma_um is {sigma.shape}; "
            "give equal shapes"
        )
    if not on_device and (sigma < 0).any():
        raise InputError(f"{operation}: height_sigma_um is negative somewhere; give µm >= 0")
    return height, sigma, on_device
