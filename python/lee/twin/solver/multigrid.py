"""Multigrid over columns: whole z-lines are smoothed, and only x and y are coarsened.

Cells are thin at the electrode and long at the bulk, so that the strong coupling turns from z to x and y on
the way up. A line's unknowns are solved together, which disposes of the first; coarse grids in x and y
dispose of the second. A line is one chain: ψ from the bulk down to the electrode, then c from the electrode
up; the reaction couples the two where they meet. Coarse matrices are Pᵀ A P with linear interpolation.

Vectors are (2, columns, nz): c and ψ, float32 inside. Where a field is held its entries are zero, before and
after.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import lapack
from scipy.sparse.linalg import splu

from lee.twin.solver.coupling import Coupling
from lee.twin.solver.matrix import Matrix, single, weighted_sum

# A grid of no more columns is solved directly; more are allowed in a single row of cells, whose factors are
# small.
_DIRECT_COLUMNS, _DIRECT_ROW = 16, 800


class Multigrid:
    """A V-cycle for the Jacobian of c and ψ.

    Parameters
    ----------
    mass, laplace : sparse (nodes, nodes)
        On the finest mesh, nodes numbered [y, x, k].
    shape : (ny, nx, nz)
    free : (2, nz) bool
        Which nodes of a column are unknown, for c and for ψ.
    """

    def __init__(
        self, mass: Matrix, laplace: Matrix, shape: tuple[int, int, int], free: NDArray[np.bool_]
    ) -> None:
        # An approximate inverse is as good in single precision.
        self._levels = [_Level(single(mass), single(laplace), shape, free)]
        while self._levels[-1].interpolation is not None:
            self._levels.append(self._levels[-1].coarser())

    def set_volume(self, weights: tuple[float, float, float]) -> None:
        """Set the volume's matrices: c has ``w₀ mass + w₁ laplace``, ψ has ``w₂ laplace``."""
        for level in self._levels:
            level.set_volume(weights)

    def set_coupling(self, electrode: Coupling, anode: Coupling | None) -> None:
        """Set how c and ψ are coupled on the electrode, and on the anode where there is one."""
        for level in self._levels:
            level.set_coupling(electrode, anode)
            if level.interpolation is not None:
                electrode = electrode.coarser(level.interpolation)
                anode = None if anode is None else anode.coarser(level.interpolation)

    def cycle(self, right: NDArray[np.float64]) -> NDArray[np.float64]:
        """Approximate the solution for ``right``, (2, columns, nz)."""
        return self._cycle(0, right.astype(np.float32)).astype(np.float64)

    def _cycle(self, at: int, right: NDArray[np.float64]) -> NDArray[np.float64]:
        level = self._levels[at]
        if level.interpolation is None:
            return level.solve(right)
        x = np.zeros_like(right)
        level.smooth(x, right, forth=True)
        rest = right - level.times(x)
        back = level.interpolation.T
        coarse = self._cycle(at + 1, np.stack([back @ field for field in rest]))
        for field, change in zip(x, coarse, strict=True):
            field += level.interpolation @ change
        level.smooth(x, right, forth=False)
        return x


class _Level:
    """One grid. Neighbouring columns never have one colour, so that a colour's lines are solved at once."""

    def __init__(
        self, mass: Matrix, laplace: Matrix, shape: tuple[int, int, int], free: NDArray[np.bool_]
    ) -> None:
        self._shape, self._free = shape, free
        self._mass, self._laplace = mass, laplace
        y, x = np.divmod(np.arange(shape[0] * shape[1]), shape[1])
        colour = y % 2 * 2 + x % 2
        self._colours = [np.flatnonzero(colour == c) for c in range(4) if (colour == c).any()]
        self.interpolation: Matrix | None = None
        if shape[0] * shape[1] > (_DIRECT_ROW if min(shape[:2]) <= 2 else _DIRECT_COLUMNS):
            along = [halving(n) for n in shape[:2]]
            self.interpolation = sparse.kron(along[0], along[1]).tocsr().astype(np.float32)
            self._coarse_shape = (along[0].shape[1], along[1].shape[1], shape[2])

    def coarser(self) -> _Level:
        whole = sparse.kron(
            self.interpolation, sparse.eye_array(self._shape[2], dtype=np.float32), format="csr"
        )
        back = whole.T.tocsr()
        mass, laplace = ((back @ matrix @ whole).tocsr() for matrix in (self._mass, self._laplace))
        return _Level(mass, laplace, self._coarse_shape, self._free)

    def set_volume(self, weights: tuple[float, float, float]) -> None:
        salt = weighted_sum((weights[0], self._mass), (weights[1], self._laplace))
        self._volume = [salt, weighted_sum((weights[2], self._laplace))]
        nz = self._shape[2]
        if self.interpolation is not None:
            nodes = [(c[:, None] * nz + np.arange(nz)).ravel() for c in self._colours]
            self._rows = [[matrix[n] for matrix in self._volume] for n in nodes]
        bands = []
        for matrix, free in zip(self._volume, self._free, strict=True):
            band = np.zeros((3, matrix.shape[0]), np.float32)
            band[0, 1:], band[1], band[2, :-1] = (matrix.diagonal(k) for k in (-1, 0, 1))
            band = band.reshape(3, -1, nz)
            band[:, :, ~free] = np.array([0.0, 1.0, 0.0])[:, None, None]
            band[0, :, 1:][:, ~free[:-1]] = 0
            band[2, :, :-1][:, ~free[1:]] = 0
            bands.append(band)
        c, psi = bands
        # Down ψ, then up c: reversing a line exchanges its lower and its upper band.
        self._bands = np.concatenate([psi[::-1, :, ::-1], c], axis=2)

    def set_coupling(self, electrode: Coupling, anode: Coupling | None) -> None:
        self._ends = [(0, electrode)] if anode is None else [(0, electrode), (-1, anode)]
        if self.interpolation is None:
            self._direct = splu(self._whole().tocsc().astype(np.float64))
            return
        nz = self._shape[2]
        lower, diagonal, upper = (band.copy() for band in self._bands)
        here = electrode.diagonals()
        diagonal[:, nz - 1] += here[1, 1]
        diagonal[:, nz] += here[0, 0]
        upper[:, nz - 1], lower[:, nz] = here[1, 0], here[0, 1]
        if anode is not None:
            there = anode.diagonals()
            diagonal[:, 0] += there[1, 1]
            diagonal[:, -1] += there[0, 0]
        # Lines end to end are one tridiagonal matrix: nothing couples a line's end to the next one's start.
        self._lines = [
            lapack.sgttrf(lower[c].ravel()[1:], diagonal[c].ravel(), upper[c].ravel()[:-1])[:5]
            for c in self._colours
        ]
        self._row_ends = [[(k, coupling.rows(c)) for k, coupling in self._ends] for c in self._colours]

    def times(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        out = np.stack([a @ field.ravel() for a, field in zip(self._volume, x, strict=True)]).reshape(x.shape)
        for k, coupling in self._ends:
            out[:, :, k] += coupling.times(x[:, :, k])
        out *= self._free[:, None, :]
        return out

    def smooth(self, x: NDArray[np.float64], right: NDArray[np.float64], *, forth: bool) -> None:
        nz = self._shape[2]
        turns = range(len(self._colours))
        for turn in turns if forth else reversed(turns):
            columns = self._colours[turn]
            rest = right[:, columns]
            for field in range(2):
                rest[field] -= (self._rows[turn][field] @ x[field].ravel()).reshape(-1, nz)
            for k, coupling in self._row_ends[turn]:
                rest[:, :, k] -= coupling.times(x[:, :, k])
            rest *= self._free[:, None, :]
            chain = np.concatenate([rest[1, :, ::-1], rest[0]], axis=1)
            change = lapack.sgttrs(*self._lines[turn], chain.ravel())[0].reshape(chain.shape)
            x[0, columns] += change[:, nz:]
            x[1, columns] += change[:, nz - 1 :: -1]

    def solve(self, right: NDArray[np.float64]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = self._direct.solve(right.ravel().astype(np.float64))
        return found.astype(right.dtype).reshape(right.shape)

    def _whole(self) -> Matrix:
        """Return the matrix of both fields, held entries replaced by the identity's."""
        count, nz = self._volume[0].shape[0], self._shape[2]
        blocks: list[list[Matrix | None]] = [[self._volume[0], None], [None, self._volume[1]]]
        whole = sparse.block_array(blocks, format="csr")
        for k, coupling in self._ends:
            nodes = np.arange(k % nz, count, nz)
            put = sparse.csr_array(
                (np.ones(len(nodes)), (nodes, np.arange(len(nodes)))), shape=(count, len(nodes))
            )
            both = sparse.block_diag([put, put], format="csr")
            whole = whole + both @ sparse.block_array([list(row) for row in coupling.blocks]) @ both.T
        free = np.repeat(self._free[:, None, :], count // nz, axis=1).ravel().astype(float)
        keep = sparse.diags_array(free)
        return keep @ whole @ keep + sparse.diags_array(1 - free)


def halving(nodes: int) -> Matrix:
    """Interpolate linearly from every other node, the last one included."""
    if nodes <= 2:
        return sparse.eye_array(nodes, format="csr")
    coarse = np.unique(np.append(np.arange(0, nodes, 2), nodes - 1))
    fine = np.arange(nodes)
    left = np.clip(np.searchsorted(coarse, fine, side="right") - 1, 0, len(coarse) - 2)
    weight = (fine - coarse[left]) / (coarse[left + 1] - coarse[left])
    rows = np.concatenate([fine, fine])
    values, columns = np.concatenate([1 - weight, weight]), np.concatenate([left, left + 1])
    kept = values != 0
    return sparse.csr_array((values[kept], (rows[kept], columns[kept])), shape=(nodes, len(coarse)))
