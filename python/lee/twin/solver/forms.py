"""The twin's equations in NGSolve's symbolic form, and their matrices on a mesh of columns.

In the electrolyte, of concentration c and potential φ (against a reference electrode of the deposited metal),

    ∂c/∂t + u·∇c = ∇·(D ∇c),        ∇·i = 0,    i = −κ ∇ψ,    ψ = φ − (RT/F) a ln(c/c₀),

with a = (2/z)(1 − t₊)(1 + d ln f±/d ln c): Newman and Thomas-Alyea, Electrochemical Systems (3rd ed.), eqs.
12.14 and 12.27, for constant D, t₊ and κ. In ψ the ohmic and the concentration term are one, so that the
volume's equations are linear and the two fields meet on the electrodes only.
"""

from __future__ import annotations

import os
from functools import cached_property
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from lee.errors import MissingDependency, install_extra
from lee.twin.solver.matrix import Matrix

# More threads wait for memory.
_MAX_THREADS = 8
# Waking and joining threads costs more than a smaller mesh's matrix.
_NODES_FOR_THREADS = 10_000

Symbol: TypeAlias = Any
"""An object of NGSolve or Netgen, which carry no types: coefficient function, form, region, or mesh."""


def import_ngsolve() -> ModuleType:
    """Import NGSolve.

    Raises
    ------
    MissingDependency
        If it is not installed.
    """
    try:
        import ngsolve
    except ImportError as error:
        raise MissingDependency(f"the twin needs NGSolve ({error}); {install_extra('twin')}") from error
    return ngsolve  # type: ignore[no-any-return]


class Forms:
    """Trilinear hexahedra in columns; nodes are numbered [y, x, k], k fastest and 0 on the electrode.

    Parameters
    ----------
    x_um, y_um : (nx,), (ny,) float64
        Positions of the columns of nodes.
    share : (nz,) float64
        Positions of the nodes along a column, 0 on the electrode to 1.
    """

    def __init__(
        self, x_um: NDArray[np.float64], y_um: NDArray[np.float64], share: NDArray[np.float64]
    ) -> None:
        self._ng = import_ngsolve()
        self._ng.SetNumThreads(min(os.cpu_count() or 1, _MAX_THREADS))
        self.shape = (len(y_um), len(x_um), len(share))
        # NGSolve moves a mesh by a deformation; this one is of the size of the real one.
        self._rest = share * (x_um[-1] - x_um[0])
        self._mesh = _hexahedra(self._ng, x_um, y_um, self._rest)
        self._space = self._ng.H1(self._mesh, order=1)
        self._moved = self._ng.GridFunction(self._ng.VectorH1(self._mesh, order=1))
        self._drift = self._ng.GridFunction(self._space)

    def move(self, z_um: NDArray[np.float64]) -> None:
        """Move the nodes to these heights, (ny, nx, nz)."""
        count = self._space.ndof
        self._moved.vec.FV().NumPy()[2 * count :] = (z_um - self._rest).ravel()
        self._mesh.SetDeformation(self._moved)

    def laplace(self) -> Matrix:
        """∫ ∇u·∇v, CSR."""
        return self._matrix(self._laplace)

    def mass(self) -> Matrix:
        """∫ u v, CSR."""
        return self._matrix(self._mass)

    def drift(self, velocity: NDArray[np.float64]) -> Matrix:
        """Carry u by a vertical velocity relative to it: −∫ u w ∂v/∂z + ∮ u w v over the plane, CSR."""
        self._drift.vec.FV().NumPy()[:] = velocity.ravel()
        return self._matrix(self._carried)

    def electrode_area(self) -> NDArray[np.float64]:
        """∮ v over the electrode, by column, (ny·nx,): the true area each column stands for."""
        return self._columns(self._ng.ds("electrode"))[:, 0].copy()

    def plane_area(self) -> NDArray[np.float64]:
        """∮ v over the bulk plane or the anode, by column, (ny·nx,)."""
        return self._columns(self._ng.ds("plane"))[:, -1].copy()

    def load(self, function: Symbol, region: Symbol) -> NDArray[np.float64]:
        """∫ f v of a coefficient function of NGSolve over ``dx`` or ``ds(...)``, (nodes,)."""
        form = self._ng.LinearForm(self._space)
        form += function * self._space.TestFunction() * region
        self._assemble(form)
        return np.array(form.vec.FV().NumPy())

    def difference(self, nodes: NDArray[np.float64], function: Symbol) -> float:
        """∫ (u − f)² between a field of the nodes and a coefficient function of NGSolve."""
        field = self._ng.GridFunction(self._space)
        field.vec.FV().NumPy()[:] = nodes.ravel()
        return float(self._ng.Integrate((field - function) ** 2, self._mesh, order=4))

    @cached_property
    def _laplace(self) -> Symbol:
        u, v = self._space.TnT()
        form = self._ng.BilinearForm(self._space)
        form += self._ng.grad(u) * self._ng.grad(v) * self._ng.dx
        return form

    @cached_property
    def _mass(self) -> Symbol:
        u, v = self._space.TnT()
        form = self._ng.BilinearForm(self._space)
        form += u * v * self._ng.dx
        return form

    @cached_property
    def _carried(self) -> Symbol:
        u, v = self._space.TnT()
        form = self._ng.BilinearForm(self._space)
        form += -u * self._drift * self._ng.grad(v)[2] * self._ng.dx
        # The plane is level, so that its normal is z.
        form += u * self._drift * v * self._ng.ds("plane")
        return form

    def _columns(self, region: Symbol) -> NDArray[np.float64]:
        return self.load(self._ng.CoefficientFunction(1.0), region).reshape(-1, self.shape[2])

    def _matrix(self, form: Symbol) -> Matrix:
        self._assemble(form)
        values, columns, rows = form.mat.CSR()
        index, pointer = self._pattern(columns, rows)
        matrix = sparse.csr_array((np.array(values), index, pointer), shape=(self._space.ndof,) * 2)
        # All matrices share one pattern; scipy need not look for its order each time.
        matrix.has_sorted_indices = True
        matrix.has_canonical_format = True
        return matrix

    def _assemble(self, form: Symbol) -> None:
        if self._space.ndof < _NODES_FOR_THREADS:
            form.Assemble()
            return
        with self._ng.TaskManager():
            form.Assemble()

    def _pattern(
        self, columns: NDArray[np.int32], rows: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        if not hasattr(self, "_kept"):
            self._kept = np.array(columns, dtype=np.int32), np.array(rows, dtype=np.int32)
        return self._kept


def _hexahedra(
    ngsolve: ModuleType, x: NDArray[np.float64], y: NDArray[np.float64], z: NDArray[np.float64]
) -> Symbol:
    from netgen.meshing import Mesh

    grid = np.meshgrid(y, x, z, indexing="ij")
    points = np.stack([grid[1], grid[0], grid[2]], axis=-1).reshape(-1, 3)
    node = np.arange(len(points), dtype=np.int32).reshape(len(y), len(x), len(z))
    around = (
        node[:-1, :-1],
        node[:-1, 1:],
        node[1:, 1:],
        node[1:, :-1],
    )
    hexahedra = np.stack([c[..., :-1] for c in around] + [c[..., 1:] for c in around], axis=-1)
    mesh = Mesh(dim=3)
    mesh.AddPoints(np.ascontiguousarray(points))
    mesh.AddElements(
        dim=3, index=mesh.AddRegion("electrolyte", dim=3), data=_rows(hexahedra.reshape(-1, 8)), base=0
    )
    # Turned so that both look out of the electrolyte.
    electrode = np.stack([around[c][..., 0] for c in (0, 3, 2, 1)], axis=-1)
    plane = np.stack([c[..., -1] for c in around], axis=-1)
    for name, quads in (("electrode", electrode), ("plane", plane)):
        mesh.AddElements(dim=2, index=mesh.AddRegion(name, dim=2), data=_rows(quads.reshape(-1, 4)), base=0)
    return ngsolve.Mesh(mesh)


def _rows(numbers: NDArray[np.int32]) -> NDArray[np.int32]:
    return np.ascontiguousarray(numbers, dtype=np.int32)
