"""Focus breathing is followed where there is some; steep relief, which looks like it, is not taken for it."""

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

import lee
from lee.devices.virtual import Scene, electrode, flat, gentle, render_scan, rugged
from lee.reconstruction.motion.breathing import magnification_of_frames
from lee.reconstruction.motion.frame_motion import frame_motion
from lee.reconstruction.motion.subpixel_shift import steady_frame
from lee.reconstruction.reconstruct import reconstruct
from lee.stacks.stack import ZStack

SHAPE, PIXEL_UM = (208, 240), 0.25
PCB = Path(os.environ.get("LEE_SHARED_DATA", "../shared/data")) / "pcb_switch"


def stack_of(scan, frames=None):
    return ZStack.from_array(scan.frames if frames is None else frames, scan.z_um, scan.pixel_um)


def enlarged(frames, magnification):
    """The scene magnified about the middle, by splines: not by the code under test."""
    middle = (np.array(frames.shape[1:]) - 1) / 2
    out = [
        ndimage.affine_transform(
            frame.astype(float), [1 / m, 1 / m], middle * (1 - 1 / m), order=3, mode="nearest"
        )
        for frame, m in zip(frames, magnification, strict=True)
    ]
    return np.clip(np.rint(out), 0, 255).astype(np.uint8)


def steps_to(total, count):
    return np.linspace(1, 1 + total, count)


@pytest.fixture(scope="module")
def scan():
    made = gentle(SHAPE, PIXEL_UM, 3)
    return render_scan(made, z_um=made.z_range(0.3), drift_px=(2, -1), seed=1)


@pytest.mark.parametrize(
    "total", [0.01, *(pytest.param(one, marks=pytest.mark.slow) for one in (-0.02, 0.04))]
)
def test_the_magnification_of_every_frame_is_found(scan, total):
    magnification = steps_to(total, len(scan.frames))
    motion = frame_motion(stack_of(scan, enlarged(scan.frames, magnification)))
    np.testing.assert_allclose(motion.magnification, magnification, atol=0.1 * abs(total))
    assert motion.magnification[0] == 1


def test_steps_of_a_hand_held_focus_are_found(scan):
    """So few frames may differ by much, and by some more than by others."""
    frames = scan.frames[8:-8:4]
    magnification = np.cumprod([1, *([1.012, 1.004, 1.02, 1.015] * 3)])[: len(frames)]
    stack = ZStack.from_array(enlarged(frames, magnification), z_step_um=1, pixel_um=PIXEL_UM)
    found = magnification_of_frames(stack)
    np.testing.assert_allclose(np.diff(np.log(found)), np.diff(np.log(magnification)), atol=0.002)


@pytest.mark.parametrize("total", [pytest.param(0.01, marks=pytest.mark.slow), 0.04])
def test_heights_are_as_without_breathing(scan, total):
    surface = reconstruct(stack_of(scan, enlarged(scan.frames, steps_to(total, len(scan.frames)))))
    still = reconstruct(stack_of(scan))
    inside = np.s_[16:-16, 16:-16]
    truth = scan.truth_seen_in(0)[inside]

    def rms(one):
        return float(np.sqrt(np.nanmean((one.height_um[inside] - truth) ** 2)))

    assert rms(surface) < 1.3 * rms(still)
    assert surface.metadata["magnification"][-1] == pytest.approx(1 + total, abs=0.1 * total)
    assert "magnification" not in still.metadata
    # What was enlarged beyond the frame when in focus is not measured.
    assert surface.valid[:, 6:-6].mean() > 0.9
    if total > 0.02:
        assert surface.provenance.not_measured_px["left the field"] > 0
        assert not surface.valid[0].any() or not surface.valid[-1].any()


@pytest.mark.parametrize("scene", [gentle, rugged, pytest.param(electrode, marks=pytest.mark.slow), flat])
@pytest.mark.parametrize("step_um", [pytest.param(0.4, marks=pytest.mark.slow), 1.5])
def test_rig_scans_show_none(scene, step_um):
    made = scene(SHAPE, PIXEL_UM, seed=4) if scene is flat else scene(SHAPE, PIXEL_UM, 4)
    rendered = render_scan(made, z_um=made.z_range(step_um)[-60:], drift_px=(4, 1), seed=1)
    assert frame_motion(stack_of(rendered)).magnification is None
    assert magnification_of_frames(stack_of(rendered)) is None


@pytest.mark.parametrize("kind", ["cone", "dome", "pit"])
@pytest.mark.parametrize("step_um", [pytest.param(0.4, marks=pytest.mark.slow), 1.0])
def test_relief_around_the_middle_is_not_breathing(kind, step_um):
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    apart = np.hypot(y - 104, x - 120) / 104
    height = {"cone": 10 * (1 - apart), "dome": 8 * (1 - apart**2), "pit": 8 * apart**2 - 8}[kind]
    base = gentle(SHAPE, PIXEL_UM, 3)
    made = Scene(height.astype(np.float32), base.reflectance, PIXEL_UM)
    rendered = render_scan(made, z_um=made.z_range(step_um), seed=1)
    assert frame_motion(stack_of(rendered)).magnification is None
    assert magnification_of_frames(stack_of(rendered)) is None


@pytest.mark.skipif(not PCB.is_dir(), reason="LEE_SHARED_DATA has no pcb_switch")
def test_a_macro_lens_breathes():
    """Parts 1000 pixels from the middle move by 20 from frame to frame."""
    stack = lee.open_stack(PCB, z_step_um=100, pixel_um=10)
    found = magnification_of_frames(stack)
    assert (np.diff(found) > 0).all()
    assert 1.1 < found[-1] < 1.25

    def likeness(frames):
        """Largest correlation of the details of neighbours, however displaced."""
        details = [ndimage.gaussian_filter(f, 2) - ndimage.gaussian_filter(f, 8) for f in frames]
        spectra = [np.fft.rfft2(detail / np.linalg.norm(detail)) for detail in details]
        return [float(np.fft.irfft2(a.conj() * b, s=frames[0].shape).max()) for a, b in pairwise(spectra)]

    # Those in which most is in focus.
    raw = [stack[k].astype(np.float32) for k in (2, 3, 4, 5)]
    steady = [steady_frame(f, (0.0, 0.0), found[k]) for k, f in enumerate(raw, start=2)]
    assert all(after > 1.5 * before for before, after in zip(likeness(raw), likeness(steady), strict=True))


def test_magnification_is_taken_back_about_the_middle():
    y, x = np.mgrid[:61, :81].astype(np.float64)

    def wave(y, x):
        return 100 + 60 * np.sin(0.31 * y) * np.cos(0.23 * x)

    seen = wave(30 + (y - 30 - 0.7) / 1.03, 40 + (x - 40 + 1.2) / 1.03).astype(np.float32)
    back = steady_frame(seen, (0.7, -1.2), 1.03)
    np.testing.assert_allclose(back[8:-8, 8:-8], wave(y, x)[8:-8, 8:-8], atol=0.3)
    assert (
        steady_frame(np.full((9, 12), 7, np.uint16), (0.3, 0.3), 0.9).tolist() == np.full((9, 12), 7).tolist()
    )


@pytest.mark.parametrize("shape", [(64, 64), (65, 300)])
@pytest.mark.parametrize("kind", ["black", "constant", "noise"])
@pytest.mark.parametrize("count", [3, 12])
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_frames_that_show_nothing_move_nowhere(shape, kind, count):
    rng = np.random.default_rng(1)
    frames = rng.normal(100, 3, (count, *shape))
    if kind == "constant":
        frames[:] = 90
    if kind == "black":
        frames += 30 * ndimage.gaussian_filter(rng.normal(size=shape), 1)
        frames[count // 2] = 0
    stack = ZStack.from_array(frames.astype(np.uint8), z_step_um=1.0, pixel_um=1.0)
    motion = frame_motion(stack)
    assert motion.magnification is None
    assert motion.vibration_px == 0
    assert np.isfinite(motion.drift_px).all()
