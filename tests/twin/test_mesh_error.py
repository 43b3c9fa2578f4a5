"""The error of the layers, estimated: of the size of the true one."""

import re

import numpy as np
import pytest

from lee.twin import Cell
from lee.twin.mesh.layers import shares
from lee.twin.mesh_error import layers_note

pytest.importorskip("ngsolve")


def told(cell, end_s, layers=None):
    return layers_note(cell, shares(cell, layers=layers, first_um=None), end_s)


@pytest.mark.parametrize(("layers", "true"), [(20, 5.9), pytest.param(40, 0.9, marks=pytest.mark.slow)])
def test_few_layers_in_a_wide_gap_are_told(layers, true):
    """Their true errors to 0.8 of the Sand time, in percent, are those against the series."""
    cell = Cell(gap_um=2500.0)
    size = float(re.search(r"off by about (\S+) %", told(cell, 0.8 * cell.sand_time_s, layers)).group(1))
    assert 0.5 < size / true < 2


def test_layers_that_follow_the_diffusion_are_enough():
    for cell in (Cell(), Cell(gap_um=2500.0)):
        assert "less than 0.2 %" in told(cell, min(100.0, 0.8 * cell.sand_time_s))


def test_where_nothing_can_be_estimated_nothing_is_told():
    assert layers_note(Cell(), np.linspace(0, 1, 6), 10.0) == ""
    assert layers_note(Cell(current_density_ma_per_cm2=700.0), np.linspace(0, 1, 21), 100.0) == ""
    assert layers_note(Cell(), np.linspace(0, 1, 21), 0.0) == ""
