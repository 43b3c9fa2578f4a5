import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from lee.errors import InputError
from lee.figures.curves import area_and_volume, areal_curves, curves_of_regions, drift_figure
from lee.figures.maps import colour_scale, evenly, round_length, time_text
from lee.figures.maps_over_time import MAX_REGIONS, in_order, map_figure, maps_over_time, region_style
from lee.figures.phases import phase_spans
from lee.series.report.relation_figures import profile_figure, relation_figure
from lee.series.report.summary import ratio_of_kinds
from lee.surfaces.regions import Region
from tests.support.series_results import LOST, PHASES, PIXEL_UM, SHAPE, TIMES, profile, relation, results


def drawn(figure: Figure) -> np.ndarray:
    png = io.BytesIO()
    figure.savefig(png, format="png")
    return np.asarray(Image.open(png))


def panels(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.images]


def labels(figure: Figure) -> set[str]:
    return {text for axes in figure.axes for text in (axes.get_xlabel(), axes.get_ylabel()) if text}


# --- colours ---


def test_rates_are_centred_on_zero() -> None:
    scale = colour_scale("rate", np.linspace(-20, 100, 3000, dtype=np.float32).reshape(3, 25, 40))
    assert scale.colours == "RdBu_r"
    assert scale.low == -scale.high
    assert scale.high == pytest.approx(100, rel=0.02)


def test_growth_of_one_sign_starts_at_zero_and_of_both_is_centred() -> None:
    gained = np.random.default_rng(0).uniform(2, 10, (3, 40, 40)).astype(np.float32)
    assert colour_scale("delta", gained).low == 0
    assert colour_scale("delta", gained).colours != "RdBu_r"
    assert colour_scale("delta", -gained).high == 0
    both = colour_scale("delta", gained - 6)
    assert both.colours == "RdBu_r"
    assert both.low == -both.high


def test_single_wrong_pixels_do_not_decide_the_colours() -> None:
    values = np.random.default_rng(0).uniform(0, 1, (2, 100, 100)).astype(np.float32)
    values[0, 0, :20] = 1e6
    scale = colour_scale("height", values)
    assert scale.high < 1.01
    assert scale.extend == "both"
    assert colour_scale("height", values, limits=(-1, 2e6)).extend == "neither"


@pytest.mark.parametrize("kind", ["height", "delta", "rate", "rate_sigma", "curvature"])
@pytest.mark.parametrize("values", [np.nan, 0.0, 3.0])
def test_limits_are_in_order_whatever_the_maps_hold(kind: str, values: float) -> None:
    scale = colour_scale(kind, np.full((2, 5, 5), values, np.float32))
    assert scale.low < scale.high
    assert np.isfinite(scale.limits).all()


@pytest.mark.parametrize(("value", "length"), [(44.2, 20), (5, 5), (0.13, 0.1), (999, 500), (1000, 1000)])
def test_scale_bars_have_round_lengths(value: float, length: float) -> None:
    assert round_length(value) == pytest.approx(length)


@pytest.mark.parametrize(
    ("time", "text"), [(0, "0 s"), (0.5, "0.5 s"), (12.34, "12.3 s"), (1480, "1480 s"), (86400, "86400 s")]
)
def test_times_are_written_out(time: float, text: str) -> None:
    assert time_text(time) == text


def test_first_and_last_scan_are_shown() -> None:
    assert evenly(20, 8)[0] == 0
    assert evenly(20, 8)[-1] == 19
    assert len(evenly(20, 8)) == 8
    assert evenly(3, 8) == [0, 1, 2]
    assert evenly(1, 8) == [0]


def test_a_phase_ends_between_its_last_scan_and_the_next() -> None:
    assert phase_spans(TIMES, PHASES) == [(0, 35, "plating"), (35, 50, "stripping")]
    assert phase_spans(TIMES, None) == []


# --- maps ---


def test_maps_over_time_share_colours_and_name_their_scans() -> None:
    r = results()
    figure = maps_over_time(r.rate, kind="rate", times_s=TIMES, pixel_um=PIXEL_UM, phases=PHASES)
    assert drawn(figure).shape[1] == 1600
    assert len({axes.images[0].get_clim() for axes in panels(figure)}) == 1
    assert [axes.get_title() for axes in panels(figure)][-1] == "t = 50 s, stripping"
    assert {"rate (nm/s)", "x (µm)", "y, down the image (µm)"} <= labels(figure)


def test_a_map_has_its_top_up_and_its_extent_in_um() -> None:
    figure = maps_over_time(results().heights, kind="height", times_s=TIMES, pixel_um=PIXEL_UM)
    first = panels(figure)[0]
    assert first.images[0].get_extent() == [0, SHAPE[1] * PIXEL_UM, SHAPE[0] * PIXEL_UM, 0]
    assert first.yaxis_inverted()


def test_a_scan_without_surface_is_named_and_hatched() -> None:
    figure = maps_over_time(results().heights, kind="height", times_s=TIMES, pixel_um=PIXEL_UM)
    lost = panels(figure)[LOST]
    assert lost.get_title() == "t = 20 s, not measured"
    hatched = [patch for patch in lost.patches if isinstance(patch, Rectangle) and patch.get_hatch()]
    assert [patch.get_width() for patch in hatched] == [SHAPE[1] * PIXEL_UM]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_short_runs_are_drawn(count: int) -> None:
    maps = np.zeros((count, 1200, 30), np.float32)
    figure = maps_over_time(maps, kind="delta", times_s=range(count), pixel_um=1.0)
    assert max(drawn(figure).shape) < 3000
    assert len(panels(figure)) == count


def test_regions_are_outlined_where_they_lie() -> None:
    r = results()
    figure = map_figure(
        {"curvature": ("curvature", r.curvature)}, pixel_um=PIXEL_UM, regions=r.regions, line_um=r.line_um
    )
    drawn(figure)
    axes = panels(figure)[0]
    assert not [text for text in axes.texts if text.get_text()]  # names would cover small regions
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["T1", "P1"]
    # The middle of pixel (15, 15) lies half a pixel from its edge.
    outline = axes.collections[0].get_paths()[0].vertices
    reach = np.hypot(*(outline - 15.5 * PIXEL_UM).T)
    np.testing.assert_allclose(reach, 7 * PIXEL_UM, atol=PIXEL_UM)
    assert axes.get_xlim() == (0, SHAPE[1] * PIXEL_UM)


def test_a_region_at_the_border_and_one_without_pixels_are_drawn() -> None:
    whole, none = Region("all", "drawn", np.ones(SHAPE, bool)), Region("none", "drawn", np.zeros(SHAPE, bool))
    figure = map_figure(
        {"height": ("height", results().heights[0])}, pixel_um=PIXEL_UM, regions=[none, whole]
    )
    drawn(figure)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["all"]


def test_of_many_regions_both_kinds_are_shown() -> None:
    def square(name: str, kind: str, side: int) -> Region:
        mask = np.zeros(SHAPE, bool)
        mask[:side, :side] = True
        return Region(name, kind, mask)

    many = [square(f"T{k}", "trench", 40 - k) for k in range(20)]
    many += [square(f"P{k}", "protrusion", 20 - k) for k in range(10)]
    many.append(square("mine", "drawn", 2))
    shown = [region.name for region in in_order(many)[:MAX_REGIONS]]
    assert shown == ["T0", "T1", "T2", "T3", "P0", "P1", "P2", "mine"]
    assert len(in_order(many)) == len(many)
    assert len({region_style(k) for k in range(MAX_REGIONS)}) == MAX_REGIONS


# --- curves ---


def test_curves_of_regions_have_bands_units_and_phases() -> None:
    r = results()
    assert r.region_table is not None
    ratio = ratio_of_kinds(r.region_table)
    figure = curves_of_regions(r.region_table, phases=PHASES, ratio=ratio, names=["P1", "T1"])
    drawn(figure)
    assert {"mean height (µm)", "mean rate (nm/s)", "trench rate / protrusion rate"} <= labels(figure)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["P1", "T1"]
    height = figure.axes[0]
    assert len(height.collections) == 2
    assert {text.get_text() for text in height.texts} == {"plating", "stripping"}
    rates = figure.axes[1].get_lines()[1].get_ydata()
    np.testing.assert_allclose(np.asarray(rates, float), [60] * 4 + [-60] * 2, rtol=0.01)
    np.testing.assert_allclose(np.asarray(figure.axes[2].get_lines()[0].get_ydata(), float), 2, rtol=0.02)


def test_more_regions_than_can_be_distinguished_are_counted() -> None:
    table = pd.DataFrame(
        [
            {"region": f"R{k}", "time_s": t, "height_um": k, "rate_nm_per_s": 1.0}
            for k in range(12)
            for t in (0.0, 1.0)
        ]
    )
    figure = curves_of_regions(table)
    assert figure.legends[0].get_title().get_text() == "region, 8 of 12"


def test_area_volume_and_areal_parameters_have_units() -> None:
    table = results().areal_table
    assert table is not None
    first, second = area_and_volume(table, phases=PHASES), areal_curves(table, phases=PHASES)
    drawn(first)
    drawn(second)
    assert {"true area (µm²)", "volume over the datum (µm³)", "area / volume (1/µm)"} <= labels(first)
    assert {"Sa (µm)", "Sq (µm)", "Sz (µm)", "Ssk", "Sku", "Sdq", "Sdr (%)"} <= labels(second)


def test_axial_drift_is_drawn_only_where_there_is_a_reference() -> None:
    shift = np.ones((6, 2))
    assert len(drift_figure(shift, TIMES, axial_um=np.zeros(6)).axes) == 1
    axial = {"axial_um": np.full(6, 0.2), "axial_sigma_um": np.full(6, 0.01)}
    known = drift_figure(shift, TIMES, **axial, phases=PHASES)
    drawn(known)
    assert {"lateral drift (µm)", "axial drift (µm)"} <= labels(known)


# --- relation and profile ---


def test_density_is_drawn_the_right_way_round() -> None:
    figure = relation_figure({"plating": relation()})
    mesh = figure.axes[0].collections[0]
    values = np.ma.filled(mesh.get_array(), 0)
    assert values.shape == (20, 10)
    assert values[18, 9] == 1
    assert "Spearman ρ = 0.80 (0.70 to 0.90)" in figure.axes[0].get_title()
    assert "95 % intervals, from 42 blocks of 5 µm" in figure.axes[0].get_title()
    drawn(figure)


def test_a_relation_of_nothing_is_drawn_as_unknown() -> None:
    empty = relation()
    nothing = {
        **vars(empty), "density": np.zeros((10, 20)), "spearman": np.nan,
        "spearman_interval": (np.nan, np.nan), "pearson_interval": (np.nan, np.nan),
    }  # fmt: skip
    figure = relation_figure({"rest": type(empty)(**nothing)})
    assert "Spearman ρ = unknown, Pearson r = 0.75 (interval unknown)" in figure.axes[0].get_title()
    assert drawn(figure).shape[1] == 1600


def test_a_profile_shows_height_curvature_and_rate() -> None:
    figure = profile_figure({"t = 0 s": profile(0), "t = 50 s": profile(2)})
    drawn(figure)
    assert {"height (µm)", "rate (nm/s)", "distance along the line (µm)"} <= labels(figure)
    np.testing.assert_array_equal(figure.axes[2].get_lines()[1].get_ydata(), profile(2).rate_nm_per_s)


# --- bad input ---


@pytest.mark.parametrize(
    ("draw", "match"),
    [
        (lambda: colour_scale("colour", np.zeros((1, 2, 2))), "no maps of kind 'colour'"),
        (lambda: maps_over_time([], kind="rate", times_s=[], pixel_um=1), "0 times for 0 maps"),
        (
            lambda: maps_over_time(np.zeros((2, 3, 3)), kind="rate", times_s=[0], pixel_um=1),
            "1 times for 2 maps",
        ),
        (lambda: map_figure({}, pixel_um=1), "no map to draw"),
        (lambda: curves_of_regions(pd.DataFrame({"region": []})), "the table lacks the column 'time_s'"),
        (lambda: area_and_volume(pd.DataFrame({"time_s": []})), "the table lacks the column 'area_um2'"),
        (lambda: areal_curves(pd.DataFrame({"time_s": []})), "the table has none of the columns Sa_um"),
        (lambda: relation_figure({}), "no relation to draw"),
        (lambda: profile_figure({}), "no profile to draw"),
    ],
)
def test_what_cannot_be_drawn_is_reported(draw, match) -> None:
    with pytest.raises(InputError, match=match):
        draw()
