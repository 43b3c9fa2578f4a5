"""Targets: their pixels, their text form, and how they are found in an image."""

import math

import numpy as np
import pytest
from scipy import ndimage

from lee.errors import InputError
from lee.reconstruction.target import Target


def scattered(target, count, *, noise=0.2, polarity=1, shading=0.0, shape=(300, 340), seed=0):
    """An image of `count` copies of a target on a noisy ground, in counts."""
    rng = np.random.default_rng(seed)
    image = np.zeros(shape)
    (height, width), angle = target.size_px, math.radians(target.angle_deg)
    reach = math.ceil(math.hypot(height, width) / 2) + 1
    for cy, cx in rng.uniform(0, shape, (count, 2)):
        top, left = max(0, int(cy) - reach), max(0, int(cx) - reach)
        y, x = np.mgrid[top : min(shape[0], int(cy) + reach), left : min(shape[1], int(cx) + reach)].astype(
            float
        )
        along = (x - cx) * math.cos(angle) + (y - cy) * math.sin(angle)
        across = (y - cy) * math.cos(angle) - (x - cx) * math.sin(angle)
        u, v = 2 * along / width, 2 * across / height
        inside = (np.maximum(abs(u), abs(v)) if target.shape == "rectangle" else np.hypot(u, v)) <= 1
        image[top : top + len(y), left : left + y.shape[1]][inside] = 1
    image = ndimage.gaussian_filter(image, 0.7)
    return 120 + 40 * (
        polarity * image + shading * np.linspace(0, 1, shape[1]) + noise * rng.standard_normal(shape)
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("diameter", "count"),
    [(6, 400), (10, 200), (15, 90), (25, 40)],
)
def test_disks_are_found_within_an_eighth(diameter, count, seed):
    truth = Target("disk", (diameter, diameter))
    found = Target.estimate(scattered(truth, count, seed=seed, polarity=1 if seed else -1))
    assert found.shape == "disk"
    assert found.size_px[0] == pytest.approx(diameter, rel=0.125, abs=1.0)


@pytest.mark.parametrize("angle", [0, 30, 90, -60])
def test_elongated_grains_are_found_with_their_angle(angle):
    found = Target.estimate(scattered(Target("ellipse", (10, 30), angle), 90, noise=0.5))
    assert found.shape == "ellipse"
    upright = abs(angle) > 45
    expected = (30, 10) if upright else (10, 30)
    assert found.size_px == pytest.approx(expected, rel=0.15)
    turned = (angle + 90 if upright else angle) - found.angle_deg
    assert abs((turned + 90) % 180 - 90) < 6


def test_rectangles_are_distinguished_from_ellipses():
    found = Target.estimate(scattered(Target("rectangle", (12, 32)), 60))
    assert found.shape == "rectangle"
    assert found.size_px == pytest.approx((12, 32), rel=0.15)
    assert abs(found.angle_deg) < 5


def test_shading_and_strong_noise_do_not_mislead():
    truth = Target("disk", (15, 15))
    found = Target.estimate(scattered(truth, 90, noise=1.0, shading=3.0))
    assert found.size_px[0] == pytest.approx(15, rel=0.2)


def test_a_coarser_texture_gives_a_larger_target():
    noise = np.random.default_rng(0).standard_normal((256, 256))
    sizes = [
        Target.estimate(100 + 50 * ndimage.gaussian_filter(noise, sigma) * sigma).size_px[0]
        for sigma in (1.5, 3, 6)
    ]
    # Its Gaussian autocorrelation has fallen to half at 1.665 sigma.
    assert sizes == pytest.approx([1.665 / 0.404 * sigma for sigma in (1.5, 3, 6)], rel=0.15, abs=1.1)


def test_a_particle_image_of_16_bit_and_more_than_1024_pixels():
    image = scattered(Target("disk", (12, 12)), 1500, shape=(1100, 1100)).astype(np.uint16)
    assert Target.estimate(image).size_px[0] == pytest.approx(12, rel=0.1)


def test_footprints_have_the_targets_size():
    assert Target("disk", (25, 25)).footprint().mask.shape == (25, 25)
    assert Target("ellipse", (21, 41)).footprint().mask.shape == (21, 41)
    assert Target("rectangle", (10, 30)).footprint().mask.all()
    assert Target("rectangle", (10, 30)).footprint().mask.shape == (10, 30)
    for angle in (0.0, 25.0, 90.0, -70.0):
        for shape, area in (("rectangle", 11 * 31), ("ellipse", math.pi / 4 * 11 * 31)):
            footprint = Target(shape, (11, 31), angle).footprint()
            assert footprint.area_px == pytest.approx(area, rel=0.06)
            # Symmetric about its centre.
            offsets = np.argwhere(footprint.mask) - footprint.centre
            assert {tuple(o) for o in offsets} == {tuple(-o) for o in offsets}


def test_windows_have_equal_second_moments():
    assert Target("rectangle", (9, 15)).window_px() == (9, 15)
    assert Target("disk", (25, 25)).window_px() == (21, 21)
    assert Target("ellipse", (10, 30), 90.0).window_px() == (27, 9)
    assert Target("disk", (1, 1)).window_px() == (3, 3)
    assert Target("disk", (500, 500)).window_px() == (63, 63)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("disk:25", Target("disk", (25, 25))),
        (" Ellipse:20x40 ", Target("ellipse", (20, 40))),
        ("rectangle:10x30.5@-15", Target("rectangle", (10, 30.5), -15)),
    ],
)
def test_text_forms(text, target):
    assert Target.parse(text) == target


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("blob:3", "target: 'blob:3' is not a target; give disk:25, ellipse:20x40 or"),
        ("disk:20x40", "target: 'disk:20x40' has the wrong number of extents; give disk:25"),
        ("ellipse:20", "target: 'ellipse:20' has the wrong number of extents"),
        ("disk:0.5", "target: the size is .* px; give .height, width., at least 1 px each"),
        ("disk:nan", "target: 'disk:nan' is not a target"),
    ],
)
def test_bad_text_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        Target.parse(text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("square", (3, 3)), "target: the shape is 'square'; give disk, ellipse or rectangle"),
        (("disk", (3, 4)), "target: a disk is 3.0 by 4.0 px; give equal extents, or an ellipse"),
        (("ellipse", (3, float("inf"))), "target: the size is"),
        (("ellipse", (3, 4), float("nan")), "target: the angle is nan degrees"),
    ],
)
def test_bad_targets_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        Target(*arguments)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.full((64, 64), 9), "target: the image is constant, 9 everywhere; give one in focus"),
        (np.zeros((31, 64)), "target: the image is 31 by 64 px; give at least 32"),
        (np.zeros((64, 64, 3)), r"shape \(64, 64, 3\); give a grey one, \(H, W\)"),
        (np.where(np.eye(64) > 0, np.nan, 1.0), "target: the image holds NaN or infinite pixels"),
        (np.random.default_rng(0).standard_normal((200, 200)), "target: the image shows nothing but noise"),
        (
            np.tile(np.random.default_rng(0).random(96), (96, 1)),
            "the target is larger than a third of the image; give a larger",
        ),
    ],
    ids=["constant", "small", "colour", "gaps", "noise", "large"],
)
def test_images_without_a_target_are_refused(image, message):
    with pytest.raises(InputError, match=message):
        Target.estimate(image)
