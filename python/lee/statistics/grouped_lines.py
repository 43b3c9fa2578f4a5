"""Errors of means over groups of lines of a map, where errors reach from one group into the next."""

import numpy as np
from numpy.typing import NDArray

_ALIKE = 0.05  # correlation from which errors of two lines count as alike

Values = NDArray[np.float64]


def beyond_groups(left: Values, group_lines: float) -> float:
    """Return by how much errors that reach from group to group widen what the groups' scatter tells.

    The correlation of errors from line to line is summed up to the first distance without any.

    Parameters
    ----------
    left : (L, N) float64
        Errors of L lines, as a fit leaves them; NaN where there are none.
    group_lines : float
        Lines in a group.

    Returns
    -------
    float
        Standard error of the mean of all lines over that from groups taken for independent, 1 or more.
    """
    known = np.isfinite(left)
    off = np.where(known, left, 0.0)
    alike, within = 1.0, 1.0
    variance = float(np.sum(off**2)) / max(int(known.sum()), 1)
    for apart in range(1, len(left) // 4):
        pairs = int(np.sum(known[apart:] & known[:-apart]))
        product = float(np.sum(off[apart:] * off[:-apart])) / max(pairs, 1)
        if not product > _ALIKE * variance:
            break
        alike += 2 * product / variance
        within += 2 * max(1 - apart / group_lines, 0.0) * product / variance
    return float(np.sqrt(alike / within))
