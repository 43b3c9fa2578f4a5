"""`lee twin` on the command line: codes, one line for each fault, what it prints and writes."""

import json
import subprocess
import sys

import numpy as np
import pytest

from lee.cli import run as lee_cli
from lee.storage.map_tiff import write_map
from lee.twin import Cell
from lee.twin.results.folder import load_maps
from tests.support.blank_figures import undrawn

pytest.importorskip("ngsolve")
pytestmark = pytest.mark.usefixtures("undrawn")
PIXEL_UM = 2.0
SHAPE = (24, 32)
COARSE = ["--columns", "8", "--layers", "6"]


def outcome_of(capsys, *arguments):
    code = lee_cli(["twin", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def relief():
    y, x = (np.mgrid[: SHAPE[0], : SHAPE[1]] + 0.5) * PIXEL_UM
    return (-5 * np.exp(-((x - 20) ** 2 + (y - 24) ** 2) / 200) + 3 * np.sin(x / 12)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A surface, and the solution of it."""
    folder = tmp_path_factory.mktemp("twin")
    write_map(folder / "height.tif", relief(), PIXEL_UM)
    with undrawn():
        code = lee_cli(
            ["twin", "solve", str(folder / "height.tif"), "-o", str(folder / "solution"), "--times-s", "1,20",
             *COARSE]
        )  # fmt: skip
    assert code == 0
    return folder


def test_solve_writes_what_it_reports(folder, capsys):
    found = load_maps(folder / "solution")
    assert list(found.times_s) == [1, 20]
    assert found.cell == Cell()
    assert found.metadata["columns"] == 8
    # The cell's whole current arrives.
    assert np.average(found.current_density_ma_per_cm2[1] * found.area_ratio[1]) == pytest.approx(
        80, rel=0.01
    )
    described = json.loads((folder / "solution" / "solution.json").read_text())
    assert described["largest_charge_error"] < 1e-6
    assert described["largest_mass_error"] < 1e-6
    assert (folder / "solution" / "environment.png").is_file()


def test_solve_reports_the_cell_and_the_outcome(folder, capsys):
    code, out, err = outcome_of(
        capsys, "solve", folder / "height.tif", "-o", folder / "even", "--kind", "secondary", *COARSE,
        "--times-s", "1", "--efficiency", "0.5",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "Sand time 427.2 s" in out
    assert "t = 1 s: c 2 to 2 mol/L, i " in out
    even = load_maps(folder / "even")
    assert np.allclose(
        even.normal_rate_nm_per_s,
        even.current_density_ma_per_cm2 * 0.5 * Cell().growth_nm_per_s / 80,
        rtol=1e-5,
    )


def test_what_was_reached_is_written_where_the_ions_run_out(folder, capsys, tmp_path):
    Cell(current_density_ma_per_cm2=2000.0).save(tmp_path / "hot.toml")
    code, out, err = outcome_of(
        capsys, "solve", folder / "height.tif", "-o", tmp_path / "hot", "--cell", tmp_path / "hot.toml",
        "--times-s", "0.1,10", "--columns", "3", "--layers", "4",
    )  # fmt: skip
    assert code == 1
    assert "run out of ions" in err
    assert err.count("\n") == 1
    assert "t = 0.1 s: c" in out
    reached = load_maps(tmp_path / "hot")
    assert reached.times_s[0] == 0.1
    assert reached.times_s[-1] < 2
    described = json.loads((tmp_path / "hot" / "solution.json").read_text())
    assert "Sand time" in described["stopped"]


def test_compare_finds_the_efficiency_that_was_put_in(folder, capsys):
    solved = load_maps(folder / "solution")
    truth = 0.7 + 0.1 * np.sin(np.arange(SHAPE[1]) / 10) * np.ones(SHAPE)
    rates = solved.height_rate_nm_per_s[-1] * truth * 0.9
    rates = rates + np.random.default_rng(0).standard_normal(SHAPE)
    rates[:4, :4] = np.nan
    write_map(folder / "rate.tif", rates.astype(np.float32), PIXEL_UM)
    code, out, err = outcome_of(
        capsys, "compare", folder / "solution", folder / "rate.tif", "-o", folder / "compared",
        "--sigma", "1", "--window-share", "0.9",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "measured rates are divided by 0.9" in out
    assert "efficiency: lambda by the discrepancy principle" in out
    described = json.loads((folder / "compared" / "comparison.json").read_text())
    assert described["efficiency"]["median"] == pytest.approx(np.median(truth), abs=0.03)
    assert described["statistics"][0]["ratio"] == pytest.approx(truth.mean(), abs=0.03)
    from lee.storage.map_tiff import read_map

    found, pixel_um = read_map(folder / "compared" / "efficiency.tif")
    assert np.abs(found - truth).mean() < 0.03
    assert pixel_um == pytest.approx(PIXEL_UM)
    for name in ("comparison.png", "statistics.csv", "difference"):
        assert (folder / "compared" / name).exists()


def test_compare_without_deviations_seeks_no_map(folder, capsys, tmp_path):
    write_map(tmp_path / "rate.tif", np.full(SHAPE, 30, np.float32), PIXEL_UM)
    code, out, _ = outcome_of(
        capsys, "compare", folder / "solution", tmp_path / "rate.tif", "-o", tmp_path / "out"
    )
    assert code == 0
    assert "no map is sought" in out
    assert not (tmp_path / "out" / "efficiency.tif").exists()


@pytest.mark.slow
def test_compare_finds_an_exchange_current_by_solving_again(folder, capsys, tmp_path):
    exchange = np.full(SHAPE, 30, np.float32)
    exchange[:, :16] = 40
    write_map(tmp_path / "i0.tif", exchange, PIXEL_UM)
    for name, given in (("plain", ()), ("truth", ("--exchange-current", tmp_path / "i0.tif"))):
        code, _, _ = outcome_of(
            capsys, "solve", folder / "height.tif", "-o", tmp_path / name, "--kind", "secondary", *COARSE,
            "--times-s", "1", *given,
        )  # fmt: skip
        assert code == 0
    truth = load_maps(tmp_path / "truth")
    drawn = truth.current_density_ma_per_cm2[0]
    assert drawn[:, :12].mean() > 1.2 * drawn[:, 20:].mean()
    rates = truth.height_rate_nm_per_s[0]
    rates = rates + 0.5 * np.random.default_rng(1).standard_normal(SHAPE)
    write_map(tmp_path / "rate.tif", rates.astype(np.float32), PIXEL_UM)
    code, out, err = outcome_of(
        capsys, "compare", tmp_path / "plain", tmp_path / "rate.tif", "-o", tmp_path / "compared",
        "--sigma", "0.5", "--explain", "exchange-current",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "solve 1: squared misfit" in out
    from lee.storage.map_tiff import read_map

    found, _ = read_map(tmp_path / "compared" / "exchange_current_a_per_m2.tif")
    assert found[:, :10].mean() / found[:, 22:].mean() == pytest.approx(40 / 30, rel=0.05)


def test_compare_takes_a_run_that_was_analysed(folder, capsys, tmp_path):
    from lee.series.map_store import create_maps

    times = np.array([0.0, 1.0, 20.0, 40.0])
    (tmp_path / "run" / "series").mkdir(parents=True)
    maps = create_maps(
        tmp_path / "run" / "series" / "maps.zarr", times_s=times, scans=list("abcd"), phases=["plating"] * 4,
        shape=SHAPE, pixel_um=PIXEL_UM, settings={},
    )  # fmt: skip
    for k in range(4):
        maps["rate_nm_per_s"][k] = np.full(SHAPE, 30 + k, np.float32)
        maps["rate_sigma_nm_per_s"][k] = np.full(SHAPE, 2, np.float32)
    code, out, err = outcome_of(
        capsys,
        "compare",
        folder / "solution",
        tmp_path / "run",
        "-o",
        tmp_path / "out",
        "--explain",
        "nothing",
    )
    assert (code, err) == (0, "")
    # The scans at 0 and 40 s lie outside the solution's times.
    assert "t = 1 s: measured 31," in out
    assert "t = 20 s: measured 32," in out
    assert "t = 40 s" not in out


def test_grow_writes_the_growth_and_resumes_from_its_checkpoints(folder, capsys, tmp_path):
    options = [folder / "height.tif", "--columns", "4", "--layers", "4", "--every-s", "2", "--no-films"]
    kept = tmp_path / "kept"
    code, out, err = outcome_of(
        capsys, "grow", *options, "-o", tmp_path / "grown", "--until-s", "4", "--checkpoints", kept
    )
    assert (code, err) == (0, "")
    grown = load_maps(tmp_path / "grown")
    assert list(grown.times_s) == [0, 2, 4]
    gained = grown.height_um[-1] - grown.height_um[0]
    # Flat growth times the time; what is steep grows faster upward and plates less.
    assert gained.mean() == pytest.approx(Cell().growth_nm_per_s * 4e-3, rel=0.02)
    assert "µm on average" in out
    begun = {path.name: path.stat().st_mtime_ns for path in kept.glob("time_*")}
    assert len(begun) == 3
    code, _, _ = outcome_of(
        capsys, "grow", *options, "-o", tmp_path / "again", "--until-s", "4", "--checkpoints", kept
    )
    assert code == 0
    assert {path.name: path.stat().st_mtime_ns for path in kept.glob("time_*")} == begun
    assert np.array_equal(load_maps(tmp_path / "again").height_um, grown.height_um)


def test_export_writes_the_java(folder, capsys, tmp_path):
    code, out, err = outcome_of(
        capsys, "export", folder / "height.tif", "-o", tmp_path / "comsol", *COARSE, "--no-build"
    )
    assert (code, err) == (0, "")
    assert "LeeTwin.java; not verified against COMSOL" in out
    assert '"tlist", "0 1 10 100"' in (tmp_path / "comsol" / "LeeTwin.java").read_text()


def test_the_window_and_the_cell_are_reported(capsys, tmp_path):
    code, out, _ = outcome_of(capsys, "window", "-o", tmp_path / "window.png")
    assert code == 0
    assert (tmp_path / "window.png").is_file()
    assert "6.3 % lower; of the cell's current density --window-share 0.894" in out
    assert "the cathode ends 500 µm past the anode's edge, a wall there" in out
    code, out, _ = outcome_of(capsys, "cell", "-o", tmp_path / "cell.toml")
    assert code == 0
    assert Cell.load(tmp_path / "cell.toml") == Cell()


def test_it_is_a_program(tmp_path):
    command = [sys.executable, "-m", "lee", "twin", "cell", "-o", str(tmp_path / "cell.toml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["solve", "grow"])
def test_a_missing_ngsolve_is_reported_with_what_to_do(folder, capsys, tmp_path, monkeypatch, command):
    monkeypatch.setitem(sys.modules, "ngsolve", None)
    code, _, err = outcome_of(capsys, command, folder / "height.tif", "-o", tmp_path / "o", *COARSE)
    assert code == 1
    assert 'pip install ".[twin]"' in err
    assert err.count("\n") == 1
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("command", ["solve", "grow", "export", "compare", "window", "cell"])
def test_every_command_has_an_example(command, capsys):
    code, out, _ = outcome_of(capsys, command, "--help")
    assert code == 0
    assert f"lee twin {command}" in out


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["solve", "{tmp}/none", "-o", "{tmp}/o"], 1, "none does not exist: give a folder written by"),
        (["solve", "{height}", "-o", "{tmp}/o", "--times-s", "10,1"], 2, "give rising times above 0 s"),
        (["solve", "{height}", "-o", "{tmp}/o", "--times-s", "now"], 2, "give rising times above 0 s"),
        (["solve", "{height}", "-o", "{tmp}/o", "--kind", "quaternary"], 2, "'quaternary' is not one of"),
        (["solve", "{height}", "-o", "{tmp}/o", "--cell", "{tmp}/none.toml"], 1, "none.toml: cannot be read"),
        (
            ["solve", "{height}", "-o", "{tmp}/o", "--efficiency", "{tmp}/e.tif"],
            1,
            "neither a number nor a map",
        ),
        (["solve", "{height}", "-o", "{tmp}/o", "--efficiency", "2"], 1, "efficiency"),
        (
            ["solve", "{height}", "-o", "{tmp}/o", "--efficiency", "{small}"],
            1,
            "give a map on the same pixels",
        ),
        (["solve", "{height}", "-o", "{solution}"], 1, "exists already"),
        (["solve", "{height}", "-o", "{tmp}/o", "--columns", "0"], 2, "0 is not in the range"),
        (["grow", "{height}", "-o", "{tmp}/o", "--until-s", "0"], 2, "0 is not a time: give seconds above 0"),
        (["grow", "{height}", "-o", "{solution}"], 1, "exists already"),
        (["compare", "{tmp}/none", "{height}", "-o", "{tmp}/o"], 1, "holds no solution.json"),
        (["compare", "{solution}", "{small}", "-o", "{tmp}/o"], 1, "give one grid"),
        (["compare", "{solution}", "{coarse}", "-o", "{tmp}/o"], 1, "has pixels of 3 µm, the solution 2 µm"),
        (
            ["compare", "{solution}", "{height}", "-o", "{tmp}/o", "--time-s", "50"],
            1,
            "computed from 1 to 20 s",
        ),
        (
            ["compare", "{solution}", "{tmp}", "-o", "{tmp}/o"],
            1,
            "holds no series/maps.zarr: run `lee series`",
        ),
        (
            ["compare", "{solution}", "{height}", "-o", "{tmp}/o", "--window-share", "0"],
            2,
            "not in the range",
        ),
        (["window", "--extension-um", "300"], 1, "give a longer extension_um or another window"),
        (["export", "{height}", "-o", "{tmp}/o", "--build"], 1, "no COMSOL found"),
        (["cell", "-o", "{height}"], 1, "exists already"),
        (["melt"], 2, "no such command 'melt'"),
    ],
)
def test_each_fault_is_one_line(folder, tmp_path, capsys, monkeypatch, arguments, code, line):
    from mph import discovery

    def nothing():
        raise RuntimeError("Could not find a supported Comsol installation.")

    monkeypatch.setattr(discovery, "backend", nothing)
    write_map(tmp_path / "small.tif", np.ones((4, 4), np.float32), PIXEL_UM)
    write_map(tmp_path / "coarse.tif", np.ones(SHAPE, np.float32), 3.0)
    places = {"tmp": tmp_path, "height": folder / "height.tif", "solution": folder / "solution",
              "small": tmp_path / "small.tif", "coarse": tmp_path / "coarse.tif"}  # fmt: skip
    found, _, err = outcome_of(capsys, *(a.format(**places) for a in arguments))
    assert found == code
    assert line in err
    assert err.count("\n") == 1
    assert err.startswith("lee: ")
    assert not (tmp_path / "o").exists()
