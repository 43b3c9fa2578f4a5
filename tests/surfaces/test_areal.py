"""Area, volume and areal parameters of surfaces whose values are known, and of a metrology package."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, ndimage

from lee.devices.virtual.scene.texture import smooth_field
from lee.errors import InputError
from lee.surfaces.areal import areal, areal_over_time
from tests.support.growing_relief import PIXEL_UM, grown, measured

SHAPE = (256, 288)


def waves(amplitude_um: float, period_um: float) -> tuple[np.ndarray, float]:
    """Relief A sin(ky) sin(kx) over whole periods, and its true area over its projection, by quadrature."""
    y, x = np.mgrid[:320, :320] * PIXEL_UM
    k = 2 * np.pi / period_um

    def density(v: float, u: float) -> float:
        slope = np.cos(u) ** 2 * np.sin(v) ** 2 + np.sin(u) ** 2 * np.cos(v) ** 2
        return float(np.sqrt(1 + (amplitude_um * k) ** 2 * slope))

    quarter, _ = integrate.dblquad(density, 0, np.pi / 2, 0, np.pi / 2)
    return amplitude_um * np.sin(k * y) * np.sin(k * x), quarter / (np.pi / 2) ** 2


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    ("amplitude", "period", "scale"), [(5.0, 40.0, 1.0), (5.0, 20.0, 0.6), (2.0, 16.0, 0.6)]
)
def test_area_under_one_percent_of_noise(seed: int, amplitude: float, period: float, scale: float) -> None:
    height, expected = waves(amplitude, period)
    rng = np.random.default_rng(seed)
    noisy = height + rng.normal(0, 0.01 * 2 * amplitude, height.shape)
    noisy[rng.random(height.shape) < 0.03] = np.nan
    noisy[40:60, 100:130] = np.nan
    found = areal(noisy, pixel_um=PIXEL_UM, scale_um=scale)
    assert found.area_um2 == pytest.approx(expected * found.projected_um2, rel=0.005)  # must 2 %
    bare = areal(noisy, pixel_um=PIXEL_UM)
    assert bare.area_um2 > 1.01 * expected * found.projected_um2  # which is why a scale is given


def test_a_tilted_plane_has_the_area_of_its_tilt_and_no_roughness() -> None:
    y, x = np.mgrid[:50, :60] * 0.5
    for scale in (None, 2.0):
        found = areal(0.75 * x - y, pixel_um=0.5, scale_um=scale)
        assert found.area_um2 == pytest.approx(np.sqrt(1 + 0.75**2 + 1) * 3000 / 4, rel=1e-4)
        assert found.Sdr_percent == pytest.approx(0, abs=1e-3)
        assert found.Sdq == pytest.approx(0, abs=1e-3)
        assert found.Sq_um == pytest.approx(0, abs=1e-9)
        assert found.projected_um2 == 750


def test_a_dome_has_the_area_of_its_cap() -> None:
    y, x = np.mgrid[-200:201, -200:201] * 0.1
    radius = 30.0
    height = np.sqrt(radius**2 - y**2 - x**2, where=y**2 + x**2 < 18**2, out=np.full(y.shape, np.nan))
    cap = 2 * np.pi * radius * (radius - np.sqrt(radius**2 - 18**2)) / (np.pi * 18**2)
    for scale in (None, 0.5):
        found = areal(height, pixel_um=0.1, scale_um=scale)
        assert found.area_um2 / found.projected_um2 == pytest.approx(cap, rel=0.01)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_parameters_are_those_of_a_metrology_package(seed: int) -> None:
    surfalize = pytest.importorskip("surfalize")
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]] * PIXEL_UM
    relief = 3 * smooth_field(SHAPE, 40, rng)
    height = (relief + 0.2 * relief**2 + 0.1 * x - 0.05 * y + 0.1 * smooth_field(SHAPE, 4, rng)).astype(
        np.float64
    )
    theirs = surfalize.Surface(height.copy(), PIXEL_UM, PIXEL_UM).level()
    ours = areal(height, pixel_um=PIXEL_UM)
    for name, found in (
        ("Sa", ours.Sa_um),
        ("Sq", ours.Sq_um),
        ("Sz", ours.Sz_um),
        ("Ssk", ours.Ssk),
        ("Sku", ours.Sku),
        ("Sdq", ours.Sdq),
    ):
        assert found == pytest.approx(getattr(theirs, name)(), rel=1e-4), name
    assert ours.Sdr_percent == pytest.approx(theirs.Sdr(), rel=0.005)
    steep = theirs.surface_area() / theirs.projected_area()
    assert 1 + ours.Sdr_percent / 100 == pytest.approx(steep, rel=1e-4)


def test_gaps_do_not_move_the_parameters() -> None:
    rng = np.random.default_rng(5)
    height = 2 * smooth_field(SHAPE, 10, rng).astype(np.float64)
    whole = areal(height, pixel_um=PIXEL_UM, scale_um=0.6)
    height[rng.random(SHAPE) < 0.1] = np.nan
    height[100:140, 50:90] = np.nan
    gapped = areal(height, pixel_um=PIXEL_UM, scale_um=0.6)
    for name in ("Sa_um", "Sq_um", "Sdr_percent", "Sdq", "area_um2"):
        assert getattr(gapped, name) == pytest.approx(getattr(whole, name), rel=0.03), name
    assert 0.8 < gapped.coverage < 0.99


def test_nothing_measured_is_nan() -> None:
    found = areal(np.full((20, 20), np.nan), pixel_um=1, scale_um=2.0)
    assert np.isnan([found.Sa_um, found.area_um2, found.Sdq]).all()
    assert found.coverage == 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_volume_and_area_over_time(seed: int) -> None:
    truth = grown(seed)
    height, _ = measured(truth, seed, outliers=0)
    height[4] = np.nan
    table = areal_over_time(height, truth.times_s, pixel_um=PIXEL_UM, scale_um=1.0)
    field = truth.trench.size * PIXEL_UM**2
    deposited = (truth.height_um - truth.height_um[0]).mean(axis=(1, 2)) * field
    rest = np.arange(len(table)) != 4
    np.testing.assert_allclose(table["deposited_um3"][rest], deposited[rest], rtol=0.02, atol=5)
    assert table.loc[4, ["area_um2", "volume_um3", "Sa_um"]].isna().all()
    datum = table["datum_um"].iloc[0]
    assert datum == pytest.approx(np.percentile(truth.height_um[0], 0.1), abs=0.5)
    volume = (truth.height_um.mean(axis=(1, 2)) - datum) * field
    np.testing.assert_allclose(table["volume_um3"][rest], volume[rest], rtol=0.02)
    given = areal_over_time(height[:2], truth.times_s[:2], pixel_um=PIXEL_UM, datum_um=-100.0)
    assert given["volume_um3"].iloc[0] == pytest.approx((truth.height_um[0].mean() + 100) * field, rel=0.01)
    np.testing.assert_allclose(
        table["area_per_volume_per_um"][rest], (table["area_um2"] / table["volume_um3"])[rest]
    )


def test_errors_of_area_and_volume_hold() -> None:
    """Over many draws, of heights that a window of known width has smoothed."""
    truth = grown(1, scans=2)
    field = truth.trench.size * PIXEL_UM**2
    exact = areal_over_time(truth.height_um, truth.times_s, pixel_um=PIXEL_UM, scale_um=1.0)
    scores = []
    for seed in range(12):
        height, sigma = measured(truth, seed, outliers=0, gaps=0)
        found = areal_over_time(
            height, truth.times_s, pixel_um=PIXEL_UM, scale_um=1.0, sigmas_um=sigma,
            noise_area_px=4 * np.pi * 1.2**2,
        )  # fmt: skip
        assert found["deposited_se_um3"].iloc[0] == 0
        scores.append((found["deposited_um3"] - exact["deposited_um3"])[1] / found["deposited_se_um3"][1])
    assert 0.5 < np.std(scores) < 1.6
    smooth = np.stack([ndimage.gaussian_filter(one, 1.2) for one in truth.height_um])
    flat = areal_over_time(
        smooth, truth.times_s, pixel_um=PIXEL_UM, scale_um=1.0, sigmas_um=0 * smooth,
        noise_area_px=4 * np.pi * 1.2**2,
    )  # fmt: skip
    off = (flat["area_um2"] - exact["area_um2"]).abs()
    assert (off > 1e-5 * field).all()
    assert (off < 2 * flat["area_se_um2"]).all()


def test_bad_input_is_one_line() -> None:
    with pytest.raises(InputError, match=r"height_um has shape \(4,\)"):
        areal(np.zeros(4), pixel_um=1)
    with pytest.raises(InputError, match=r"pixel_um is -1"):
        areal(np.zeros((4, 4)), pixel_um=-1)
    with pytest.raises(InputError, match=r"2 times for 3 scans"):
        areal_over_time(np.zeros((3, 8, 8)), [0, 1], pixel_um=1)
