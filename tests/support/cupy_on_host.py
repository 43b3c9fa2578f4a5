"""What lee uses of CuPy, where CUDA kernels run on the host: arrays whose device memory is the host's."""

import time
from types import SimpleNamespace
from typing import Any

import numpy as np


class ndarray(np.ndarray):  # noqa: N801 -- CuPy's name
    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {**self.__array_interface__, "version": 3}

    def __dlpack_device__(self) -> tuple[Any, int]:
        return (2, 0)

    def __dlpack__(self, **_: Any) -> Any:
        return self

    def set(self, values: np.ndarray, stream: Any = None) -> None:
        self[...] = values


def asarray(values: Any, dtype: Any = None) -> ndarray:
    if hasattr(values, "__cuda_array_interface__") and not isinstance(values, np.ndarray):
        values = np.asarray(SimpleNamespace(__array_interface__=values.__cuda_array_interface__))
    return np.asarray(values, dtype=dtype).view(ndarray)


def from_dlpack(values: Any) -> ndarray:
    return values.__dlpack__().view(ndarray)


def asnumpy(array: ndarray) -> np.ndarray:
    return np.array(array, subok=False)


def empty(shape: Any, dtype: Any) -> ndarray:
    # Nothing to rely on.
    out = np.empty(shape, dtype).view(ndarray)
    out.view(np.uint8).fill(0xCD)
    return out


def ascontiguousarray(values: Any) -> ndarray:
    return np.ascontiguousarray(values).view(ndarray)


class Event:
    """The default stream's work is done when its call returns."""

    def record(self) -> None:
        self.at_s = time.perf_counter()

    def synchronize(self) -> None:
        pass


cuda = SimpleNamespace(
    get_current_stream=lambda: SimpleNamespace(ptr=0),
    Event=Event,
    get_elapsed_time=lambda begin, end: 1e3 * (end.at_s - begin.at_s),
    alloc_pinned_memory=bytearray,
)
