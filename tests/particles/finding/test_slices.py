"""Two scans at equal true height: planes out of frames, slices along a surface, texture taken out of both."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from lee.errors import InputError
from lee.particles.finding.planes import PlaneAverager, common_heights, line_weights
from lee.particles.finding.slices import SurfaceSlices
from lee.particles.finding.texture import remove_texture
from lee.reconstruction.motion.subpixel_shift import shift_frame

SHAPE = (9, 11)


def averaged(frames, z_um, heights_um, reach_um, kept=None):
    """Return the planes by number; `kept` collects how many frames were held after each push."""
    averager = PlaneAverager(np.asarray(heights_um, np.float64), reach_um)
    found = {}
    for frame, z in zip(frames, z_um, strict=True):
        found.update(averager.push(frame, float(z)))
        if kept is not None:
            kept.append(len(averager._kept))
    found.update(averager.finish())
    return found


def lines(z_um, seed=0):
    """Frames whose every pixel is a straight line in z, and what they are at any height."""
    rng = np.random.default_rng(seed)
    level, slope = rng.uniform(50, 90, SHAPE), rng.normal(0, 3, SHAPE)
    return [(level + slope * z).astype(np.float32) for z in z_um], lambda at: level + slope * at


# --- the weights of a plane's frames ---


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.floats(-3, 3), min_size=1, max_size=12, unique=True),
    st.floats(-2, 2),
    st.floats(0.1, 3),
)
def test_weights_reproduce_straight_lines_or_there_are_none(z, at, reach):
    z = np.sort(np.round(z, 4))
    weights = line_weights(z, at, reach)
    near = z[np.abs(z - at) < reach]
    tolerance = 1e-6 * reach
    if not len(near) or near.min() > at + tolerance or near.max() < at - tolerance:
        assert weights is None
        return
    assert weights is not None
    assert (weights[np.abs(z - at) >= reach] == 0).all()
    assert weights.sum() == pytest.approx(1, abs=1e-6)
    assert weights @ (z - at) == pytest.approx(0, abs=1e-5 * reach)


def test_even_frames_are_weighted_by_a_triangle():
    z = np.arange(-4, 5) * 0.25
    np.testing.assert_allclose(line_weights(z, 0.0, 1.0), np.clip(1 - np.abs(z), 0, None) / 4, atol=1e-12)


def test_a_frame_at_the_height_itself_is_enough():
    np.testing.assert_allclose(line_weights(np.array([0.0, 5.0]), 0.0, 1.0), [1, 0])


@pytest.mark.parametrize("z", [[0.1, 0.4, 0.8], [-0.8, -0.1], [2.0, 3.0], []])
def test_frames_on_one_side_give_no_plane(z):
    assert line_weights(np.array(z, np.float64), 0.0, 1.0) is None


# --- planes ---


@pytest.mark.parametrize("falls", [False, True])
def test_planes_of_straight_lines_are_exact_on_an_irregular_grid(falls):
    z = np.cumsum(np.random.default_rng(1).uniform(0.05, 0.45, 30)) - 3
    z = z[::-1] if falls else z
    frames, truth = lines(z)
    heights = np.arange(-2, 2.6, 0.7)
    planes = averaged(frames, z, heights, 0.7)
    assert sorted(planes) == list(range(len(heights)))
    for number, plane in planes.items():
        assert plane.dtype == np.float32
        np.testing.assert_allclose(plane, truth(heights[number]), atol=2e-4)


def test_rising_and_falling_scans_give_the_same_planes():
    z = np.sort(np.random.default_rng(2).uniform(-2, 2, 40))
    frames = np.random.default_rng(3).integers(0, 256, (40, *SHAPE), np.uint8)
    heights = np.arange(-1.5, 1.6, 0.5)
    rising, falling = averaged(frames, z, heights, 0.5), averaged(frames[::-1], z[::-1], heights, 0.5)
    assert sorted(rising) == sorted(falling)
    for number, plane in rising.items():
        np.testing.assert_allclose(plane, falling[number], rtol=1e-5)


def test_only_the_frames_around_a_plane_are_kept():
    z = np.arange(0, 40, 0.1)
    kept = []
    frames, _ = lines(z)
    planes = averaged(frames, z, np.arange(2, 38, 1.0), 1.0, kept)
    assert len(planes) == 36
    assert max(kept) <= 21  # a plane reaches 1 um to both sides
    assert kept[-1] == 0


def test_planes_that_the_frames_do_not_enclose_are_left_out():
    z = np.arange(1.0, 3.01, 0.25)
    frames, _ = lines(z)
    assert sorted(averaged(frames, z, [-1, 0, 1, 2, 3, 4, 5], 1.0)) == [2, 3, 4]
    gap = np.r_[np.arange(0, 1.01, 0.25), np.arange(4, 5.01, 0.25)]
    frames, _ = lines(gap)
    assert sorted(averaged(frames, gap, [0.0, 1, 2, 3, 4, 5], 1.0)) == [0, 1, 4, 5]


def test_a_scan_of_one_frame_gives_the_plane_it_lies_in():
    frame = np.full(SHAPE, 7, np.uint16)
    planes = averaged([frame], [2.0], [1.0, 2.0, 3.0], 1.0)
    assert list(planes) == [1]
    np.testing.assert_array_equal(planes[1], 7)
    assert averaged([], [], [1.0], 1.0) == {}


# --- heights that two scans have in common ---


def test_common_heights_lie_evenly_in_the_middle_of_what_both_pass():
    before, after = np.arange(0, 10.01, 0.2), np.arange(12.05, 1.9, -0.3)
    heights = common_heights(before, after, 1.0)
    low, high = after.min(), before.max()
    np.testing.assert_allclose(np.diff(heights), 1.0)
    assert heights.min() - low == pytest.approx(high - heights.max())
    assert 0 <= heights.min() - low < 0.5


def test_a_scan_that_steps_wider_sets_the_step():
    fine, coarse = np.arange(0, 10.01, 0.2), np.array([0.0, 2.0, 4.5, 6.0, 9.0])
    np.testing.assert_allclose(np.diff(common_heights(fine, coarse, 1.0)), 3.0)
    beyond = np.array([0.0, 0.5, 1.0, 30.0])  # the wide step lies outside the other scan, all but its begin
    np.testing.assert_allclose(np.diff(common_heights(np.arange(0, 0.9, 0.1), beyond, 0.2)), 0.5)


def test_one_height_in_common_is_enough():
    np.testing.assert_allclose(common_heights(np.array([0.0, 1.0]), np.array([1.0, 2.0]), 0.5), [1.0])


def test_scans_without_a_common_height_are_refused():
    with pytest.raises(InputError, match=r"before covers 0 to 2 µm but after 3 to 5 µm; give"):
        common_heights(np.array([0.0, 1, 2]), np.array([5.0, 4, 3]), 0.5)


# --- slices ---


def interpolated(height_um, planes, heights_um, offset_um):
    """Brute force: pixel by pixel a straight line between the two planes around; NaN where one is missing."""
    out = np.full(height_um.shape, np.nan)
    step = heights_um[1] - heights_um[0]
    for place in np.ndindex(height_um.shape):
        at = (float(height_um[place]) + offset_um - heights_um[0]) / step
        lower = int(np.floor(at))
        share = at - lower
        parts = [(lower, 1 - share), (lower + 1, share)]
        needed = [(number, weight) for number, weight in parts if weight != 0]
        if all(number in planes for number, _ in needed):
            out[place] = sum(weight * planes[number][place] for number, weight in needed)
    return out


@pytest.mark.parametrize("missing", [(), (4,), (0, 1, 9)])
def test_slices_are_straight_lines_between_planes(missing):
    rng = np.random.default_rng(5)
    heights, step, reach = np.arange(10) * 0.5 - 1.0, 0.5, 2
    # Far outside of the planes too, and in one of them exactly.
    surface = rng.uniform(-4, 7, (13, 17)).astype(np.float32)
    surface[0, :4] = (-1.0, 0.5, 3.5, 1e6)
    planes = {k: rng.normal(100, 20, surface.shape).astype(np.float32) for k in range(10)}
    for number in missing:
        del planes[number]
    slices = SurfaceSlices(surface, heights, step, reach)
    for number in rng.permutation(list(planes)):
        slices.add(int(number), planes[int(number)])
    found = slices.finish()
    np.testing.assert_allclose(slices.offsets_um, np.arange(-2, 3) * step)
    assert (found.shape, found.dtype) == ((5, 13, 17), np.float32)
    for k, offset in enumerate(slices.offsets_um):
        wanted = interpolated(surface, planes, heights, offset)
        np.testing.assert_array_equal(np.isnan(found[k]), np.isnan(wanted))
        np.testing.assert_allclose(found[k], wanted, atol=2e-3)
        assert 0 < np.isnan(wanted).sum() < wanted.size


def test_without_planes_nothing_is_seen():
    slices = SurfaceSlices(np.zeros((3, 4), np.float32), np.arange(4.0), 1.0, 1)
    assert np.isnan(slices.finish()).all()


def test_one_plane_is_seen_where_the_surface_lies_in_it():
    slices = SurfaceSlices(np.array([[2.0, 2.5]], np.float32), np.array([2.0]), 1.0, 1)
    slices.add(0, np.array([[5.0, 6.0]], np.float32))
    np.testing.assert_array_equal(slices.finish()[1], [[5.0, np.nan]])


def test_frames_to_slices_follow_a_line_in_z_whatever_the_grid():
    """The whole way: frames on an odd grid, planes, slices; a linear world comes back exactly."""
    z = np.cumsum(np.random.default_rng(6).uniform(0.1, 0.4, 60)) - 4
    frames, truth = lines(z)
    heights = common_heights(z, z[::-1] + 0.05, 0.6)
    surface = np.random.default_rng(7).uniform(0, 6, SHAPE).astype(np.float32)
    slices = SurfaceSlices(surface, heights, 0.6, 1)
    for number, plane in averaged(frames, z, heights, 0.6).items():
        slices.add(number, plane)
    for offset, one in zip(slices.offsets_um, slices.finish(), strict=True):
        np.testing.assert_allclose(one, truth(surface + offset), atol=2e-3)


# --- texture ---


def texture(shape=(140, 150), seed=0, amplitude=10.0):
    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2.0)
    return (60 + amplitude * field / field.std()).astype(np.float32)


def spots(shape, places, height, sigma=1.4):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return sum(height * np.exp(-((y - a) ** 2 + (x - b) ** 2) / (2 * sigma**2)) for a, b in places)


@pytest.mark.parametrize("change", ["moved", "brighter", "refocused", "all"])
def test_texture_that_moved_brightened_or_refocused_goes_and_spots_stay(change):
    before, rng = texture(), np.random.default_rng(1)
    axial = ndimage.laplace(ndimage.gaussian_filter(before, 1.0))
    after = shift_frame(before, 0.15, -0.1) if change in ("moved", "all") else before.copy()
    if change in ("brighter", "all"):
        after = 1.05 * after + 2
    if change in ("refocused", "all"):
        after = after + 0.4 * axial
    places = [(30.3, 40.7), (70.0, 71.2), (101.5, 20.25), (110.1, 120.6)]
    bell = spots(before.shape, places, 12.0)
    noise = rng.normal(0, 0.2, before.shape)
    raw = (after + bell + noise - before).astype(np.float32)
    clean = remove_texture(raw, before, axial.astype(np.float32))
    away = bell < 0.01
    inside = np.zeros_like(away)
    inside[6:-6, 6:-6] = True
    assert np.std(clean[away & inside]) < 0.3 < np.std(raw[away & inside])
    for y, x in places:
        part = np.s_[round(y) - 4 : round(y) + 5, round(x) - 4 : round(x) + 5]
        assert (clean[part] * bell[part]).sum() / (bell[part] ** 2).sum() == pytest.approx(1, abs=0.06)


def test_what_is_not_seen_stays_so_and_takes_no_part():
    before = texture()
    axial = np.zeros_like(before)
    raw = (0.1 * before).astype(np.float32)
    raw[20:30, 40:60] = np.nan
    hole = before.copy()
    hole[80:90, 80:90] = np.nan
    clean = remove_texture(raw, hole, axial)
    np.testing.assert_array_equal(np.isnan(clean), np.isnan(raw))
    assert np.std(clean[5:75, 70:140]) < 0.15 < 0.8 < np.std(raw[5:75, 70:140])
    unseen = np.full_like(raw, np.nan)
    np.testing.assert_array_equal(remove_texture(unseen, before, axial), unseen)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 5), (65, 64)])
def test_fields_of_any_size_are_taken(shape):
    given = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    kept = given.copy()
    found = remove_texture(given, given + 50, np.zeros(shape, np.float32))
    assert found.shape == shape
    np.testing.assert_array_equal(given, kept)  # the input is not written to
    assert np.isfinite(found).all()
