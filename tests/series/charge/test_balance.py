"""The charge under a run's scans against the deposit, on surfaces of known efficiency."""

import numpy as np
import pytest

from lee.electrochemistry import CellData
from lee.electrochemistry.faraday import METALS
from lee.electrochemistry.height_by_charge import charge_columns
from lee.errors import InputError
from lee.series.charge.balance import charge_balance
from lee.series.charge.options import ChargeOptions
from lee.series.charge.report import charge_figure, charge_rows, charge_sentences

SCANS_S = np.arange(14) * 12.0
AREA_CM2, OFFSET_S, EFFICIENCY = 0.5, 31.0, (0.92, 1.05)
PIXEL_UM = 0.5
SIGMA_UM = 0.03


def record(*, end_s: float = 300.0, sign: int = -1, **more) -> CellData:
    times = np.arange(0, end_s, 0.5)
    current = np.select([times < 10, times < OFFSET_S + 80], [0.0, 0.04], -0.03) * sign
    return CellData(times, current, np.where(current * sign > 0, -0.15, 0.1), **more)


def surfaces(data: CellData, *, sign: int = -1, noise: float = 0.004, seed: int = 0) -> np.ndarray:
    """Maps whose mean follows the charge; trenches grow faster, and each scan has an error of its own."""
    factor = METALS["zinc"].um_per_c_per_cm2 / AREA_CM2
    positive, negative = (charge_columns(data, SCANS_S + OFFSET_S) * sign * factor).T
    plated, stripped = (positive, negative) if sign > 0 else (negative, positive)
    mean = EFFICIENCY[0] * plated + EFFICIENCY[1] * stripped
    rng = np.random.default_rng(seed)
    shape = 1 + 0.5 * np.sin(np.linspace(0, 2 * np.pi, 24, endpoint=False))[None, :] * np.ones((20, 1))
    maps = mean[:, None, None] * shape + rng.normal(0, noise, SCANS_S.size)[:, None, None]
    return (5 + maps + rng.normal(0, SIGMA_UM, maps.shape)).astype(np.float32)


def balance_of(data: CellData, maps: np.ndarray, **options):
    chosen = {"electrode_area_cm2": AREA_CM2, **options}
    sigma = np.full(maps.shape, SIGMA_UM, np.float32)
    given = chosen.pop("given_growth", False)
    guess = chosen.pop("guess_s", None)
    return charge_balance(
        ChargeOptions(data, **chosen),
        SCANS_S,
        maps,
        sigma,
        pixel_um=PIXEL_UM,
        given_growth=given,
        guess_s=guess,
    )


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("seed", range(3))
def test_efficiencies_come_out_within_their_errors(sign, seed):
    data = record(sign=sign)
    found = balance_of(data, surfaces(data, sign=sign, seed=seed))
    assert found.plating_sign == sign
    assert abs(found.clock.offset_s - OFFSET_S) < 3 * found.clock.sigma_s
    assert [one.phase for one in found.by_phase] == ["plating", "stripping"]
    for one, true in zip(found.by_phase, EFFICIENCY, strict=True):
        assert abs(one.efficiency - true) < 2 * one.sigma
        assert one.sigma < 0.02


def test_every_scan_has_its_current_potential_and_phase():
    data = record()
    found = balance_of(data, surfaces(data))
    table = found.table
    assert found.phases == ["plating"] * 7 + ["stripping"] * 7
    assert table["current_a"].to_numpy()[:6] == pytest.approx(0.04)
    assert table["current_density_ma_per_cm2"].to_numpy()[8:] == pytest.approx(-60)
    assert table["potential_v"].to_numpy()[:6] == pytest.approx(-0.15)
    assert table["charge_c_per_cm2"][5] == pytest.approx(0.08 * 60)
    field = 20 * 24 * PIXEL_UM**2
    assert table["expected_volume_um3"][5] == pytest.approx(
        0.08 * 60 * METALS["zinc"].um_per_c_per_cm2 * field, rel=1e-6
    )
    assert table["measured_volume_um3"][5] == pytest.approx(table["measured_um"][5] * field)


def test_a_pause_is_rest():
    times = np.arange(0, 300, 0.5)
    scan = times - OFFSET_S
    current = np.select([scan < 60, scan < 110], [-0.04, 0.0], -0.04)
    data = CellData(times, current, np.zeros(times.size))
    found = balance_of(data, surfaces(data))
    assert found.phases[:4] == ["plating"] * 4
    assert found.phases[6:9] == ["rest"] * 3
    assert found.phases[10:] == ["plating"] * 4


def test_the_window_share_scales_what_is_expected():
    data = record()
    maps = surfaces(data)
    plain, doubled = balance_of(data, maps), balance_of(data, maps, window_share=2.0, window_share_sigma=0.2)
    assert doubled.by_phase[0].efficiency == pytest.approx(plain.by_phase[0].efficiency / 2)
    assert doubled.relative_sigma == pytest.approx(0.1)
    assert doubled.by_phase[0].sigma > 0.04
    assert "of the electrode's area and the window's share, 10 %" in charge_sentences(doubled)[-1]


def test_a_scan_without_surface_is_a_hole():
    data = record()
    maps = surfaces(data)
    maps[[0, 5]] = np.nan
    found = balance_of(data, maps)
    assert np.isnan(found.table["measured_um"][5])
    assert np.isfinite(found.table["current_a"][5])
    assert abs(found.by_phase[0].efficiency - EFFICIENCY[0]) < 2 * found.by_phase[0].sigma


def notes_of(data: CellData, maps: np.ndarray | None = None, **options) -> str:
    return " ".join(balance_of(data, surfaces(record()) if maps is None else maps, **options).notes)


def test_a_record_that_ends_before_the_scans_is_named():
    whole = record()
    early = record(end_s=150.0)
    found = balance_of(early, surfaces(whole), clock_offset_s=OFFSET_S)
    assert "ends 37.5 s before the last scan: 4 scans lie outside the record" in " ".join(found.notes)
    assert found.phases[-3:] == [""] * 3
    assert np.isnan(found.table["current_a"].to_numpy()[-3:]).all()
    assert abs(found.by_phase[0].efficiency - EFFICIENCY[0]) < 2 * found.by_phase[0].sigma


@pytest.mark.parametrize("ends", ["early", "late"])
def test_a_record_of_a_part_of_the_run_still_tells_the_clocks(ends):
    whole = record()
    kept = whole.time_s < 160 if ends == "early" else whole.time_s > 60
    part = CellData(whole.time_s[kept], whole.current_a[kept], whole.potential_v[kept])
    found = balance_of(part, surfaces(whole))
    assert found.clock.source == "edges"
    assert abs(found.clock.offset_s - OFFSET_S) < 3 * found.clock.sigma_s < 2
    assert abs(found.by_phase[0].efficiency - EFFICIENCY[0]) < 2 * found.by_phase[0].sigma


def test_an_outlier_scan_is_named_and_left_out():
    maps = surfaces(record())
    maps[9] += 2.0
    found = balance_of(record(), maps)
    assert found.clock.outliers == (9,)
    assert "Scan 9 is an outlier: its mean height is inconsistent" in " ".join(found.notes)
    for one, true in zip(found.by_phase, EFFICIENCY, strict=True):
        assert abs(one.efficiency - true) < 2 * one.sigma


def test_a_surface_that_does_not_follow_the_current_tells_no_clock():
    still = surfaces(record())
    still[:] = still[:1] + np.random.default_rng(0).normal(0, 0.05, (SCANS_S.size, 1, 1)).astype(np.float32)
    found = balance_of(record(), still)
    assert found.clock.source == "assumed"
    assert "The heights do not tell which current plates" in " ".join(found.notes)


def test_too_few_scans_are_named():
    data = record()
    maps = surfaces(data)[:3]
    sigma = np.full(maps.shape, SIGMA_UM, np.float32)
    found = charge_balance(ChargeOptions(data, AREA_CM2), SCANS_S[:3], maps, sigma, pixel_um=PIXEL_UM)
    assert found.by_phase == []
    assert "Too few scans, or too little charge" in " ".join(found.notes)


def test_a_record_that_never_meets_the_scans_is_refused():
    data = record()
    with pytest.raises(InputError, match="they never overlap; correct --clock-offset-s"):
        balance_of(data, surfaces(data), clock_offset_s=5000.0)


def test_the_other_polarity_is_named():
    data = record()
    assert "but the surface grows under the negative one" in notes_of(data, plating_current="positive")
    anodic = record(cathodic_sign=1)
    assert "which the record calls anodic" in notes_of(anodic)


def test_a_gap_is_named():
    data = record()
    kept = (data.time_s < 60) | (data.time_s > 100)
    holed = CellData(data.time_s[kept], data.current_a[kept], data.potential_v[kept])
    assert "holds no row from 59.5 to 100.5 s: the charge of these 41 s is interpolated" in notes_of(holed)


def test_another_electrode_area_is_named():
    stated = record(electrode_area_cm2=1.0)
    assert "states an electrode of 1 cm², and 0.5 cm² is given" in notes_of(stated)
    assert "is the one that the record states, 1 cm²" in notes_of(stated, electrode_area_cm2=None)
    assert "times what the charge makes of dense metal: check" in notes_of(record(), electrode_area_cm2=5.0)


def test_without_an_area_there_are_phases_and_no_balance():
    found = balance_of(record(), surfaces(record()), electrode_area_cm2=None)
    assert found.by_phase == []
    assert "area is not given" in " ".join(found.notes)
    assert found.phases[0] == "plating"
    assert "charge_c_per_cm2" not in found.table
    assert charge_figure(found).axes


def test_a_stated_growth_is_not_held_against_the_charge():
    found = balance_of(record(), surfaces(record()), given_growth=True)
    assert found.by_phase == []
    assert "cannot be held against the charge" in " ".join(found.notes)


def test_the_report_shows_what_was_found():
    found = balance_of(record(), surfaces(record()), electrode_area_sigma_cm2=0.01)
    sentences = charge_sentences(found)
    assert sentences[0].startswith("clock offset 3")
    assert "from 1 edge of the current; negative current plates" in sentences[0]
    assert sentences[1].startswith("plating: 9")
    assert charge_rows(found)[0]["phase"] == "plating"
    figure = charge_figure(found)
    assert [axes.get_ylabel() for axes in figure.axes] == [
        "current density (mA/cm²)",
        "potential (V)",
        "mean thickness gained (µm)",
        "mean thickness gained (µm)",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"electrode_area_cm2": 0.0}, "the electrode's area is 0 ± 0; give cm² above 0"),
        ({"electrode_area_sigma_cm2": -1.0}, "the electrode's area is 0.5 ± -1"),
        ({"window_share": float("nan")}, "the window's share is nan ± 0; give a ratio above 0"),
        ({"metal": "gold leaf"}, "metal is 'gold leaf'; give one of zinc"),
    ],
)
def test_options_out_of_bounds_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        ChargeOptions(record(), **{"electrode_area_cm2": AREA_CM2, **options})
