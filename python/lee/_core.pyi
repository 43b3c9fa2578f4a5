from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__version__: str

def instruction_set() -> str: ...
def available_cores() -> int: ...
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
def flat_morphology(
    operation: str,
    height: NDArray[np.float32],
    footprint: NDArray[np.uint8],
    *,
    centre: tuple[int, int],
    threads: int,
) -> NDArray[np.float32]: ...
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
def argmax_refocus(
    stack: NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32],
    focus: NDArray[np.float32],
    *,
    z_um: NDArray[np.float64],
    reach: int,
    threads: int,
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]: ...
