"""Regions are where they were drawn or curved, and their curves follow the truth within their errors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lee
from lee.errors import InputError
from lee.series.growth.rates import growth
from lee.series.region_curves import noise_area_px, rate_ratio, region_curves
from lee.surfaces.regions import Region, find_regions, polygon, read_regions
from tests.support.growing_relief import PIXEL_UM, grown, measured

SHAPE = (60, 80)


def test_a_rectangle_holds_the_pixels_whose_middle_is_inside() -> None:
    region = polygon("R1", [[1.0, 2.1], [1.0, 4.9], [3.2, 4.9], [3.2, 2.1]], SHAPE, 0.5)
    expected = np.zeros(SHAPE, np.bool_)
    expected[2:7, 5:10] = True
    np.testing.assert_array_equal(region.mask, expected)
    assert (region.name, region.kind) == ("R1", "drawn")


def test_neighbouring_polygons_share_no_pixel_and_miss_none() -> None:
    left = polygon("a", [[0, 0], [0, 10], [29.5, 20], [29.5, 0]], SHAPE, 0.5).mask
    right = polygon("b", [[0, 10], [0, 100], [29.5, 100], [29.5, 20]], SHAPE, 0.5).mask
    assert not (left & right).any()
    assert (left | right)[:59].all()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_polygon_has_its_area(seed: int) -> None:
    rng = np.random.default_rng(seed)
    angle = np.sort(rng.uniform(0, 2 * np.pi, 9))
    corners = np.stack([60 + 45 * np.sin(angle), 70 + 40 * np.cos(angle)], axis=1)
    y, x = corners.T
    area = 0.5 * abs(np.dot(y, np.roll(x, -1)) - np.dot(x, np.roll(y, -1)))
    mask = polygon("P", corners, (400, 500), 0.3).mask
    assert mask.sum() * 0.3**2 == pytest.approx(area, rel=0.01)


def test_what_leaves_the_field_is_cut_off() -> None:
    region = polygon("R", [[-10, -10], [-10, 5], [5, 5], [5, -10]], SHAPE, 1.0)
    assert region.mask[:5, :5].all()
    assert region.mask.sum() == 25


def test_definitions_are_read_in_order_with_their_kind() -> None:
    square = [[1, 1], [1, 9], [9, 9], [9, 1]]
    found = read_regions(
        {"R2": {"polygon_um": square}, "R1": {"polygon_um": square, "kind": "trench"}}, SHAPE, 1
    )
    assert [(one.name, one.kind) for one in found] == [("R2", "drawn"), ("R1", "trench")]


def test_bad_regions_are_one_line() -> None:
    with pytest.raises(
        InputError, match=r"region R4 is outside the field, which spans \(0, 0\) to \(29.5, 39.5\)"
    ):
        polygon("R4", [[100, 100], [100, 120], [120, 120]], SHAPE, 0.5)
    with pytest.raises(InputError, match=r"region R4 is outside the field"):
        polygon("R4", [[-9, -9], [-9, -5], [-5, -5]], SHAPE, 0.5)
    with pytest.raises(InputError, match=r"region R4: give three or more corners"):
        polygon("R4", [[1, 1], [2, 2]], SHAPE, 0.5)
    with pytest.raises(InputError, match=r"region R4: corners must be numbers"):
        polygon("R4", [[1, 1], [2, 2], ["a", 3]], SHAPE, 0.5)
    with pytest.raises(InputError, match=r'region R5: give \{"polygon_um"'):
        read_regions({"R5": [1, 2]}, SHAPE, 0.5)
    with pytest.raises(InputError, match=r"regions: give"):
        read_regions([], SHAPE, 0.5)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"mean_per_um has shape \(5,\)"):
        find_regions(np.zeros(5), pixel_um=1)
    with pytest.raises(InputError, match=r"threshold_per_um is -1.0; give 1/µm above 0"):
        find_regions(np.zeros((5, 5)), pixel_um=1, threshold_per_um=-1)
    with pytest.raises(InputError, match=r"threshold_per_um is .much."):
        find_regions(np.zeros((5, 5)), pixel_um=1, threshold_per_um="much")  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_grooves_and_ridges_are_found_for_what_they_are(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:200, :240] * PIXEL_UM
    heights = []
    for _ in range(5):
        groove = -4 * np.exp(-((x - 15) ** 2) / (2 * 2.0**2))
        ridge = 4 * np.exp(-((x - 42) ** 2) / (2 * 2.0**2))
        heights.append(groove + ridge + rng.normal(0, 0.03, y.shape))
    curved = np.stack([lee.curvature(one, pixel_um=PIXEL_UM, scale_um=1.0).mean_per_um for one in heights])
    curved[2, 50:80, 40:80] = np.nan
    curved[3] *= -1  # one scan gone wrong does not turn a trench into a ridge
    found = find_regions(curved, pixel_um=PIXEL_UM, threshold_per_um=0.1)
    where = {one.kind: np.zeros(y.shape, np.bool_) for one in found}
    for one in found:
        where[one.kind] |= one.mask
    assert where["trench"][:, 60].mean() > 0.9
    assert where["protrusion"][:, 168].mean() > 0.9
    assert not where["trench"][:, 160:176].any()
    assert not where["protrusion"][:, 52:68].any()


def test_specks_and_flat_fields_are_no_regions() -> None:
    curved = np.zeros((100, 100), np.float32)
    curved[20:24, 20:24] = 1.0
    assert find_regions(curved, pixel_um=1, threshold_per_um=0.2) == []
    assert len(find_regions(curved, pixel_um=1, threshold_per_um=0.2, min_area_um2=4)) == 1
    assert find_regions(np.full((9, 9), np.nan), pixel_um=1) == []


def curves_of(seed: int, regions: list[Region], height: np.ndarray, sigma: np.ndarray) -> pd.DataFrame:
    times = grown(seed).times_s
    found = growth(height, sigma, times)
    return region_curves(
        regions,
        height,
        found.rate_nm_per_s,
        found.rate_sigma_nm_per_s,
        times,
        pixel_um=PIXEL_UM,
        sigmas_um=sigma,
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_curves_follow_the_truth_within_their_errors(seed: int) -> None:
    truth = grown(seed)
    height, sigma = measured(truth, seed, outliers=0)
    masks = {"T": truth.trench > 0.7, "P": truth.trench < -0.7}
    corners = [[5, 5], [5, 25], [30, 20], [25, 4]]
    drawn = polygon("R", corners, truth.trench.shape, PIXEL_UM)
    regions = [Region("T", "trench", masks["T"]), Region("P", "protrusion", masks["P"]), drawn]
    curves = curves_of(seed, regions, height, sigma)
    assert len(curves) == 3 * len(truth.times_s)
    scores = {"height": [], "rate": []}
    for region in regions:
        part = curves[curves["region"] == region.name]
        expected = truth.rate_nm_per_s[:, region.mask].mean(axis=1)
        inner = slice(2, -2)
        np.testing.assert_allclose(part["rate_nm_per_s"][inner], expected[inner], atol=0.8)
        scores["rate"] += list(((part["rate_nm_per_s"] - expected) / part["rate_se_nm_per_s"])[inner])
        rise = truth.height_um[:, region.mask].mean(axis=1)
        change = part["height_um"] - part["height_um"].iloc[0]
        np.testing.assert_allclose(change, rise - rise[0], atol=0.06)
        assert part["area_um2"].iloc[0] == region.mask.sum() * PIXEL_UM**2
    assert 0.4 < np.median(np.abs(scores["rate"])) * 1.4826 < 3


def test_standard_errors_hold_for_errors_alike_over_many_pixels() -> None:
    """Over many regions of one flat, still field, scatter agrees with what is promised."""
    rng = np.random.default_rng(8)
    from scipy import ndimage

    errors = ndimage.gaussian_filter(rng.standard_normal((12, 256, 256)), (0, 2.5, 2.5))
    height = (0.05 * errors / errors.std()).astype(np.float32)
    times = 10.0 * np.arange(12)
    assert noise_area_px(height, times) == pytest.approx(4 * np.pi * 2.5**2, rel=0.25)
    regions = []
    for y in range(0, 256, 32):
        for x in range(0, 256, 32):
            mask = np.zeros((256, 256), np.bool_)
            mask[y : y + 32, x : x + 32] = True
            regions.append(Region(f"{y},{x}", "drawn", mask))
    found = growth(height, None, times)
    curves = region_curves(
        regions,
        height,
        found.rate_nm_per_s,
        found.rate_sigma_nm_per_s,
        times,
        pixel_um=1,
        sigmas_um=0 * height + 0.05,
    )
    inner = curves[curves["scan"].between(2, 9)]
    assert 0.7 < np.std(inner["rate_nm_per_s"] / inner["rate_se_nm_per_s"]) < 1.4
    late = curves[curves["scan"] > 0]
    # The change carries the error of the first scan too.
    start = curves.groupby("region")["height_um"].first()
    change = late["height_um"] - late["region"].map(start)
    assert 0.7 < np.std(change / late["height_se_um"]) / np.sqrt(2) < 1.4


def test_a_gap_that_opens_does_not_shift_a_region() -> None:
    truth = grown(1)
    height = truth.height_um.astype(np.float32).copy()
    sigma = np.full_like(height, 0.02)
    y = np.arange(height.shape[1])[:, None] + 0 * np.arange(height.shape[2])
    height += (0.1 * y).astype(np.float32)  # steep: half a region has another mean height
    mask = np.zeros(height.shape[1:], np.bool_)
    mask[20:80, 30:90] = True
    whole = curves_of(1, [Region("R", "drawn", mask)], height, sigma)
    height[4:7, 20:50] = np.nan
    gapped = curves_of(1, [Region("R", "drawn", mask)], height, sigma)
    assert np.abs(gapped["height_um"] - whole["height_um"]).max() < 0.3  # a jump would be 1.5
    assert gapped["measured_share"].iloc[5] == pytest.approx(0.5)


def test_a_region_never_measured_is_nan_with_a_note() -> None:
    truth = grown(2, scans=6)
    height = truth.height_um.astype(np.float32)
    mask = np.zeros(height.shape[1:], np.bool_)
    mask[:30, :30] = True
    height[:, mask] = np.nan
    found = growth(height, None, truth.times_s)
    curves = region_curves(
        [Region("R3", "drawn", mask)],
        height,
        found.rate_nm_per_s,
        found.rate_sigma_nm_per_s,
        truth.times_s,
        pixel_um=PIXEL_UM,
    )
    assert curves[["height_um", "height_se_um", "rate_nm_per_s", "rate_se_nm_per_s"]].isna().all(axis=None)
    assert (curves["note"] == "not measured").all()


def test_flattening_and_what_is_shared_are_in_the_error_of_a_region() -> None:
    y, x = np.mgrid[:96, :96]
    peak = 50 * np.exp(-((y - 48.0) ** 2 + (x - 48.0) ** 2) / (2 * 6**2))
    rates = np.repeat(peak[None].astype(np.float32), 3, axis=0)
    top = Region("top", "protrusion", peak > 30)
    even = Region("even", "drawn", (y < 20) & (x < 20))
    area = 4 * np.pi * 2.0**2
    curves = region_curves(
        [top, even], rates / 100, rates, np.ones_like(rates), [0, 10, 20], pixel_um=PIXEL_UM,
        shared_sigmas_nm_per_s=[0.3, 0.3, 0.3], noise_area=area,
    ).set_index("region")  # fmt: skip
    # A Gaussian of variance 36 smoothed by one of 4 becomes one of 40.
    expected = float((peak[top.mask] ** (36 / 40) * 50 ** (4 / 40) * 0.9 - peak[top.mask]).mean())
    assert curves.loc["top", "rate_flattening_nm_per_s"].iloc[0] == pytest.approx(expected, rel=0.02)
    own = np.sqrt((1 - 0.3**2) * area / top.mask.sum() + 0.3**2)
    assert curves.loc["top", "rate_se_nm_per_s"].iloc[0] == pytest.approx(
        np.hypot(own, 0.7 * expected), rel=0.02
    )
    own = np.sqrt((1 - 0.3**2) * area / even.mask.sum() + 0.3**2)
    assert curves.loc["even", "rate_se_nm_per_s"].iloc[0] == pytest.approx(own, rel=1e-3)


def test_ratio_pools_regions_by_area_and_carries_the_error() -> None:
    rows = [
        ("t1", "trench", 3.0, 60.0, 1.0),
        ("t2", "trench", 1.0, 100.0, 1.0),
        ("p", "protrusion", 2.0, 35.0, 0.7),
    ]
    curves = pd.DataFrame(
        [
            {
                "region": r,
                "kind": k,
                "scan": 0,
                "time_s": 5.0,
                "area_um2": a,
                "rate_nm_per_s": v,
                "rate_se_nm_per_s": e,
            }
            for r, k, a, v, e in rows
        ]
    )
    found = rate_ratio(curves).iloc[0]
    assert found["ratio"] == pytest.approx(2.0)
    error = 2 * np.hypot(np.hypot(0.75, 0.25) / 70, 0.7 / 35)
    assert found["ratio_se"] == pytest.approx(error)
    assert rate_ratio(curves, of="t1", to="p")["ratio"].iloc[0] == pytest.approx(60 / 35)
    # What is shared is not lessened by several regions, and flattening brings the two rates together.
    curves["rate_shared_se_nm_per_s"] = 0.6
    curves["rate_flattening_nm_per_s"] = [-0.7, -0.7, 0.35]
    curves["rate_se_nm_per_s"] = np.sqrt(1.0 + 0.6**2 + (0.7 * curves["rate_flattening_nm_per_s"]) ** 2)
    error = 2 * np.sqrt((0.75**2 + 0.25**2 + 0.36) / 70**2 + 1.36 / 35**2 + (0.7 * (0.01 + 0.01)) ** 2)
    assert rate_ratio(curves).iloc[0]["ratio_se"] == pytest.approx(error)
    with pytest.raises(InputError, match=r"no region is a protrusion"):
        rate_ratio(curves[curves["kind"] == "trench"])


def test_bad_curves_are_one_line() -> None:
    maps = np.zeros((3, 8, 8), np.float32)
    with pytest.raises(InputError, match=r"2 maps in rates for 3 times"):
        region_curves([], maps, maps[:2], maps, [0, 1, 2], pixel_um=1)
    with pytest.raises(InputError, match=r"region R is \(4, 4\), the maps \(8, 8\)"):
        region_curves(
            [Region("R", "drawn", np.ones((4, 4), np.bool_))], maps, maps, maps, [0, 1, 2], pixel_um=1
        )
    assert region_curves([], maps, maps, maps, [0, 1, 2], pixel_um=1).empty
