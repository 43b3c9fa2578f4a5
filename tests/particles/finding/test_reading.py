"""Scans of two channels are compared in the one that is chosen."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from lee.errors import InputError
from lee.particles.finding.scan_pairs import open_scan, pairs_of
from lee.stacks.stack import ZStack

FRAMES = np.random.default_rng(1).integers(0, 256, (5, 12, 16), dtype=np.uint8)


def two_channels(path: Path) -> Path:
    metadata = {"axes": "CZYX", "Channel": {"Name": ["bright", "dark"]}}
    tifffile.imwrite(path, np.stack([FRAMES, 255 - FRAMES]), ome=True, metadata=metadata)
    return path


def test_the_channel_is_chosen(tmp_path: Path) -> None:
    paths = [two_channels(tmp_path / f"{name}.ome.tif") for name in ("before", "after")]
    (pair,) = pairs_of(paths, z_step_um=0.2, pixel_um=0.1)
    with pytest.raises(InputError, match=r"2 channels \(0: bright, 1: dark\)"), open_scan(pair.after):
        pass
    (pair,) = pairs_of(paths, z_step_um=0.2, pixel_um=0.1, channel="dark", descending=True)
    with open_scan(pair.after) as stack:
        assert isinstance(stack, ZStack)
        np.testing.assert_array_equal(list(stack), 255 - FRAMES)
        np.testing.assert_allclose(stack.z_um, [0.8, 0.6, 0.4, 0.2, 0])


def test_the_channel_is_chosen_in_a_run(tmp_path: Path) -> None:
    for k in range(2):
        two_channels(tmp_path / f"scan{k}.ome.tif")
    (pair,) = pairs_of([tmp_path], interval_s=5, z_step_um=0.2, pixel_um=0.1, channel=1)
    with open_scan(pair.before) as stack:
        np.testing.assert_array_equal(list(stack), 255 - FRAMES)
