"""The all-in-focus image keeps the colour of the frames; heights are those of their luminance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import shift

import lee
from lee.devices.virtual import gentle, render_scan
from lee.errors import InputError
from lee.export.mesh import texture_rgb
from lee.stacks.stack import ZStack
from lee.storage.luminance import luminance
from lee.surfaces.surface import Surface

SHAPE, PIXEL_UM = (80, 96), 0.25
LEFT, RIGHT = np.array([1.3, 0.9, 0.6]), np.array([0.7, 1.0, 1.3])


@pytest.fixture(scope="module")
def scan():
    scene = gentle(SHAPE, PIXEL_UM, 3, relief_um=3.0)
    # A sample that drifts, its left half warm and its right half blue.
    return render_scan(scene, z_um=np.arange(-4, 7, 0.4), seed=3, drift_px=(2.0, -3.0))


@pytest.fixture(scope="module")
def frames(scan):
    tint = np.ones((*SHAPE, 3)) * RIGHT
    tint[:, : SHAPE[1] // 2] = LEFT
    tint /= luminance(tint)[..., None]
    moved = [
        np.stack([shift(tint[..., c], displaced, order=1, mode="nearest") for c in range(3)], axis=-1)
        for displaced in scan.drift_px
    ]
    return np.clip(np.rint(0.7 * scan.frames[..., None] * np.stack(moved)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def surface(frames, scan):
    return lee.reconstruct(ZStack.from_array(frames, scan.z_um, PIXEL_UM), device="cpu")


def test_the_heights_are_those_of_the_luminance(surface, frames, scan):
    grey = np.stack([ZStack.from_array(frames, scan.z_um, PIXEL_UM)[k] for k in range(len(frames))])
    alone = lee.reconstruct(ZStack.from_array(grey, scan.z_um, PIXEL_UM), device="cpu")
    np.testing.assert_array_equal(surface.height_um, alone.height_um)
    np.testing.assert_array_equal(surface.refocused, alone.refocused)
    assert alone.colour is None


def test_the_colours_are_those_of_the_sample(surface):
    assert surface.colour.shape == (*SHAPE, 3)
    np.testing.assert_allclose(luminance(surface.colour), surface.refocused, atol=0.01)
    share = surface.colour / surface.refocused[..., None]
    half = SHAPE[1] // 2
    for part, colour in ((np.s_[8:-8, 8 : half - 2], LEFT), (np.s_[8:-8, half + 2 : -8], RIGHT)):
        np.testing.assert_allclose(
            np.median(share[part], axis=(0, 1)), colour / luminance(colour[None])[0], rtol=0.01
        )
        # Drift of up to three pixels does not blur the border between the halves.
        right_way = (share[part][..., 0] > share[part][..., 2]) == (colour is LEFT)
        assert right_way.mean() > 0.99


def test_they_are_written_read_and_put_on_the_model(surface, tmp_path: Path, undrawn):
    surface.save(tmp_path / "out")
    read = Surface.load(tmp_path / "out")
    np.testing.assert_allclose(read.colour, np.clip(surface.colour, 0, 255), atol=0.5)
    np.testing.assert_allclose(read.refocused, surface.refocused, atol=3)
    texture = texture_rgb(read).astype(int)
    assert (texture[20:-20, 10:40, 0] - texture[20:-20, 10:40, 2]).mean() > 20
    assert (texture[20:-20, -40:-10, 2] - texture[20:-20, -40:-10, 0]).mean() > 20
    assert read.to_xarray().sizes["rgb"] == 3


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_deep_colours_are_written_too(surface, tmp_path: Path, dtype: str, undrawn):
    deep = Surface(
        surface.height_um,
        surface.height_filled_um,
        surface.height_sigma_um,
        surface.valid,
        100 * surface.refocused,
        PIXEL_UM,
        type(surface.provenance)(frame_dtype=dtype),
        100 * surface.colour,
    )
    deep.save(tmp_path / "out")
    read = Surface.load(tmp_path / "out")
    np.testing.assert_allclose(read.colour, deep.colour, atol=0.5 if dtype == "uint16" else 0)


def test_frames_without_colour_give_none(scan):
    grey = np.repeat(scan.frames[..., None], 3, axis=3)
    stack = ZStack.from_array(grey, scan.z_um, PIXEL_UM)
    assert stack.colour
    assert (
        lee.reconstruct(stack, params=lee.ReconstructParams(second_look=False), device="cpu").colour is None
    )


def test_the_streaming_refocuser_takes_luminance(frames):
    refocuser = lee.Refocuser(SHAPE, pixel_um=PIXEL_UM)
    with pytest.raises(
        InputError, match=r"frame is \(80, 96, 3\), in colour; give its luminance, or the whole"
    ):
        refocuser.push(frames[0], 0.0)


def test_a_colour_of_another_shape_is_refused(surface):
    with pytest.raises(InputError, match=r"colour has shape \(3, 3, 3\): it must be \(80, 96, 3\)"):
        Surface(
            surface.height_um, surface.height_filled_um, surface.height_sigma_um, surface.valid,
            surface.refocused, PIXEL_UM, colour=np.zeros((3, 3, 3)),
        )  # fmt: skip
