"""Arrays in the memory of a CUDA device: recognised, checked, and taken without a copy."""

from __future__ import annotations

import sys
from typing import Any, TypeAlias

import numpy as np

from lee.errors import InputError, MissingDependency, install_extra

# CuPy's ndarray, or the module that makes it: CuPy is optional and has no types.
CudaArray: TypeAlias = Any
Cupy: TypeAlias = Any

# Device types of DLPack: CUDA's own memory, and its managed memory.
_CUDA_DEVICES = (2, 13)


def is_cuda(values: object) -> bool:
    """Whether `values` is an array in a CUDA device's memory."""
    if isinstance(values, np.ndarray | list | tuple | int | float):
        # A subclass of numpy's array may have an interface of its own.
        return type(values) is not np.ndarray and hasattr(values, "__cuda_array_interface__")
    if hasattr(values, "__cuda_array_interface__"):
        return True
    if hasattr(values, "__dlpack_device__"):
        return values.__dlpack_device__()[0] in _CUDA_DEVICES
    return False


def all_cuda(operation: str, **arrays: object) -> bool:
    """Whether all arrays are on a CUDA device; mixed ones are refused.

    Raises
    ------
    TypeError
        If some are and some are not.
    """
    where = {name: is_cuda(values) for name, values in arrays.items()}
    if len(set(where.values())) > 1:
        on = ", ".join(name for name, cuda in where.items() if cuda)
        off = ", ".join(name for name, cuda in where.items() if not cuda)
        raise TypeError(
            f"{operation}: {on} on the CUDA device but {off} not; nothing is moved silently, copy one"
        )
    return next(iter(where.values()))


def cupy(operation: str) -> Cupy:
    """Return CuPy, which makes the results.

    Raises
    ------
    MissingDependency
        If it is not installed.
    """
    try:
        import cupy as module
    except ImportError:
        raise MissingDependency(
            f"{operation}: arrays on a CUDA device need CuPy; {install_extra('cuda')}, or give NumPy arrays"
        ) from None
    return module


def as_cuda(
    values: object, operation: str, name: str, *, dtypes: tuple[str, ...], dimensions: tuple[int, ...]
) -> CudaArray:
    """Return an array as CuPy's, without a copy.

    Raises
    ------
    InputError
        If its dtype, shape or layout are not those the kernel takes: nothing is converted silently.
    """
    xp = cupy(operation)
    if isinstance(values, xp.ndarray):
        array = values
    elif hasattr(values, "__dlpack__"):
        # Orders the work of both sides' streams, where the other interface may wait for one.
        array = xp.from_dlpack(values)
    else:
        array = xp.asarray(values)
    if str(array.dtype) not in dtypes:
        raise InputError(
            f"{operation}: {name} on the CUDA device holds {array.dtype}; convert it to {' or '.join(dtypes)}"
        )
    if array.ndim not in dimensions or array.size == 0:
        wanted = " or ".join({2: "(H, W)", 3: "(Z, H, W)"}[n] for n in dimensions)
        raise InputError(f"{operation}: {name} has shape {array.shape}; give a non-empty {wanted} array")
    if not array.flags.c_contiguous:
        raise InputError(
            f"{operation}: {name} on the CUDA device is not contiguous; give cupy.ascontiguousarray({name})"
        )
    return array


def stream(operation: str) -> int:
    """Return the address of the caller's stream."""
    return int(cupy(operation).cuda.get_current_stream().ptr)


def stream_or_default() -> int:
    """Return the address of CuPy's current stream where the caller uses CuPy, else the default one's."""
    module = sys.modules.get("cupy")
    return 0 if module is None else int(module.cuda.get_current_stream().ptr)
