"""The report of particles opens with the results, and is one self-contained file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lee.errors import InputError
from lee.particles.evaluation import ParticleResults, evaluate
from lee.particles.figures.report import FIGURES, FILES, write_particle_report
from lee.particles.table import empty_table
from tests.support.particle_relief import PIXEL_UM, nucleated, surface_of, table
from tests.support.report_page import Page

SUMMARIES = {
    "threshold (signal over noise)": 4.9,
    "false alarms expected": "1 in the field",
    "detection limit": {10.0: "95 nm", 80.0: "97 nm"},
    "spot width σ": "0.34 µm",
    "pixels left out as saturated": 12,
}


def results() -> ParticleResults:
    early, late = nucleated(1), nucleated(3, count=90, time_s=80.0, diameter_nm=140.0)
    return ParticleResults(
        particles=pd.concat([early.particles, late.particles], ignore_index=True),
        image={10.0: early.image, 80.0: late.image},
        pixel_um=PIXEL_UM,
        name="a <cell>",
        surface=early.surface,
        curvature_per_um=early.curvature_per_um,
        curvature_scale_um=2.0,
        summaries=SUMMARIES,
        notes=["The second scan was shifted by hand."],
    )


def of_one_time(given: ParticleResults) -> ParticleResults:
    particles = given.particles
    summaries = {k: v for k, v in given.summaries.items() if not isinstance(v, dict)}
    image = given.image[10.0]
    return replace(given, particles=particles[particles["time_s"] == 10], image=image, summaries=summaries)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    folder = tmp_path_factory.mktemp("particles") / "report"
    done: list[str] = []
    return write_particle_report(folder, results(), renderer="matplotlib", progress=done.append), done


def test_everything_known_is_written(written: tuple[Path, list[str]]) -> None:
    report, done = written
    assert {entry.name for entry in report.parent.iterdir()} == FILES
    assert set(done) == set(FIGURES)


def test_the_page_reads_from_the_summary_down_to_the_definitions(written: tuple[Path, list[str]]) -> None:
    text = written[0].read_text(encoding="utf-8")
    page = Page(text)
    assert [heading for heading in page.headings if heading] == [
        "a <cell>: particles on the surface", "Summary", "Detection", "Positions",
        "On the surface", "Density", "Sizes", "Relation to curvature", "Flags", "Definitions and uncertainty",
    ]  # fmt: skip
    assert all(source.startswith("data:image/png") for _, source in page.sources)
    assert len(page.sources) == len(FIGURES)
    words = " ".join(page.words)
    for text_part in (
        "At t = 10 s there are 292 particles, 0.0", "The median diameter is 2", "95 nm", "1 in the field",
        "The density of particles in trenches is", "The second scan was shifted by hand.",
        "per µm² of true surface",
        "particles are outside the area that was measured and searched", "its spot overlaps a neighbour's",
    ):  # fmt: skip
        assert text_part in words, text_part
    assert "<cell>" not in text


def test_tables_hold_the_same_numbers(written: tuple[Path, list[str]]) -> None:
    found = evaluate(results())
    assert found.fullest == 10
    over_time = found.over_time()
    assert over_time["time_s"].tolist() == [10, 80]
    assert over_time["density_scale_um"].nunique() == 1
    shares = over_time["density_per_um2"] * over_time["area_um2"]
    np.testing.assert_allclose(shares, over_time["particles"] - over_time["outside_measured"], rtol=1e-6)
    assert (over_time["density_low_per_um2"] < over_time["density_per_um2"]).all()
    assert over_time["median_nm"][0] > over_time["median_nm"][1] + 40
    assert (over_time["trench_to_peak_low"] > 1).all()
    assert (over_time["chance_low"] > 0.5).all()
    bins = found.by_curvature()
    counted = bins.groupby("time_s")["particles"].sum().tolist()
    assert counted == (over_time["particles"] - over_time["outside_measured"]).tolist()
    words = " ".join(Page(written[0].read_text(encoding="utf-8")).words)
    assert f"{over_time['density_per_um2'][1]:.3g} (" in words


def test_one_time_without_a_surface_or_sizes(tmp_path: Path) -> None:
    given = of_one_time(results())
    bare = replace(
        given, surface=None, curvature_per_um=None, name="", summaries={}, notes=(),
        particles=given.particles.assign(diameter_nm=np.nan, flag="", time_s=np.nan),
    )  # fmt: skip
    report = write_particle_report(tmp_path, bare)
    assert {entry.name for entry in tmp_path.iterdir()} == {
        "particles.png", "density.png", "sizes.png", "report.html"
    }  # fmt: skip
    page = Page(report.read_text(encoding="utf-8"))
    headings = [heading for heading in page.headings if heading]
    assert headings == [
        "Particles on the surface", "Summary", "Positions", "Density", "Intensities",
        "Definitions and uncertainty",
    ]  # fmt: skip
    words = " ".join(page.words)
    assert "There are 292 particles" in words
    assert "per µm² of projected area" in words
    assert "Without a calibration no sizes are known" in words
    assert set(evaluate(bare).over_time()["without_size"]) == {292}


def test_no_particles_are_a_report_too(tmp_path: Path) -> None:
    given = of_one_time(results())
    report = write_particle_report(
        tmp_path, replace(given, particles=empty_table(), times_s=[10.0]), renderer="matplotlib"
    )
    words = " ".join(Page(report.read_text(encoding="utf-8")).words)
    assert "No particles were found." in words
    assert "0 (0 to 0.000" in words
    assert (tmp_path / "particles_3d.png").exists()


def test_a_time_without_particles_stays(tmp_path: Path) -> None:
    given = of_one_time(results())
    found = evaluate(replace(given, times_s=[10.0, 50.0], image={10.0: given.image, 50.0: given.image}))
    assert found.over_time()["particles"].tolist() == [292, 0]
    assert np.isnan(found.over_time()["median_nm"][1])


@pytest.mark.parametrize(
    ("shape", "measured"),
    [
        ((1, 1), True),
        ((5, 9), False),
        *(
            pytest.param(*one, marks=pytest.mark.slow)
            for one in (((1, 8), True), ((5, 9), True), ((1, 1), False))
        ),
    ],
)
def test_odd_fields_have_a_report(tmp_path: Path, shape: tuple[int, int], measured: bool) -> None:
    height = np.full(shape, 2.0 if measured else np.nan)
    given = ParticleResults(
        table(np.zeros(1), np.zeros(1)), height, 0.5, surface=surface_of(height, 0.5), curvature_per_um=height
    )
    assert write_particle_report(tmp_path, given, renderer="matplotlib").exists()


def test_what_was_seen_may_differ_from_time_to_time() -> None:
    given = results()
    seen = np.zeros((150, 190), bool)
    seen[:, :95] = True
    found = evaluate(replace(given, searched={10.0: seen, 80.0: ~seen}))
    areas = found.over_time()["area_um2"]
    assert areas.sum() == pytest.approx(evaluate(given).over_time()["area_um2"][0], rel=1e-5)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"times_s": [20.0]}, "found at 10 s, but the times searched are 20"),
        ({"image": {5.0: np.zeros((150, 190))}}, "there is no image for 10 s"),
        ({"pixel_um": 0.5}, "pixels are 0.5 µm, but 0.4 µm in the surface"),
        ({"curvature_per_um": np.zeros((3, 3))}, r"curvature is \(3, 3\), density \(150, 190\)"),
        ({"image": np.zeros((150, 191))}, r"the surface is \(150, 190\), the given shape is \(150, 191\)"),
    ],
)
def test_what_does_not_fit_is_reported(tmp_path: Path, changed: dict, match: str) -> None:
    with pytest.raises(InputError, match=match):
        write_particle_report(tmp_path / "r", replace(of_one_time(results()), **changed))
    assert not (tmp_path / "r").exists()
