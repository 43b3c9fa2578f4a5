"""The twin's cell: what it may hold, what it foretells, and its file."""

import math
from dataclasses import fields, replace

import pytest

from lee.errors import InputError
from lee.twin import Cell


def test_the_default_is_two_molar_zinc_sulfate_each_parameter_with_unit_and_source():
    cell = Cell()
    assert (cell.layer_um, cell.gap_um) == (100.0, None)
    for parameter in fields(cell):
        assert parameter.metadata["unit"]
        assert len(parameter.metadata["source"]) > 5


def test_dilute_ions_give_the_default_diffusivity_and_transference():
    cation, anion = 0.703e-9, 1.065e-9
    assert Cell().diffusivity_m2_per_s == pytest.approx(2 * cation * anion / (cation + anion), rel=1e-3)
    assert Cell().transference == pytest.approx(cation / (cation + anion), abs=1e-3)


def test_sand_time_limiting_current_and_growth_of_known_cells():
    cell = Cell()
    flux = (1 - 0.398) * 800 / (2 * 96485.33212)
    assert cell.sand_time_s == pytest.approx(math.pi * 0.847e-9 * (2000 / (2 * flux)) ** 2, rel=1e-12)
    assert cell.limiting_current_ma_per_cm2 == pytest.approx(80 * 0.847e-9 * 2000 / 1e-4 / flux, rel=1e-12)
    closed = Cell(gap_um=100)
    assert closed.limiting_current_ma_per_cm2 == pytest.approx(2 * cell.limiting_current_ma_per_cm2)
    assert cell.growth_nm_per_s == pytest.approx(38.0, abs=0.1)
    assert Cell(current_density_ma_per_cm2=0).sand_time_s == math.inf


@pytest.mark.parametrize("current", [-80.0, -0.1, 0.0, 0.1, 80.0, 5000.0])
def test_overpotential_gives_the_current_back_and_its_slope_is_the_derivative(current):
    cell = Cell(current_density_ma_per_cm2=current)
    thermal = cell.thermal_voltage_v

    def plated(eta_v):
        return 30.0 * (math.exp(-0.5 * eta_v / thermal) - math.exp(1.5 * eta_v / thermal))

    eta = cell.overpotential_v
    assert plated(eta) == pytest.approx(current * 10, rel=1e-9, abs=1e-9)
    slope = (plated(eta - 1e-6) - plated(eta + 1e-6)) / 2e-6
    assert cell.polarisation_slope_ohm_m2 == pytest.approx(1 / slope, rel=1e-6)
    assert cell.wagner_number(50) == pytest.approx(5.0 / slope / 50e-6, rel=1e-6)
    assert cell.wagner_number() == pytest.approx(cell.wagner_number(100))


def test_the_potential_of_a_zinc_reference_and_of_a_lithium_one():
    # Newman and Thomas-Alyea, eq. 12.27: RT/F (1 - t) for a 2:2 salt, 2 RT/F (1 - t) for a 1:1 salt.
    assert Cell().diffusion_potential == pytest.approx(1 - 0.398)
    assert Cell(charge=1).diffusion_potential == pytest.approx(2 * (1 - 0.398))


def test_summary_states_what_is_predicted():
    text = Cell().summary()
    assert "Sand time 427" in text
    assert "Wagner number" in text
    assert "limiting current" in text
    assert "\n" not in text


def test_a_file_gives_the_same_cell_back(tmp_path):
    for cell in (Cell(), Cell(gap_um=2000.0, transference=0.4, charge=1), Cell(layer_um=50.0)):
        cell.save(tmp_path / "cell.toml")
        assert Cell.load(tmp_path / "cell.toml") == cell
        assert replace(cell) == cell
    assert "# mA/cm²; default: plating" in Cell().to_toml()
    assert Cell.load({}) == Cell()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"diffusivity_m2_per_s": -1e-9}, "cell: diffusivity_m2_per_s is -1e-09 m²/s; it must be above 0"),
        (
            {"concentration_mol_per_l": 0},
            "concentration_mol_per_l is 0 mol/L; it must be above 0 and at most 20",
        ),
        ({"conductivity_s_per_m": None}, "conductivity_s_per_m is None; it must be a number, in S/m"),
        ({"gamma": math.nan}, "gamma is nan; it must be a number"),
        ({"charge": 1.5}, "charge is 1.5; it must be a whole number"),
        ({"transference": "0.4"}, "transference is '0.4'; it must be a number"),
        ({"efficiency": 1.6}, "efficiency is 1.6; it must be at least 0 and at most 1.5"),
        ({"efficiency": -0.1}, "efficiency is -0.1; it must be at least 0 and at most 1.5"),
        ({"layer_um": 10, "gap_um": 20}, "layer_um and gap_um are both given; give one"),
    ],
)
def test_impossible_cells_are_reported_in_one_line(given, message):
    with pytest.raises(InputError, match=message) as caught:
        Cell(**given)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_used_is_reported_with_its_name(tmp_path):
    path = tmp_path / "cell.toml"
    with pytest.raises(InputError, match=r"cell\.toml: cannot be read"):
        Cell.load(path)
    path.write_text("[cell\n")
    with pytest.raises(InputError, match=r"cell\.toml: is not TOML"):
        Cell.load(path)
    path.write_text("[cell]\nlayer = 5\n")
    with pytest.raises(
        InputError, match=r"cell\.toml: unknown key 'layer'; keys are concentration_mol_per_l"
    ):
        Cell.load(path)
    path.write_text("layer_um = 5\n")
    with pytest.raises(InputError, match="unknown section or key 'layer_um'"):
        Cell.load(path)
