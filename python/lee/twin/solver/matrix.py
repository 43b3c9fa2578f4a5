"""The one name for matrices of the mesh, whose libraries carry no types."""

from typing import Any, TypeAlias

Matrix: TypeAlias = Any
"""Sparse: scipy's ``csr_array``, or `lee.twin.mpi.strip.Shared`, whose rows are spread over ranks."""
