"""A frame delivered twice is named and takes no part; the next one has its own height again."""

import numpy as np
import pytest

from lee.devices.virtual import gentle, render_scan
from lee.errors import InputError
from lee.reconstruction.parameters import ReconstructParams
from lee.reconstruction.reconstruct import reconstruct
from lee.reconstruction.refocuser import Refocuser
from lee.stacks.stack import ZStack

SHAPE, PIXEL_UM = (144, 160), 0.25


@pytest.fixture(scope="module")
def scan():
    return render_scan(gentle(SHAPE, PIXEL_UM, 3), seed=1)


def repeating(frames: np.ndarray, repeats: dict[int, int]) -> np.ndarray:
    """Frames some of which are replaced by earlier ones."""
    frames = frames.copy()
    for frame, of in repeats.items():
        frames[frame] = frames[of]
    return frames


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(
    "repeats", [{20: 19}, {20: 19, 21: 19}, {1: 0}, {-1: -2}, {5: 4, 30: 29}], ids=lambda r: f"{r}"
)
def test_repeated_frames_are_named_and_left_out(scan, repeats, dtype):
    count = len(scan.frames)
    repeats = {frame % count: of % count for frame, of in repeats.items()}
    frames = repeating(scan.frames, repeats).astype(dtype)
    numbers = ", ".join(map(str, repeats))
    plural = "s" if len(repeats) > 1 else ""
    refocuser = Refocuser(SHAPE, pixel_um=PIXEL_UM, params=ReconstructParams(drift=False))
    for frame, z in zip(frames, scan.z_um, strict=True):
        refocuser.push(frame, z)
    with pytest.warns(UserWarning, match=rf"^{len(repeats)} frame{plural} \({numbers}\) bit-equal to the"):
        surface = refocuser.finish()
    assert {one.frame: one.reason for one in surface.provenance.rejected_frames} == {
        frame: f"bit-equal to frame {of}: delivered twice" for frame, of in repeats.items()
    }
    assert surface.provenance.frames_used == count - len(repeats)


def test_the_heights_hardly_suffer(scan):
    stack = ZStack.from_array(repeating(scan.frames, {k: k - 1 for k in (20, 25, 31)}), scan.z_um, PIXEL_UM)
    with pytest.warns(UserWarning, match="3 frames"):
        surface = reconstruct(stack)
    error = (surface.height_um - scan.truth_seen_in(0))[16:-16, 16:-16]
    assert np.sqrt(np.nanmean(error**2)) < 0.07


def test_equal_frames_that_are_not_neighbours_are_taken(scan):
    """A camera may well deliver an old buffer, but a test pattern may also come back."""
    frames = repeating(scan.frames, {20: 10})
    surface = reconstruct(ZStack.from_array(frames, scan.z_um, PIXEL_UM))
    assert "bit-equal" not in " ".join(one.reason for one in surface.provenance.rejected_frames)


def test_nothing_but_one_frame_is_refused_with_the_reason(scan):
    refocuser = Refocuser(SHAPE, pixel_um=PIXEL_UM, params=ReconstructParams(drift=False))
    for k in range(4):
        refocuser.push(scan.frames[9], float(k))
    with (
        pytest.warns(UserWarning, match="3 frames"),
        pytest.raises(InputError, match=r"1 of 4 frames can be used.*bit-equal to frame 0: delivered twice"),
    ):
        refocuser.finish()
