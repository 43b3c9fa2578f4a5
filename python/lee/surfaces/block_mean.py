"""Averages over square blocks of pixels; what was not measured takes no part."""

import numpy as np
import numpy.typing as npt


def block_mean(
    values: npt.NDArray[np.generic], block: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Average square blocks of pixels, leaving NaN out; blocks at the far edges may be smaller.

    Parameters
    ----------
    values : (H, W) any real dtype
    block : int
        Side of a block, pixels.

    Returns
    -------
    mean : (ceil(H / block), ceil(W / block)) float32
        NaN where a block holds nothing finite.
    share : same shape, float32
        Share of the block that was finite.
    """
    starts = [np.arange(0, n, block) for n in values.shape]
    finite = np.isfinite(np.asarray(values, np.float32))
    if block == 1:
        return np.where(finite, values, np.nan).astype(np.float32), finite.astype(np.float32)

    def summed(array: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        total: npt.NDArray[np.float64] = np.add.reduceat(np.add.reduceat(array, starts[0], 0), starts[1], 1)
        return total

    count = summed(finite.astype(np.float64))
    total = summed(np.where(finite, values, 0).astype(np.float64))
    size = np.outer(*(np.diff(np.append(first, n)) for first, n in zip(starts, values.shape, strict=True)))
    with np.errstate(invalid="ignore"):
        return (total / np.where(count > 0, count, np.nan)).astype(np.float32), (count / size).astype(
            np.float32
        )
