"""A run in the twin: against a growth whose surfaces it follows; holes, current reversed, interrupted."""

import numpy as np
import pytest

from lee.electrochemistry import Protocol
from lee.errors import InputError
from lee.twin import Cell, MeshSize, follow, grow, solve

PIXEL_UM = 100 / 16
SMALL = MeshSize(columns=(1, 16), layers=10, smooth_um=0.0)
TIMES = 20.0 * np.arange(6)


def trench():
    x = (np.arange(16) + 0.5) * PIXEL_UM
    return -10 * (1 - np.cos(np.pi * x / 50))[None]


def followed(heights, **more):
    given = {"times_s": TIMES[: len(heights)], "cell": Cell(), "tolerance": 3e-4, "report": None, **more}
    return follow(heights, pixel_um=PIXEL_UM, mesh=SMALL, **given)


@pytest.fixture(scope="module")
def grown():
    return grow(trench(), pixel_um=PIXEL_UM, cell=Cell(), times_s=TIMES, mesh=SMALL, report=None)


@pytest.fixture(scope="module")
def same(grown):
    return followed(list(grown.height_um.astype(np.float64)))


def test_exact_surfaces_give_what_the_growth_gave(grown, same):
    solution = same.solution
    np.testing.assert_allclose(solution.concentration_mol_per_l, grown.concentration_mol_per_l, rtol=2e-3)
    np.testing.assert_allclose(solution.normal_rate_nm_per_s, grown.normal_rate_nm_per_s, rtol=1e-2)
    # Read at the columns and back at the pixels, the deposit's own unevenness is smoothed a little.
    np.testing.assert_allclose(solution.height_um, grown.height_um, atol=0.06)
    np.testing.assert_array_equal(solution.times_s, TIMES)


def test_charge_deposit_and_salt_are_accounted_for(same):
    table = same.intervals
    assert table["charge_c_per_cm2"].iloc[-1] == pytest.approx(0.08 * 100)
    assert table["deposit_um"].iloc[-1] == pytest.approx(Cell().growth_nm_per_s * 0.1, rel=1e-6)
    np.testing.assert_allclose(table["raised_um"], table["deposit_um"], rtol=0.02, atol=1e-3)
    assert table[["charge_error", "salt_error"]].to_numpy().max() <= 1e-6
    assert table["steps"].sum() == len(same.solution.balances)
    assert table["measured"].all()


def test_a_scan_without_a_surface_is_bridged(grown, same):
    heights = list(grown.height_um.astype(np.float64))
    heights[2] = np.full_like(heights[2], np.nan)
    reported = []
    found = followed(heights, report=reported.append)
    assert found.holes == (2,)
    assert found.intervals["measured"].tolist() == [True, True, False, True, True, True]
    np.testing.assert_allclose(
        found.solution.concentration_mol_per_l, same.solution.concentration_mol_per_l, rtol=1e-3
    )
    assert any("without a surface, bridged from the scans around: scan 2" in line for line in reported)


def test_a_hole_beside_a_slope_tilts_nothing(grown, same):
    heights = [height.astype(np.float64) for height in grown.height_um]
    heights[3][:, 5:8] = np.nan
    found = followed(heights)
    np.testing.assert_allclose(found.solution.height_um, same.solution.height_um, atol=0.05)


def test_the_current_follows_the_phases(grown):
    still = [grown.height_um[0].astype(np.float64)] * 4
    phases = ["plating", "plating", "stripping", "rest"]
    found = followed(still, phases=phases)
    current = found.solution.current_density_ma_per_cm2.mean(axis=(1, 2))
    assert current[1] > 60 > 0 > current[2]
    assert abs(current[3]) < 1e-6 * current[1]
    concentration = found.solution.concentration_mol_per_l.mean(axis=(1, 2))
    assert concentration[1] < 2 < concentration[2]
    assert found.intervals["current_ma_per_cm2"].tolist() == pytest.approx([80, 80, -80, 0], abs=1e-6)
    assert any(b.time_s == 30.0 for b in found.solution.balances)
    assert found.intervals["salt_error"].max() <= 1e-6


def test_still_surfaces_are_those_of_a_solve(grown):
    still = [trench()] * 3
    found = followed(still, protocol=Protocol.constant(80.0, 1000.0))
    rest = solve(
        trench(), pixel_um=PIXEL_UM, cell=Cell(), times_s=TIMES[1:3], mesh=SMALL, report=None, tolerance=3e-4
    )
    np.testing.assert_allclose(
        found.solution.concentration_mol_per_l[1:], rest.concentration_mol_per_l, rtol=1e-4
    )


def test_an_interrupted_run_resumes_to_the_same_result(grown, same, tmp_path):
    heights = list(grown.height_um.astype(np.float64))

    def interrupt(balance):
        if balance.time_s > 45:
            raise KeyboardInterrupt("enough")

    with pytest.raises(KeyboardInterrupt, match="enough"):
        followed(heights, folder=tmp_path, progress=interrupt)
    seen = []
    resumed = followed(heights, folder=tmp_path, progress=seen.append)
    assert seen[0].time_s > 40
    np.testing.assert_array_equal(
        resumed.solution.concentration_mol_per_l, same.solution.concentration_mol_per_l
    )
    assert resumed.intervals.equals(same.intervals)
    with pytest.raises(InputError, match="holds a growth of another surface, cell or mesh"):
        followed(heights, folder=tmp_path, cell=Cell(gamma=0.6))


@pytest.mark.parametrize(
    ("heights", "more", "message"),
    [
        ([trench()] * 2, {"times_s": [0.0]}, "1 times for 2 scans; give one for each"),
        ([trench()] * 2, {"times_s": [5.0, 5.0]}, "times of the scans must be finite and rise"),
        ([trench()] * 2, {"phases": ["plating"]}, "1 phases for 2 scans"),
        ([np.full((1, 16), np.nan)] * 2, {}, "none of the 2 scans has a surface"),
        ([trench(), trench()[:, :9]], {}, r"height map of scan 1 is \(1, 9\), others \(1, 16\)"),
        ([trench(), trench() + np.inf], {}, "scan 1 holds infinite heights"),
        ([trench()[0]], {}, r"height map of scan 0 has shape \(16,\)"),
        (
            [trench()] * 2,
            {"protocol": Protocol.held_potential(-0.1, 10.0), "protocol_begins_s": -5.0},
            "the protocol begins 5 s before the first scan, and the cell decides on its current; let",
        ),
        ([trench()], {"sigmas_um": [np.ones((2, 2))]}, "the sigma map of scan 0 is"),
    ],
)
def test_what_cannot_be_followed_is_reported_in_one_line(heights, more, message):
    with pytest.raises(InputError, match=message) as caught:
        followed(heights, **more)
    assert "\n" not in str(caught.value)
