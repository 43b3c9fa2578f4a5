"""`lee twin follow` on the command line: a run's surfaces, as measured or aligned, holes, and bad runs."""

import numpy as np
import pandas as pd
import pytest

from lee.cli import run as lee_cli
from lee.runs.surface_store import SurfaceStore
from lee.surfaces.provenance import Provenance
from lee.surfaces.surface import Surface
from lee.twin.results.folder import load_maps

pytest.importorskip("ngsolve")
pytestmark = pytest.mark.usefixtures("undrawn")
PIXEL_UM, SHAPE = 4.0, (8, 12)
TIMES = [0.0, 2.0, 4.0, 6.0]
SMALL = ["--columns", "6", "--layers", "4", "--tolerance", "1e-2", "--no-films"]


def measured(k):
    x = np.arange(SHAPE[1]) * PIXEL_UM
    height = np.tile(3 * np.cos(x / 12), (SHAPE[0], 1)) + 0.038 * TIMES[k]
    height = height.astype(np.float32)
    sigma = np.full(SHAPE, 0.05, np.float32)
    return Surface(height, height, sigma, np.isfinite(height), height, PIXEL_UM, Provenance())


@pytest.fixture
def run(tmp_path):
    """A run of four scans, of which one failed."""
    store = SurfaceStore.create(
        tmp_path / "run" / "surfaces.zarr", times_s=TIMES, scans=list("abcd"), shape=SHAPE, pixel_um=PIXEL_UM,
        phases=["plating", "plating", "plating", "stripping"],
    )  # fmt: skip
    for k in (0, 1, 3):
        store.write(k, measured(k))
    store.fail(2, "bubble")
    return tmp_path / "run"


def outcome_of(capsys, *arguments):
    code = lee_cli(["twin", "follow", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_run_is_followed_into_its_own_folder_and_resumed(run, capsys):
    code, out, err = outcome_of(capsys, run, *SMALL)
    assert (code, err) == (0, "")
    assert "was not analysed by `lee series`: its surfaces are followed without alignment" in out
    assert "bridged from the scans around: c" in out
    assert "t = 4 s: 0.32 C/cm², deposit 0.152 µm, measured 0.152 µm" in out
    maps = load_maps(run / "twin")
    assert list(maps.times_s) == TIMES
    assert maps.metadata["scans_without_surface"] == ["c"]
    table = pd.read_csv(run / "twin" / "intervals.csv")
    assert table["current_ma_per_cm2"].tolist() == pytest.approx([80, 80, 80, -80], rel=1e-6)
    assert table["measured"].tolist() == [True, True, False, True]
    code, _, err = outcome_of(capsys, run, *SMALL)
    assert code == 1
    assert "exists" in err


@pytest.mark.slow
def test_aligned_surfaces_go_before_those_as_measured(run, capsys, tmp_path):
    from lee.series.map_store import create_maps

    (run / "series").mkdir()
    maps = create_maps(
        run / "series" / "maps.zarr", times_s=np.array(TIMES), scans=list("abcd"), phases=["plating"] * 4,
        shape=SHAPE, pixel_um=PIXEL_UM, settings={},
    )  # fmt: skip
    for k in range(4):
        maps["height_um"][k] = measured(k).height_um + np.float32(7)
        maps["height_sigma_um"][k] = np.full(SHAPE, 0.05, np.float32)
    code, out, err = outcome_of(capsys, run, "-o", tmp_path / "out", *SMALL)
    assert (code, err) == (0, "")
    assert "without alignment" not in out
    np.testing.assert_allclose(load_maps(tmp_path / "out").height_um[0], measured(0).height_um + 7, atol=0.3)


@pytest.mark.slow
def test_the_recorded_charge_goes_before_the_phases(run, capsys, tmp_path):
    (run / "series").mkdir()
    table = pd.DataFrame({"time_s": TIMES, "charge_c_per_cm2": [0.0, 0.08, 0.16, 0.12]})
    table.to_csv(run / "series" / "charge.csv", index=False)
    code, out, err = outcome_of(capsys, run, "-o", tmp_path / "out", *SMALL)
    assert (code, err) == (0, "")
    assert "the current is that recorded" in out
    followed = pd.read_csv(tmp_path / "out" / "intervals.csv")
    np.testing.assert_allclose(followed["charge_c_per_cm2"], table["charge_c_per_cm2"], atol=1e-9)
    np.testing.assert_allclose(followed["current_ma_per_cm2"], [40, 40, 40, -20])


@pytest.mark.slow
def test_a_record_that_ends_before_the_run_is_told_and_the_cell_taken(run, capsys, tmp_path):
    (run / "series").mkdir()
    table = pd.DataFrame({"time_s": TIMES, "charge_c_per_cm2": [0.0, 0.08, np.nan, np.nan]})
    table.to_csv(run / "series" / "charge.csv", index=False)
    code, out, err = outcome_of(capsys, run, "-o", tmp_path / "out", *SMALL)
    assert (code, err) == (0, "")
    assert "the record does not cover every scan: the cell's current is taken" in out


def test_a_folder_without_surfaces_is_reported_in_one_line(tmp_path, capsys):
    code, out, err = outcome_of(capsys, tmp_path, "-o", tmp_path / "out")
    assert (code, out) == (1, "")
    assert "holds no surfaces; run `lee series` on the run's folder first" in err
    assert err.count("\n") == 1
