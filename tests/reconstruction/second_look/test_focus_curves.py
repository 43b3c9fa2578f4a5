"""Focus curves have one shape all over a still surface, and another where something moves, comes or goes."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from lee.reconstruction.second_look.focal_moments import FocusGroup
from lee.reconstruction.second_look.focus_curves import FocusCurves, UsualShape

SHAPE, DEPTH_UM, STEP_UM = (96, 300), 3.0, 0.3
SD_UM = DEPTH_UM / 2.355
BOX = np.s_[30:66, 100:180]


@pytest.fixture(scope="module")
def texture():
    field = gaussian_filter(np.random.default_rng(0).normal(size=(2, *SHAPE)), (0, 1.0, 1.0))
    return (20 * field / field.std()).astype(np.float32)


@pytest.fixture(scope="module")
def height():
    y, x = np.indices(SHAPE)
    return (2 * np.sin(x / 40) + 0.02 * y).astype(np.float32)


def groups(height, texture, *, noise=1.0, inside=None, seed=1, z=None):
    """Frames of a texture whose contrast is a Gaussian of the distance from focus; `inside` changes BOX."""
    rng = np.random.default_rng(seed)
    for at in np.arange(-7, 8, STEP_UM) if z is None else z:
        image = 100 + texture[0] * np.exp(-0.5 * ((at - height) / SD_UM) ** 2)
        if inside is not None:
            image[BOX] = inside(at, image[BOX])
        image = image + noise * rng.normal(size=SHAPE)
        yield FocusGroup(image.astype(np.float32), float(at), STEP_UM, 1)


def shapes_of(frames, heights, where=None, **options):
    heights = np.asarray(heights, np.float32).reshape(-1, *SHAPE)
    everywhere = np.ones(SHAPE, bool) if where is None else where
    quiet = options.pop("quiet", np.ones(SHAPE, bool))
    curves = FocusCurves(heights, everywhere, quiet, depth_um=DEPTH_UM, threads=2, **options)
    for group in frames:
        curves.push(group)
    return curves.finish()


def calm():
    out = np.ones(SHAPE, bool)
    out[20:76, 90:190] = False
    return out


def departures(frames, height):
    shapes = shapes_of(frames, height)
    usual = UsualShape.learnt(shapes, calm())
    return usual.departure(shapes)[0], shapes, usual


@pytest.mark.parametrize("noise", [0.5, 4.0])
def test_a_still_surface_has_the_usual_shape(height, texture, noise):
    departure, shapes, usual = departures(groups(height, texture, noise=noise), height)
    assert np.mean(departure < 3) > 0.98
    assert abs(usual.less[0] - 1) < 0.1
    assert abs(usual.more[0] - 1) < 0.1
    signal = 20 / noise
    assert 0.1 * signal**2 < np.median(shapes.signal_to_noise) < 30 * signal**2


def vanishes(at, image):
    return np.where(at < 0, image, 100)


def appears_dimmer(at, image):
    return 100 + (image - 100) * (1 if at > 0.3 else 0.4)


CHANGES = {"goes while in focus": vanishes, "is veiled until it is in focus": appears_dimmer}


@pytest.mark.parametrize("kind", CHANGES)
def test_what_comes_or_goes_in_focus_has_not(texture, kind):
    level = np.zeros(SHAPE, np.float32)
    departure, _, _ = departures(groups(level, texture, inside=CHANGES[kind]), level)
    inner = departure[36:60, 106:174]
    assert np.mean(inner > 3) > 0.9
    assert np.mean(departure[calm()] < 3) > 0.98


def test_what_slides_while_in_focus_has_not(texture):
    level = np.zeros(SHAPE, np.float32)

    def slides(at, _):
        moved = np.roll(texture[1], round(4 * at), axis=1)[BOX]
        return 100 + moved * np.exp(-0.5 * (at / SD_UM) ** 2)

    departure, _, _ = departures(groups(level, texture, inside=slides), level)
    assert np.mean(departure[36:60, 106:174] > 3) > 0.9


def test_what_rises_with_the_plane_in_focus_has_not(texture):
    level = np.zeros(SHAPE, np.float32)

    def rises(at, _):
        return 100 + texture[1][BOX] * np.exp(-0.5 * (0.5 * at / SD_UM) ** 2)

    departure, _, _ = departures(groups(level, texture, inside=rises), level)
    assert np.mean(departure[36:60, 106:174] > 3) > 0.9


def test_what_moves_is_not_taken_for_noise_of_the_frames(texture):
    level = np.zeros(SHAPE, np.float32)

    def passes_by(at, image):
        return image + 5 * np.roll(texture[1], round(20 * at), axis=1)[BOX]

    def ratio(**options):
        shapes = shapes_of(groups(level, texture, inside=passes_by), level, **options)
        return np.median(shapes.signal_to_noise[0][BOX]) / np.median(shapes.signal_to_noise[0][calm()])

    assert ratio() < 0.3
    assert ratio(quiet=calm()) > 0.7


def test_a_side_beyond_the_scan_is_not_held_against_a_surface(height, texture):
    level = np.zeros(SHAPE, np.float32)
    shapes = shapes_of(groups(level, texture, z=np.arange(-6, 0.2, STEP_UM)), level)
    np.testing.assert_array_equal(shapes.less, shapes.more)
    assert np.median(shapes.less) == pytest.approx(1, abs=0.15)


def test_nothing_is_known_where_there_is_no_height_nor_outside(height, texture):
    holes = height.copy()
    holes[10:20, 5:50] = np.nan
    where = np.zeros(SHAPE, bool)
    where[:30, :60] = True
    shapes = shapes_of(groups(height, texture), [holes, np.full(SHAPE, np.nan)], where, images=True)
    assert np.isnan(shapes.less[0, 10:20, 5:50]).all()
    assert np.isfinite(shapes.less[0, 25:30, :50]).all()
    assert np.isnan(shapes.less[1]).all()
    assert not shapes.image[0, 64:].any()
    assert (shapes.signal_to_noise[0, 70:, 256:] == 0).all()


def test_the_image_is_that_in_focus(height, texture):
    shapes = shapes_of(groups(height, texture, noise=0), height, images=True)
    sharp = 100 + texture[0]
    assert np.std(shapes.image[0] - sharp) < 0.25 * np.std(sharp)
    assert np.mean(shapes.image[0]) == pytest.approx(100, abs=1)


def test_of_few_pixels_nothing_is_usual(height, texture):
    shapes = shapes_of(groups(height, texture), height)
    few = np.zeros(SHAPE, bool)
    few[:10, :10] = True
    assert UsualShape.learnt(shapes, few) is None
    nothing = shapes_of(iter(()), np.full(SHAPE, np.nan))
    assert UsualShape.learnt(nothing, np.ones(SHAPE, bool)) is None
