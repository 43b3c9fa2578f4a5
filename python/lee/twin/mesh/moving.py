"""Matrices of a mesh whose columns stretch while the electrode and the plane above it move.

In a step the nodes move at constant speed and in z only: the mass matrix is then linear in time, and what
the mesh sweeps over, ∫ c w ∂v/∂z, has a constant matrix. The electrolyte is assumed to be lifted with the
electrode under it, each column as a whole: divergence-free, and no salt passes the moving wall. Against it
the mesh moves at w = share · (speed of the plane − speed of the electrode), a few nm/s: some thousandths of
diffusion's speed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lee.twin.solver.equations import Volume
from lee.twin.solver.forms import Forms
from lee.twin.solver.matrix import Matrix, weighted_sum
from lee.twin.solver.stepping import Geometry


@dataclass(frozen=True)
class MeshPosition:
    """Where the mesh is: the electrode's heights (ny, nx) and the plane's, µm."""

    height_um: NDArray[np.float64]
    plane_um: float


class MovingMesh:
    """Keeps the matrices of the last position, and makes those of a step from it.

    Parameters
    ----------
    forms : Forms
    share : (nz,) float64
    position : MeshPosition
    """

    def __init__(self, forms: Forms, share: NDArray[np.float64], position: MeshPosition) -> None:
        self._forms, self._share = forms, share
        self.position = position
        self._move_to(position)
        self._mass: Matrix = forms.mass()
        self._laplace: Matrix = forms.laplace()
        self._area = forms.electrode_area()

    def toward(self, end: MeshPosition, begin_s: float, length_s: float) -> Geometry:
        """Return the matrices at any time of a step that ends at a position."""
        begin, forms = self.position, self._forms
        speed = (end.height_um - begin.height_um) / length_s
        plane_speed = (end.plane_um - begin.plane_um) / length_s
        drift = forms.drift((plane_speed - speed)[..., None] * self._share)
        self._move_to(end)
        last = forms.mass(), forms.laplace(), forms.electrode_area()
        self._next = end, *last

        def at(time_s: float) -> Volume:
            passed = min(max((time_s - begin_s) / length_s, 0.0), 1.0)
            # The mass is linear in time, the others are but for the square of what the mesh moves in a step.
            mass, laplace = (
                weighted_sum((1 - passed, before), (passed, after))
                for before, after in zip((self._mass, self._laplace), last, strict=False)
            )
            area = (1 - passed) * self._area + passed * last[2]
            # Whatever else is assembled at this time belongs to where the mesh is then.
            self._move_to(
                MeshPosition(
                    begin.height_um + passed * (end.height_um - begin.height_um),
                    begin.plane_um + passed * (end.plane_um - begin.plane_um),
                )
            )
            return Volume(mass, laplace, drift, area)

        return at

    def accept(self) -> None:
        """Stay where the last step ended."""
        self.position, self._mass, self._laplace, self._area = self._next

    def saved(self) -> Any:
        """Return what `go_back` needs."""
        return self.position, self._mass, self._laplace, self._area

    def go_back(self, saved: Any) -> None:
        """Return to where `saved` was called."""
        self.position, self._mass, self._laplace, self._area = saved

    def z_um(self, position: MeshPosition) -> NDArray[np.float64]:
        """Heights of the nodes at a position, (ny, nx, nz)."""
        return position.height_um[..., None] * (1 - self._share) + position.plane_um * self._share

    def _move_to(self, position: MeshPosition) -> None:
        self._forms.move(self.z_um(position))
