"""The demonstration from end to end, and the README's commands and snippet in the folder where it was run."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

from lee.cli import run as run_lee
from lee.demo import demo, nucleation
from lee.demo import twin as demo_twin
from lee.demo.charge import EFFICIENCY
from lee.demo.demo import FILES, run_demo
from lee.devices.virtual import RunTruth
from lee.particles.table import read_table
from lee.runs.run import open_run
from lee.stacks.stack import open_stack
from lee.surfaces.surface import Surface
from tests.support.blank_figures import undrawn
from tests.support.readme import README, ROOT, commands, only


@pytest.fixture(scope="module", params=["quick", pytest.param("whole", marks=pytest.mark.slow)])
def ran(request, tmp_path_factory):
    """The folder in which it was run, what it found, and the steps it reported."""
    folder, steps = tmp_path_factory.mktemp(request.param), []
    options = {"seed": 3, "progress": lambda done, total: steps.append((done, total))}
    if request.param == "whole":
        return folder, run_demo(folder / "demo", **options), steps
    with undrawn():
        return folder, run_demo(folder / "demo", quick=True, threads=1, **options), steps


def done(command, folder, **environment):
    done = subprocess.run(
        command, shell=isinstance(command, str), cwd=folder, env={**os.environ, **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    # Such as that the picture is coarse without pyvista.
    assert all(line.startswith("lee: warning: ") for line in done.stderr.splitlines()), done.stderr
    return done.stdout


def test_it_writes_its_files(ran):
    folder, found, seen = ran
    folder /= "demo"
    assert {path.name for path in folder.iterdir()} == FILES
    stack = open_stack(folder / "scan.ome.tif")
    assert np.allclose(stack.z_um, found.scan.z_um)
    assert stack.pixel_um == 0.25
    assert np.array_equal(stack[5], found.scan.frames[5])
    assert np.array_equal(Surface.load(folder / "surface").height_um, found.surface.height_um, equal_nan=True)
    truth = tifffile.imread(folder / "truth_um.tif")
    assert np.array_equal(truth, found.scan.truth_seen_in(demo.REFERENCE_FRAME), equal_nan=True)
    run = open_run(folder / "run")
    assert len(run) == len(found.growing.truth.times_s)
    assert run.phases[0] == "plating" != run.phases[-1] == "stripping"
    assert len(open_run(folder / "nucleation")) == 6
    steps = len(stack) + 3 * len(run) + 9 + demo_twin.STEPS
    assert seen == [(k + 1, steps) for k in range(len(stack))] + seen[len(stack) :]
    assert seen[-1] == (steps, steps)
    page = (folder / "report.html").read_text()
    assert all(row["rms µm"] in page for row in found.rows())
    assert all(row["measured nm/s"] in page for row in found.growing.rows())
    assert "data:video/mp4" in page
    if found.followed is not None:
        assert all(row["computed nm/s"] in page for row in found.followed.rows())
        assert (folder / "run" / "twin" / "report.html").is_file()
    assert (folder / "run" / "series" / "report.html").is_file()
    assert all(row["diameter, median error"] in page for row in found.nuclei.rows())
    assert (folder / "nuclei" / "report.html").is_file()


def test_the_docs_list_every_column_of_every_table(ran):
    sections = re.split(
        r"^### ", (ROOT / "docs" / "tables.md").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    tables = [path for path in (ran[0] / "demo").rglob("*.csv") if path.name != "cell.bdf.csv"]
    assert len(tables) > 10
    for path in tables:
        listed = "".join(part for part in sections if path.name in part.splitlines()[0])
        columns = path.read_text(encoding="utf-8").splitlines()[0].split(",")
        assert {name for name in columns if f"`{name}`" not in listed} == set(), path


def test_nuclei_are_found_where_they_appeared(ran):
    folder, found, _ = ran
    rows = found.nuclei.rows()
    assert [row["time"] for row in rows] == ["10 s", "50 s", "80 s"]
    for row in rows:
        assert int(row["clear"]) >= 5
        assert float(row["of these found"].rstrip(" %")) >= 80
        assert int(row["false"]) <= 4
        assert float(row["position, median error µm"]) < 0.05
        assert float(row["height of focus, median error µm"]) < 0.3
        assert abs(float(row["diameter, median error"].rstrip(" %"))) < 4
    truth = RunTruth.load(folder / "demo" / "nucleation")
    table = read_table(folder / "demo" / "nuclei" / "particles.csv")
    row = nucleation.compared(table.iloc[:0], truth, 0.0, 10.0, {"threshold_snr": 4.0, "spot_sigma_px": 1.2,
                               "noise_counts": 0.6, "noise_excess": 1.0})  # fmt: skip
    assert (row["of these found"], row["found"], row["false"]) == ("0 %", "0", "0")
    assert row["diameter, median error"] == row["within 1 sigma"] == "-"


def test_a_growing_run_is_measured_as_it_grew(ran):
    folder, found, _ = ran
    growing = found.growing
    assert growing.shift_error_px() < 0.1
    error = growing.rate_nm_per_s - growing.truth.rate_nm_per_s
    assert np.nanmedian(np.abs(error)) < 3
    loaded = RunTruth.load(folder / "demo" / "run")
    assert np.array_equal(loaded.rate_nm_per_s, growing.truth.rate_nm_per_s)
    trenches, protrusions = (loaded.rate_nm_per_s[0][m].mean() for m in (loaded.trenches, loaded.protrusions))
    assert trenches > 1.2 * protrusions


def test_the_charge_tells_the_efficiency_that_the_run_was_made_with(ran):
    """Faraday's balance: within its stated error, and within 2 %."""
    folder, found, _ = ran
    charge = found.growing.charge
    assert [one.phase for one in charge.balance.by_phase] == ["plating", "stripping"]
    for one in charge.balance.by_phase:
        error = one.efficiency - EFFICIENCY[one.phase]
        assert abs(error) < 2 * one.sigma
        assert abs(error) < 0.02
    clock = charge.balance.clock
    assert clock.source == "edges"
    assert abs(clock.offset_s - charge.true_offset_s()) < 3 * clock.sigma_s
    page = (folder / "demo" / "report.html").read_text(encoding="utf-8")
    assert all(row["measured"] in page for row in charge.rows())


def test_the_commands_run_one_after_the_other(ran, tmp_path, monkeypatch):
    folder, found, _ = ran
    (folder / "my_frames").mkdir()  # the reader's own
    for k, frame in enumerate(found.scan.frames):
        Image.fromarray(frame).save(folder / "my_frames" / f"z{k:03}.png", compress_level=1)
    if folder.name.startswith(
        "quick"
    ):  # in this process, their pictures blank; as programs for the whole demo
        monkeypatch.chdir(folder)
        with undrawn():
            assert [run_lee(line.split()[1:]) for line in commands("lee")] == [0] * len(commands("lee"))
    else:
        as_programs(folder, tmp_path)
    made = {path.name for path in folder.iterdir()}
    assert {"surface", "my_surface", "electrode.x3p", "view.png", "nuclei", "calibration.json"} <= made
    named = set(re.findall(r"`(\w+\.(?:tif|glb|png|json))`", README)) - {"view.png"}
    assert named == {path.name for path in (folder / "surface").iterdir()}


def as_programs(folder, tmp_path):
    # `lee` is that of this interpreter.
    program = tmp_path / "lee"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lee "$@"\n')
    program.chmod(0o755)
    for line in commands("lee"):
        done(line, folder, PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")


def test_the_python_snippet_runs(ran):
    folder = ran[0]
    measured, *table = done([sys.executable, "-c", only("python")], folder).splitlines()
    assert re.fullmatch(r"\d+ % measured, pixels of 0\.25 µm", measured)
    assert table[0].split() == ["x_um", "y_um", "z_um", "intensity_counts", "snr", "flag"]
    assert len(table) > 10
    assert (folder / "from_python" / "surface.json").is_file()
    assert (folder / "electrode.ply").is_file()
