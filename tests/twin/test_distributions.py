"""Where the current goes: secondary over a sinusoid, primary in a Hull cell, against theory."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

from lee.twin import Cell, MeshSize, solve

WAVELENGTH_UM = 100.0
WAVENUMBER = 2 * np.pi / WAVELENGTH_UM


def with_wagner(wagner, cell):
    """Choose the exchange current that gives this Wagner number over 1/k."""

    def off(log_exchange):
        return np.log(
            replace(cell, exchange_current_a_per_m2=np.exp(log_exchange)).wagner_number(1 / WAVENUMBER)
            / wagner
        )

    return replace(cell, exchange_current_a_per_m2=np.exp(brentq(off, np.log(1e-4), np.log(1e6))))


def amplitude(values, x_um):
    """First cosine of values at even nodes, ends included."""
    weights = np.full(len(x_um), 2 / (len(x_um) - 1))
    weights[[0, -1]] /= 2
    return (weights * values * np.cos(WAVENUMBER * x_um)).sum()


@pytest.mark.parametrize("wagner", [0.01, 0.1, 1.0, 10.0, 100.0])
def test_a_sinusoidal_electrode_modulates_the_current_as_linear_theory_predicts(wagner):
    """δi/i = k a coth(kH) / (1 + Wa coth(kH)), Wa = κ k dη/di: first order in the amplitude a."""
    cell = with_wagner(wagner, Cell(layer_um=50.0, current_density_ma_per_cm2=1.0))
    x = (np.arange(256) + 0.5) * WAVELENGTH_UM / 256
    solution = solve(
        0.5 * np.cos(WAVENUMBER * x)[None],
        pixel_um=WAVELENGTH_UM / 256,
        cell=cell,
        kind="secondary",
        mesh=MeshSize(columns=(1, 64), layers=24),
        report=None,
    )
    fields = solution.fields
    raised = amplitude(fields.z_um[0, 0, :, 0], fields.x_um)
    distance = fields.z_um[0, 0, 0, -1] - 0.0
    coth = 1 / np.tanh(WAVENUMBER * distance)
    expected = WAVENUMBER * raised * coth / (1 + wagner * coth)
    found = amplitude(fields.current_density_ma_per_cm2[0, 0], fields.x_um) / 1.0
    assert found == pytest.approx(expected, rel=0.01)


def hull_cell(tilt_rad, width_um, short_um):
    """Return the primary current of a Hull cell, over its mean, at places along x.

    Schwarz–Christoffel: the upper half-plane's points 0, 1, m, ∞ become the low and the high corner of the
    tilted electrode and the two corners of the level one; the same points make the rectangle of the field.
    """
    low, high = 0.5 - tilt_rad / np.pi, 0.5 + tilt_rad / np.pi  # corners' angles over π

    def length(a, b, m):
        def speed(s):
            return abs(s) ** (low - 1) * abs(1 - s) ** (high - 1) * abs(m - s) ** -0.5

        middle = 0.5 * (a + b)
        return quad(speed, a, middle, limit=400)[0] + quad(speed, middle, b, limit=400)[0]

    slant = width_um / np.cos(tilt_rad)
    m = 1 + np.exp(
        brentq(
            lambda e: (
                length(1, 1 + np.exp(e), 1 + np.exp(e)) / length(0, 1, 1 + np.exp(e)) - short_um / slant
            ),
            -8,
            8,
        )
    )
    whole = length(0, 1, m)
    s = np.linspace(0.01, 0.99, 99)
    x = np.array([length(0, a, m) for a in s]) / whole * width_um
    density = s ** (0.5 - low) * (1 - s) ** (0.5 - high) * whole / slant
    field = quad(lambda t: abs(t) ** -0.5 * abs(1 - t) ** -0.5 * abs(m - t) ** -0.5, 0, 0.5)[0]
    field += quad(lambda t: abs(t) ** -0.5 * abs(1 - t) ** -0.5 * abs(m - t) ** -0.5, 0.5, 1)[0]
    return x, density / (field / slant)


def test_primary_current_of_a_hull_cell_away_from_its_singular_corner():
    tilt, width, short = np.radians(45), 100.0, 50.0
    x = (np.arange(200) + 0.5) * 0.5
    solution = solve(
        (x * np.tan(tilt))[None],
        pixel_um=0.5,
        cell=Cell(layer_um=short),
        kind="primary",
        mesh=MeshSize(columns=(1, 128), layers=48, first_um=0.6, smooth_um=0.0),
        report=None,
    )
    places, expected = hull_cell(tilt, width, short)
    found = solution.fields.current_density_ma_per_cm2[0, 0] * np.sqrt(2) / 80.0
    inside = (places > 10) & (places < 90)
    at_places = np.interp(places, solution.fields.x_um, found)
    np.testing.assert_allclose(at_places[inside], expected[inside], rtol=0.02)
    assert expected[inside].max() / expected[inside].min() > 3
    np.testing.assert_allclose(solution.overpotential_v, 0.0, atol=1e-9)


def test_total_current_is_the_one_asked_for_and_even_kinetics_follow_the_field():
    y, x = np.mgrid[:32, :32] * 4.0
    height = 8 * np.cos(np.pi * x / 64) * np.cos(np.pi * y / 64)
    spread = {}
    for kind in ("primary", "secondary"):
        solution = solve(height, pixel_um=4.0, cell=Cell(), kind=kind, report=None, mesh=MeshSize(layers=16))
        current = solution.current_density_ma_per_cm2[0]
        along_y, along_x = np.gradient(height, 4.0)
        assert (current * np.sqrt(1 + along_x**2 + along_y**2)).mean() == pytest.approx(80.0, rel=0.01)
        assert current[height > 7].mean() > current[height < -7].mean()
        spread[kind] = current.max() / current.min()
    assert spread["primary"] > spread["secondary"] > 1


@pytest.mark.parametrize("kind", ["primary", "secondary", "tertiary"])
def test_a_flat_closed_cell_before_anything_is_used_up(kind):
    """The voltage is ohmic, and of the reaction on both sides where there is one."""
    cell = Cell(gap_um=500.0)
    size = MeshSize(columns=(2, 2), layers=10)
    solution = solve(np.zeros((3, 3)), pixel_um=9.0, cell=cell, kind=kind, mesh=size, report=None)
    ohmic = -800 / 5.0 * 500e-6
    reverse = replace(cell, current_density_ma_per_cm2=-80.0)
    polarised = 0.0 if kind == "primary" else cell.overpotential_v - reverse.overpotential_v
    assert solution.times_s.tolist() == [0.0]
    assert solution.electrode_v[0] == pytest.approx(ohmic + polarised, abs=1e-6)
    np.testing.assert_allclose(solution.current_density_ma_per_cm2, 80.0, rtol=1e-6)
    np.testing.assert_allclose(solution.concentration_mol_per_l, 2.0, rtol=1e-12)


def test_exchange_current_and_efficiency_may_be_maps():
    x = (np.arange(64) + 0.5) * 2.0
    left = np.where(x < 64, 2.0, 1.0)[None]
    common = {"pixel_um": 2.0, "cell": Cell(), "mesh": MeshSize(columns=(1, 32), layers=16), "report": None}
    even = solve(np.zeros((1, 64)), kind="secondary", **common)
    active = solve(np.zeros((1, 64)), kind="secondary", exchange_current=30 * left, **common)
    current = active.current_density_ma_per_cm2[0, 0]
    assert current[5] > 1.05 * even.current_density_ma_per_cm2[0, 0, 5]
    assert current.mean() == pytest.approx(80.0, rel=1e-3)
    yielding = solve(np.zeros((1, 64)), kind="secondary", efficiency=0.5 * left, **common)
    np.testing.assert_allclose(
        yielding.normal_rate_nm_per_s, even.normal_rate_nm_per_s * (0.5 * left).astype(np.float32), rtol=1e-6
    )
