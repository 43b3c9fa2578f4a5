"""`lee series` on the command line: codes, one line for each fault, what it prints."""

import json
import subprocess
import sys

import pandas as pd
import pytest

from lee.cli import run as lee_cli
from lee.devices.virtual import growing_electrode, render_run
from lee.runs.run import SURFACES
from lee.runs.surface_store import SurfaceStore
from tests.support.blank_figures import undrawn


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "run"
    render_run(folder, growing_electrode((72, 72), 0.4, 1, relief_um=4.0), scans=3)
    with undrawn():
        assert lee_cli(["series", str(folder), "--workers", "1", "--device", "cpu", "--no-films"]) == 0
    return folder


def outcome_of(capsys, *arguments):
    code = lee_cli(["series", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_it_reports_what_it_found(folder, capsys, undrawn):
    code, out, err = outcome_of(capsys, folder, "--no-films", "--scale-um", "2.5", "--fit-scans", 3)
    assert (code, err) == (0, "")
    assert "report.html: 3 of 3 scans over 20 s, median rate" in out
    assert (folder / "series" / "report.html").is_file()
    assert not (folder / "series" / "rate.mp4").exists()


@pytest.mark.slow
def test_it_is_a_program(folder):
    command = [sys.executable, "-m", "lee", "series", str(folder), "--reference", "floor"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("lee: reference is 'floor'")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["{tmp}/none"], 1, "no such folder"),
        (["{tmp}"], 1, "holds no scans"),
        (["{run}", "--interval-s", "10"], 1, "states the times already"),
        (["{run}", "--interval-s", "soon"], 2, "soon is not a time"),
        (["{run}", "--fit-scans", "2"], 2, "2 is not in the range"),
        (["{run}", "--line", "1,2"], 2, "line is '1,2'; give y0,x0,y1,x1"),
        (["{run}", "--reference", "floor"], 1, "reference is 'floor'"),
        (["{run}", "--regions", "{tmp}/none.json"], 1, "give a JSON file of regions"),
        (["{run}", "--regions", "{tmp}/far.json"], 1, "region far is outside the field"),
        (["{run}", "--from-scratch", "--scheduler", "tcp://127.0.0.1:1"], 1, "no Dask scheduler answers"),
    ],
)
def test_each_fault_is_one_line(folder, tmp_path, capsys, monkeypatch, arguments, code, line):
    monkeypatch.setattr("lee.runs.scheduler._TIMEOUT_S", 0.5)
    (tmp_path / "far.json").write_text(json.dumps({"far": {"polygon_um": [[900, 0], [900, 9], [950, 0]]}}))
    filled = [argument.format(tmp=tmp_path, run=folder) for argument in arguments]
    found, _, err = outcome_of(capsys, *filled)
    assert found == code
    assert line in err
    assert len(err.strip().splitlines()) == 1


def test_a_hole_is_reported_and_stops_nothing(tmp_path, capsys, undrawn):
    folder = tmp_path / "run"
    render_run(folder, growing_electrode((72, 72), 0.4, 1, relief_um=4.0), scans=3)
    (folder / "scans" / "scan_001.ome.tif").write_bytes(b"II*\0 damaged")
    code, out, _ = outcome_of(capsys, folder, "--no-films", "--workers", 1, "--device", "cpu")
    assert code == 0
    assert "no surface from scan_001.ome.tif" in out
    assert "2 of 3 scans" in out
    assert SurfaceStore.open(folder / SURFACES).state.tolist() == [1, 2, 1]


def test_a_record_lies_under_the_scans(folder, tmp_path, capsys, undrawn):
    record = tmp_path / "log.csv"
    record.write_text("time_s,I/mA\n" + "".join(f"{k},-8\n" for k in range(60)))
    arguments = (folder, "--no-films", "--cell-data", record)
    code, out, err = outcome_of(capsys, *arguments, "--electrode-area-cm2", "0.1+-0.01")
    assert (code, err) == (0, "")
    assert "No edge of the current tells the offset" in out
    assert "charge: clock offset 0 s (error unknown), assumed; negative current plates" in out
    table = pd.read_csv(folder / "series" / "charge.csv")
    assert table["phase"].tolist() == ["plating"] * 3
    assert table["current_density_ma_per_cm2"].tolist() == pytest.approx([80] * 3)
    assert pd.read_csv(folder / "series" / "scans.csv")["phase"].tolist() == ["plating"] * 3
    assert json.loads((folder / "series" / "charge.json").read_text())["electrode_area_cm2"] == 0.1
    assert outcome_of(capsys, *arguments, "--clock-offset-s", "900")[2].count("they never overlap") == 1
