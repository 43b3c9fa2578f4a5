"""Occlusions are found by the brightness of cells over a scan, whatever crosses, and when."""

import numpy as np
import pytest
from scipy import ndimage

from lee.reconstruction.focus.cells import CellRecord
from lee.reconstruction.occlusion import detection
from lee.reconstruction.occlusion.detection import Occlusions, find_occlusions, occluded_samples

SAMPLES, SHAPE = 40, (24, 30)


def quiet(seed=0, *, contrast=0.25, noise=0.002):
    """Brightness of cells of a textured surface that is blurred most at the ends of the scan."""
    rng = np.random.default_rng(seed)
    albedo = np.exp(contrast * rng.normal(size=SHAPE))
    off = np.abs(np.linspace(-1, 1, SAMPLES))
    frames = [ndimage.gaussian_filter(albedo, 1.5 * blur + 0.01, mode="reflect") for blur in off]
    return 100 * np.array(frames) * (1 + noise * rng.normal(size=(SAMPLES, *SHAPE)))


def found_in(brightness):
    z_um = np.arange(len(brightness)) * 0.8
    none = np.zeros(brightness.shape, np.float32)
    return find_occlusions(CellRecord(z_um, brightness.astype(np.float32), none, none.sum(axis=0)))


def disk(y, x, radius):
    v, u = np.indices(SHAPE)
    return ndimage.uniform_filter((np.hypot(v - y, u - x) <= radius).astype(float), 2)


def with_body(brightness, cover, level):
    """Something of a brightness in front, by how much it covers (N, h, w)."""
    return brightness * (1 - cover) + level * cover


def still(first, last, radius=4):
    there = (np.arange(SAMPLES) >= first) & (np.arange(SAMPLES) < last)
    return there[:, None, None] * disk(11, 13, radius)[None]


def agreement(found, cover):
    """Return the share of covered samples found, and of clear ones found."""
    return found.occluded[cover > 0.9].mean(), found.occluded[cover == 0].mean()


def test_nothing_is_found_where_nothing_crosses():
    for seed in range(4):
        assert not found_in(quiet(seed)).any()


@pytest.mark.parametrize("level", [60.0, 80.0, 130.0, 250.0], ids=["dark", "grey", "white", "saturated"])
@pytest.mark.parametrize(
    ("first", "last"), [(12, 22), (0, 12), (26, SAMPLES)], ids=["between", "from the first", "to the last"]
)
def test_a_still_body_is_found_when_it_is_there(first, last, level):
    cover = still(first, last)
    covered, clear = agreement(found_in(with_body(quiet(), cover, level)), cover)
    assert covered > 0.7  # the outermost cells are covered in part
    assert found_in(with_body(quiet(), cover, level)).occluded[first:last, 10:13, 12:15].all()
    assert clear < 0.02


@pytest.mark.parametrize("level", [60.0, 250.0], ids=["dark", "saturated"])
@pytest.mark.parametrize(("first", "last"), [(0, 18), (22, SAMPLES)], ids=["from the first", "to the last"])
def test_of_two_states_that_last_the_surface_is_the_one_like_its_surroundings(first, last, level):
    cover = still(first, last)
    covered, clear = agreement(found_in(with_body(quiet(), cover, level)), cover)
    assert covered > 0.9
    assert clear < 0.02


def test_a_short_state_is_an_occlusion_however_like_the_surroundings():
    """A dark patch of the surface, before which something as bright as its surroundings stood."""
    surface = quiet()
    dark = with_body(surface, np.ones(SAMPLES)[:, None, None] * disk(11, 13, 4)[None], 70)
    cover = still(0, 8)
    found = found_in(with_body(dark, cover, 100))
    assert found.occluded[:8, 11, 13].all()
    assert not found.occluded[8:, 11, 13].any()


def test_a_sliding_body_is_found_where_it_is():
    cover = np.array([disk(11, -5 + 1.0 * k, 4) for k in range(SAMPLES)])
    covered, clear = agreement(found_in(with_body(quiet(), cover, 70)), cover)
    assert covered > 0.8
    assert clear < 0.1


def test_a_growing_body_is_found_from_where_it_covers():
    cover = np.array([disk(12, 15, 0.22 * k - 1) for k in range(SAMPLES)])
    covered, clear = agreement(found_in(with_body(quiet(), cover, 70)), cover)
    assert covered > 0.6
    assert clear < 0.03


def test_the_lamp_s_changes_are_no_occlusion():
    factor = 1 + 0.2 * np.sin(np.arange(SAMPLES) * 2.3)
    assert not found_in(quiet() * factor[:, None, None]).any()
    cover = still(12, 22)
    covered, clear = agreement(found_in(with_body(quiet(), cover, 70) * factor[:, None, None]), cover)
    assert covered > 0.8
    assert clear < 0.02


def test_coarse_structure_in_a_part_of_the_field_is_no_occlusion():
    """Grooves whose blur halves and doubles the brightness of cells, beside a plain surface."""
    rng = np.random.default_rng(2)
    albedo = np.exp(0.03 * rng.normal(size=SHAPE))
    albedo[:, 18:] *= np.where(np.arange(SHAPE[0]) // 3 % 2, 2.0, 0.6)[:, None]
    off = np.abs(np.linspace(-1, 1, SAMPLES))
    frames = [ndimage.gaussian_filter(albedo, 2.5 * blur + 0.01, mode="reflect") for blur in off]
    assert found_in(100 * np.array(frames)).occluded.mean() < 0.02


def test_strength_is_the_change_of_the_logarithm():
    cover = still(12, 22)
    found = found_in(with_body(quiet(contrast=0.02), cover, 70))
    np.testing.assert_allclose(found.strength[14:20, 11, 13], np.log(100 / 70), atol=0.05)
    assert (found.strength[:5, 11, 13] < 0.02).all()


def test_samples_beside_an_occlusion_are_rejected_by_its_strength():
    occluded = np.zeros((20, 3, 3), bool)
    occluded[8:10, 1, 1] = True

    def around(strength):
        found = Occlusions(occluded, np.where(occluded, strength, 0).astype(np.float32))
        return found.rejected()[:, 1, 1].nonzero()[0], found.opaque()[:, 1, 1].nonzero()[0]

    rejected, opaque = around(0.5)
    np.testing.assert_array_equal(rejected, range(6, 12))
    np.testing.assert_array_equal(opaque, range(6, 12))
    rejected, opaque = around(0.15)
    np.testing.assert_array_equal(rejected, range(6, 12))
    np.testing.assert_array_equal(opaque, range(7, 11))
    rejected, opaque = around(0.03)
    np.testing.assert_array_equal(rejected, range(7, 11))
    assert opaque.size == 0
    assert not Occlusions(occluded, np.zeros(occluded.shape, np.float32)).rejected()[:, 0].any()


@pytest.mark.parametrize("shape", [(0, 4, 5), (4, 4, 5), (9, 0, 0), (9, 1, 1)])
def test_few_samples_or_cells(shape):
    found = found_in(np.full(shape, 100.0))
    assert found.occluded.shape == found.strength.shape == shape
    assert not found.any()


@pytest.mark.parametrize("value", [0.0, -5.0, np.nan])
def test_brightness_without_a_logarithm_finds_nothing(value):
    brightness = quiet()
    brightness[3, 4, 5] = value
    assert not found_in(brightness).any()


def test_cells_that_need_no_search_are_excluded_without_a_difference(monkeypatch):
    """The shortest path over every cell finds the same as that over the suspicious ones."""
    brightness = with_body(quiet(), still(12, 22), 70)
    level, around = np.log(brightness), np.log(detection.mean_of_cells(brightness, 4))
    found = occluded_samples(level, around)
    monkeypatch.setattr(detection, "_may_be_occluded", lambda cells, *_: np.ones(cells.level.shape[1], bool))
    np.testing.assert_array_equal(found, occluded_samples(level, around))
    assert found.any()
