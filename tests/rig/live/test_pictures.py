"""What the rig's page draws: maps, pixels that were not measured, and growth."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from lee.rig.live.growth_so_far import GrowthSoFar
from lee.rig.live.pictures import bar_colours, frame_picture, map_png, map_scale, relief
from lee.surfaces.surface import Surface

SHAPE = (120, 160)
PIXEL_UM = 0.5


def hills(shape=SHAPE):
    y, x = np.indices(shape) * PIXEL_UM
    return (3 * np.sin(x / 8) * np.cos(y / 8)).astype(np.float32)


def surface_of(height, rng):
    grain = np.random.default_rng(0).normal(100, 20, SHAPE).astype(np.float32)
    noisy = np.where(np.isfinite(height), height + rng.normal(0, 0.02, SHAPE), np.nan).astype(np.float32)
    filled = np.nan_to_num(noisy)
    valid = np.isfinite(noisy)
    return Surface(noisy, filled, np.where(valid, 0.02, np.nan), valid, grain, PIXEL_UM)


def test_a_map_has_the_rows_of_the_image_and_a_hatching_where_nothing_was_measured():
    values = np.tile(np.linspace(0, 10, 40, dtype=np.float32)[:, None], (1, 30))
    values[20:, :10] = np.nan
    scale = map_scale("height", values)
    drawn = np.asarray(Image.open(BytesIO(map_png(values, scale))).convert("RGB")).astype(int)
    colours = [[int(one[k : k + 2], 16) for k in (1, 3, 5)] for one in bar_colours(scale)]
    assert np.abs(drawn[0, -1] - colours[0]).max() < 6
    assert np.abs(drawn[-1, -1] - colours[-1]).max() < 6
    gap = drawn[20:, :10].reshape(-1, 3)
    assert {tuple(one) for one in gap.tolist()} == {(217, 217, 217), (154, 154, 154)}


def test_a_rate_of_nothing_has_colours_up_to_the_smallest_limit():
    scale = map_scale("rate", np.full((8, 8), 1e-6, np.float32), min_limit=1.0)
    assert scale.limits == (-1.0, 1.0)


def test_a_frame_of_more_bits_is_white_at_its_full_scale_and_one_hot_pixel_is_seen():
    image = np.full((1400, 1400), 2048, np.uint16)
    image[700, 700] = 4095
    drawn, share = frame_picture(image, 4095, 0.98 * 4095)
    seen = np.asarray(Image.open(BytesIO(drawn)).convert("RGB")).astype(int)
    assert share == pytest.approx(1 / image.size)
    assert seen.shape == (467, 467, 3)
    assert abs(int(np.median(seen)) - 127) < 3
    assert seen[233, 233, 0] - seen[233, 233, 1] > 100


def test_a_relief_holds_heights_and_colours():
    height = hills()
    height[:10] = np.nan
    scale = map_scale("height", height)
    field = relief(np.nan_to_num(height), np.isfinite(height), PIXEL_UM, scale)
    assert (field.rows, field.columns, field.step_um) == (120, 160, PIXEL_UM)
    heights = np.frombuffer(field.body, "<f4", 120 * 160).reshape(120, 160)
    assert np.allclose(heights[10:], np.clip(height[10:], scale.low, scale.high))
    rgb = np.frombuffer(field.body, np.uint8, offset=4 * 120 * 160).reshape(120, 160, 3)
    assert np.all(rgb[:10] == 154)
    assert np.ptp(rgb[10:].astype(int), axis=2).max() > 100


def test_growth_is_found_scan_by_scan_and_regions_are_tracked():
    rng = np.random.default_rng(3)
    shape = hills()
    # Trenches grow at 100 nm/s, peaks at 20, in between in between.
    rate = 60 - 40 * shape / 3
    grown = GrowthSoFar()
    for k in range(7):
        height = shape + 1e-3 * rate * 5.0 * k
        height[:, :20] = np.nan
        grown.add(f"scan_{k:03d}.raw", 5.0 * k, surface_of(height, rng))
        assert (grown.rate is None) == (k < 2)
    assert grown.rate is not None
    assert (grown.rate.at, grown.rate.first, grown.rate.last) == (
        "scan_004.raw",
        "scan_002.raw",
        "scan_006.raw",
    )
    error = grown.rate.rate_nm_per_s[1:-1, 22:-1] - rate[1:-1, 22:-1]
    assert float(np.median(np.abs(error))) < 3
    assert np.isnan(grown.rate.rate_nm_per_s[:, :19]).all()
    curves = grown.curves()
    assert curves["times_s"] == [5.0 * k for k in range(7)]
    named = {region["name"]: region for region in curves["regions"]}
    assert {"whole field", "trench 1", "protrusion 1"} <= set(named)
    assert len(named) <= 7
    for region in named.values():
        assert region["change_um"][0] == 0
        known = [value for value in region["rate_nm_per_s"] if value is not None]
        assert len(known) == 4
        assert region["rate_nm_per_s"][-1] is None
        assert region["change_um"][-1] == pytest.approx(30e-3 * np.mean(known), rel=0.05)
    assert np.mean(named["trench 1"]["rate_nm_per_s"][2:5]) > 80
    assert np.mean(named["protrusion 1"]["rate_nm_per_s"][2:5]) < 40


def test_a_scan_that_ended_early_is_excluded_from_the_growth():
    rng = np.random.default_rng(4)
    grown = GrowthSoFar()
    for k in range(4):
        height = hills()
        if k == 2:
            height[40:] = np.nan
            height -= 5
        grown.add(f"scan_{k:03d}.raw", 5.0 * k, surface_of(height, rng))
    assert grown.scans == ["scan_000.raw", "scan_001.raw", "scan_003.raw"]
    assert max(abs(value) for value in grown.curves()["regions"][0]["change_um"]) < 0.01


def test_a_first_scan_that_ended_early_gives_way_to_a_whole_one():
    rng = np.random.default_rng(5)
    grown = GrowthSoFar()
    for k in range(4):
        height = hills()
        if k == 0:
            height[40:] = np.nan
        grown.add(f"scan_{k:03d}.raw", 5.0 * k, surface_of(height, rng))
    assert grown.scans == ["scan_001.raw", "scan_002.raw", "scan_003.raw"]
    assert grown.rate is not None
    assert np.isfinite(grown.rate.rate_nm_per_s).mean() > 0.9
