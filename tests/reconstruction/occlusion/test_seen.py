"""What was seen of a surface that something crossed."""

import numpy as np

from lee.reconstruction.focus.cells import CellRecord
from lee.reconstruction.occlusion.detection import Occlusions
from lee.reconstruction.occlusion.seen import occluded_classes, seen_brightness

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
