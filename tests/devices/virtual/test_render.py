"""Rendered scans against a direct sum of spread functions, and against what a camera must show."""

from dataclasses import replace

import numpy as np
import pytest

from lee.devices.virtual import (
    Bubble,
    Debris,
    Flash,
    Optics,
    Scene,
    Sensor,
    Spike,
    flat,
    gentle,
    iter_frames,
    render_scan,
    rugged,
)
from lee.errors import InputError

PIXEL_UM = 0.25
CLEAR = Sensor(noise=False, shading=0.0, bit_depth=16)


def spread_function(defocus_um: float, side: int) -> np.ndarray:
    """Return the image (side, side) of a point at the centre, summing to 1, from the pupil."""
    optics = Optics()
    frequency = np.fft.fftfreq(side, PIXEL_UM)
    rho2 = (frequency[:, None] ** 2 + frequency[None, :] ** 2) / (optics.na / optics.wavelength_um) ** 2
    sine2 = np.clip(rho2, 0, 1) * (optics.na / optics.refractive_index) ** 2
    phase = 2 * np.pi * optics.refractive_index / optics.wavelength_um * defocus_um * np.sqrt(1 - sine2)
    spread = np.abs(np.fft.ifft2(np.where(rho2 <= 1, np.exp(1j * phase), 0))) ** 2
    return np.fft.fftshift(spread / spread.sum())


def test_equals_the_direct_sum_of_spread_functions() -> None:
    side, reach = 48, 128
    rng = np.random.default_rng(5)
    height = np.where(np.arange(side) < side // 2, 0.0, 4.0)[None, :] + 0.05 * np.arange(side)[:, None]
    light = np.zeros((side, side), dtype=np.float32)
    points = rng.integers(14, side - 14, (6, 2))
    light[points[:, 0], points[:, 1]] = rng.uniform(2, 6, len(points))
    scene = Scene(height, light, PIXEL_UM)
    sensor = replace(CLEAR, mean_share=float(light.mean()))
    z = np.array([-1.0, 0.7, 3.3, 5.0])
    scan = render_scan(scene, z_um=z, sensor=sensor, layer_um=0.05)
    sinc = np.sinc(np.fft.fftfreq(2 * reach))
    for frame, focus in zip(scan.frames, z, strict=True):
        expected = np.zeros((2 * reach, 2 * reach))
        for y, x in points:
            spread = spread_function(focus - float(scene.height_um[y, x]), 2 * reach)
            expected += light[y, x] * np.roll(spread, (y - side // 2, x - side // 2), (0, 1))
        expected = np.fft.ifft2(np.fft.fft2(expected) * sinc[:, None] * sinc[None, :]).real
        cut = slice(reach - side // 2, reach + side // 2)
        inner = slice(8, -8)
        found = frame[inner, inner] / 65535
        wanted = expected[cut, cut][inner, inner]
        assert np.abs(found - wanted).max() < 0.02 * wanted.max()


def test_a_slope_is_sharpest_where_the_truth_is() -> None:
    scene = flat((96, 192), PIXEL_UM, 3, tilt_um=(0.0, 8.0))
    z = np.arange(-7, 7.01, 0.4)
    frames = render_scan(scene, z_um=z, sensor=Sensor(shading=0.0), seed=1).frames.astype(float)
    strips = frames.reshape(len(z), 96, 12, 16)
    energy = ((strips[:, :, :, 2:] - strips[:, :, :, :-2]) ** 2).mean(axis=(1, 3))
    weight = np.maximum(energy - np.median(energy, axis=0), 0) ** 2
    found = (weight * z[:, None]).sum(axis=0) / weight.sum(axis=0)
    truth = scene.height_um.reshape(96, 12, 16).mean(axis=(0, 2))
    assert np.abs(found - truth).max() < 0.4
    assert truth[-1] - truth[0] == pytest.approx(found[-1] - found[0], rel=0.05)


def test_layers_are_fine_enough() -> None:
    scene = rugged((64, 64), PIXEL_UM, 2, relief_um=6)
    coarse, fine = (
        render_scan(scene, z_um=[-2.0, 0.0, 1.1], sensor=CLEAR, layer_um=layer).frames / 65535
        for layer in (0.2, 0.02)
    )
    assert np.abs(coarse - fine).max() < 0.5 / 255


def test_flat_field_has_the_noise_of_its_electrons() -> None:
    level = np.full((200, 200), 0.5, dtype=np.float32)
    scene = Scene(np.zeros_like(level), level, PIXEL_UM)
    sensor = Sensor(bit_depth=16, shading=0.0)
    frame = render_scan(scene, z_um=[0.0], sensor=sensor, seed=4).frames[0].astype(float)
    electrons = frame * sensor.full_well_e / sensor.max_count
    mean = sensor.full_well_e * 90 / 255
    assert electrons.mean() == pytest.approx(mean, rel=2e-3)
    assert electrons.var() == pytest.approx(mean + sensor.read_noise_e**2, rel=0.03)
    dark = sensor.expose(np.full((200, 200), 20 / sensor.full_well_e, np.float32), np.random.default_rng(1))
    assert dark.dtype == np.uint16
    lifted = replace(sensor, black_counts=1.0).expose(
        np.full((200, 200), 20 / sensor.full_well_e, np.float32), np.random.default_rng(1)
    )
    few = lifted.astype(float) * sensor.full_well_e / sensor.max_count
    assert few.var() == pytest.approx(20 + sensor.read_noise_e**2, rel=0.05)


def test_mean_level_shading_and_saturation() -> None:
    scene = gentle((96, 96), PIXEL_UM, 1)
    scene = replace(scene, spikes=[Spike(12.0, 12.0, radius_um=1.0, brightness=10.0)])
    plain = render_scan(replace(scene, spikes=()), z_um=[0.0, 1.0]).frames
    assert plain.dtype == np.uint8
    assert plain.mean() == pytest.approx(90, rel=0.03)
    lamp = Sensor(shading=0.2).lamp((51, 51))
    assert lamp[25, 25] == 1
    assert lamp[0, 0] == pytest.approx(0.8)
    spiked = render_scan(scene, z_um=[float(scene.height_um[48, 48])]).frames[0]
    assert (spiked[46:51, 46:51] == 255).all()
    assert (plain == 255).mean() < 0.01


def test_seed_decides_the_noise_whatever_came_before() -> None:
    scene = gentle((40, 40), PIXEL_UM, 1)
    z = np.linspace(-1, 1, 18)
    one, two = (render_scan(scene, z_um=z, seed=3).frames for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, render_scan(scene, z_um=z, seed=4).frames)
    for frame, streamed in zip(one, iter_frames(scene, z_um=z, seed=3), strict=True):
        np.testing.assert_array_equal(frame, streamed)


def test_drift_moves_the_frames_as_given() -> None:
    scene = gentle((96, 96), PIXEL_UM, 2)
    z = np.zeros(5)
    scan = render_scan(scene, z_um=z, sensor=replace(CLEAR), drift_px=(8.0, -4.0))
    np.testing.assert_allclose(scan.drift_px[[0, 2, 4]], [[-4, 2], [0, 0], [4, -2]])
    still, moved = scan.frames[2].astype(float), scan.frames[4].astype(float)
    np.testing.assert_allclose(moved[12:80, 12:80], still[8:76, 14:82], atol=0.004 * 65535)
    half = render_scan(scene, z_um=z[:2], sensor=CLEAR, drift_px=[[0, 0], [0, 0.5]]).frames.astype(float)
    between = (half[0][20:70, 20:70] + half[0][20:70, 19:69]) / 2
    assert np.abs(half[1][20:70, 20:70] - between).std() < 0.3 * np.abs(half[1] - half[0])[20:70, 20:70].std()
    seen = scan.truth_seen_in(4)
    np.testing.assert_allclose(seen[12:80, 12:80], scene.height_um[8:76, 14:82], atol=1e-4)
    assert np.isnan(seen[:3]).all()


def test_bubble_hides_shines_and_is_marked() -> None:
    level = np.full((128, 128), 0.4, dtype=np.float32)
    bubble = Bubble(16.0, 12.0, 8.0, 5.0, motion_um=(0.0, 8.0), present=(0.0, 0.5))
    scene = Scene(np.zeros_like(level), level, PIXEL_UM, bubbles=[bubble])
    scan = render_scan(scene, z_um=np.full(5, 8.0))
    assert scan.touched[64, 48]
    assert scan.touched[64, 64 + 18]
    assert not scan.touched[64, 64 + 22]
    # In focus: a saturated rim at the equator, a dark veil between rim and glint.
    assert scan.frames[0][64, 48 + 19] == 255
    assert scan.frames[0][64, 48] == 255
    assert scan.frames[0][64, 48 + 12] < 0.7 * scan.frames[4][64, 48 + 12]
    # At the middle it has moved by 4 um, then it is gone.
    assert scan.frames[2][64, 64 + 19] == 255
    np.testing.assert_allclose(scan.frames[4].astype(float), 90, atol=30)
    assert not scan.touched[2:30].any()


def test_debris_darkens_and_a_flash_spoils_one_frame() -> None:
    level = np.full((64, 64), 0.4, dtype=np.float32)
    flake = Debris(8.0, 8.0, 25.0, 8.0, veil=0.2, present=(0.0, 0.2))
    scene = Scene(np.zeros_like(level), level, PIXEL_UM, debris=[flake], flashes=[Flash(at=0.5)])
    scan = render_scan(scene, z_um=np.linspace(-1, 1, 9))
    assert scan.flashed.tolist() == [False] * 4 + [True] + [False] * 4
    assert scan.frames[4].mean() > 240
    assert scan.frames[0][32, 32] < 60 < 80 < scan.frames[6][32, 32]


def test_uneven_z_gives_the_same_frames_as_even_z() -> None:
    scene = gentle((48, 48), PIXEL_UM, 2)
    even = render_scan(scene, z_um=np.linspace(-2, 2, 21), sensor=CLEAR).frames
    some = render_scan(scene, z_um=np.linspace(-2, 2, 21)[[0, 1, 5, 20]], sensor=CLEAR).frames
    np.testing.assert_allclose(some.astype(float), even[[0, 1, 5, 20]].astype(float), atol=60)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"z_um": [[0.0]]}, r"z_um \(1, 1\) must be a list of finite heights"),
        ({"z_um": [0.0, np.nan]}, "must be a list of finite heights"),
        (
            {"z_um": [0.0, 1.0], "drift_px": [1.0, 2.0, 3.0]},
            r"drift_px \(3,\) must be finite, \(2,\) or \(2, 2\)",
        ),
        ({"z_um": [0.0], "layer_um": 0.0}, "layer_um 0.0 must be above 0"),
    ],
)
def test_unusable_scans_are_refused(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        render_scan(flat((16, 16), PIXEL_UM, 0), **options)


def test_unusable_cameras_are_refused() -> None:
    with pytest.raises(InputError, match="bit_depth 7 must be between 8 and 16"):
        Sensor(bit_depth=7)
    with pytest.raises(InputError, match="mean_share between 0 and 1"):
        Sensor(mean_share=1.5)
