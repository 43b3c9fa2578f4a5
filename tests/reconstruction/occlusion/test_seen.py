"""What was seen of a surface that something crossed."""

import numpy as np

from lee.reconstruction.focus.cells import CellRecord
from lee.reconstruction.occlusion.detection import Occlusions
from lee.reconstruction.occlusion.seen import occluded_classes, seen_brightness, veil_sigma_um

SHAPE, CELLS, SAMPLES = (45, 56), (5, 7), 12


def record_of(brightness):
    none = np.zeros((SAMPLES, *CELLS), np.float32)
    return CellRecord(np.arange(SAMPLES, dtype=float), brightness.astype(np.float32), none, none[0])


def occlusions_of(*samples):
    occluded = np.zeros((SAMPLES, *CELLS), bool)
    for at in samples:
        occluded[at] = True
    return Occlusions(occluded, occluded.astype(np.float32))


def test_brightness_is_that_without_the_occlusion():
    brightness = np.full((SAMPLES, *CELLS), 50.0)
    occluded = np.s_[3:6, 1:3, 2:4]
    brightness[occluded] = 200
    zone = np.zeros(SHAPE, bool)
    zone[8:30, 10:40] = True
    out = seen_brightness(record_of(brightness), occlusions_of(occluded), zone)
    np.testing.assert_allclose(out[zone], 50, rtol=1e-6)
    assert (out[~zone] == 0).all()


def test_cells_never_seen_take_the_brightness_around():
    brightness = np.full((SAMPLES, *CELLS), 50.0)
    brightness[:, 2, 3] = 200
    zone = np.ones(SHAPE, bool)
    out = seen_brightness(record_of(brightness), occlusions_of(np.s_[:, 2, 3]), zone)
    np.testing.assert_allclose(out, 50, rtol=1e-6)


def test_pixels_are_counted_by_how_much_of_their_focus_was_hidden():
    height = np.full(SHAPE, 3.0, np.float32)
    record = record_of(np.full((SAMPLES, *CELLS), 50.0))
    # Samples 1 to 5 are within half of the depth of field, 4 um, of the height.
    away, part, most = np.s_[8:11, 0, 0], np.s_[4:9, 0, 1:3], np.s_[0:4, 1, 1]
    counted = occluded_classes(height, record, occlusions_of(away, part, most), 4.5)
    assert counted == {
        "while out of focus": 64,
        "in part of their focus": 128,
        "in most of their focus": 64,
    }


def test_a_veil_that_comes_in_focus_adds_its_shift_to_sigma():
    """A Gaussian dimmed at a rate r is the same Gaussian, moved by its variance times r."""
    z = np.linspace(0, 20, 81)
    bright = np.full((81, 4, 5), 100, np.float32)
    rate = 0.1
    bright[:, 1, 2] *= np.exp(-rate * (z - 10)).astype(np.float32)
    record = CellRecord(z, bright, bright, np.zeros((4, 5), np.float32))
    depth = 2.355
    sigma = veil_sigma_um(np.full((37, 40), 10, np.float32), record, depth)
    assert sigma.shape == (37, 40)
    assert sigma.dtype == np.float32
    np.testing.assert_allclose(sigma[8:16, 16:24], rate, rtol=0.03)
    sigma[8:16, 16:24] = 0
    assert not sigma.any()
    fine = np.linspace(0, 20, 2001)
    dimmed = np.exp(-0.5 * (fine - 10) ** 2) * np.exp(-rate * (fine - 10))
    assert abs(10 - fine[dimmed.argmax()] - rate) < 0.011


def test_at_the_ends_and_without_change_a_veil_adds_nothing():
    z = np.linspace(20, 0, 41)
    record = CellRecord(
        z, *(np.full((41, 2, 2), 50, np.float32) for _ in range(2)), np.zeros((2, 2), np.float32)
    )
    height = np.linspace(-5, 25, 16 * 16, dtype=np.float32).reshape(16, 16)
    assert not veil_sigma_um(height, record, 3.0).any()
