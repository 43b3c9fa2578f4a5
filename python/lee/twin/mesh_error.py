"""How much the layers of a mesh are off: a flat electrode solved on them, and on half as many."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lee.twin.cell import Cell
from lee.twin.mesh.columns import Columns
from lee.twin.model import model_over
from lee.twin.solver.newton import SubstepSolver
from lee.twin.solver.stepping import Stepper
from lee.twin.solver.time_loop import StoppedEarly

_FEWEST = 4
# Of second order: half as many layers err four times as much.
_ORDER_SHARE = 1 / 3
_TOLERANCE = 3e-4
# Percent: below it errors of several signs and of the time steps make the estimate too uncertain.
_SMALL = 0.2
_SHARES = (0.03, 0.1, 0.3, 0.6, 1.0)


def layers_note(cell: Cell, share: NDArray[np.float64], end_s: float) -> str:
    """Estimate the error of the concentration at the electrode that is due to the layers.

    Parameters
    ----------
    cell : Cell
    share : (nz,) float64
        The mesh's layers.
    end_s : float

    Returns
    -------
    str
        One line; empty where no estimate can be made: too few layers, or a flat electrode that runs out of
        ions before.
    """
    if len(share) <= 2 * _FEWEST or end_s <= 0:
        return ""
    coarse = np.unique(np.append(share[::2], share[-1]))
    try:
        fine, rough = (_at_electrode(cell, layers, end_s) for layers in (share, coarse))
    except StoppedEarly:
        return ""
    # At a single time errors of both signs may cancel.
    error = 100 * _ORDER_SHARE * float(np.abs(rough / fine - 1).max())
    size = f"about {error:.1g} %" if error > _SMALL else f"less than {_SMALL:g} %"
    return (
        f"layers: over a flat electrode the concentration to {end_s:.4g} s is off by {size}, estimated from "
        f"{len(coarse) - 1} layers in place of {len(share) - 1}"
    )


def _at_electrode(cell: Cell, share: NDArray[np.float64], end_s: float) -> NDArray[np.float64]:
    """Solve a single column of cells; return c/c₀ at the electrode at some times."""
    flat, ends = np.zeros((2, 2)), np.array([0.0, 10.0])
    columns = Columns(
        x_um=ends, y_um=ends, share=share, height_um=flat, plane_um=cell.distance_um,
        pixels_um=np.zeros((1, 1)), filled=np.zeros((1, 1), bool), pixel_um=10.0,
        area_factor=np.ones((2, 2)), notes=(),
    )  # fmt: skip
    model = model_over(columns, replace(cell, efficiency=1.0), "tertiary", None, None)
    volume = model.volume(columns.z_um(flat, columns.plane_um))
    solver = SubstepSolver(model.problem, columns.shape)
    stepper = Stepper(solver, lambda *_: lambda _: volume, model.start(volume), tolerance=_TOLERANCE)
    found = []
    for moment in end_s * np.array(_SHARES):
        while stepper.time_s < moment:
            stepper.step(moment)
        found.append(float(stepper.state.fields[0][0, 0]))
    return np.array(found)
