"""Chunks of a zarr array that are not in its store: they read as its fill value, mostly black."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Looking for more files than this takes too long; such a store is read as it is.
_MAX_LOOKED_FOR = 200_000


def missing_data(
    array: Any, axes: Sequence[str], depth: str | None, fixed: dict[str, int], is_there: Callable[[str], bool]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the frames of a stack that have no data, and those of which a part is missing.

    Parameters
    ----------
    depth, fixed : str or None, dict
        Axis of the frames, and the index along the other axes.
    is_there : function
        Whether the store has a key, relative to the array.
    """
    edges = array.shards or array.chunks
    places: list[range] = []
    for axis, n, edge in zip(axes, array.shape, edges, strict=True):
        first = (fixed.get(axis) or 0) // edge
        places.append(range(-(-n // edge)) if axis in (depth, "y", "x") else range(first, first + 1))
    along = list(axes).index(depth) if depth is not None else None
    count = 1 if along is None else array.shape[along]
    edge = 1 if along is None else edges[along]
    # Of Python's numbers, which do not overflow: a damaged file may state any shape.
    blocks = math.prod(place.stop - place.start for place in places)
    if max(blocks, count) > _MAX_LOOKED_FOR:
        return np.array([], np.intp), np.array([], np.intp)
    there, wanted = np.zeros(-(-count // edge), np.intp), np.zeros(-(-count // edge), np.intp)
    for place in product(*places):
        block = 0 if along is None else place[along]
        wanted[block] += 1
        there[block] += is_there(array.metadata.encode_chunk_key(place))
    of_frame = np.arange(count) // edge
    none = np.flatnonzero((there == 0)[of_frame])
    part = np.flatnonzero(((there > 0) & (there < wanted))[of_frame])
    return none, part
