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
