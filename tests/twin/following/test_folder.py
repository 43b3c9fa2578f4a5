"""A followed run on disk: accounts, rates, figures and report; large fields on a grid of their own."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lee.surfaces.regions import Region
from lee.twin import Cell, MeshSize, follow
from lee.twin.following.figures import rates_over_time
from lee.twin.following.folder import save_followed
from lee.twin.following.measured_rates import compare_rates, regions_of
from lee.twin.results.folder import load_maps

pytest.importorskip("ngsolve")
PIXEL_UM, TIMES = 5.0, [0.0, 10.0, 20.0]
SHAPE = (20, 24)


def heights(pixel_um=PIXEL_UM, shape=SHAPE):
    y, x = (np.mgrid[: shape[0], : shape[1]] + 0.5) * pixel_um
    return [6 * np.cos(x / 14) * np.cos(y / 18) + 0.038 * t for t in TIMES]


@pytest.fixture(scope="module")
def followed():
    return follow(
        heights(), times_s=TIMES, pixel_um=PIXEL_UM, cell=Cell(), scans=list("abc"), tolerance=1e-2,
        mesh=MeshSize(columns=(6, 8), layers=5), report=None,
    )  # fmt: skip


def test_rates_are_compared_with_those_given_or_with_the_boundary(followed):
    rates = [np.full(SHAPE, 38.0)] * 3
    given = compare_rates(followed, rates, [np.full(SHAPE, 2.0)] * 3)
    assert given.statistics["measured_mean"].tolist() == pytest.approx([38] * 3)
    assert given.statistics["noise_rms"].tolist() == pytest.approx([2] * 3)
    own = compare_rates(followed)
    assert own.statistics["measured_mean"].tolist() == pytest.approx([38] * 3, rel=1e-3)
    assert own.statistics["computed_mean"].tolist() == pytest.approx([38] * 3, rel=0.01)
    assert set(own.curves["kind"]) == {"trench", "protrusion"}


def test_regions_are_found_or_drawn(followed):
    assert {region.kind for region in regions_of(followed)} == {"trench", "protrusion"}
    mask = np.zeros(SHAPE, bool)
    mask[3:9, 4:10] = True
    drawn = compare_rates(followed, regions=[Region("R1", "drawn", mask)])
    assert set(drawn.curves["region"]) == {"R1"}
    assert set(drawn.curves["n"]) == {36}


def test_lines_of_rates_end_where_the_current_turns(followed):
    turned = replace(followed.solution, mean_current_ma_per_cm2=np.array([80.0, 80.0, -80.0]))
    computed = rates_over_time(compare_rates(followed), turned).axes[1]
    lines = [line.get_xdata().tolist() for line in computed.lines if line.get_marker() == "x"]
    assert lines[:2] == [[0.0, 10.0], [20.0]]


@pytest.mark.slow
def test_the_folder_holds_accounts_rates_and_the_report(followed, tmp_path):
    folder = save_followed(followed, tmp_path / "twin", films=False, metadata={"run": "made"})
    assert load_maps(folder).metadata["scans"] == ["a", "b", "c"]
    assert pd.read_csv(folder / "intervals.csv")["charge_c_per_cm2"].tolist() == pytest.approx([0, 0.8, 1.6])
    assert set(pd.read_csv(folder / "regions.csv")["kind"]) == {"trench", "protrusion"}
    assert len(pd.read_csv(folder / "rates.csv")) == 3
    page = (folder / "report.html").read_text()
    for text in ("Measured and computed rates", "height rates", "The local environment", "1.6 C/cm² passed"):
        assert text in page
    for name in ("rates", "maps", "line", "curvature", "ions", "environment", "potentials"):
        assert (folder / f"{name}.png").stat().st_size > 10_000, name


def test_a_large_field_has_a_grid_of_its_own_and_keeps_its_area():
    pixel_um, shape = 0.25, (12, 600)
    x = (np.mgrid[: shape[0], : shape[1]][1] + 0.5) * pixel_um
    ripple = 0.3 * np.cos(2 * np.pi * x / 2.5)
    efficiency = np.full(shape, 0.5)
    found = follow(
        [ripple, ripple + 0.1], times_s=[0.0, 5.0], pixel_um=pixel_um, cell=Cell(), efficiency=efficiency,
        mesh=MeshSize(columns=(1, 30), layers=4), tolerance=1e-2, report=None,
    )  # fmt: skip
    solution = found.solution
    assert solution.height_um.shape == (2, 4, 200)
    assert solution.pixel_um == 0.75
    slope = 0.3 * 2 * np.pi / 2.5 * np.sin(np.linspace(0, 2 * np.pi, 1000))
    assert solution.area_ratio[0].mean() == pytest.approx(np.sqrt(1 + slope**2).mean(), rel=0.01)
    assert solution.height_rate_nm_per_s[0].mean() == pytest.approx(0.5 * Cell().growth_nm_per_s, rel=0.01)
