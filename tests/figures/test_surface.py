import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from lee.errors import InputError
from lee.figures.report import Section, write_report
from lee.figures.surface import error_maps, preview, relief, save_preview
from lee.surfaces.surface import Surface


def noisy_surface(shape: tuple[int, int] = (60, 80)) -> tuple[Surface, np.ndarray]:
    rng = np.random.default_rng(3)
    truth = (np.indices(shape).sum(axis=0) * 0.05).astype(np.float32)
    measured = truth + rng.normal(0, 0.1, shape).astype(np.float32)
    valid = np.ones(shape, bool)
    valid[10:20, 30:40] = False
    gaps, sigma = (np.where(valid, values, np.float32(np.nan)) for values in (measured, np.float32(0.1)))
    return Surface(gaps, measured, sigma, valid, rng.random(shape), 0.5), truth


def titles(figure: Figure) -> str:
    return " | ".join(axes.get_title() for axes in figure.axes)


def panel(figure: Figure, title: str) -> Axes:
    return next(axes for axes in figure.axes if title in axes.get_title())


def test_the_preview_is_1600_pixels_wide_and_shows_um(tmp_path: Path) -> None:
    surface, _ = noisy_surface()
    save_preview(surface, tmp_path / "p.png")
    assert Image.open(tmp_path / "p.png").size[0] == 1600
    figure = preview(surface)
    assert "97.9 % measured" in titles(figure)
    height = panel(figure, "measured")
    assert height.images[0].get_extent() == [0, 40, 30, 0]
    assert len(height.texts) == len(height.patches) == 0  # nothing lies over the map: its axes are in µm
    assert any(axes.get_ylabel() == "height (µm)" for axes in figure.axes)


def test_the_relief_shows_the_image_s_top_far_away_and_counts_y_down_it() -> None:
    surface, _ = noisy_surface()  # 30 µm high, and higher toward the image's bottom
    axes = Figure().add_subplot(projection="3d")
    drawn = []
    axes.plot_surface = lambda *xyz, **_: drawn.extend(xyz)  # type: ignore[method-assign]
    relief(axes, surface)
    assert axes.get_ylabel() == "y, down the image (µm)"
    ticks = {
        text.get_text(): place for text, place in zip(axes.get_yticklabels(), axes.get_yticks(), strict=True)
    }
    assert all(place == pytest.approx(29.5 - float(text)) for text, place in ticks.items())
    assert len(ticks) > 2
    _, y, z = drawn
    assert z[y < 3].mean() > z[y > 26].mean()
    surface.plot(flat := Figure().add_subplot())
    top, bottom = sorted(flat.get_ylim())
    assert flat.get_ylim() == (bottom, top) == (30, 0)
    assert flat.images[0].colorbar.ax.get_ylabel() == "height (µm)"


@pytest.mark.parametrize("what", ["no sigma", "no image", "nothing measured", "flat", "large"])
def test_the_preview_copes(what: str) -> None:
    surface, _ = noisy_surface((1500, 1200) if what == "large" else (60, 80))
    if what == "no sigma":
        surface.height_sigma_um[:] = np.nan
    elif what == "no image":
        surface.refocused[:] = np.nan
    elif what == "nothing measured":
        surface.height_um[:], surface.height_sigma_um[:], surface.valid[:] = np.nan, np.nan, False
    elif what == "flat":
        surface.height_filled_um[:] = 7
        surface.height_um[surface.valid] = 7
    figure = preview(surface)
    figure.canvas.draw()
    assert len(figure.axes) >= 4
    assert max(axes.images[0].get_array().shape[0] for axes in figure.axes if axes.images) <= 1000


def test_what_was_not_measured_stays_blank() -> None:
    surface, _ = noisy_surface()
    drawn = panel(preview(surface), "measured").images[0].get_array()
    np.testing.assert_array_equal(np.ma.getmaskarray(drawn), ~surface.valid)


def test_error_maps_show_the_errors_in_numbers() -> None:
    surface, truth = noisy_surface()
    figure = error_maps(surface, truth)
    error = (surface.height_um - truth)[surface.valid]
    shown = re.search(r"rms ([\d.]+) µm, median ([\d.]+), p95 ([\d.]+)", titles(figure))
    assert shown is not None
    expected = np.sqrt(np.mean(error**2)), np.median(np.abs(error)), np.percentile(np.abs(error), 95)
    np.testing.assert_allclose([float(number) for number in shown.groups()], expected, atol=6e-4)
    within = re.search(r"(\d+) % of the errors within one σ", titles(figure))
    assert within is not None
    assert int(within[1]) == pytest.approx(100 * np.mean(np.abs(error) <= 0.1), abs=1)
    low, high = panel(figure, "measured − truth").images[0].get_clim()
    assert low == -high


def test_error_maps_refuse_what_cannot_be_compared() -> None:
    surface, truth = noisy_surface()
    with pytest.raises(InputError, match=r"true height has shape \(60, 79\), the surface \(60, 80\)"):
        error_maps(surface, truth[:, 1:])
    surface.height_um[:], surface.valid[:] = np.nan, False
    with pytest.raises(InputError, match="nothing was measured"):
        error_maps(surface, truth)


def test_a_report_is_one_file_that_needs_nothing_else(tmp_path: Path) -> None:
    surface, truth = noisy_surface((20, 30))
    save_preview(surface, tmp_path / "p.png")
    section = Section(
        "Errors <all>",
        "First.\n\nSecond & last.",
        [{"what": "rms (µm)", "found": 0.123456, "must": None}, {"what": "frames", "found": 400}],
        {"preview": tmp_path / "p.png", "errors": error_maps(surface, truth)},
    )
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "a b.csv").touch()
    page = write_report(tmp_path / "r" / "report.html", "A scan", [section]).read_text(encoding="utf-8")
    assert '<a href="a%20b.csv">a b.csv</a>' in page
    assert re.search(r"Written by lee .+ on \d{4}-\d\d-\d\d \d\d:\d\d UTC", page)
    assert page.count('src="data:image/png;base64,') == 2
    assert "http" not in page
    assert "<h2>Errors &lt;all&gt;</h2>" in page
    assert "<p>Second &amp; last.</p>" in page
    assert "<td>0.1235</td><td></td>" in page
    assert "<td>400</td>" in page


def test_a_report_names_a_picture_it_cannot_read(tmp_path: Path) -> None:
    for name, message in (
        ("no.png", r"picture .*no\.png: cannot be read"),
        ("no.svg", "a report takes pictures as"),
    ):
        with pytest.raises(InputError, match=message):
            write_report(tmp_path / "r.html", "A scan", [Section("x", pictures={"y": tmp_path / name})])
    assert list(tmp_path.iterdir()) == []
