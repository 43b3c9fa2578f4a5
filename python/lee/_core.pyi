from collections.abc import Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

__version__: str

# Any object with __cuda_array_interface__.
_CudaArray = Any

def instruction_set() -> str: ...
def available_cores() -> int: ...
def built_with_cuda() -> bool: ...
def cuda_device() -> dict[str, Any]: ...
@overload
def opening(
    height: NDArray[np.float32],
    footprint: NDArray[np.uint8],
    *,
    centre: tuple[int, int],
    threshold: float,
    mad_factor: float,
    peaks: bool,
    pits: bool,
    threads: int,
) -> tuple[NDArray[np.float32], NDArray[np.int8]]: ...
@overload
def opening(
    height: _CudaArray,
    footprint: NDArray[np.uint8],
    *,
    centre: tuple[int, int],
    threshold: float,
    mad_factor: float,
    peaks: bool,
    pits: bool,
    out: _CudaArray,
    removed: _CudaArray,
    stream: int,
) -> None: ...
@overload
def flat_morphology(
    operation: str,
    height: NDArray[np.float32],
    footprint: NDArray[np.uint8],
    *,
    centre: tuple[int, int],
    threads: int,
) -> NDArray[np.float32]: ...
@overload
def flat_morphology(
    operation: str,
    height: _CudaArray,
    footprint: NDArray[np.uint8],
    *,
    centre: tuple[int, int],
    out: _CudaArray,
    stream: int,
) -> None: ...
@overload
def adaptive_variance(
    stack: NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32],
    footprints: Sequence[NDArray[np.uint8]],
    *,
    centres: Sequence[tuple[int, int]],
    detail_px: int,
    noise: float,
    significance: float,
    threads: int,
) -> tuple[NDArray[np.float32], NDArray[np.uint8], float]: ...
@overload
def adaptive_variance(
    stack: _CudaArray,
    footprints: Sequence[NDArray[np.uint8]],
    *,
    centres: Sequence[tuple[int, int]],
    detail_px: int,
    noise: float,
    significance: float,
    focus: _CudaArray,
    window: _CudaArray,
    used: _CudaArray,
    stream: int,
) -> None: ...
@overload
def argmax_refocus(
    stack: NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32],
    focus: NDArray[np.float32],
    *,
    z_um: NDArray[np.float64],
    reach: int,
    threads: int,
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]: ...
@overload
def argmax_refocus(
    stack: _CudaArray,
    focus: _CudaArray,
    *,
    z_um: NDArray[np.float64],
    reach: int,
    sharp: _CudaArray,
    plane: _CudaArray,
    height_um: _CudaArray,
    sigma_um: _CudaArray,
    stream: int,
) -> None: ...
@overload
def curvature(
    height: NDArray[np.float32],
    sigma: NDArray[np.float32] | None,
    *,
    family: str,
    scale_um: float,
    pixel_um: float,
    threads: int,
) -> tuple[
    NDArray[np.float32],
    NDArray[np.float32],
    NDArray[np.float32],
    NDArray[np.float32],
    NDArray[np.float32] | None,
    NDArray[np.float32] | None,
]: ...
@overload
def curvature(
    height: _CudaArray,
    sigma: _CudaArray | None,
    *,
    family: str,
    scale_um: float,
    pixel_um: float,
    mean: _CudaArray,
    gauss: _CudaArray,
    high: _CudaArray,
    low: _CudaArray,
    mean_sigma: _CudaArray | None,
    gauss_sigma: _CudaArray | None,
    stream: int,
) -> None: ...
@overload
def height_derivatives(
    height: NDArray[np.float32], *, family: str, scale_um: float, pixel_um: float, threads: int
) -> tuple[
    NDArray[np.float32],
    NDArray[np.float32],
    NDArray[np.float32],
    NDArray[np.float32],
    NDArray[np.float32],
]: ...
@overload
def height_derivatives(
    height: _CudaArray,
    *,
    family: str,
    scale_um: float,
    pixel_um: float,
    x: _CudaArray,
    y: _CudaArray,
    xx: _CudaArray,
    xy: _CudaArray,
    yy: _CudaArray,
    stream: int,
) -> None: ...
def curvature_window(*, family: str, scale_um: float, pixel_um: float) -> tuple[int, float]: ...
@overload
def detect_particles(
    before: NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32],
    after: NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32],
    axial: NDArray[np.float32] | None,
    *,
    spot_sigma_px: float,
    expected_sigma_px: float,
    false_alarms: float,
    threshold_snr: float,
    saturation: float,
    shift_px: tuple[float, float],
    disappearing: bool,
    threads: int,
) -> tuple[NDArray[np.float32], dict[str, Any]]: ...
@overload
def detect_particles(
    before: _CudaArray,
    after: _CudaArray,
    axial: _CudaArray | None,
    particles: _CudaArray,
    *,
    spot_sigma_px: float,
    expected_sigma_px: float,
    false_alarms: float,
    threshold_snr: float,
    saturation: float,
    shift_px: tuple[float, float],
    disappearing: bool,
    stream: int,
) -> dict[str, Any]: ...
def particle_threshold(*, area_px: float, spot_sigma_px: float, false_alarms: float) -> float: ...

# pybind11's own, which is not importable.
class _Bound(type): ...

class Refocuser(metaclass=_Bound):
    def __init__(
        self,
        height: int,
        width: int,
        *,
        depth_of_field_um: float,
        window_y_px: int,
        window_x_px: int,
        detail_px: int,
        threads: int,
    ) -> None: ...
    @overload
    def push(
        self, frame: NDArray[np.uint8], z_um: float, drift_y_px: float = ..., drift_x_px: float = ...
    ) -> None: ...
    @overload
    def push(
        self, frame: NDArray[np.uint16], z_um: float, drift_y_px: float = ..., drift_x_px: float = ...
    ) -> None: ...
    @overload
    def push(
        self, frame: NDArray[np.float32], z_um: float, drift_y_px: float = ..., drift_x_px: float = ...
    ) -> None: ...
    def saturate_at(self, counts: float) -> None: ...
    def preview(self) -> NDArray[np.float32]: ...
    def close(self) -> None: ...
    def finish(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]: ...
    def textured(self, beside_stronger: bool) -> NDArray[np.uint8]: ...
    def record(
        self,
    ) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]: ...
    def reject(self, occluded: NDArray[np.uint8]) -> None: ...
    def peaks(self, level: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]: ...
    def counts(self) -> NDArray[np.float32]: ...
    @property
    def rests(self) -> list[tuple[float, float, float]]: ...
    @property
    def noise(self) -> float: ...
    @property
    def frames(self) -> int: ...
    @property
    def levels(self) -> int: ...
    @property
    def state_bytes_per_pixel(self) -> float: ...

class DeviceRefocuser(metaclass=_Bound):
    def __init__(
        self,
        height: int,
        width: int,
        *,
        depth_of_field_um: float,
        window_y_px: int,
        window_x_px: int,
        detail_px: int,
        threads: int,
        stream: int,
    ) -> None: ...
    @overload
    def push(
        self, frame: NDArray[np.uint8], z_um: float, drift_y_px: float = ..., drift_x_px: float = ...
    ) -> None: ...
    @overload
    def push(
        self, frame: NDArray[np.uint16], z_um: float, drift_y_px: float = ..., drift_x_px: float = ...
    ) -> None: ...
    @overload
    def push(
        self, frame: NDArray[np.float32], z_um: float, drift_y_px: float = ..., drift_x_px: float = ...
    ) -> None: ...
    @overload
    def push(
        self, frame: _CudaArray, z_um: float, drift_y_px: float = ..., drift_x_px: float = ...
    ) -> None: ...
    def push_stack(
        self, frames: _CudaArray, z_um: Sequence[float], drift_px: Sequence[tuple[float, float]] = ...
    ) -> None: ...
    def preview_into(self, height: _CudaArray) -> None: ...
    def finish_into(self, height: _CudaArray, sigma: _CudaArray, sharp: _CudaArray) -> None: ...
    def saturate_at(self, counts: float) -> None: ...
    def preview(self) -> NDArray[np.float32]: ...
    def close(self) -> None: ...
    def finish(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]: ...
    def textured(self, beside_stronger: bool) -> NDArray[np.uint8]: ...
    def record(
        self,
    ) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]: ...
    def reject(self, occluded: NDArray[np.uint8]) -> None: ...
    def peaks(self, level: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]: ...
    def counts(self) -> NDArray[np.float32]: ...
    @property
    def rests(self) -> list[tuple[float, float, float]]: ...
    @property
    def noise(self) -> float: ...
    @property
    def frames(self) -> int: ...
    @property
    def levels(self) -> int: ...
    @property
    def state_bytes_per_pixel(self) -> float: ...
