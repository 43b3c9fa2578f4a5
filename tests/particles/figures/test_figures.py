"""Figures of particles show them where they are, at their size."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from lee.errors import InputError, MissingDependency
from lee.figures.view import rendering_unavailable
from lee.particles.density.curvature_relation import relate_density
from lee.particles.density.density_map import density_map
from lee.particles.figures.circles import (
    FLAG_COLOURS,
    LARGER,
    NO_FLAG,
    SIZED,
    SMALLER,
    UNKNOWN,
    Circles,
    first_flags,
    markers,
)
from lee.particles.figures.density_figures import densities_figure, density_figure, density_relation_figure
from lee.particles.figures.overlays import overlay_figure
from lee.particles.figures.relief import _occluded, relief_figure
from lee.particles.figures.size_figure import shared_edges, size_figure
from lee.particles.sizes import median_text, sizes_of
from lee.particles.table import FLAGS, empty_table
from lee.particles.times import by_time, of_time
from tests.support.particle_relief import PIXEL_UM, Nucleated, nucleated, surface_of, table

needs_graphics = pytest.mark.skipif(
    rendering_unavailable() is not None, reason="pyvista or a graphics library is missing"
)


@pytest.fixture(scope="module")
def early() -> Nucleated:
    return nucleated(1)


@pytest.fixture(scope="module")
def over_time(early: Nucleated) -> pd.DataFrame:
    later = nucleated(2, count=100, time_s=50.0, diameter_nm=150.0).particles
    return pd.concat([early.particles, later], ignore_index=True)


def drawn(figure: Figure) -> np.ndarray:
    png = io.BytesIO()
    figure.savefig(png, format="png")
    return np.asarray(Image.open(png).convert("RGB")).astype(int)


def titles(figure: Figure) -> list[str]:
    return [axes.get_title() for axes in figure.axes]


def words(figure: Figure) -> str:
    found = [text.get_text() for axes in figure.axes for text in axes.texts]
    return " | ".join([*titles(figure), *found])


# --- on the image ---


def test_a_circle_is_as_large_as_stated_and_where_the_particle_is() -> None:
    image = np.full((100, 140), 100.0)
    particles = table(np.array([10.0]), np.array([25.0]), diameter_nm=500.0)
    plain, circled = (
        overlay_figure(found, image, pixel_um=0.5, magnification=20) for found in (particles[:0], particles)
    )
    rings = circled.axes[0].collections
    size = drawn(circled).shape
    assert size[1] == 1600
    box = circled.axes[0].get_window_extent()
    changed = np.argwhere(np.ptp(drawn(circled), axis=-1) > 60)
    inside = changed[(changed[:, 1] < box.x1) & (changed[:, 0] < size[0] - box.y0)]
    per_um = box.width / 70
    middle = (inside.min(axis=0) + inside.max(axis=0)) / 2
    # 500 nm times 20 are 10 um; the middle of pixel (0, 0) lies half a pixel from the corner.
    assert np.ptp(inside, axis=0) / per_um == pytest.approx([10, 10], abs=0.35)
    assert middle[1] == pytest.approx(box.x0 + 25.25 * per_um, abs=3)
    assert middle[0] == pytest.approx(size[0] - box.y1 + 10.25 * per_um, abs=3)
    assert len(rings) == 2
    assert titles(plain)[0] == "no particles found"


def test_reference_circles_show_the_magnification(early: Nucleated) -> None:
    circles = Circles.for_particles(early.particles, (60, 76))
    assert circles.by_size
    assert circles.legend == f"circles: particles, diameter × {circles.factor:g}"
    assert [label for _, label in circles.references()] == ["100 nm", "200 nm", "400 nm"]
    assert [d for d, _ in circles.references()] == pytest.approx(
        [0.1 * circles.factor, 0.2 * circles.factor, 0.4 * circles.factor]
    )
    many = pd.concat([early.particles] * 10)
    assert Circles.for_particles(many, (60, 76)).factor < circles.factor


def test_without_a_calibration_the_area_is_the_intensity(early: Nucleated) -> None:
    bare = early.particles.assign(diameter_nm=np.nan, flag="")
    circles = Circles.for_particles(bare, (60, 76))
    small, large = circles.drawn_um(np.array([1000.0, 4000.0]))
    assert large == pytest.approx(2 * small)
    assert circles.legend.startswith("no calibration: the area of a circle is the intensity")
    assert all(label.endswith("counts") for _, label in circles.references())
    figure = overlay_figure(bare, early.image, pixel_um=PIXEL_UM)
    assert "intensity (counts)" in [axes.get_ylabel() for axes in figure.axes]


def test_times_have_their_own_panels_and_images(early: Nucleated, over_time: pd.DataFrame) -> None:
    later = np.full_like(early.image, np.nan)
    figure = overlay_figure(
        over_time, {10: early.image, 50: early.image, 80: later}, pixel_um=PIXEL_UM, times_s=[10, 50, 80]
    )
    found = over_time["time_s"].value_counts()
    expected = [
        f"t = 10 s: {found[10]} particles",
        f"t = 50 s: {found[50]} particles",
        "t = 80 s: no particles found",
    ]
    assert titles(figure)[:3] == expected
    assert drawn(figure).shape[1] == 1600


def test_flags_have_colours_of_their_own(early: Nucleated) -> None:
    assert set(FLAG_COLOURS) == {*FLAGS, NO_FLAG}
    shades = [shade for name, shade in FLAG_COLOURS.items() if not name.endswith("_range")]
    assert len(set(shades)) == len(shades)
    particles = table(np.arange(5.0), np.arange(5.0), diameter_nm=[200, np.nan, np.nan, np.nan, 100])
    particles["flag"] = ["", "below_range", "edge above_range", "wide", "edge crowded"]
    assert list(first_flags(particles)) == [NO_FLAG, "below_range", "edge", "wide", "crowded"]
    circles = Circles.for_particles(particles, (9, 9))
    assert list(markers(particles, circles)) == [SIZED, SMALLER, LARGER, UNKNOWN, SIZED]
    figure = overlay_figure(early.particles, early.image, pixel_um=PIXEL_UM, colour="flag")
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert any(line.startswith("below range (") for line in shown)
    figure = overlay_figure(particles, early.image, pixel_um=PIXEL_UM, colour="flag")
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"edge (2)", "above range (1)", "crowded (1)", "no flag (1)"} <= set(shown)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (12, 3)])
def test_odd_images_are_drawn(shape: tuple[int, int]) -> None:
    figure = overlay_figure(table(np.zeros(1), np.zeros(1)), np.full(shape, np.nan), pixel_um=1.0)
    assert drawn(figure).shape[1] == 1600


# --- on the surface ---


def two_peaks() -> tuple[np.ndarray, pd.DataFrame]:
    """A tall peak top left in the image, a low one in its right half, and a particle on each."""
    y, x = np.mgrid[:101, :141]
    height = 6 * np.exp(-((y - 20) ** 2 + (x - 30) ** 2) / 150) + 3 * np.exp(
        -((y - 65) ** 2 + (x - 110) ** 2) / 150
    )
    particles = table(np.array([20, 65]) * 0.5, np.array([30, 110]) * 0.5, diameter_nm=300.0)
    return height, particles.assign(z_um=[6.0, 3.0])


@pytest.mark.parametrize("renderer", ["matplotlib", pytest.param("pyvista", marks=needs_graphics)])
def test_particles_stand_on_the_peaks_they_lie_on(renderer) -> None:
    height, particles = two_peaks()
    surface = surface_of(height, 0.5)
    options = {"stretch": 2, "renderer": renderer, "magnification": 10}
    pictures = []
    for found in (particles[:1], particles[1:]):
        picture = drawn(relief_figure(surface, found, **options))
        assert picture.shape[1] == 1600
        pictures.append(picture)
    differ = np.abs(pictures[0] - pictures[1]).sum(axis=-1) > 150
    differ[:60] = differ[-90:] = False
    rows, columns = np.nonzero(differ)
    left = columns < pictures[0].shape[1] / 2
    assert left.any()
    assert (~left).any()
    tall, low = (np.median(np.stack([rows[side], columns[side]]), axis=1) for side in (left, ~left))
    assert tall[0] < low[0] - 50
    yellow = (pictures[1][..., 0] > 180) & (pictures[1][..., 1] > 170) & (pictures[1][..., 2] < 110)
    yellow[:, 1200:] = False  # the colour bar
    top = np.median(np.nonzero(yellow), axis=1)
    assert np.hypot(*(tall - top)) < 60


def test_hills_hide_what_lies_behind_them() -> None:
    height = np.zeros((60, 40))
    height[30] = 5.0
    rows = np.array([35.0, 26.0, 20.0, 10.0, 30.0])
    # The camera looks down 45 degrees from the image's bottom: 5 um hide 5 pixels of 1 um.
    found = _occluded(
        height, rows, np.full(5, 20.0), np.array([0, 0, 0, 0, 5.0]), step_um=1, stretch=1, view=(45, -90)
    )
    assert found.tolist() == [False, True, False, False, False]
    stretched = _occluded(
        height, rows, np.full(5, 20.0), np.array([0, 0, 0, 0, 5.0]), step_um=1, stretch=3, view=(45, -90)
    )
    assert stretched.tolist() == [False, True, True, False, False]
    height[30], height[:, 10] = 0, 5.0
    from_left = _occluded(
        height,
        np.full(3, 5.0),
        np.array([5.0, 13.0, 20.0]),
        np.zeros(3),
        step_um=1,
        stretch=1,
        view=(45, 180),
    )
    assert from_left.tolist() == [False, True, False]


def test_hidden_particles_are_counted(early: Nucleated) -> None:
    figure = relief_figure(early.surface, early.particles, title="t = 10 s", renderer="matplotlib")
    title = figure.axes[0].get_title()
    assert title.startswith(f"t = 10 s, {len(early.particles)} particles on the surface")
    assert "grey: not measured" in title
    assert title.endswith("behind hills not drawn")
    plain = surface_of(np.zeros((20, 30)))
    flat = relief_figure(plain, table(np.ones(3), np.ones(3)), renderer="matplotlib")
    assert flat.axes[0].get_title() == "3 particles on the surface, height stretched 50 ×"
    empty = relief_figure(early.surface, empty_table(), renderer="matplotlib")
    assert empty.axes[0].get_title().startswith("no particles found")
    assert drawn(empty).shape[1] == 1600


# --- sizes ---


def test_medians_know_of_what_lies_beyond_the_calibration() -> None:
    particles = table(np.zeros(9), np.zeros(9), diameter_nm=[np.nan] * 3 + [100, 120, 140, 160, 180, np.nan])
    particles["flag"] = ["below_range"] * 3 + [""] * 5 + ["masked"]
    found = sizes_of(particles)
    assert (found.below, found.above, found.without, found.count) == (3, 0, 1, 9)
    assert found.median == 110
    assert found.median_interval == (-np.inf, 180)
    assert median_text(found) == "110 nm (below the range to 180)"
    faint = sizes_of(particles[:5])
    assert median_text(faint) == "below the calibration range (too few particles for an interval)"
    assert median_text(sizes_of(empty_table())) == "unknown"


@pytest.mark.slow
def test_the_median_is_within_its_interval_as_often_as_claimed() -> None:
    rng, held = np.random.default_rng(0), []
    for _ in range(400):
        particles = table(np.zeros(25), np.zeros(25), diameter_nm=rng.lognormal(5, 0.3, 25))
        low, high = sizes_of(particles).median_interval
        held.append(low <= np.exp(5) <= high)
    assert 0.94 < np.mean(held) < 0.985


def test_histograms_share_their_bins_and_show_the_rest(over_time: pd.DataFrame) -> None:
    figure = size_figure(over_time, times_s=[10, 50, 80])
    edges = [{round(patch.get_x(), 6) for patch in axes.patches[:8]} for axes in figure.axes]
    assert edges[0] == edges[1] == edges[2]
    shown = [axes.texts[0].get_text() for axes in figure.axes]
    first = over_time[over_time["time_s"] == 10]
    assert shown[0].startswith(f"t = 10 s: {len(first)} particles\nmedian 2")
    assert f"{(first['flag'] == 'below_range').sum()} fainter than the calibration range" in shown[0]
    assert shown[2] == "t = 80 s: no particles found"
    assert figure.axes[2].get_xlabel() == "particle diameter (nm)"
    assert drawn(figure).shape[1] == 1600


def test_without_a_calibration_intensities_are_counted(early: Nucleated) -> None:
    bare = early.particles.assign(diameter_nm=np.nan, flag="")
    figure = size_figure(bare)
    assert figure.axes[0].get_xlabel() == "intensity (counts); sizes are unknown without a calibration"
    assert "counts (" in figure.axes[0].texts[0].get_text()
    drawn(size_figure(empty_table()))


def test_bins_suit_what_is_there() -> None:
    assert len(shared_edges([])) == 11
    assert shared_edges([np.array([50.0])])[[0, -1]] == pytest.approx([45, 55])
    many = np.random.default_rng(0).normal(200, 30, 5000)
    edges = shared_edges([many[:10], many[10:]])
    assert 20 < len(edges) <= 31
    assert (edges[0], edges[-1]) == pytest.approx((many.min(), many.max()))
    ratios = shared_edges([np.geomspace(10, 1000, 50)], logarithmic=True)
    np.testing.assert_allclose(ratios[1:] / ratios[:-1], ratios[1] / ratios[0])


# --- density ---


def test_density_lies_beside_curvature(early: Nucleated) -> None:
    density = density_map(early.particles, pixel_um=PIXEL_UM, surface=early.surface)
    figure = density_figure(density, early.curvature_per_um, title="t = 10 s")
    assert titles(figure)[0].startswith(f"t = 10 s, {density.count} particles, mean 0.0")
    assert f"kernel σ = {density.scale_um:.3g} µm" in titles(figure)[0]
    labels = {axes.get_ylabel() for axes in figure.axes}
    assert {
        "particles per µm² of true surface",
        "mean curvature (1/µm)",
        "σ of the density (1/µm²)",
    } <= labels
    assert drawn(figure).shape[1] == 1600
    alone = density_figure(density_map(early.particles, pixel_um=PIXEL_UM, shape=early.image.shape))
    assert "particles per µm² of projected area" in {axes.get_ylabel() for axes in alone.axes}


def test_densities_of_all_times_have_the_same_colours(early: Nucleated) -> None:
    one = density_map(early.particles, pixel_um=PIXEL_UM, surface=early.surface)
    none = density_map(empty_table(), pixel_um=PIXEL_UM, surface=early.surface)
    figure = densities_figure({10.0: one, 80.0: none})
    assert titles(figure)[1] == "t = 80 s: no particles found"
    assert figure.axes[0].images[0].get_clim() == figure.axes[1].images[0].get_clim()


def test_the_relation_shows_counts_over_area_and_the_map(early: Nucleated) -> None:
    density = density_map(early.particles, pixel_um=PIXEL_UM, surface=early.surface)
    found = relate_density(density, early.curvature_per_um, resamples=100)
    figure = density_relation_figure({10.0: found})
    counted, mapped = figure.axes[:2]
    np.testing.assert_allclose(counted.get_lines()[0].get_ydata(), found.per_um2)
    assert (
        f"density ratio of trenches to peaks, a third of the area each: {found.trench_to_peak:.3g} ("
        in counted.get_title()
    )
    assert "Spearman ρ = " in mapped.get_title()
    assert mapped.get_ylabel() == "particle density (1/µm²)"
    assert drawn(figure).shape[1] == 1600


def test_no_particles_are_reported_in_every_figure(early: Nucleated) -> None:
    density = density_map(empty_table(), pixel_um=PIXEL_UM, surface=early.surface)
    relation = relate_density(density, early.curvature_per_um, resamples=20)
    for figure in (
        overlay_figure(empty_table(), early.image, pixel_um=PIXEL_UM),
        size_figure(empty_table()),
        density_figure(density, early.curvature_per_um),
        densities_figure({np.nan: density}),
        density_relation_figure({np.nan: relation}),
    ):
        assert "no particles found" in words(figure)
        drawn(figure)


# --- times ---


def test_times_are_distinguished() -> None:
    particles = pd.concat([table(np.zeros(2), np.zeros(2), time_s=t) for t in (50.00001, 10.0)])
    assert {time: len(part) for time, part in by_time(particles).items()} == {10.0: 2, 50.00001: 2}
    assert [len(part) for part in by_time(particles, [10, 30, 50]).values()] == [2, 0, 2]
    assert list(by_time(empty_table())) == pytest.approx([np.nan], nan_ok=True)
    assert len(by_time(table(np.zeros(3), np.zeros(3)), [7.0])[7.0]) == 3
    with pytest.raises(InputError, match="found at 50 s, but the times searched are 10, 30"):
        by_time(particles, [10, 30])
    assert of_time({10: "a", 50: "b"}, 50.00001, "image") == "b"


# --- bad input ---


@pytest.mark.parametrize(
    ("draw", "match"),
    [
        (lambda p: overlay_figure(p, np.zeros((3, 3)), pixel_um=1, colour="x"), "colour is 'x'"),
        (lambda p: overlay_figure(p, np.zeros((3, 3)), pixel_um=0), "pixel_um is 0"),
        (lambda p: overlay_figure(p, np.zeros(3), pixel_um=1), r"an image has shape \(3,\)"),
        (lambda p: overlay_figure(p, {5: np.zeros((3, 3))}, pixel_um=1, times_s=[7]), "no image for 7 s"),
        (
            lambda p: overlay_figure(
                p, {5: np.zeros((3, 3)), 7: np.zeros((3, 4))}, pixel_um=1, times_s=[5, 7]
            ),
            "differ in shape",
        ),
        (lambda p: overlay_figure(p, np.zeros((3, 3)), pixel_um=1, magnification=-1), "magnification is -1"),
        (lambda p: relief_figure(surface_of(np.zeros((3, 3))), p, renderer="x"), "renderer is 'x'"),
        (lambda p: relief_figure(surface_of(np.zeros((3, 3))), p, stretch=0), "stretch is 0"),
        (lambda p: relief_figure(surface_of(np.zeros((1, 9))), p), r"\(1, 9\) pixels is too narrow"),
        (lambda p: densities_figure({}), "no density to draw"),
        (lambda p: density_relation_figure({}), "no relation to draw"),
        (
            lambda p: density_figure(density_map(p, pixel_um=1, shape=(3, 3)), np.zeros((3, 4))),
            r"curvature is \(3, 4\), density \(3, 3\)",
        ),
    ],
)
def test_what_cannot_be_drawn_is_reported(draw, match: str) -> None:
    with pytest.raises(InputError, match=match):
        draw(empty_table())


def test_a_missing_renderer_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "lee.particles.figures.relief.rendering_unavailable", lambda: "pyvista is missing: pip install it"
    )
    with pytest.raises(MissingDependency, match="cannot be drawn by pyvista: pyvista is missing"):
        relief_figure(surface_of(np.zeros((9, 9))), empty_table(), renderer="pyvista")
    assert relief_figure(surface_of(np.zeros((9, 9))), empty_table()).axes[0].name == "3d"
