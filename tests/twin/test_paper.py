"""The plating experiments' case: a trench 40 µm deep and 100 µm wide under a stirred layer of 100 µm."""

import numpy as np
import pytest

from lee.twin import Cell, MeshSize, solve

PIXEL_UM = 200 / 256
MIDDLE, EDGE = 128, 2


def trench():
    """Return heights of a field of 200 µm; walls fall over 10 µm each way."""
    x = (np.arange(256) + 0.5) * PIXEL_UM
    return -20 * (1 - np.tanh((np.abs(x - 100) - 50) / 10))[None]


def at_100_s(**more):
    return solve(
        trench(),
        pixel_um=PIXEL_UM,
        cell=Cell(),
        times_s=[100.0],
        mesh=MeshSize(columns=(1, 48)),
        report=None,
        **more,
    )


@pytest.fixture(scope="module")
def even():
    return at_100_s()


def test_concentrations_at_100_s(even):
    concentration = even.concentration_mol_per_l[0, 0]
    assert concentration[MIDDLE] == pytest.approx(1.60, abs=0.02)
    assert concentration[EDGE] == pytest.approx(1.71, abs=0.02)
    assert max(b.mass_error for b in even.balances) <= 1e-6
    assert max(b.charge_error for b in even.balances) <= 1e-6


def test_even_kinetics_never_plate_more_in_the_trench(even):
    """82 mA/cm² in the trench and 72 on the protrusion are reported; even kinetics give 63 and 74."""
    current = even.current_density_ma_per_cm2[0, 0]
    assert current[MIDDLE] == pytest.approx(63, abs=1)
    assert current[EDGE] == pytest.approx(74, abs=1)


@pytest.mark.slow
def test_an_exchange_current_half_as_large_again_in_the_trench_turns_it_round(even):
    share = np.clip(-trench() / 40, 0, 1)
    solution = at_100_s(exchange_current=30 * (1 + 0.5 * share))
    current = solution.current_density_ma_per_cm2[0, 0]
    assert current[MIDDLE] > current[EDGE]
    concentration = solution.concentration_mol_per_l[0, 0]
    assert concentration[MIDDLE] < even.concentration_mol_per_l[0, 0, MIDDLE]


def narrow_trench():
    """Return heights of a trench 40 µm wide and 50 µm deep, with walls of 68 degrees, at pixels of 1 µm."""
    x = np.arange(200) + 0.5
    return -25 * (1 - np.tanh((np.abs(x - 100) - 20) / 10))[None]


@pytest.mark.slow
def test_a_narrow_trench_rises_faster_than_what_surrounds_it_under_even_kinetics():
    """Along the normal it grows more slowly; but walls that close in raise the height, which is measured."""
    solution = solve(
        narrow_trench(), pixel_um=1.0, cell=Cell(), times_s=[40.0], mesh=MeshSize(columns=(1, 64)),
        tolerance=5e-4, report=None,
    )  # fmt: skip
    height_rate, normal_rate = solution.height_rate_nm_per_s[0, 0], solution.normal_rate_nm_per_s[0, 0]
    assert height_rate[75:125].mean() > 1.4 * height_rate[:20].mean()
    assert normal_rate[75:125].mean() < 0.85 * normal_rate[:20].mean()
    # Faraday's mean, whatever the shape.
    assert height_rate.mean() == pytest.approx(solution.cell.growth_nm_per_s, rel=0.003)
