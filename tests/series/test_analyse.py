"""The whole way: rendered scans of a growing electrode become growth, curves, figures and films."""

import base64
import json
import re
import shutil
import sys

import numpy as np
import pandas as pd
import pytest

from bench import bench_series
from lee.cli import run as lee_cli
from lee.devices.virtual import growing_electrode, render_run
from lee.devices.virtual.runs.run import RunTruth
from lee.errors import InputError
from lee.runs.lock import run_locked
from lee.runs.run import SURFACES, open_run
from lee.runs.surface_store import SurfaceStore
from lee.series.analyse import FILES, analyse, reconstruct_run
from lee.series.options import SeriesOptions

SCANS = 7
PIXEL_UM = 0.3


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A run with surfaces: plated, then stripped, under a stage that wanders."""
    folder = tmp_path_factory.mktemp("measured") / "run"
    growing = growing_electrode((112, 112), PIXEL_UM, 2, relief_um=5.0, plating_s=35.0, stripping_s=35.0)
    render_run(folder, growing, scans=SCANS, shift_px=(2.0, -1.5))
    reconstruct_run(open_run(folder), device="cpu")
    return folder


@pytest.fixture
def folder(measured, tmp_path):
    return shutil.copytree(measured, tmp_path / "run")


@pytest.fixture(scope="module")
def found(measured, tmp_path_factory):
    folder = shutil.copytree(measured, tmp_path_factory.mktemp("found") / "run")
    return analyse(open_run(folder), SeriesOptions(films=True))


def test_rates_and_drift_are_those_of_the_truth(found, measured):
    truth = RunTruth.load(measured)
    assert np.sqrt(np.mean((found.alignment.shift_px - truth.shift_px) ** 2)) < 0.1
    middle = np.s_[8:-8, 8:-8]
    rate = found.maps("rate_nm_per_s")
    for k in (1, 2, 5):
        error = rate[k][middle] - truth.rate_nm_per_s[k][middle]
        assert np.sqrt(np.nanmean(error**2)) < 10
        assert np.isfinite(error).mean() > 0.95
    delta = found.maps("delta_um")[3][middle]
    grown = (truth.seen_um[3] - truth.seen_um[0])[middle]
    assert abs(np.nanmedian(delta - grown)) < 0.02
    adjacent = found.maps("adjacent_rate_nm_per_s")
    assert np.isnan(adjacent[0]).all()
    expected = (found.maps("delta_um")[2] - found.maps("delta_um")[1]) * 100
    known = np.isfinite(expected)  # where the first scan was measured, too
    assert known.mean() > 0.9
    np.testing.assert_allclose(adjacent[2][known], expected[known], rtol=1e-4, atol=0.1)


def test_everything_is_written(found):
    written = {path.name for path in found.path.iterdir()}
    assert {"report.html", "surface.mp4", "growth.mp4", "rate.mp4", "maps.zarr", "scans.csv"} <= written
    assert written <= FILES
    assert not list(found.path.parent.glob(".series*"))
    page = (found.path / "report.html").read_text()
    assert "video/mp4" in page
    scans = pd.read_csv(found.path / "scans.csv")
    assert scans["state"].tolist() == ["measured"] * SCANS
    assert scans["phase"].tolist() == ["plating"] * 4 + ["stripping"] * 3
    assert (scans["median_rate_nm_per_s"][:3] > 20).all()
    assert (scans["median_rate_nm_per_s"][4:] < -20).all()
    regions = pd.read_csv(found.path / "regions.csv")
    assert set(regions["region"]) == {region.name for region in found.regions}
    assert len(regions) == SCANS * len(found.regions) > 0
    areal = pd.read_csv(found.path / "areal.csv")
    assert (np.diff(areal["volume_um3"])[:3] > 0).all()
    relation = pd.read_csv(found.path / "relation.csv")
    assert relation["when"].str.startswith(("plating", "stripping")).all()
    assert set(pd.read_csv(found.path / "profile.csv")["when"]) == set(found.profiles)


@pytest.mark.slow
def test_a_film_seen_obliquely_is_made_when_asked_for(folder, monkeypatch, undrawn):
    def drawn(path, heights, *, times_s, pixel_um, phases):
        assert len(heights) == len(times_s) == len(phases) == SCANS
        assert pixel_um == PIXEL_UM
        path.write_bytes(b"seen obliquely")
        return path

    monkeypatch.setattr("lee.figures.film_relief.write_relief_film", drawn)
    found = analyse(open_run(folder), SeriesOptions(films=False, relief_film=True))
    assert (found.path / "surface_3d.mp4").read_bytes() == b"seen obliquely"
    page = (found.path / "report.html").read_text()
    assert base64.b64encode(b"seen obliquely").decode() in page


def test_xarray_opens_the_maps(found):
    xarray = pytest.importorskip("xarray")
    data = xarray.open_zarr(found.path / "maps.zarr")
    assert data.rate_nm_per_s.attrs["units"] == "nm/s"
    assert data.sizes == {"t": SCANS, "y": found.maps("height_um")[0].shape[0], "x": data.sizes["x"]}
    np.testing.assert_array_equal(data.time_s, found.times_s)


def test_it_may_be_done_again_and_other_files_are_not_lost(folder, undrawn):
    analyse(open_run(folder), SeriesOptions(films=False))
    (folder / "series" / "thoughts.txt").write_text("mine")
    with pytest.raises(InputError, match=r"also holds 'thoughts\.txt'"):
        analyse(open_run(folder), SeriesOptions(films=False))
    (folder / "series" / "thoughts.txt").unlink()
    assert analyse(open_run(folder), SeriesOptions(films=False, fit_scans=3)).path == folder / "series"


def test_holes_stay_holes_and_stop_nothing(folder, undrawn):
    with run_locked(folder):
        SurfaceStore.open(folder / SURFACES, mode="r+").fail(1, "bubbles")
    found = analyse(open_run(folder), SeriesOptions(films=False))
    assert found.failed == {"scan_001.ome.tif": "bubbles"}
    assert "1 of 7 scans have no surface" in found.notes[0]
    assert np.isnan(found.maps("height_um")[1]).all()
    assert np.isfinite(found.maps("rate_nm_per_s")[2]).mean() > 0.9
    scans = found.tables["scans.csv"]
    assert scans["state"].tolist()[:3] == ["measured", "failed", "measured"]
    assert scans["reason"][1] == "bubbles"
    assert "bubbles" in (found.path / "report.html").read_text()


def test_a_run_that_begins_with_a_hole_is_held_against_its_first_surface(folder, undrawn):
    SurfaceStore.open(folder / SURFACES, mode="r+").fail(0, "shutter")
    found = analyse(open_run(folder), SeriesOptions(films=False))
    assert np.nanmax(np.abs(found.maps("delta_um")[1])) == 0
    assert np.isfinite(found.maps("delta_um")[3]).mean() > 0.8


def test_two_scans_show_growth_but_no_rate(folder, undrawn):
    for later in range(2, SCANS):
        (folder / "scans" / f"scan_{later:03d}.ome.tif").unlink()
    lines = (folder / "scans.csv").read_text().splitlines()[:3]
    (folder / "scans.csv").write_text("\n".join(lines))
    shutil.rmtree(folder / SURFACES)
    run = open_run(folder)
    reconstruct_run(run, device="cpu")
    found = analyse(run, SeriesOptions(films=False))
    assert "There are fewer than three scans: growth is given, but no rates." in found.notes
    assert np.isnan(found.maps("rate_nm_per_s")[1]).all()
    assert np.isfinite(found.maps("adjacent_rate_nm_per_s")[1]).mean() > 0.8
    assert found.relations == {}


@pytest.mark.slow
def test_drawn_regions_and_references(folder, undrawn):
    square = [[5, 5], [5, 12], [12, 12], [12, 5]]
    (folder / "regions.json").write_text(json.dumps({"R1": {"polygon_um": square}}))
    run = open_run(folder)
    found = analyse(run, SeriesOptions(films=False, regions=folder / "regions.json", reference="region:R1"))
    assert [region.name for region in found.regions] == ["R1"]
    assert found.alignment.reference == "region R1"
    assert abs(found.tables["regions.csv"]["rate_nm_per_s"].median()) < 2
    modelled = analyse(run, SeriesOptions(films=False, reference="model:5"))
    assert np.nanmean(modelled.maps("delta_um")[4]) == pytest.approx(0.2, abs=0.02)
    (folder / "model.csv").write_text("time_s,height_um\n0,0\n60,1.2\n")
    stated = analyse(
        run, SeriesOptions(films=False, reference=f"model:{folder / 'model.csv'}", line_um=((3, 3), (9, 20)))
    )
    assert np.nanmean(stated.maps("delta_um")[4]) == pytest.approx(0.8, abs=0.02)
    assert next(iter(stated.profiles.values())).distance_um[-1] == pytest.approx(np.hypot(6, 17), abs=0.5)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (
            {"regions": {"far": {"polygon_um": [[900, 900], [900, 910], [910, 900]]}}},
            "far is outside the field",
        ),
        ({"regions": "none.json"}, r"none\.json: cannot be read .*give a JSON file of regions"),
        ({"regions": {"R1": {}}}, "region R1: give"),
        ({"reference": "region:R9"}, r"no region is named 'R9'; the regions are: none; give regions"),
        ({"reference": "north"}, "reference is 'north'; give none, region:NAME"),
        ({"reference": "model:none.csv"}, r"model none\.csv: cannot be read"),
        ({"fit_scans": 2}, "a rate is fitted to 2 scans; it needs 3"),
        ({"line_um": ((0, 0), (0, 999))}, "leaves the field"),
        ({"scale_um": 0.01}, "scale"),
    ],
)
def test_what_cannot_be_done_is_reported_and_nothing_is_lost(found, options, match):
    before = {path: path.stat().st_mtime_ns for path in found.path.rglob("*")}
    with pytest.raises(InputError, match=match):
        analyse(open_run(found.path.parent), SeriesOptions(films=False, **options))
    assert {path: path.stat().st_mtime_ns for path in found.path.rglob("*")} == before


def test_models_that_cannot_be_used_are_reported(folder):
    model = folder / "model.csv"
    for text, match in (
        ("t,h\n0,0\n", "must hold numbers under the header time_s,height_um"),
        ("time_s,height_um\n0,0\n", "two or more heights"),
        ("time_s,height_um\n0,0\n9,1\n", "covers 0 to 9 s; it must cover the run, 0 to 60 s"),
    ):
        model.write_text(text)
        with pytest.raises(InputError, match=match):
            analyse(open_run(folder), SeriesOptions(films=False, reference=f"model:{model}"))
    (folder / "regions.json").write_text("{")
    with pytest.raises(InputError, match="is not JSON"):
        analyse(open_run(folder), SeriesOptions(films=False, regions=folder / "regions.json"))


def test_a_run_without_surfaces_is_reported(folder):
    store = SurfaceStore.open(folder / SURFACES, mode="r+")
    for k in range(SCANS):
        store.fail(k, "dark")
    with pytest.raises(InputError, match=r"none of its 7 scans has a surface; scan_000\.ome\.tif: dark"):
        analyse(open_run(folder))
    shutil.rmtree(folder / SURFACES)
    with pytest.raises(InputError, match="has no surfaces yet"):
        analyse(open_run(folder))


def tabled(capfd, folder):
    bench_series.main(["--scans", "3", "--frames", "45", "--side-px", "64", "--run", str(folder / "run")])
    out = capfd.readouterr().out
    assert "recorded in 2 s" in out
    rows = re.findall(r"^(\w.*\w) +\d+\.\d +\d+\.\d\d$", out, re.MULTILINE)
    assert rows == ["whole", "again, surfaces there", "without films"]


@pytest.mark.slow
def test_the_benchmark_covers_three_runs(capfd, tmp_path, undrawn, monkeypatch):
    written = []

    def here(command, **options):
        assert command[:3] == [sys.executable, "-m", "lee"]
        before = SURFACES in {path.name for path in (tmp_path / "run").iterdir()}
        assert lee_cli([*command[3:], "--workers", "1"]) == 0
        written.append((before, sorted(path.name for path in (tmp_path / "run" / "series").glob("*.mp4"))))

    monkeypatch.setattr("bench.bench_series.subprocess.run", here)
    monkeypatch.setattr(
        "lee.series.report.series_report.write_film", lambda path, *given, **options: path.write_bytes(b"")
    )
    tabled(capfd, tmp_path)
    films = ["growth.mp4", "rate.mp4", "surface.mp4"]
    assert written == [(False, films), (True, films), (True, [])]


@pytest.mark.slow
def test_the_benchmark_runs_in_processes_of_its_own(capfd, tmp_path):
    tabled(capfd, tmp_path)
