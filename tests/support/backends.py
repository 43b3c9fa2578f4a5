"""The places kernels run at, so that one test body serves all."""

import os
import sys
from typing import Any

import numpy as np
import pytest

from lee import _core
from lee.errors import DeviceError

REQUIRED = os.environ.get("LEE_REQUIRE_CUDA", "") not in ("", "0")


class Cpu:
    name = "cpu"

    def array(self, values: Any) -> Any:
        return values

    def numpy(self, values: Any) -> np.ndarray:
        assert type(values) is np.ndarray, "NumPy in, NumPy out"
        return values


class Cuda:
    name = "cuda"

    def __init__(self) -> None:
        self.device = _core.cuda_device()
        self.emulated = self.device["name"].startswith("none:")
        if self.emulated:
            from tests.support import cupy_on_host

            sys.modules["cupy"] = cupy_on_host
        import cupy

        self.cupy = cupy

    def array(self, values: Any) -> Any:
        return self.cupy.asarray(values)

    def numpy(self, values: Any) -> np.ndarray:
        assert isinstance(values, self.cupy.ndarray), "CuPy in, CuPy out"
        return self.cupy.asnumpy(values)


def backend_of(name: str) -> Cpu | Cuda:
    """Make a backend; skip where the machine has none, or fail where LEE_REQUIRE_CUDA is set."""
    if name == "cpu":
        return Cpu()
    try:
        return Cuda()
    except (DeviceError, ImportError) as error:
        if REQUIRED:
            pytest.fail(f"LEE_REQUIRE_CUDA is set, but: {error}")
        pytest.skip(f"no CUDA: {error}")
