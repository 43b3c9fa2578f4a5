"""Frames with occlusions or flashes are rejected with a reason; a scan without them loses none."""

from __future__ import annotations

import re

import numpy as np
import pytest

from lee.devices.virtual import electrode, gentle, render_scan, rugged
from lee.errors import InputError
from lee.reconstruction.frame_rejection import FrameRejection

SHAPE = (160, 192)
RNG = np.random.default_rng(8)


@pytest.fixture(scope="module")
def scan() -> np.ndarray:
    made = render_scan(gentle(SHAPE, 0.25, 3), drift_px=(5, -4), seed=1)
    return made.frames[:30].copy()


def rejected(frames: np.ndarray) -> dict[int, str]:
    rejection = FrameRejection()
    verdicts = [verdict for frame in frames for verdict in rejection.push(frame)]
    verdicts += rejection.finish()
    assert [verdict.frame for verdict in verdicts] == list(range(len(frames)))
    return {verdict.frame: verdict.reason for verdict in verdicts if verdict.reason is not None}


@pytest.mark.parametrize("scene", [gentle, rugged, electrode])
@pytest.mark.parametrize("step_um", [0.2, 2.0])
def test_clean_scans_lose_nothing(scene: object, step_um: float) -> None:
    made = scene(SHAPE, 0.25, 4)  # type: ignore[operator]
    frames = render_scan(made, z_um=made.z_range(step_um), drift_px=(8, 3), seed=1).frames
    assert rejected(frames) == {}


@pytest.mark.parametrize("scene", [gentle, rugged, electrode])
@pytest.mark.parametrize("step_um", [2.0, 3.0])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_scans_of_a_few_wide_steps_lose_nothing(scene: object, step_um: float, seed: int) -> None:
    made = scene(SHAPE, 0.25, seed)  # type: ignore[operator]
    frames = render_scan(made, z_um=made.z_range(step_um)[-8:], seed=1).frames
    assert rejected(frames) == {}


@pytest.mark.parametrize("at", [0, 1, 2])
def test_debris_at_the_start(scan: np.ndarray, at: int) -> None:
    frames = scan.copy()
    frames[at, 40:120, 30:140] = frames[at, 40:120, 30:140][::-1, ::-1] // 3
    assert at in rejected(frames)
    assert len(rejected(frames)) <= 2


def test_small_bubbles_and_glints_lose_nothing() -> None:
    scene = gentle((256, 256), 0.25, 4).with_bubbles(2, 1, radius_um=(2.0, 3.0)).with_spikes(20, 2)
    assert rejected(render_scan(scene, seed=1).frames) == {}


@pytest.mark.parametrize("at", [[0], [7], [29], [7, 8], [7, 8, 9], [5, 12, 13, 20]])
@pytest.mark.parametrize(
    ("gain", "added", "reason"),
    [(1.0, 45, r"flash: \d+ % brighter"), (2.5, 0, "flash"), (0.4, 0, r"light lost: [56]\d % darker")],
)
def test_flashes_and_lost_light(
    scan: np.ndarray, at: list[int], gain: float, added: float, reason: str
) -> None:
    frames = scan.copy()
    frames[at] = np.clip(frames[at] * gain + added, 0, 255)
    found = rejected(frames)
    assert list(found) == at
    assert all(re.match(reason, found[k]) for k in at if added == 0 or k > 0)


@pytest.mark.parametrize("value", [0, 255])
def test_black_and_white_frames(scan: np.ndarray, value: int) -> None:
    frames = scan.copy()
    frames[[3, 11]] = value
    assert rejected(frames) == dict.fromkeys([3, 11], f"constant frame, all pixels are {value}")


@pytest.mark.parametrize("first", [0, 5])
def test_a_constant_frame_while_others_wait(scan: np.ndarray, first: int) -> None:
    """Decisions are on the frames they are about, also when a later frame is decided on first."""
    frames = scan.copy()
    frames[first] = 255 - frames[first]
    frames[first + 1] = 0
    found = rejected(frames)
    assert list(found) == [first, first + 1]
    assert found[first + 1] == "constant frame, all pixels are 0"


def test_a_large_object_crosses(scan: np.ndarray) -> None:
    frames = scan.copy()
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    for k, centre in ((12, 50), (13, 140)):
        inside = np.hypot(y - 80, x - centre) < 45
        frames[k][inside] = frames[k][::-1, ::-1][inside] // 3
    found = rejected(frames)
    assert list(found) == [12, 13]
    for reason in found.values():
        assert "frame 11" in reason


def test_a_lamp_turned_up_for_good_keeps_its_frames(scan: np.ndarray) -> None:
    frames = scan.copy()
    frames[14:] = np.clip(frames[14:] * 1.3, 0, 255)
    assert rejected(frames) == {}


def test_decisions_come_in_order_and_without_delay(scan: np.ndarray) -> None:
    rejection = FrameRejection()
    frames = scan[:8].copy()
    frames[4] = 255 - frames[4] // 4
    decided = [[(v.frame, v.reason is None) for v in rejection.push(frame)] for frame in frames]
    assert decided[:2] == [[], [(0, True), (1, True)]]
    assert decided[2:4] == [[(2, True)], [(3, True)]]
    assert decided[4:6] == [[], [(4, False), (5, True)]]
    assert rejection.finish() == []


@pytest.mark.parametrize("scale", [16, 257])
def test_16_bit_and_float_frames(scan: np.ndarray, scale: int) -> None:
    frames = scan.astype(np.uint16) * scale
    frames[9] = np.minimum(frames[9].astype(int) + 60 * scale, 255 * scale)
    assert list(rejected(frames)) == [9]
    assert list(rejected(frames.astype(np.float32) - 300.0)) == [9]


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (31, 300)])
def test_frames_of_any_size(shape: tuple[int, int]) -> None:
    frames = np.full((6, *shape), 100, np.uint8)
    frames += RNG.integers(0, 3, frames.shape, dtype=np.uint8)
    frames[:, 0, 0] = [100, 101, 102, 101, 100, 101]
    frames[3] += 120
    if shape != (1, 1):
        assert list(rejected(frames)) == [3]
    else:
        assert list(rejected(frames)) == [0, 1, 2, 3, 4, 5]  # one pixel is constant always


def test_frames_of_other_shape_are_refused(scan: np.ndarray) -> None:
    rejection = FrameRejection()
    rejection.push(scan[0])
    with pytest.raises(InputError, match=r"frame rejection: frame 1 is \(160, 191\), expected \(160, 192\)"):
        rejection.push(scan[0][:, 1:])
