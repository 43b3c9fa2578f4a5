"""A lamp's flicker is divided out, whatever its course; no frame is lost, a steady scan is not touched."""

import numpy as np
import pytest

from lee.devices.virtual import gentle, render_scan, rugged
from lee.reconstruction.frame_rejection import FrameRejection
from lee.reconstruction.lamp_flicker import without_flicker
from lee.reconstruction.parameters import ReconstructParams
from lee.reconstruction.reconstruct import reconstruct
from lee.reconstruction.refocuser import Refocuser
from lee.stacks.stack import ZStack
from tests.support.drifting_scan import PIXEL_UM, SHAPE, drifting_scan, rms_error_um

ONCE = ReconstructParams(second_look=False)
DIMMED = 0.8
KINDS = ("sine", "beat", "random", "step", "ramp")


def course(kind: str, count: int) -> np.ndarray:
    k = np.arange(count)
    rng = np.random.default_rng(3)
    return {
        "sine": 1 + 0.2 * np.sin(2.3 * k),
        "beat": 1 + 0.2 * np.sin(2 * np.pi * k / 60),
        "random": 1 + 0.3 * rng.uniform(-1, 1, count),
        "step": np.where(k < count // 2, 1.0, 1.3),
        "ramp": np.linspace(0.8, 1.2, count),
    }[kind]


def lit(frames: np.ndarray, factors: np.ndarray, kind: str) -> np.ndarray:
    light = DIMMED * frames.astype(np.float64) * factors[:, None, None]
    if kind == "uint8":
        return np.clip(np.rint(light), 0, 255).astype(np.uint8)
    if kind == "uint16":
        return np.clip(np.rint(16 * light), 0, 4095).astype(np.uint16)
    return (light / 255).astype(np.float32)


def judged(frames: np.ndarray) -> tuple[np.ndarray, FrameRejection]:
    """What is divided out of each frame, NaN where it is rejected."""
    rejection = FrameRejection()
    verdicts = [verdict for frame in frames for verdict in rejection.push(frame)] + rejection.finish()
    return np.array([np.nan if v.reason else v.factor for v in verdicts]), rejection


@pytest.fixture(scope="module")
def scan():
    return drifting_scan()


@pytest.fixture(scope="module")
def steady(scan):
    dimmed = lit(scan.frames, np.ones(len(scan.frames)), "uint8")
    return rms_error_um(reconstruct(ZStack.from_array(dimmed, scan.z_um, scan.pixel_um), params=ONCE), scan)


@pytest.mark.parametrize(
    ("kind", "dtype"), [*((kind, "uint8") for kind in KINDS), ("sine", "uint16"), ("random", "float32")]
)
def test_the_factor_is_found_and_no_frame_is_lost(scan, kind, dtype):
    factors = course(kind, len(scan.frames))
    found, rejection = judged(lit(scan.frames, factors, dtype))
    assert np.isfinite(found).all()
    # What is left changes slowly: by less than a thousandth from frame to frame, and the threshold.
    left = np.log(factors / found)
    assert np.abs(np.diff(left)).max() < 0.035
    assert np.std(np.diff(left)) < 0.012
    assert rejection.flicker_percent > 5


def test_a_bubble_over_a_part_of_the_field_does_not_move_the_factor():
    scene = rugged((192, 192), 0.25, 2).with_bubbles(2, 3)
    frames = render_scan(scene, seed=1).frames
    found, _ = judged(lit(frames, course("sine", len(frames)), "uint16"))
    left = np.log(course("sine", len(frames)) / found)
    assert np.isfinite(left).mean() > 0.95
    assert np.nanstd(np.diff(left)) < 0.015


@pytest.mark.parametrize("step_um", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("kind", ["sine", "random"])
@pytest.mark.parametrize("seed", [3, pytest.param(4, marks=pytest.mark.slow)])
def test_wide_steps_lose_no_frame_for_it_either(step_um, kind, seed):
    """Contrast comes and goes with focus, as it does with added light."""
    made = gentle(SHAPE, PIXEL_UM, seed)
    frames = render_scan(made, z_um=made.z_range(step_um), seed=1).frames
    found, _ = judged(lit(frames, course(kind, len(frames)), "uint8"))
    assert np.isfinite(found).all()


@pytest.mark.parametrize("grows", [True, False])
def test_light_of_a_bubble_out_of_focus_is_not_the_lamps(scan, grows):
    """It grows or shrinks, over up to a quarter of the field, and brightens more around it."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    sizes = np.linspace(6, 20, len(scan.frames))[:: 1 if grows else -1]
    light = [120 * np.exp(-((y - 70) ** 2 + (x - 110) ** 2) / (2 * size**2)) for size in sizes]
    found, rejection = judged(lit(scan.frames + np.array(light), np.ones(len(sizes)), "uint16"))
    assert np.isfinite(found).all()
    assert rejection.flicker_percent == 0


@pytest.mark.parametrize("scene", [gentle, rugged])
@pytest.mark.parametrize("step_um", [0.2, 2.0])
def test_a_steady_scan_is_left_as_it_is(scene, step_um):
    made = scene(SHAPE, PIXEL_UM, 4)
    frames = render_scan(made, z_um=made.z_range(step_um), drift_px=(8, 3), seed=1).frames
    found, rejection = judged(frames)
    assert (found == 1.0).all()
    assert rejection.flicker_percent == 0


@pytest.mark.parametrize(
    "kind",
    ["random", *(pytest.param(one, marks=pytest.mark.slow) for one in ("step", "sine", "beat", "ramp"))],
)
def test_heights_are_as_without_flicker(scan, steady, kind):
    frames = lit(scan.frames, course(kind, len(scan.frames)), "uint8")
    stack = ZStack.from_array(frames, scan.z_um, scan.pixel_um)
    surface = reconstruct(stack, params=ONCE)
    assert surface.provenance.rejected_frames == ()
    assert surface.metadata["flicker_percent"] > 5
    assert rms_error_um(surface, scan) < 1.6 * steady
    assert rms_error_um(reconstruct(stack), scan) < 0.7 * steady


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_streaming_divides_it_out_too(scan, steady, dtype):
    frames = lit(scan.frames, course("beat", len(scan.frames)), dtype)

    def streamed(keep: bool) -> float:
        params = ReconstructParams(drift=False, reject_frames=not keep)
        refocuser = Refocuser(SHAPE, pixel_um=PIXEL_UM, params=params)
        for frame, z, drift in zip(frames, scan.z_um, scan.drift_px - scan.drift_px[0], strict=True):
            refocuser.push(frame, z, drift_px=tuple(drift))
        return rms_error_um(refocuser.finish(), scan)

    assert streamed(keep=False) < 1.5 * steady
    assert streamed(keep=True) > 2 * steady


def test_saturated_pixels_stay_saturated_and_no_others_become_so():
    frame = np.array([[0, 100, 200, 254, 255]], np.uint8)
    np.testing.assert_array_equal(without_flicker(frame, 1.25), [[0, 80, 160, 203, 255]])
    np.testing.assert_array_equal(without_flicker(frame[:, :3], 0.5), [[0, 200, 255]])
    twelve_bit = np.array([[5, 3000]], np.uint16)
    np.testing.assert_array_equal(without_flicker(twelve_bit, 0.5), [[10, 4095]])
    np.testing.assert_array_equal(without_flicker(twelve_bit, 0.5, full=65535), [[10, 6000]])
    assert without_flicker(frame, 1.0) is frame
    assert without_flicker(frame.astype(np.float32), 2.0)[0, 1] == 50
