"""Thickness of the mesh's layers, from the electrode to the bulk plane or the anode."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lee.errors import InputError
from lee.twin.cell import Cell

# Layers grow by this factor from the electrode, and from the anode, where a richer electrolyte asks for less.
_GROWTH, _ANODE_GROWTH = 1.3, 1.4
# Of the diffusion length at the Sand time: the thickest layer within so many of them, chosen so that Sand's
# solution holds to 0.15 % where it is hardest, at 0.8 of the Sand time.
_THICKEST, _WITHIN = 0.07, 1.7
_FIRST_UM = 5.0


def shares(cell: Cell, *, layers: int | None, first_um: float | None) -> NDArray[np.float64]:
    """Return the nodes' positions along a column, 0 to 1.

    Parameters
    ----------
    cell : Cell
    layers : int or None
        That many, growing by one factor (in a gap, to the middle and back). Without it, layers that follow
        the diffusion layer: none is thicker than a share of the diffusion length at the Sand time, as far as
        that reaches, or of the layer or half the gap where they are smaller.
    first_um : float or None
        The first layer.

    Raises
    ------
    InputError
        If they do not fill the distance.
    """
    thin = 2.0 if layers is not None else _FIRST_UM
    first = first_um if first_um is not None else min(cell.distance_um / 100, thin)
    if (layers is not None and layers < 2) or not 0 < first < cell.distance_um:
        raise InputError(
            f"mesh: {layers} layers, the first of {first:g} µm, do not fill {cell.distance_um:g} µm; "
            "give at least 2 layers, the first thinner than the layer or gap"
        )
    if layers is not None:
        if cell.gap_um is None:
            return _graded(layers, first / cell.distance_um)
        half = 0.5 * _graded((layers + 1) // 2, 2 * first / cell.distance_um)
        return np.concatenate([half, 1 - half[-2::-1]])
    far = cell.distance_um if cell.gap_um is None else cell.gap_um / 2
    length = min(float(np.sqrt(cell.diffusivity_m2_per_s * cell.sand_time_s)) * 1e6, far)
    electrode = _following(far, first, _GROWTH, length)
    if cell.gap_um is None:
        return electrode
    anode = _following(far, first, _ANODE_GROWTH, np.inf)
    return np.concatenate([0.5 * electrode, 1 - 0.5 * anode[-2::-1]])


def _following(far_um: float, first_um: float, growth: float, length_um: float) -> NDArray[np.float64]:
    """Split 1 into layers that grow from `first_um`, but not above the limit within the diffusion layer."""
    places, thickness = [0.0], first_um
    while places[-1] < far_um:
        places.append(places[-1] + thickness)
        within = places[-1] < _WITHIN * length_um
        limit = max(_THICKEST * length_um, first_um) if within else np.inf
        thickness = min(thickness * growth, limit)
    return np.array(places) / places[-1]


def _graded(layers: int, first: float) -> NDArray[np.float64]:
    """Split 1 into layers that grow by a constant factor from `first`; even ones where that is enough."""
    if layers == 1 or first * layers >= 1:
        return np.linspace(0, 1, layers + 1)
    low, high = 1.0, (1 / first) ** (1 / (layers - 1)) + 1
    for _ in range(200):
        factor = 0.5 * (low + high)
        low, high = (factor, high) if first * np.sum(factor ** np.arange(layers)) < 1 else (low, factor)
    places = np.concatenate([[0.0], np.cumsum(factor ** np.arange(layers))])
    return np.asarray(places / places[-1])
