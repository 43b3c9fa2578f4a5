"""Pictures of another bit depth, exposure or unit are not compared in silence."""

import warnings

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import lee
from lee.errors import InputError
from lee.particles.finding.common_scale import require_common_scale

SHAPE = (128, 128)


def light(mean=1000.0, seed=0):
    grain = gaussian_filter(np.random.default_rng(seed).normal(size=SHAPE), 1.5)
    return mean * (1 + 0.15 * grain / grain.std())


def taken(seed, mean=1000.0):
    return np.random.default_rng(seed).poisson(light(mean)).astype(np.float64)


OTHER_SCALES = {
    "8 of 12 bits": lambda counts: (counts // 16).astype(np.uint8),
    "12 bits left-aligned in 16": lambda counts: (counts * 16).astype(np.uint16),
    "10 of 12 bits": lambda counts: (counts // 4).astype(np.uint16),
    "shares of the full scale": lambda counts: (counts / 4095).astype(np.float32),
    "8 bits spread over 16": lambda counts: (counts // 16 * 257).astype(np.uint16),
}


@pytest.mark.parametrize("change", OTHER_SCALES)
@pytest.mark.parametrize("first", [False, True])
def test_another_bit_depth_is_refused(change, first):
    pair = [taken(1).astype(np.uint16), OTHER_SCALES[change](taken(2))]
    with pytest.raises(InputError, match="counts are not on one scale; give two scans of the same bit depth"):
        lee.find_particles(*(pair[::-1] if first else pair), pixel_um=0.5)


def test_scans_of_another_bit_depth_are_refused():
    z_um = np.arange(5) * 0.5
    frames = np.stack([gaussian_filter(light(), abs(k - 2) + 0.1) for k in range(5)])
    before = lee.ZStack.from_array(frames.astype(np.uint16), z_um, 0.5)
    after = lee.ZStack.from_array((frames // 16).astype(np.uint8), z_um, 0.5)
    with pytest.raises(InputError, match=r"before has a median of .* but after"):
        lee.find_particles(before, after)


def test_another_exposure_is_warned_of_and_noted():
    with pytest.warns(UserWarning, match="if the exposure or the bit depth has changed"):
        table = lee.find_particles(
            taken(1).astype(np.uint16), (1.8 * taken(2)).astype(np.uint16), pixel_um=0.5
        )
    assert "intensities and thresholds do not hold" in table.attrs["notes"][0]


@pytest.mark.parametrize("mean", [1.0, 3.0, 1000.0])
def test_light_on_one_scale_passes(mean):
    """Few counts, other dtypes, a lamp that drifted, and a few particles far brighter than the surface."""
    before, after = taken(1, mean), 1.2 * taken(2, mean)
    after[::16, ::16] += 1e4 * mean
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert require_common_scale(before.astype(np.float32), after.astype(np.float32)) is None


@pytest.mark.parametrize("offset", [0.0, -3.0, 0.05])
def test_pictures_without_their_background_have_no_scale(offset):
    rng = np.random.default_rng(3)
    before, after = (rng.normal(size=SHAPE).astype(np.float32) for _ in range(2))
    assert require_common_scale(before, after + np.float32(offset)) is None


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (9, 9), (700, 650)])
def test_pictures_of_any_size_are_compared(shape):
    before = np.full(shape, 100, np.float32)
    assert require_common_scale(before, before) is None
    with pytest.raises(InputError, match="100 counts but after 400"):
        require_common_scale(before, 4 * before)
    assert require_common_scale(before, np.full(shape, np.nan, np.float32)) is None
