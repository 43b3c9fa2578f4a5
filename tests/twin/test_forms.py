"""Matrices of the twin's equations on columns of hexahedra, against integrals known in closed form."""

import builtins

import numpy as np
import pytest

from lee.errors import MissingDependency
from lee.twin import Cell, solve
from lee.twin.solver.forms import Forms

X, Y = np.linspace(0, 3, 7), np.linspace(0, 2, 5)
SHARE = np.array([0.0, 0.1, 0.3, 0.6, 1.0])


def sheared(slope=0.5, plane=4.0):
    """Columns over a slanted electrode: h = slope·x under a level plane."""
    forms = Forms(X, Y, SHARE)
    height = np.broadcast_to(slope * X, (len(Y), len(X)))
    z = height[..., None] * (1 - SHARE) + plane * SHARE
    forms.move(z)
    return forms, z


def test_the_mass_is_the_volume_and_the_area_the_true_one():
    forms, _ = sheared()
    assert forms.mass().sum() == pytest.approx(2 * (3 * 4 - 0.5 * 4.5), rel=1e-12)
    assert forms.electrode_area().sum() == pytest.approx(6 * np.sqrt(1.25), rel=1e-12)
    assert forms.plane_area().sum() == pytest.approx(6, rel=1e-12)


def test_the_laplacian_gives_the_energy_of_linear_fields_and_keeps_constants():
    forms, z = sheared()
    volume = 2 * (3 * 4 - 0.5 * 4.5)
    grid = np.meshgrid(Y, X, SHARE, indexing="ij")
    field = (2 * grid[1] - grid[0] + 3 * z).ravel()
    laplace = forms.laplace()
    assert field @ laplace @ field == pytest.approx((4 + 1 + 9) * volume, rel=1e-12)
    assert np.abs(laplace @ np.ones(field.size)).max() < 1e-12
    assert abs(laplace - laplace.T).max() < 1e-12


def test_the_drift_moves_no_constant_where_the_mesh_is_swept_evenly():
    """−∫ w ∂v/∂z + ∮ w v over the plane is ∮ w v over the electrode's foot for even w."""
    forms, z = sheared()
    held = forms.drift(np.full(z.shape, 0.7)) @ np.ones(z.size)
    rows = held.reshape(z.shape)
    assert np.abs(rows[..., 1:]).max() < 1e-12
    assert rows[..., 0].sum() == pytest.approx(0.7 * 6, rel=1e-12)


def test_without_ngsolve_it_states_how_to_install_it(monkeypatch):
    real = builtins.__import__

    def absent(name, *rest, **more):
        if name == "ngsolve":
            raise ImportError("No module named 'ngsolve'")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(MissingDependency, match=r'pip install "\.\[twin\]" in the folder of lee'):
        solve(np.zeros((2, 2)), pixel_um=1, cell=Cell(), report=None)
