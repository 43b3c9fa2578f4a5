"""Vibration is found where there is some and nowhere else, and frames are followed one by one."""

import numpy as np
import pytest
from scipy import ndimage

from lee.devices.virtual import electrode, gentle, render_scan, rugged
from lee.reconstruction.motion.frame_motion import frame_motion
from lee.reconstruction.parameters import ReconstructParams
from lee.reconstruction.reconstruct import reconstruct
from lee.reconstruction.refocuser import Refocuser
from lee.stacks.stack import ZStack
from tests.support.drifting_scan import INSIDE, PIXEL_UM, SHAPE, drifting_scan, rms_error_um

ONCE = ReconstructParams(second_look=False)


def stack_of(scan, frames=None):
    return ZStack.from_array(scan.frames if frames is None else frames, scan.z_um, scan.pixel_um)


def displaced(frames, by_px):
    moved = [
        frame if not by.any() else ndimage.shift(frame.astype(float), by, order=3, mode="nearest")
        for frame, by in zip(frames, by_px, strict=True)
    ]
    return np.clip(np.rint(moved), 0, np.iinfo(frames.dtype).max).astype(frames.dtype)


def course(kind, count):
    rng = np.random.default_rng(7)
    by = np.zeros((count, 2))
    if kind == "white":
        by = 0.7 * rng.normal(size=(count, 2))
    elif kind == "strong":
        by = 2 * rng.normal(size=(count, 2))
    elif kind == "few frames":
        by[[count // 2, count // 2 + 3]] = (2.0, -1.5), (-1.0, 2.5)
    elif kind == "hum":
        by[:, 0] = np.sin(2 * np.pi * 0.37 * np.arange(count))
    return by


@pytest.fixture(scope="module")
def scan():
    return drifting_scan()


@pytest.fixture(scope="module")
def still(scan):
    return reconstruct(stack_of(scan), params=ONCE)


@pytest.mark.parametrize("scene", [gentle, rugged, electrode])
@pytest.mark.parametrize("step_um", [0.3, 1.5])
@pytest.mark.parametrize("drift_px", [pytest.param((0, 0), marks=pytest.mark.slow), (6, -3)])
def test_still_scans_show_none(scene, step_um, drift_px):
    made = scene(SHAPE, PIXEL_UM, 5)
    z_um = made.z_range(step_um)[-80:]
    motion = frame_motion(stack_of(render_scan(made, z_um=z_um, drift_px=drift_px, seed=2)))
    assert motion.vibration_px == 0
    assert not motion.beside_px.any()


@pytest.mark.slow
def test_bubbles_are_not_taken_for_vibration():
    scene = rugged((192, 192), PIXEL_UM, 2).with_bubbles(3, 3).with_spikes(20, 4)
    assert frame_motion(stack_of(render_scan(scene, seed=1))).vibration_px == 0


@pytest.mark.parametrize(
    "kind", ["white", "few frames", *(pytest.param(one, marks=pytest.mark.slow) for one in ("strong", "hum"))]
)
def test_every_frame_is_followed(scan, kind):
    by = course(kind, len(scan.frames))
    motion = frame_motion(stack_of(scan, displaced(scan.frames, by)))
    assert motion.vibration_px == pytest.approx(np.sqrt(np.mean(by**2)), rel=0.5)
    error = motion.drift_px + motion.beside_px - by - scan.drift_px
    assert (error - error.mean(axis=0)).std() < 0.06


@pytest.mark.parametrize(
    ("kind", "depth"),
    [
        ("white", 8),
        *(
            pytest.param(*one, marks=pytest.mark.slow)
            for one in (("white", 12), ("hum", 8), ("hum", 12), ("few frames", 8), ("few frames", 12))
        ),
    ],
)
def test_heights_are_as_of_a_still_stand(scan, still, kind, depth):
    frames = scan.frames if depth == 8 else scan.frames.astype(np.uint16) * 16
    stack = stack_of(scan, displaced(frames, course(kind, len(frames))))
    surface = reconstruct(stack, params=ONCE)
    assert rms_error_um(surface, scan) < 1.25 * rms_error_um(still, scan)
    assert rms_error_um(reconstruct(stack), scan) < 0.5 * rms_error_um(still, scan)
    error = (surface.height_um - scan.truth_seen_in(0))[INSIDE]
    assert np.nanmean(np.abs(error) < 3 * surface.height_sigma_um[INSIDE]) > 0.95
    assert surface.metadata["vibration_px"] > 0.1
    assert still.metadata["vibration_px"] == 0


@pytest.mark.slow
def test_frames_in_great_number_are_all_followed():
    """Vibration shows in some of the frames; then all are compared."""
    made = gentle((96, 112), PIXEL_UM, 3)
    scan = render_scan(made, z_um=np.linspace(-5, 5, 240), seed=1)
    by = course("white", 240)
    motion = frame_motion(stack_of(scan, displaced(scan.frames, by)))
    error = (motion.drift_px + motion.beside_px - by)[60:-60]
    assert (error - error.mean(axis=0)).std() < 0.1


def test_where_it_is_not_followed_one_line_says_so(scan):
    frames = displaced(scan.frames, course("strong", len(scan.frames)))
    with pytest.warns(
        UserWarning, match=r"displaced by \d\.\d px rms from frame to frame.* not followed"
    ) as told:
        reconstruct(stack_of(scan, frames), params=ReconstructParams(drift_every=2))
    assert len(told) == 1
    refocuser = Refocuser(SHAPE, pixel_um=PIXEL_UM)
    for frame, z in zip(frames, scan.z_um, strict=True):
        refocuser.push(frame, z)
    with pytest.warns(UserWarning, match="not followed"):
        surface = refocuser.finish()
    assert surface.provenance.vibration_px > 1


def test_frames_delivered_twice_are_still_found(scan):
    frames = displaced(scan.frames, course("white", len(scan.frames)))
    frames[20] = frames[19]
    with pytest.warns(UserWarning, match=r"1 frame \(20\) bit-equal"):
        surface = reconstruct(stack_of(scan, frames))
    assert [one.frame for one in surface.provenance.rejected_frames] == [20]
