"""Scenes: what they promise of relief, brightness and repeatability."""

from dataclasses import replace

import numpy as np
import pytest

from lee.devices.virtual import Scene, demo_scene, electrode, flat, from_topography, gentle, rugged
from lee.devices.virtual.scene.scene import dress
from lee.errors import InputError

SHAPE, PIXEL_UM = (200, 240), 0.25


@pytest.mark.parametrize(("build", "relief"), [(gentle, 5.0), (rugged, 12.0), (electrode, 40.0)])
def test_builders_keep_their_relief_and_their_seed(build, relief: float) -> None:
    scene = build(SHAPE, PIXEL_UM, 7)
    assert scene.shape == SHAPE
    assert np.ptp(scene.height_um) == pytest.approx(relief, rel=1e-4)
    assert scene.reflectance.min() >= 0
    assert 0.15 < scene.reflectance.mean() < 0.6
    again, other = build(SHAPE, PIXEL_UM, 7), build(SHAPE, PIXEL_UM, 8)
    np.testing.assert_array_equal(scene.height_um, again.height_um)
    np.testing.assert_array_equal(scene.reflectance, again.reflectance)
    assert not np.array_equal(scene.height_um, other.height_um)


def test_rugged_features_are_small_and_gentle_ones_wide() -> None:
    def half_width_um(height: np.ndarray) -> float:
        spectrum = np.abs(np.fft.rfft2(height - height.mean())) ** 2
        along = np.fft.irfft2(spectrum, height.shape)[0]
        return 2 * PIXEL_UM * float(np.argmax(along < along[0] / 2))

    assert 3 <= half_width_um(rugged((384, 384), PIXEL_UM, 1).height_um) <= 10
    assert half_width_um(gentle((384, 384), PIXEL_UM, 1).height_um) > 15


def test_texture_fades_to_a_tenth() -> None:
    full, faded = (dress(np.zeros(SHAPE), PIXEL_UM, 3, fade=fade).reflectance for fade in (1.0, 0.1))
    share = np.abs(faded - 0.45).ravel() / np.maximum(np.abs(full - 0.45), 1e-3).ravel()
    assert np.percentile(share, 5) == pytest.approx(0.1, abs=0.02)
    assert np.percentile(share, 90) == pytest.approx(1, abs=0.02)


def test_slopes_are_darker_than_level_ground() -> None:
    ramp = np.where(np.arange(200) < 100, 0.0, (np.arange(200) - 100) * PIXEL_UM * 0.3)
    shown = dress(np.tile(ramp, (60, 1)), PIXEL_UM, 1).reflectance
    assert shown[:, 110:].mean() < 0.8 * shown[:, :90].mean()


def test_topography_is_scaled_to_the_rig_and_its_holes_are_filled() -> None:
    x = np.linspace(0, 6 * np.pi, 300)
    measured = 5 + np.sin(x)[None, :] * np.ones((150, 1))
    measured[3, 4] = np.nan
    scene = from_topography(measured, 2.0, SHAPE, PIXEL_UM, relief_um=10, field_um=600)
    assert np.ptp(scene.height_um) == pytest.approx(10, rel=0.02)
    assert np.isfinite(scene.height_um).all()
    crossings = np.count_nonzero(np.diff(np.sign(scene.height_um[100])))
    assert crossings in (5, 6, 7)
    with pytest.raises(InputError, match=r"topography: shape \(3,\) must be \(H, W\)"):
        from_topography(np.zeros(3), 1.0, SHAPE, PIXEL_UM)


def test_topography_is_levelled_unless_asked_otherwise() -> None:
    tilted = np.arange(300)[:, None] * 0.1 + np.zeros((300, 300))
    assert np.ptp(from_topography(tilted, PIXEL_UM, SHAPE, PIXEL_UM).height_um) < 1e-3
    kept = from_topography(tilted, PIXEL_UM, SHAPE, PIXEL_UM, level=False)
    assert np.ptp(kept.height_um) == pytest.approx(19.9, rel=1e-3)


def test_disturbances_are_added_and_seeded() -> None:
    scene = gentle(SHAPE, PIXEL_UM, 1)
    full = scene.with_spikes(9, 1).with_bubbles(2, 2).with_debris(3, 3)
    assert [len(full.spikes), len(full.bubbles), len(full.debris), len(full.flashes)] == [9, 2, 3, 1]
    assert full.spikes == scene.with_spikes(9, 1).spikes != scene.with_spikes(9, 2).spikes
    assert all(bubble.z_um > scene.height_um.min() + bubble.radius_um for bubble in full.bubbles)


def test_range_covers_the_relief() -> None:
    z = demo_scene().z_range(0.2, margin_um=3)
    height = demo_scene().height_um
    assert z[0] == pytest.approx(height.min() - 3)
    assert height.max() + 3 <= z[-1] < height.max() + 3.2
    np.testing.assert_allclose(np.diff(z), 0.2)


def test_unusable_scenes_are_refused() -> None:
    scene = flat((8, 9), PIXEL_UM, 0)
    with pytest.raises(
        InputError, match=r"height_um \(8, 9\) and reflectance \(9, 8\) must be \(H, W\) alike"
    ):
        Scene(scene.height_um, scene.reflectance.T, PIXEL_UM)
    with pytest.raises(InputError, match="must be finite and reflectance 0 or above"):
        replace(scene, reflectance=-scene.reflectance)
    with pytest.raises(InputError, match="pixel_um 0 must be above 0"):
        replace(scene, pixel_um=0)
