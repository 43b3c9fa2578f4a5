"""Height maps in .npy files with their pixel size beside them."""

import json

import numpy as np
import pytest

from lee.errors import InputError
from lee.surfaces.surface import Surface

HEIGHT = np.random.default_rng(0).normal(size=(6, 8))
HEIGHT[2, 3] = np.nan


@pytest.mark.parametrize("stated", [{"pixel_um": 0.4}, {"pixel_um_axis0": 0.4, "pixel_um_axis1": 0.4}])
def test_a_map_brings_its_pixel_size(tmp_path, stated):
    np.save(tmp_path / "map.npy", HEIGHT)
    (tmp_path / "map.json").write_text(json.dumps({**stated, "unit": "um"}))
    surface = Surface.load(tmp_path / "map.npy")
    np.testing.assert_array_equal(surface.height_um, HEIGHT.astype(np.float32))
    assert surface.pixel_um == 0.4
    assert Surface.load(tmp_path / "map.npy", pixel_um=0.3).pixel_um == 0.3


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ('{"pixel_um_axis0": 0.4, "pixel_um_axis1": 0.5}', r"pixels of 0.5 × 0.4 µm \(x, y\) are not square"),
        ('{"pixel_um": "0.4"}', r"map.json: pixel_um must be µm above 0, not \['0.4', '0.4'\]"),
        ("{", r"map.json: cannot be read as JSON"),
        ("[1]", "does not hold the size of a pixel: give it in µm"),
    ],
)
def test_pixel_sizes_that_cannot_be_used(tmp_path, stated, message):
    np.save(tmp_path / "map.npy", HEIGHT)
    (tmp_path / "map.json").write_text(stated)
    with pytest.raises(InputError, match=message):
        Surface.load(tmp_path / "map.npy")


def test_files_that_are_no_map(tmp_path):
    path = tmp_path / "map.npy"
    np.save(path, HEIGHT)
    with pytest.raises(InputError, match="does not hold the size of a pixel"):
        Surface.load(path)
    np.save(path, np.zeros((2, 3, 4)))
    with pytest.raises(InputError, match=r"map.npy holds float64 of shape \(2, 3, 4\): one map of heights"):
        Surface.load(path, pixel_um=1)
    np.save(path, np.zeros((2, 3), complex))
    with pytest.raises(InputError, match=r"map.npy holds complex128"):
        Surface.load(path, pixel_um=1)
    np.save(path, np.array([{}], object), allow_pickle=True)
    with pytest.raises(InputError, match=r"map.npy: not a readable .npy array"):
        Surface.load(path, pixel_um=1)
    path.write_bytes(b"\x93NUMPY\x01\x00garbage")
    with pytest.raises(InputError, match=r"map.npy: not a readable .npy array, perhaps truncated"):
        Surface.load(path, pixel_um=1)
