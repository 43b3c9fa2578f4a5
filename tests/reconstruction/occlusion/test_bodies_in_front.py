"""Bodies that never move: known by what is seen beneath them, or by another texture; protrusions stay."""

import numpy as np
import pytest

from lee.reconstruction.focus.measure import FocusMaxima
from lee.reconstruction.occlusion.bodies_in_front import bodies_in_front

SHAPE, DEPTH_UM, NOISE, PIXEL_UM = (96, 110), 3.0, 0.01, 0.25
CENTRE, RADIUS_PX, RIM_PX = (46, 52), 22, 4


@pytest.fixture
def scene():
    """Return a gentle surface with a patch 5 um above it, its border not measured, and maxima of focus."""
    rng = np.random.default_rng(3)
    y, x = np.indices(SHAPE)
    ground = (0.5 * np.sin(x / 20) + 0.02 * y).astype(np.float32)
    away = np.hypot(y - CENTRE[0], x - CENTRE[1])
    patch = away < RADIUS_PX - RIM_PX
    height = np.where(patch, 5, ground) + rng.normal(0, 0.02, SHAPE)
    z_um = np.stack([height, np.full(SHAPE, np.nan)]).astype(np.float32)
    peak = np.stack([np.exp(rng.normal(0, 0.3, SHAPE)), np.zeros(SHAPE)]).astype(np.float32)
    valid = patch | (away > RADIUS_PX)
    return ground, patch, valid, FocusMaxima(z_um, peak, np.ones_like(peak))


def found(valid, maxima):
    return bodies_in_front(maxima.z_um[0], valid, maxima, noise=NOISE, pixel_um=PIXEL_UM, depth_um=DEPTH_UM)


def test_a_detached_pillar_with_the_texture_of_the_surface_stays_measured(scene):
    _, _, valid, maxima = scene
    assert not found(valid, maxima).any()


@pytest.mark.parametrize("contrast", [0.1, 10])
def test_a_detached_compact_patch_with_another_texture_is_a_body(scene, contrast):
    _, patch, valid, maxima = scene
    maxima.peak[0][patch] *= contrast
    body = found(valid, maxima)
    assert body[patch].all()
    y, x = np.nonzero(body)
    assert np.hypot(y - CENTRE[0], x - CENTRE[1]).max() < RADIUS_PX + 5  # the surface around stays


def test_what_the_surface_is_seen_through_is_a_body_whatever_its_texture(scene):
    ground, patch, valid, maxima = scene
    maxima.z_um[1][patch], maxima.peak[1][patch] = ground[patch], 0.3
    assert found(valid, maxima)[patch].all()
    maxima.peak[1][patch] = 0.05  # no more than what leaks from beside
    assert not found(valid, maxima).any()
    maxima.peak[1][patch], maxima.z_um[1][patch] = 0.3, -6  # not the surface
    assert not found(valid, maxima).any()


def test_what_lies_lower_or_is_joined_to_the_surface_stays_measured(scene):
    ground, patch, valid, maxima = scene
    maxima.peak[0][patch] *= 0.1
    maxima.z_um[0][patch] = ground[patch] - 5
    assert not found(valid, maxima).any()
    maxima.z_um[0][patch] = ground[patch] + 1.2
    assert not found(valid, maxima).any()
    y, x = np.indices(SHAPE)
    slope = np.clip((30 - np.hypot(y - CENTRE[0], x - CENTRE[1])) / 24, 0, 1)  # 5 um over 6 um
    maxima.z_um[0][:] = ground + 5 * slope
    assert not found(np.ones(SHAPE, bool), maxima).any()


def test_what_reaches_the_edge_of_the_field_stays_measured(scene):
    _, patch, valid, maxima = scene
    maxima.peak[0][patch] *= 0.1
    cut = (slice(None), slice(CENTRE[1], None))
    part = FocusMaxima(*(np.ascontiguousarray(of[:, *cut]) for of in maxima))
    assert not found(valid[cut], part).any()


def test_specks_far_from_the_surface_are_not_measured(scene):
    ground, patch, valid, maxima = scene
    valid &= ~patch
    y, x = CENTRE
    speck = (slice(y, y + 4), slice(x, x + 4))
    valid[speck] = True
    assert found(valid, maxima)[speck].all()
    maxima.z_um[0][speck] = ground[speck] + 1
    assert not found(valid, maxima).any()


def test_nothing_measured_has_no_bodies(scene):
    _, _, valid, maxima = scene
    assert not found(np.zeros_like(valid), maxima).any()
