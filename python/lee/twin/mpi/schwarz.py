"""A preconditioner over ranks: sparse columns of the whole mesh, then each rank's strip with its overlap.

Two levels of restricted additive Schwarz (Cai and Sarkis, 1999). Strips alone would pass a change on by one
strip an iteration; every fourth (or eighth, ...) column of the whole mesh, kept by every rank, carries it
across. Both parts are one cycle of `lee.twin.solver.multigrid`, so that whole z-lines are smoothed in either.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from lee.twin.mpi.strip import Strip
from lee.twin.solver.coupling import Coupling
from lee.twin.solver.matrix import Matrix
from lee.twin.solver.multigrid import Multigrid, halving

# The sparse columns are every _SPARSE-th or fewer, so that no more are kept than this.
_SPARSE, _MAX_SPARSE = 4, 4096
Slopes = tuple[NDArray[np.float64], NDArray[np.float64]]
Operator = Callable[[NDArray[np.float64]], NDArray[np.float64]]


class Schwarz:
    """An approximate inverse of the Jacobian of c and ψ, as `Multigrid` is on one machine.

    Parameters
    ----------
    strip : Strip
    rows : int
        Rows of nodes in the whole mesh.
    free : (2, nz) bool
        Which nodes of a column are unknown, for c and for ψ.
    """

    def __init__(self, strip: Strip, rows: int, free: NDArray[np.bool_]) -> None:
        self._strip = strip
        nx, nz = strip.shape[1:]
        wide = strip.nodes(strip.rows.wide)
        self._wide_shape = (strip.rows.wide.stop - strip.rows.wide.start, nx, nz)
        self._near = Multigrid(
            strip.mass[wide, wide].tocsr(), strip.laplace[wide, wide].tocsr(), self._wide_shape, free
        )
        along_y, along_x = _sparse_columns(rows, nx)
        everywhere = sparse.kron(along_y[strip.rows.all], along_x).tocsr()
        own = strip.rows.within(strip.rows.own)
        self._spread = everywhere[own.start * nx : own.stop * nx]
        mass, laplace = (self._far_matrix(matrix, everywhere) for matrix in (strip.mass, strip.laplace))
        self._far = Multigrid(mass, laplace, (along_y.shape[1], along_x.shape[1], nz), free)

    def set_volume(self, weights: tuple[float, float, float]) -> None:
        """Set the volume's matrices are; see `Multigrid`."""
        self._near.set_volume(weights)
        self._far.set_volume(weights)

    def set_coupling(self, slopes: list[Slopes], held: tuple[tuple[bool, bool], ...]) -> None:
        """Set how c and ψ are coupled on the electrode, and on the anode where there is one.

        Parameters
        ----------
        slopes : list of 2 × (own columns,) float64
            Current by concentration and by potential.
        held : 2 bool for each electrode
            Whether c and ψ are held there.
        """
        near, far = [], []
        for pair, at in zip(slopes, held, strict=False):
            widened = self._strip.widen(np.stack(pair).reshape(2, *self._strip.shape[:2]).swapaxes(0, 1))
            near.append(Coupling.of(*widened.swapaxes(0, 1).reshape(2, -1), held=at))
            own = Coupling.of(*pair, held=at).coarser(self._spread)
            far.append(Coupling(self._summed_blocks(own)))
        self._near.set_coupling(near[0], near[1] if len(near) > 1 else None)
        self._far.set_coupling(far[0], far[1] if len(far) > 1 else None)

    def cycle(self, right: NDArray[np.float64], times: Operator) -> NDArray[np.float64]:
        """Approximate the solution for ``right``, (2, own columns, nz); ``times`` is the Jacobian."""
        x = self._across(right)
        x += self._beside(right - times(x))
        return x

    def _across(self, right: NDArray[np.float64]) -> NDArray[np.float64]:
        back = self._spread.T
        far = np.stack([back @ field for field in right])
        whole = np.empty_like(far)
        self._strip.comm.Allreduce(far, whole)
        return np.stack([self._spread @ field for field in self._far.cycle(whole)])

    def _beside(self, right: NDArray[np.float64]) -> NDArray[np.float64]:
        strip = self._strip
        by_row = right.reshape(2, *strip.shape).swapaxes(0, 1)
        wide = strip.widen(by_row).swapaxes(0, 1).reshape(2, -1, strip.shape[2])
        found = self._near.cycle(np.ascontiguousarray(wide)).reshape(2, *self._wide_shape)
        before = strip.rows.own.start - strip.rows.wide.start
        return found[:, before : before + strip.shape[0]].reshape(right.shape)

    def _far_matrix(self, matrix: Matrix, everywhere: Matrix) -> Matrix:
        strip = self._strip
        line = sparse.eye_array(strip.shape[2])
        own = sparse.kron(self._spread, line, format="csr").T
        rows = matrix[strip.nodes(strip.rows.own)]
        return self._summed(own @ (rows @ sparse.kron(everywhere, line, format="csr")))

    def _summed_blocks(self, coupling: Coupling) -> tuple[tuple[Matrix, Matrix], tuple[Matrix, Matrix]]:
        (a, b), (c, d) = ((self._summed(block) for block in row) for row in coupling.blocks)
        return (a, b), (c, d)

    def _summed(self, matrix: Matrix) -> Matrix:
        """Add up the ranks' matrices on every rank."""
        parts = self._strip.comm.allgather(matrix.tocsr())
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total.tocsr()


def _sparse_columns(ny: int, nx: int) -> tuple[Matrix, Matrix]:
    """Interpolate linearly along y and along x from sparse columns."""
    along = [sparse.eye_array(n, format="csr") for n in (ny, nx)]
    distance = 1
    while distance < _SPARSE or along[0].shape[1] * along[1].shape[1] > _MAX_SPARSE:
        along = [matrix @ halving(matrix.shape[1]) for matrix in along]
        distance *= 2
    return along[0].tocsr(), along[1].tocsr()
