"""Curvature under errors that are alike over several pixels, as those of reconstructed surfaces are."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import lee
from lee.devices.virtual import gentle, render_scan, rugged
from lee.surfaces.noise_correlation import white_noise_of
from tests.kernels.test_curvature import FAMILIES, field, hills, sinusoid, torus, true_mean, wavy_steps


def correlated(shape, correlation_px, seed):
    """Errors of variance 1 that are alike over so many pixels."""
    white = np.random.default_rng(seed).normal(size=shape)
    smooth = gaussian_filter(white, correlation_px, mode="wrap") if correlation_px else white
    return smooth / smooth.std()


@pytest.mark.slow
@pytest.mark.parametrize(
    "correlation_px",
    [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow), 4],
)
@pytest.mark.parametrize("surface", [torus, sinusoid, wavy_steps])
@pytest.mark.parametrize("stated", [True, False])
def test_automatic_scale_under_errors_that_are_alike(surface, correlation_px, stated):
    """The error within 1.7 of the least there is, on ladders of 2^(1/4)."""
    x, y, pixel_um = field(256)
    height, truth = surface(x, y), true_mean(surface, x, y)
    sigma = 0.01 * np.ptp(height)
    noisy = height + sigma * correlated(height.shape, correlation_px, 5)
    curved = lee.curvature(noisy, pixel_um=pixel_um, height_sigma_um=sigma if stated else None)
    assert curved.noise_correlation_px == pytest.approx(correlation_px, rel=0.45, abs=0.01)
    # Errors alike over a tenth of the surface's own size look like part of it: their size is then a guess.
    assert 0.6 * sigma < curved.noise_um < (1.6 if stated or correlation_px < 4 else 3) * sigma

    def error(of):
        return np.sqrt(np.nanmean((of.mean_per_um - truth) ** 2))

    others = [
        lee.curvature(noisy, pixel_um=pixel_um, scale_um=factor * curved.scale_um)
        for factor in 2.0 ** np.arange(-2, 1.6, 0.25)
        if factor * curved.radius_px < 128
    ]
    best = min(others, key=error)
    assert best.scale_um / 1.75 < curved.scale_um < 1.75 * best.scale_um
    assert error(curved) < 1.7 * error(best)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("correlation_px", [1.0, 3.0])
@pytest.mark.parametrize("scale_px", [2.0, 6.0, 20.0])
def test_uncertainty_is_that_of_errors_that_are_alike(family, correlation_px, scale_px):
    sigma = 0.02
    seen = []
    for seed in range(4):
        errors = sigma * correlated((300, 300), correlation_px, seed)
        options = {"pixel_um": 1.0, "scale_um": scale_px, "family": family, "height_sigma_um": sigma}
        curved = lee.curvature(errors, noise_correlation_px=correlation_px, **options)
        inside = slice(curved.radius_px, -curved.radius_px)
        seen.append((curved.mean_per_um / curved.mean_sigma_per_um)[inside, inside].ravel())
    assert curved.noise_correlation_px == correlation_px
    assert np.std(np.concatenate(seen)) == pytest.approx(1, abs=0.12 if scale_px < 10 else 0.3)


def test_a_known_correlation_is_taken():
    x, y, pixel_um = field(256)
    noisy = hills(x, y) + 0.1 * correlated(x.shape, 2, 1)
    given = lee.curvature(noisy, pixel_um=pixel_um, noise_correlation_px=2)
    assert given.noise_correlation_px == 2
    assert given.noise_um == pytest.approx(0.1, rel=0.3)
    white = lee.curvature(noisy, pixel_um=pixel_um, noise_correlation_px=0)
    assert white.noise_um < 0.02
    assert white.scale_um < 0.6 * given.scale_um
    given = lee.curvature(noisy, pixel_um=pixel_um, scale_um=3.0)
    assert (given.noise_um, given.noise_correlation_px) == (None, None)


@pytest.mark.slow
@pytest.mark.parametrize(("scene", "seed", "height_noise_um"), [(gentle, 3, 0.025), (rugged, 4, 0.25)])
def test_automatic_scale_of_a_reconstructed_surface(scene, seed, height_noise_um):
    """Focus is measured over windows, so errors of neighbouring pixels are alike."""
    drawn = scene((192, 192), 0.25, seed)
    low, high = float(drawn.height_um.min()), float(drawn.height_um.max())
    scan = render_scan(drawn, z_um=np.arange(low - 4, high + 4, 0.25), seed=seed)
    stack = lee.ZStack.from_array(scan.frames, scan.z_um, scan.pixel_um)
    found = lee.reconstruct(stack, params=lee.ReconstructParams(second_look=False), device="cpu")
    truth = lee.curvature(drawn.height_um, pixel_um=0.25, scale_um=0.3).mean_per_um
    curved = lee.curvature(found.height_um, pixel_um=0.25, height_sigma_um=found.height_sigma_um)
    assert 1 < curved.noise_correlation_px < 5
    assert curved.noise_um == pytest.approx(height_noise_um, rel=0.5)

    def error(of):
        return np.sqrt(np.nanmean((of.mean_per_um - truth) ** 2))

    scales = 0.25 * 2.0 ** np.arange(0, 4.6, 0.25)
    best = min(error(lee.curvature(found.height_um, pixel_um=0.25, scale_um=scale)) for scale in scales)
    assert error(curved) < 1.5 * best
    same_scale = lee.curvature(drawn.height_um, pixel_um=0.25, scale_um=curved.scale_um).mean_per_um
    share = np.abs(curved.mean_per_um - same_scale) / curved.mean_sigma_per_um
    assert 0.5 < 1.48 * np.nanmedian(share) < 1.5
    twice = lee.reconstruct(stack, device="cpu")
    finer = min(error(lee.curvature(twice.height_um, pixel_um=0.25, scale_um=scale)) for scale in scales)
    assert finer < 1.02 * best


def test_noise_is_found_under_relief_and_spikes():
    x, y, _ = field(200)
    rng = np.random.default_rng(0)
    noisy = hills(x, y) + 0.1 * rng.normal(size=x.shape)
    noisy[rng.random(x.shape) < 0.01] += 30
    noisy[rng.random(x.shape) < 0.02] = np.nan
    assert white_noise_of(noisy.astype(np.float32)) == pytest.approx(0.1, rel=0.15)
    assert white_noise_of(np.full((2, 9), 1, np.float32)) == 0.0


@pytest.mark.parametrize("correlation_px", [0.0, 1.5])
def test_steep_grooves_are_not_smoothed_away(correlation_px):
    """A window wider than all structure sees no curvature, and no change of it either."""
    x = np.arange(420.0)
    grooves = 4 * np.tanh(np.sin(x * (2 * np.pi / 140)) * 6) + np.zeros((420, 1))
    height = (grooves + 0.1 * correlated(grooves.shape, correlation_px, 1)).astype(np.float32)
    found = lee.curvature(height, pixel_um=1.0, height_sigma_um=np.full_like(height, 0.1))
    assert 1 < found.scale_um < 12
