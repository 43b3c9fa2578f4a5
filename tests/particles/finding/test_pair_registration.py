"""How two pictures lie on each other: shifts to a fraction of a pixel, and what they share beside noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from lee.errors import InputError
from lee.particles.finding.pair_registration import (
    Registration,
    common_shift,
    register,
    require_shared_texture,
)
from tests.support.textured_pictures import MARGIN, SHAPE, seen, world


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.3, -0.45), (-1.62, 2.37), (7.4, -5.1)])
def test_shifts_are_found_to_a_fraction_of_a_pixel(shift):
    field = world()
    found = register(seen(field), seen(field, shift, seed=2))
    np.testing.assert_allclose(found.shift_px, shift, atol=0.05)
    assert found.shared > 0.9


@pytest.mark.parametrize("shift", [(3.5, 3.5), (-8.3, 6.2)])
def test_large_shifts_are_not_held_back(shift):
    """On average over fields: windows that stand still would hold them back by some per cent."""
    fields = [world(seed) for seed in range(30, 36)]
    pairs = [(seen(f, seed=k), seen(f, shift, seed=k + 50)) for k, f in enumerate(fields)]
    found = [register(*pair).shift_px for pair in pairs]
    np.testing.assert_allclose(np.mean(found, axis=0), shift, atol=0.02)


def test_turned_round_the_shift_is_the_other_way():
    field = world(3)
    one, two = seen(field), seen(field, (1.3, -2.2), seed=2)
    np.testing.assert_allclose(register(two, one).shift_px, (-1.3, 2.2), atol=0.05)


def test_brightness_and_new_spots_do_not_move_it():
    field = world(4)
    later = 1.4 * seen(field, (0.7, 0.4), seed=2) + 30
    rng = np.random.default_rng(5)
    points = np.zeros(SHAPE)
    points[rng.integers(0, SHAPE[0], 60), rng.integers(0, SHAPE[1], 60)] = 1000
    later += ndimage.gaussian_filter(points, 1.3).astype(np.float32)  # peaks of about 94 counts
    found = register(seen(field), later)
    np.testing.assert_allclose(found.shift_px, (0.7, 0.4), atol=0.05)
    assert found.shared > 0.8


def test_what_was_not_seen_takes_no_part():
    field = world(6)
    one, two = seen(field), seen(field, (0.6, -1.2), seed=2)
    one[:, :20] = np.nan
    two[40:60, 50:90] = np.nan
    found = register(one, two)
    np.testing.assert_allclose(found.shift_px, (0.6, -1.2), atol=0.05)
    assert found.shared > 0.9


@pytest.mark.parametrize("seed", range(4))
def test_noise_alone_has_no_shift_and_shares_nothing_to_judge_by(seed):
    plain = np.zeros((SHAPE[0] + 2 * MARGIN, SHAPE[1] + 2 * MARGIN))
    found = register(seen(plain, seed=2 * seed), seen(plain, seed=2 * seed + 1))
    assert found.shift_px == (0.0, 0.0)
    assert np.isnan(found.shared)
    require_shared_texture(found)  # nothing to be misled by


@pytest.mark.parametrize("level", [0.0, 90.0])
def test_constant_pictures_share_nothing_to_judge_by(level):
    found = register(np.full(SHAPE, level, np.float32), np.full(SHAPE, level, np.float32))
    assert found.shift_px == (0.0, 0.0)
    assert np.isnan(found.shared)


def test_nothing_seen_is_nothing_found():
    found = register(np.full(SHAPE, np.nan, np.float32), np.zeros(SHAPE, np.float32))
    assert found.shift_px == (0.0, 0.0)
    assert np.isnan(found.shared)


@pytest.mark.parametrize("noise", [0.5, 2.0, 4.0])
def test_what_is_shared_is_reported_beside_noise(noise):
    """Half of each picture's variance is common, whatever the noise."""
    common, one, two = (world(seed) for seed in (7, 8, 9))
    half = np.sqrt(0.5)
    found = register(
        seen(half * (common + one), noise=noise), seen(half * (common + two), noise=noise, seed=2)
    )
    assert found.shared == pytest.approx(0.5, abs=0.1)


def test_other_places_are_refused():
    found = register(seen(world(10)), seen(world(11), seed=2))
    assert found.shift_px == (0.0, 0.0)
    assert abs(found.shared) < 0.2
    with pytest.raises(
        InputError,
        match=r"particles: before and after share only \d+ % of their texture after a shift of "
        r"\(0\.0, 0\.0\) px, so their difference is texture, not particles; give scans of the same place",
    ):
        require_shared_texture(found)


def test_a_shift_too_large_to_be_found_is_refused():
    field = np.random.default_rng(12).normal(size=(400, 200))
    field = 90 + 40 * ndimage.gaussian_filter(field, 2.0)
    one, two = (field[k : k + 160, :160].astype(np.float32) for k in (0, 150))
    rng = np.random.default_rng(13)
    found = register(*((each + rng.normal(0, 0.5, each.shape)).astype(np.float32) for each in (one, two)))
    with pytest.raises(InputError, match="share only"):
        require_shared_texture(found)


@pytest.mark.parametrize(
    ("shared", "shift", "message"),
    [(0.49, (1.26, -3.0), r"only 49 % of their texture after a shift of \(1\.3, -3\.0\) px"),
     (-0.7, (0.0, 0.0), r"only 0 % of their texture")],
)  # fmt: skip
def test_the_refusal_states_share_and_shift(shared, shift, message):
    with pytest.raises(InputError, match=message):
        require_shared_texture(Registration(shift, shared))


@pytest.mark.parametrize("shared", [0.5, 1.0, np.nan])
def test_enough_shared_is_not_refused(shared):
    require_shared_texture(Registration((0.0, 0.0), shared))


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 2), (5, 40), (63, 63)])
def test_tiny_pictures_are_taken_as_they_lie(shape):
    rng = np.random.default_rng(14)
    one = rng.normal(50, 5, shape).astype(np.float32)
    found = register(one, one + 1)
    assert found.shift_px == (0.0, 0.0)
    assert np.isnan(found.shared) or found.shared > 0.9


def test_pictures_just_large_enough_are_registered():
    field = world(15, (64, 64))
    found = register(seen(field), seen(field, (0.8, -0.6), seed=2))
    np.testing.assert_allclose(found.shift_px, (0.8, -0.6), atol=0.1)


# --- many pairs ---


def test_the_common_shift_is_that_of_most_pairs_that_show_one():
    fields = [world(seed) for seed in range(16, 19)]
    pairs = [
        (seen(f, seed=k).astype(np.uint8), seen(f, (2.2, -0.7), seed=k + 9).astype(np.uint8))
        for k, f in enumerate(fields)
    ]
    pairs.append((seen(fields[0]), seen(fields[1])))  # no information
    pairs.append((seen(fields[0], seed=20), seen(fields[0], (-4.0, 4.0), seed=21)))  # another shift
    np.testing.assert_allclose(common_shift(pairs), (2.2, -0.7), atol=0.1)


def test_without_a_pair_that_shows_one_there_is_no_common_shift():
    assert common_shift([]) == (0.0, 0.0)
    assert common_shift([(seen(world(22)), seen(world(23)))]) == (0.0, 0.0)
