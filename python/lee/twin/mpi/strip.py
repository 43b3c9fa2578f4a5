"""A rank's part of the mesh: a strip of columns along y, its matrices, and its exchange with its neighbours.

Rows of nodes are distributed in order, so that nodes numbered [y, x, k] are contiguous on a rank, which is
how PETSc numbers them. A rank assembles the cells around its own rows and `OVERLAP` rows more to either
side: all equations of its own nodes are complete without adding anything up between ranks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lee.errors import InputError, MissingDependency, install_extra
from lee.twin.mesh.columns import Columns
from lee.twin.solver.equations import Volume
from lee.twin.solver.forms import Forms
from lee.twin.solver.matrix import Matrix

# Rows of nodes of the neighbours that a rank's preconditioner looks at.
OVERLAP = 3

Communicator: TypeAlias = Any
"""Of mpi4py, which carries no types."""
PetscObject: TypeAlias = Any
"""Matrix, vector or solver of petsc4py, or one of the two libraries' modules."""


def import_mpi() -> tuple[PetscObject, PetscObject]:
    """Import mpi4py's MPI and petsc4py's PETSc.

    Raises
    ------
    MissingDependency
        If one of them is not installed, or does not fit the MPI library it finds.
    """
    try:
        from mpi4py import MPI
        from petsc4py import PETSc
    except (ImportError, RuntimeError) as error:
        raise MissingDependency(
            f"the twin on several ranks needs mpi4py and petsc4py ({error}); install MPI and PETSc, then "
            f"{install_extra('twin,mpi')}"
        ) from error
    return MPI, PETSc


class Shared:
    """A sum of weighted matrices whose rows are spread over the ranks; multiplies a rank's part of a vector.

    Parameters
    ----------
    terms : (float, matrix of PETSc, its vectors x and y)
    """

    __array_ufunc__ = None  # A float of numpy leaves the product to this class.

    def __init__(self, *terms: tuple[float, PetscObject, tuple[PetscObject, PetscObject]]) -> None:
        self._terms = terms

    def __rmul__(self, weight: float) -> Shared:
        return Shared(*((float(weight) * w, matrix, vectors) for w, matrix, vectors in self._terms))

    def __add__(self, other: Shared) -> Shared:
        return Shared(*self._terms, *other._terms)

    def absolute_sum(self) -> float:
        """Bound the sum of the absolute entries of a rank's rows; every rank must call it."""
        largest_row = import_mpi()[1].NormType.NORM_INFINITY
        return float(sum(abs(w) * m.norm(largest_row) * m.getLocalSize()[0] for w, m, _ in self._terms))

    def __matmul__(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Multiply (own nodes,); every rank must call it."""
        out = np.zeros(len(values))
        for weight, matrix, (x, y) in self._terms:
            x.setArray(values)
            matrix.mult(x, y)
            out += weight * y.getArray(readonly=True)
        return out


@dataclass(frozen=True)
class Rows:
    """Which rows of nodes a rank has, of the whole mesh's: its own, with overlap, and with cells around both.

    Attributes
    ----------
    own, wide, all : slice
    """

    own: slice
    wide: slice
    all: slice

    @classmethod
    def of(cls, count: int, rank: int, size: int) -> Rows:
        """Deal out `count` rows.

        Raises
        ------
        InputError
            If a rank would have fewer rows than its neighbours look at.
        """
        if count < OVERLAP * size:
            raise InputError(
                f"mesh: {count - 1} cells along y are too few for {size} ranks; give at most "
                f"{count // OVERLAP} ranks, or at least {OVERLAP * size - 1} cells"
            )
        ends = [count * r // size for r in range(size + 1)]
        first, last = ends[rank], ends[rank + 1]
        wide = slice(max(first - OVERLAP, 0), min(last + OVERLAP, count))
        return cls(slice(first, last), wide, slice(max(wide.start - 1, 0), min(wide.stop + 1, count)))

    def within(self, part: slice) -> slice:
        """Return a part's place within `all`."""
        return slice(part.start - self.all.start, part.stop - self.all.start)


class Strip:
    """A rank's strip of a mesh that is at rest.

    Parameters
    ----------
    columns : Columns
        Of the whole mesh.
    comm : communicator of mpi4py

    Attributes
    ----------
    rows : Rows
    shape : (int, int, int)
        (own rows, nx, nz).
    mass, laplace : sparse
        On all nodes of the strip; equations of the outermost rows are incomplete.
    plane_area : (own columns,) float64
    forms : Forms
    """

    def __init__(self, columns: Columns, comm: Communicator) -> None:
        self.comm = comm
        self._made: list[PetscObject] = []
        ny, nx, nz = columns.shape
        self.rows = Rows.of(ny, comm.rank, comm.size)
        self.shape = (self.rows.own.stop - self.rows.own.start, nx, nz)
        self.forms = Forms(columns.x_um, columns.y_um[self.rows.all], columns.share)
        self.forms.move(columns.z_um(columns.height_um[self.rows.all], columns.plane_um))
        self.mass, self.laplace = self.forms.mass(), self.forms.laplace()
        own = self.rows.within(self.rows.own)
        self._own_columns = slice(own.start * nx, own.stop * nx)
        self.plane_area = self.forms.plane_area()[self._own_columns]

    def volume(self) -> Volume:
        """Join the ranks' matrices; every rank must call it."""
        area = self.forms.electrode_area()[self._own_columns]
        return Volume(self._shared(self.mass), self._shared(self.laplace), None, area)

    def close(self) -> None:
        """Release PETSc's objects; every rank must call it."""
        for made in self._made:
            made.destroy()

    def nodes(self, part: slice) -> slice:
        """Return the nodes of some rows within the strip."""
        held = self.rows.within(part)
        a_row = self.shape[1] * self.shape[2]
        return slice(held.start * a_row, held.stop * a_row)

    def widen(self, own: NDArray[np.float64]) -> NDArray[np.float64]:
        """Add the neighbours' values, (own rows, ...) to (wide rows, ...); every rank must call it."""
        comm, own = self.comm, np.ascontiguousarray(own)
        before, after = self.rows.own.start - self.rows.wide.start, self.rows.wide.stop - self.rows.own.stop
        wide = np.empty((before + len(own) + after, *own.shape[1:]))
        wide[before : before + len(own)] = own
        nobody = import_mpi()[0].PROC_NULL
        below, above = comm.rank - 1 if before else nobody, comm.rank + 1 if after else nobody
        comm.Sendrecv(own[-OVERLAP:], dest=above, recvbuf=wide[:before], source=below)
        comm.Sendrecv(own[:OVERLAP], dest=below, recvbuf=wide[before + len(own) :], source=above)
        return wide

    def gather(self, own: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """Collect (own columns, nz) of all ranks on the first, (columns, nz); every rank must call it."""
        counts = self.comm.gather(own.size)
        whole = None if counts is None else np.empty(sum(counts))
        self.comm.Gatherv(np.ascontiguousarray(own), None if whole is None else (whole, counts))
        return None if whole is None else whole.reshape(-1, self.shape[2])

    def _shared(self, matrix: Matrix) -> Shared:
        _, petsc = import_mpi()
        a_row = self.shape[1] * self.shape[2]
        own = matrix[self.nodes(self.rows.own)].tocsr()
        csr = (
            own.indptr.astype(petsc.IntType),
            (own.indices + self.rows.all.start * a_row).astype(petsc.IntType),
            own.data,
        )
        size = (own.shape[0], None)
        made = petsc.Mat().createAIJ((size, size), csr=csr, comm=self.comm)
        made.assemble()
        vectors = made.createVecs()
        self._made += [made, *vectors]
        return Shared((1.0, made, vectors))
