"""The reaction's derivatives, which couple c and ψ on the electrodes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from lee.twin.solver.matrix import Matrix


@dataclass(frozen=True)
class Coupling:
    """Derivatives on one electrode, columns × columns: rows (c, ψ), columns (c, ψ)."""

    blocks: tuple[tuple[Matrix, Matrix], tuple[Matrix, Matrix]]

    @classmethod
    def of(
        cls, by_c: NDArray[np.float64], by_psi: NDArray[np.float64], *, held: tuple[bool, bool]
    ) -> Coupling:
        """Couple each column to itself; a field that is held on the electrode takes no part."""
        c = sparse.diags_array(by_c).tocsr()
        psi = sparse.diags_array(by_psi).tocsr()
        none = sparse.csr_array(c.shape)
        c_row = (none if held[0] else c, none if any(held) else psi)
        psi_row = (none if any(held) else c, none if held[1] else psi)
        return cls((c_row, psi_row))

    def coarser(self, interpolation: Matrix) -> Coupling:
        """Take the Galerkin product of each block."""
        return self._each(lambda block: (interpolation.T @ block @ interpolation).tocsr())

    def rows(self, columns: NDArray[np.intp]) -> Coupling:
        """Keep these rows."""
        return self._each(lambda block: block[columns])

    def times(self, at: NDArray[np.float64]) -> NDArray[np.float64]:
        """Multiply with (2, columns)."""
        return np.stack([c @ at[0] + psi @ at[1] for c, psi in self.blocks])

    def diagonals(self) -> NDArray[np.float64]:
        """(2, 2, columns)."""
        return np.array([[block.diagonal() for block in row] for row in self.blocks])

    def _each(self, change: Callable[[Matrix], Matrix]) -> Coupling:
        kept = [[change(block) for block in row] for row in self.blocks]
        return Coupling(((kept[0][0], kept[0][1]), (kept[1][0], kept[1][1])))
