"""False alarms and recall where noise is not Gaussian and where the light has changed."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import lee
from bench.scenes.spot_fields import drawn, frames, matched, random_field, scores

SIDE_PX, ASKED = 384, 5.0
SHAPE = (SIDE_PX, SIDE_PX)


def places(found):
    return np.stack([found.y_px, found.x_px], axis=1).astype(np.float64)


def rate(pair_of, sigma_px, fields=8):
    """False particles in a field without any, as a share of those asked for."""
    options = {"spot_sigma_px": sigma_px, "false_alarms": ASKED, "threads": 1}
    found = [
        len(lee.detect_particles(*pair_of(np.random.default_rng(seed)), **options).snr)
        for seed in range(fields)
    ]
    return np.mean(found) / ASKED


def noisy(noise_of):
    return lambda rng: tuple((100 + noise_of(rng)).astype(np.float32) for _ in range(2))


# --- few photons ---


@pytest.mark.parametrize("mean", [1.0, 3.0, 10.0])
@pytest.mark.parametrize("sigma_px", [0.7, 1.4, 2.5])
@pytest.mark.parametrize("contrast", [0.0, 0.3])
def test_few_photons_make_no_particles(mean, sigma_px, contrast):
    grain = gaussian_filter(np.random.default_rng(5).normal(size=SHAPE), 1.0)
    light = mean * np.clip(1 + contrast * grain / grain.std(), 0.05, None)
    assert rate(lambda rng: [rng.poisson(light).astype(np.uint16) for _ in range(2)], sigma_px) < 2


def test_particles_in_few_photons_are_found():
    rng = np.random.default_rng(1)
    at = np.arange(16, SIDE_PX, 32)
    true = np.stack(np.meshgrid(at, at, indexing="ij"), -1).reshape(-1, 2) + rng.uniform(-0.5, 0.5, (144, 2))
    for mean, peak in ((1.0, 5.0), (10.0, 15.0)):
        before = rng.poisson(mean, SHAPE).astype(np.uint16)
        after = rng.poisson(mean + drawn(SHAPE, true, peak, 1.4)).astype(np.uint16)
        found = lee.detect_particles(before, after, spot_sigma_px=1.4)
        assert len(matched(true, places(found))[0]) > 0.95 * len(true)


# --- pixels that stand out, heavy tails ---


HEAVY = {
    "Student, 5 degrees of freedom": lambda rng: rng.standard_t(5, SHAPE),
    "Student, 3 degrees of freedom": lambda rng: rng.standard_t(3, SHAPE),
    "Laplace": lambda rng: rng.laplace(size=SHAPE),
    "cosmic rays": lambda rng: rng.normal(size=SHAPE) + 30 * (rng.random(SHAPE) < 1e-3),
}


@pytest.mark.parametrize("noise", HEAVY)
@pytest.mark.parametrize("sigma_px", [0.7, 1.4, 2.5])
def test_heavy_tails_make_no_particles(noise, sigma_px):
    assert rate(noisy(HEAVY[noise]), sigma_px) < 2


@pytest.mark.parametrize("counts", [10, 30, 100])
@pytest.mark.parametrize("sigma_px", [0.7, 1.4])
def test_pixels_that_blink_are_no_particles(counts, sigma_px):
    blinking = np.random.default_rng(77).random(SHAPE) < 0.01

    def pair(rng):
        light = (
            200 + rng.normal(0, 3, SHAPE) + counts * (blinking & (rng.random(SHAPE) < 0.3)) for _ in "ab"
        )
        return [np.round(frame).astype(np.uint16) for frame in light]

    assert rate(pair, sigma_px) < 2


@pytest.mark.parametrize("sigma_px", [0.7, 1.4, 2.0])
def test_particles_among_pixels_that_blink_are_found(sigma_px):
    rng = np.random.default_rng(3)
    true = rng.uniform(8, SIDE_PX - 8, (60, 2))
    before, after = frames(drawn(SHAPE, true, 15.0, sigma_px), 3)
    for frame in (before, after):
        frame[rng.random(SHAPE) < 0.003] += 20
    found = lee.detect_particles(before, after, spot_sigma_px=sigma_px)
    assert len(matched(true, places(found))[0]) > 0.9 * len(true)
    assert len(found.snr) < 1.1 * len(true)


def test_a_single_pixel_is_no_particle():
    before, after = frames(np.zeros((64, 64)), 1)
    after[30, 30] += 60
    for sigma_px in (0.7, 1.4, 3.0):
        found = lee.detect_particles(before, after, spot_sigma_px=sigma_px, false_alarms=1e-3)
        assert len(found.snr) == 0


# --- light that has changed ---


def waves(side_px, amplitude, length_px, seed):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side_px, :side_px]
    total = np.zeros((side_px, side_px))
    for turn, phase in rng.uniform(0, 2 * np.pi, (3, 2)):
        total += np.cos(2 * np.pi * (x * np.cos(turn) + y * np.sin(turn)) / length_px + phase)
    return amplitude * total / np.sqrt(1.5)


@pytest.mark.parametrize(
    ("amplitude", "length_px"), [(0, 1), (1.5, 128), (3, 128), (2, 256), (10, 256), (20, 512), (12, 1024)]
)
def test_slowly_varying_light_hides_no_particles(amplitude, length_px):
    """As many are found as in light that has not changed, in clusters too."""
    field = random_field(1024, 750, 1)
    spots = field.drawn() + waves(1024, amplitude, length_px, 1)
    found = lee.detect_particles(*frames(spots, 1, dtype=np.uint16, level=2000.0, noise=50.0))
    got = scores(field, places(found))
    assert got.f1 >= 0.95
    assert got.precision >= 0.97
    assert got.cluster_recall >= 0.82
    assert got.over_bound <= 1.1
    assert found.noise == pytest.approx(50, rel=0.03)


@pytest.mark.parametrize("sigma_px", [1.4, 3.5, 5.5])
def test_slowly_varying_light_does_not_change_peaks(sigma_px):
    side_px, step_px = 512, 64
    at = np.arange(step_px // 2, side_px, step_px)
    true = np.stack(np.meshgrid(at, at, indexing="ij"), -1).reshape(-1, 2).astype(float)
    spots = drawn((side_px, side_px), true, 20.0, sigma_px) + waves(side_px, 5, 512, 2)
    found = lee.detect_particles(*frames(spots, 2), spot_sigma_px=sigma_px)
    of_truth, of_found = matched(true, places(found))
    assert len(of_truth) == len(true)
    assert np.median(found.peak[of_found]) == pytest.approx(20, rel=0.03)


def test_slowly_varying_light_makes_no_particles():
    shade = waves(SIDE_PX, 8, 200, 4)

    def pair(rng):
        return tuple((k * shade + rng.normal(0, 1, SHAPE) + 100).astype(np.float32) for k in (0, 1))

    assert rate(pair, 1.4) < 2
