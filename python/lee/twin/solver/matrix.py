"""The one name for matrices of the mesh, whose libraries carry no types; sums of them, single precision."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Matrix: TypeAlias = Any
"""Sparse: scipy's ``csr_array``, or `lee.twin.mpi.strip.Shared`, whose rows are spread over ranks."""


def weighted_sum(*parts: tuple[float, Matrix]) -> Matrix:
    """Add matrices times their weights; quickly where all share one pattern, as those of one mesh do."""
    first = parts[0][1]
    if sparse.issparse(first) and all(
        m.indices is first.indices and m.indptr is first.indptr for _, m in parts
    ):
        data = parts[0][0] * first.data
        for weight, matrix in parts[1:]:
            data += first.dtype.type(weight) * matrix.data
        return with_pattern(data, first)
    total = parts[0][0] * first
    for weight, matrix in parts[1:]:
        total = total + weight * matrix
    return total


def absolute_sum(matrix: Matrix) -> float:
    """Add up the entries without their signs, of the rows at hand."""
    return float(np.abs(matrix.data).sum()) if sparse.issparse(matrix) else float(matrix.absolute_sum())


def with_pattern(data: NDArray[np.floating], like: Matrix) -> Matrix:
    """Make a matrix of the same pattern, which is shared."""
    made = sparse.csr_array((data, like.indices, like.indptr), shape=like.shape)
    made.has_sorted_indices = True
    made.has_canonical_format = True
    return made


def single(matrix: Matrix) -> Matrix:
    """Return the matrix in single precision, which is enough for a preconditioner and half the memory."""
    return with_pattern(matrix.data.astype(np.float32), matrix)
