"""Pixels that jump from frame to frame, as those of scientific cameras do, are no particles in scans."""

import numpy as np
import pytest

from lee.devices import virtual as rig
from lee.particles.finding.find import find_particles
from lee.stacks.stack import ZStack
from tests.support.particle_scans import PIXEL_UM, scan_pair

SHAPE = (160, 160)
Z_UM = np.arange(-2, 2.3, 0.25)


@pytest.mark.parametrize("share", [pytest.param(0.003, marks=pytest.mark.slow), 0.01])
def test_pixels_that_blink_in_scans_are_no_particles(share):
    false = 0
    for seed in range(3):
        rng = np.random.default_rng(seed)
        pair = scan_pair(rig.flat(SHAPE, PIXEL_UM, seed), 0, z_um=Z_UM)
        blinking = rng.random(SHAPE) < share

        def blinked(scan, rng=rng, blinking=blinking):
            frames = np.stack(list(scan)).astype(np.float64)
            frames += 30 * (blinking & (rng.random(frames.shape) < 0.3))
            return ZStack.from_array(np.clip(frames, 0, 255).astype(np.uint8), scan.z_um, PIXEL_UM)

        false += len(find_particles(blinked(pair.before), blinked(pair.after)))
    assert false <= 3 * 2
