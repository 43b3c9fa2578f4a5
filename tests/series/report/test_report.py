import base64
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lee.errors import InputError
from lee.series.report.methods import methods
from lee.series.report.series_report import FIGURES, FILES, FILMS, RELIEF_FILM, write_series_report
from lee.series.report.summary import areal_section, summary
from tests.support.report_page import Page
from tests.support.series_results import results


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    folder = tmp_path_factory.mktemp("run") / "series"
    done: list[str] = []
    return write_series_report(folder, results(), progress=done.append), done


def test_everything_known_is_written(written: tuple[Path, list[str]]) -> None:
    report, done = written
    assert {entry.name for entry in report.parent.iterdir()} == FILES - {RELIEF_FILM}
    assert set(done) == FILES - {"report.html", RELIEF_FILM}


def test_the_page_holds_everything_in_itself(written: tuple[Path, list[str]]) -> None:
    page = Page(written[0].read_text(encoding="utf-8"))
    assert all(source.startswith("data:") for _, source in page.sources)
    films = [source for tag, source in page.sources if tag == "video"]
    assert len(films) == len(FILMS)
    assert len([source for tag, source in page.sources if tag == "img"]) == len(FIGURES)
    inside = base64.b64decode(films[2].removeprefix("data:video/mp4;base64,"))
    assert inside == (written[0].parent / "rate.mp4").read_bytes()


def test_the_page_reads_from_what_it_came_to_down_to_how(written: tuple[Path, list[str]]) -> None:
    page = Page(written[0].read_text(encoding="utf-8"))
    headings = [heading for heading in page.headings if heading]
    assert headings == [
        "a <run>: a surface over time", "Summary", "Surface", "Growth", "Rate",
        "Trenches, protrusions and other regions", "Relation of growth rate to curvature",
        "Area, volume and roughness", "Charge and deposit", "Alignment",
        "Methods, as a paragraph for a paper", "Settings",
    ]  # fmt: skip
    words = " ".join(page.words)
    assert "scan_2.tif has no surface: the file ends early." in words
    assert "Reference of the heights: none." in words
    assert "<run>" not in written[0].read_text(encoding="utf-8")


def test_the_methods_are_those_of_the_results() -> None:
    found = results()
    share = 100 * np.isfinite(found.heights).mean()
    text, *references = methods(found).split("\n\n")
    assert text.startswith("Heights were measured in 6 focal scans over 50 s, with lee ")
    assert f"{share:.1f} % of the pixels were measured" in text
    assert "at a scale of 3 µm" in text
    assert [one[:11] for one in references] == ["ISO 25178-2"]
    stated = {"reconstruction: focus": "wavelet", "window of the rate (scans)": 5}
    text, *references = methods(replace(found, settings=stated, scale_um=None, areal_table=None)).split(
        "\n\n"
    )
    assert "by complex wavelets (Forster" in text
    assert "fitted to 5 scans each" in text
    assert "curvature" not in text
    assert len(references) == 1


def test_the_summary_reports_the_numbers() -> None:
    text, table = summary(results())
    shown = {str(row["quantity"]): str(row["value"]) for row in table}
    assert shown["scans"] == "6 in 50 s, 1 without a surface"
    assert shown["field"] == "32 × 24 µm (64 × 48 pixels of 0.5 µm)"
    assert shown["measured"] == "98.4 % of the field in the median scan, 98.4 % in the worst"
    assert shown["rate, plating"] == "4 scans, median 40 nm/s in the first, 40 nm/s in the last"
    assert shown["rate, stripping"] == "2 scans, median -40 nm/s in the first, -40 nm/s in the last"
    assert shown["σ of the rate of a pixel"] == "3 nm/s in the median scan"
    assert (
        shown["trench and protrusion rates, plating"]
        == "2.00 ± 0.17 to 1 in the first scan, 2.00 ± 0.17 to 1 in the last"
    )
    assert shown["curvature and rate, plating"] == "Spearman ρ = 0.80, 95 % interval 0.70 to 0.90"
    assert text.startswith(
        "Only six scans were taken.\n\nscan_2.tif has no surface: the file ends early.\n\n"
    )
    assert "Drift of the stage along the axis reads as growth." in text
    assert "does not hold drift of the stage along z" in text


def test_the_table_of_parameters_is_short_and_has_units() -> None:
    table = results().areal_table
    assert table is not None
    text, rows = areal_section(table)
    assert list(rows[0])[:4] == ["t (s)", "Sa (µm)", "Sq (µm)", "Sz (µm)"]
    assert rows[2]["Sa (µm)"] == "not measured"
    assert not re.search(r"e\+", " ".join(str(value) for value in rows[0].values()))
    assert "area and slopes are measured at a scale of 3 µm" in text.lower()
    longer = table.loc[table.index.repeat(10)]
    assert len(areal_section(longer)[1]) == 12
    assert "12 of 60 scans are listed" in areal_section(longer)[0]


def test_what_is_not_known_is_left_out(tmp_path: Path) -> None:
    full = results()
    bare = replace(
        full, rate_sigma=None, curvature=None, regions=(), region_table=None, areal_table=None, relations={},
        profiles={}, line_um=None, alignment=None, charge=None, failed={}, notes=(), phases=[""] * 6,
    )  # fmt: skip
    report = write_series_report(tmp_path, bare, films=False)
    assert {entry.name for entry in tmp_path.iterdir()} == {
        "height.png", "delta.png", "rate.png", "report.html"
    }  # fmt: skip
    assert "<video" not in report.read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_run_without_any_surface_has_a_report(tmp_path: Path) -> None:
    full = results()
    lost = np.full_like(np.asarray(full.heights), np.nan)
    empty = replace(
        full, heights=lost, delta=lost, rate=lost, rate_sigma=lost, curvature=lost[0], region_table=None,
        areal_table=None,
    )  # fmt: skip
    page = Page(write_series_report(tmp_path, empty).read_text(encoding="utf-8"))
    words = " ".join(page.words)
    assert "6 in 50 s, 6 without a surface" in words
    assert "4 scans, no rate measured" in words


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"times_s": []}, "a <run> has no scans"),
        ({"phases": ["plating"]}, "1 phases for 6 times: give one for each time"),
        ({"rate": np.zeros((5, 2, 2))}, "5 rate for 6 times: give one for each time"),
    ],
)
def test_results_that_do_not_fit_are_refused(change: dict, match: str) -> None:
    with pytest.raises(InputError, match=match):
        replace(results(), **change)
