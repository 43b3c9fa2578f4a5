"""The electrode that moves with its deposit: how far, how it ends, and how it goes on."""

import numpy as np
import pytest

import lee.twin.growth
import lee.twin.moving_electrode
from lee.errors import InputError
from lee.twin import Cell, MeshSize, grow, solve

PIXEL_UM = 100 / 32
SMALL = MeshSize(columns=(1, 16), layers=10)


def trench(depth_um=10.0):
    x = (np.arange(32) + 0.5) * PIXEL_UM
    return -0.5 * depth_um * (1 - np.cos(np.pi * x / 50))[None]


def grown(height=None, *, cell=None, times_s=(50.0, 100.0), **more):
    height = trench() if height is None else height
    return grow(
        height, pixel_um=PIXEL_UM, cell=cell or Cell(), times_s=times_s, mesh=SMALL, report=None, **more
    )


def deposit_um(solution, k):
    """Mean height grown between the start and a time, at the nodes."""
    fields = solution.fields
    weights = np.full(len(fields.x_um), 1.0)
    weights[[0, -1]] = 0.5
    columns = fields.z_um[k, 0, :, 0]
    return (weights * columns).sum() / weights.sum()


@pytest.mark.parametrize("current", [80.0, pytest.param(-80.0, marks=pytest.mark.slow)])
def test_a_flat_electrode_moves_by_faraday_and_stays_flat(current):
    cell = Cell(current_density_ma_per_cm2=current)
    solution = grown(np.zeros((4, 4)), cell=cell, times_s=[50.0, 150.0])
    moved = cell.growth_nm_per_s * np.array([50.0, 150.0]) * 1e-3
    assert np.sign(moved[0]) == np.sign(current)
    for k in range(2):
        np.testing.assert_allclose(solution.height_um[k], moved[k], rtol=1e-6)
    # The stirred layer moves along.
    fields = solution.fields
    np.testing.assert_allclose(fields.z_um[..., -1] - fields.z_um[..., 0], 100.0, rtol=1e-9)
    rest = solve(np.zeros((4, 4)), pixel_um=PIXEL_UM, cell=cell, times_s=[150.0], mesh=SMALL, report=None)
    np.testing.assert_allclose(
        solution.concentration_mol_per_l[-1], rest.concentration_mol_per_l[-1], rtol=1e-4
    )


@pytest.mark.parametrize("current", [80.0, -80.0])
def test_the_volume_of_the_deposit_is_that_of_the_charge(current):
    """Rates along the normal over the true area are the total current's volume, whatever the shape."""
    cell = Cell(current_density_ma_per_cm2=current)
    start = deposit_um(
        solve(trench(), pixel_um=PIXEL_UM, cell=cell, kind="secondary", mesh=SMALL, report=None), 0
    )
    solution = grown(cell=cell, times_s=[150.0])
    expected = cell.growth_nm_per_s * 150.0 * 1e-3
    assert deposit_um(solution, 0) - start == pytest.approx(expected, rel=0.01)
    assert max(b.charge_error for b in solution.balances) <= 1e-6
    assert max(b.mass_error for b in solution.balances) <= 1e-6


def test_peaks_outgrow_trenches_under_even_kinetics():
    solution = grown()
    depth = np.ptp(solution.height_um, axis=2)[:, 0]
    assert np.ptp(trench()) < depth[0] < depth[1]
    assert solution.normal_rate_nm_per_s[0, 0, 0] > solution.normal_rate_nm_per_s[0, 0, 16] > 0
    assert solution.height_um.shape == (2, 1, 32)
    assert solution.kind == "tertiary"


def test_an_efficient_trench_fills():
    efficiency = np.where(trench() < -5, 1.2, 0.3)
    depth = np.ptp(grown(efficiency=efficiency, times_s=[100.0]).height_um)
    assert depth < np.ptp(trench()) - 1.0


def test_finer_steps_change_little():
    coarse = grown(times_s=[200.0], tolerance=3e-4)
    fine = grown(times_s=[200.0], tolerance=1e-5)
    assert len(fine.balances) > 1.5 * len(coarse.balances)
    np.testing.assert_allclose(coarse.height_um, fine.height_um, atol=2e-3)


def test_a_growth_in_a_closed_gap_keeps_the_gap():
    cell = Cell(gap_um=150.0)
    solution = grown(cell=cell, times_s=[100.0])
    z = solution.fields.z_um[0, 0]
    assert z[:, -1].mean() - z[:, 0].mean() == pytest.approx(150.0, abs=1e-9)
    assert max(b.mass_error for b in solution.balances) <= 1e-6


def test_an_interrupted_growth_resumes_to_the_same_result(tmp_path, monkeypatch):
    times = (20.0, 40.0, 60.0)
    whole = grown(times_s=times, folder=tmp_path / "whole")
    seen = []

    def interrupt(balance):
        seen.append(balance.time_s)
        if balance.time_s > 45:
            raise KeyboardInterrupt("enough")

    with pytest.raises(KeyboardInterrupt, match="enough"):
        grown(times_s=times, folder=tmp_path / "parts", progress=interrupt)
    assert sorted(p.name for p in (tmp_path / "parts").iterdir()) == [
        "growth.json",
        "resume.npz",
        "time_00000.npz",
        "time_00001.npz",
    ]
    again = []
    resumed = grown(times_s=times, folder=tmp_path / "parts", progress=again.append)
    assert again[0].time_s > 40
    np.testing.assert_array_equal(resumed.height_um, whole.height_um)
    np.testing.assert_array_equal(
        resumed.fields.concentration_mol_per_l, whole.fields.concentration_mol_per_l
    )
    np.testing.assert_array_equal(resumed.fields.z_um, whole.fields.z_um)
    assert resumed.balances == whole.balances
    # All is there already: nothing is computed.
    monkeypatch.setattr(lee.twin.growth._Growth, "step", None)
    finished = grown(times_s=times, folder=tmp_path / "parts")
    np.testing.assert_array_equal(finished.height_um, whole.height_um)


def test_a_folder_of_another_growth_is_refused(tmp_path):
    grown(times_s=[1.0], folder=tmp_path)
    with pytest.raises(
        InputError, match="holds a growth of another surface, cell or mesh; give a new folder"
    ):
        grown(cell=Cell(gamma=0.6), times_s=[1.0], folder=tmp_path)
    with pytest.raises(InputError, match="holds checkpoints at other times; give the same times_s"):
        grown(times_s=[2.0], folder=tmp_path)
    (tmp_path / "growth.json").write_text("{")
    with pytest.raises(InputError, match=r"growth\.json: cannot be read; give a new folder"):
        grown(times_s=[1.0], folder=tmp_path)


@pytest.mark.slow
def test_a_growth_above_the_limiting_current_stops_with_what_it_has():
    with pytest.warns(RuntimeWarning, match="has run out of ions"):
        solution = grown(cell=Cell(current_density_ma_per_cm2=700.0), times_s=[1.0, 100.0])
    assert solution.times_s[0] == 1.0
    assert 2 < solution.times_s[1] < 50
    assert "Sand time" in solution.stopped


def test_a_wall_that_grows_too_steep_stops_it(monkeypatch):
    monkeypatch.setattr(lee.twin.moving_electrode, "MAX_SLOPE", 0.32)
    with pytest.warns(RuntimeWarning, match="a wall has grown to 18 degrees, too steep for a height map"):
        solution = grown(times_s=[1.0, 1000.0])
    assert len(solution.times_s) == 2
    assert solution.times_s[1] < 1000
    assert np.isfinite(solution.height_um).all()
