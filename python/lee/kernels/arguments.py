"""Arguments of the kernels' Python functions: checked, and converted if they are in the host's memory."""

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError
from lee.kernels import cuda_arrays
from lee.kernels.cuda_arrays import CudaArray
from lee.kernels.footprint import Footprint

# Counts as a camera delivers them, or floats.
Frames: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]


def image(values: ArrayLike, operation: str, name: str) -> NDArray[np.float32]:
    """Return any image of real numbers as float32."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise InputError(f"{operation}: {name} holds {array.dtype}; give real numbers")
    if array.ndim != 2 or array.size == 0:
        raise InputError(
            f"{operation}: {name} has shape {array.shape}; give a non-empty two-dimensional array"
        )
    return np.ascontiguousarray(array, dtype=np.float32)


def device_image(values: object, operation: str, name: str) -> CudaArray:
    """Return an image on a CUDA device, as it is."""
    return cuda_arrays.as_cuda(values, operation, name, dtypes=("float32",), dimensions=(2,))


def device_planes(
    values: object, operation: str, name: str, dimensions: tuple[int, ...] = (2, 3)
) -> CudaArray:
    """Return frames on a CUDA device, of the dtypes a camera delivers or float32, as they are."""
    dtypes = ("uint8", "uint16", "float32")
    return cuda_arrays.as_cuda(values, operation, name, dtypes=dtypes, dimensions=dimensions)


def check_threads(operation: str, threads: int) -> None:
    """Refuse a negative number of threads."""
    if threads < 0:
        raise InputError(f"{operation}: threads is {threads}; give 0 for all cores, or a count")


def planes(values: ArrayLike, operation: str, name: str, dimensions: tuple[int, ...] = (2, 3)) -> Frames:
    """Return frames of the dtypes a camera delivers, as they are; anything else as float32."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise InputError(f"{operation}: {name} holds {array.dtype}; give real numbers")
    if array.ndim not in dimensions or array.size == 0:
        wanted = " or ".join({2: "(H, W)", 3: "(Z, H, W)"}[n] for n in dimensions)
        raise InputError(f"{operation}: {name} has shape {array.shape}; give a non-empty {wanted} array")
    return np.ascontiguousarray(
        array, dtype=array.dtype if array.dtype in (np.uint8, np.uint16) else np.float32
    )


def scaled(footprint: Footprint, factor: float) -> Footprint:
    """Resample a footprint about its centre, each pixel from the nearest of the original."""
    if factor == 1.0:
        return footprint
    (h, w), (cy, cx) = footprint.mask.shape, footprint.centre
    up, left = math.ceil(factor * (cy + 0.5)), math.ceil(factor * (cx + 0.5))
    down, right = math.ceil(factor * (h - cy - 0.5)), math.ceil(factor * (w - cx - 0.5))
    y = np.rint(np.arange(-up, down + 1) / factor).astype(int) + cy
    x = np.rint(np.arange(-left, right + 1) / factor).astype(int) + cx
    inside = ((y >= 0) & (y < h))[:, None] & ((x >= 0) & (x < w))
    mask = footprint.mask[np.ix_(y.clip(0, h - 1), x.clip(0, w - 1))] & inside
    # A coarse grid can miss a thin shape; its centre then stands for it.
    mask[up, left] |= not mask.any()
    return Footprint(mask, (up, left))
