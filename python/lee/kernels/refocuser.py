"""The streaming refocuser as compiled: focus measure and search of the maximum, fused, frame by frame."""

from typing import Any, Literal

from lee import _core
from lee.kernels import cuda_arrays


def new_refocuser(shape: tuple[int, int], *, on: Literal["cpu", "cuda"], **options: Any) -> Any:
    """Make the compiled refocuser that `lee.Refocuser` feeds, on the processor or the current CUDA device.

    Parameters
    ----------
    shape : (H, W)
        Of the frames.
    on : {"cpu", "cuda"}
        On a CUDA device it works on CuPy's current stream where the caller uses CuPy, else the default one.
    **options
        As ``lee/refocuser.hpp`` names them, and ``threads``.
    """
    if on == "cpu":
        return _core.Refocuser(*shape, **options)
    return _core.DeviceRefocuser(*shape, **options, stream=cuda_arrays.stream_or_default())
