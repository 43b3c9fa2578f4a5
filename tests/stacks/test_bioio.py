"""Microscopes' own formats: how bioio is asked, shown with a stand-in; and what is said without it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lee.errors import InputError, MissingDependency
from lee.stacks.stack import open_stack

PLANES = np.random.default_rng(4).integers(0, 4096, (2, 2, 3, 5, 12, 16)).astype(np.uint16)  # scene, T, C, Z


class Dims(SimpleNamespace):
    order = "TCZYX"


class BioImage:
    """As bioio's class of this name, for what lee uses of it."""

    def __init__(self, path: Path) -> None:
        if Path(path).read_bytes() != b"good":
            raise ValueError("unsupported\nfile")
        self.scenes = ("left", "right")
        self.channel_names = ["red", "green", "blue"]
        self.dims = Dims(T=2, C=3, Z=5, Y=12, X=16)
        self.dtype = np.dtype(np.uint16)
        self.physical_pixel_sizes = SimpleNamespace(Z=0.4, Y=0.5, X=0.5)
        self.scene = 0

    def set_scene(self, scene: int) -> None:
        self.scene = scene

    def get_image_dask_data(self, order: str, **place: int) -> Any:
        assert order == "YX"
        plane = PLANES[self.scene, place["T"], place["C"], place["Z"]]
        return SimpleNamespace(compute=lambda: plane)


@pytest.fixture
def scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    module = ModuleType("bioio")
    module.BioImage = BioImage  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "bioio", module)
    (tmp_path / "scan.czi").write_bytes(b"good")
    return tmp_path / "scan.czi"


def test_planes_are_chosen(scan: Path) -> None:
    with pytest.raises(
        InputError, match=r"2 positions \(0: left, 1: right\), 2 times, 3 channels \(0: red.*5 planes"
    ):
        open_stack(scan)
    stack = open_stack(scan, position="right", time=1, channel="blue")
    np.testing.assert_array_equal(list(stack), PLANES[1, 1, 2])
    np.testing.assert_allclose(stack.z_um, 0.4 * np.arange(5))
    assert stack.pixel_um == 0.5
    assert stack.metadata["format"] == "bioio .czi"


def test_scenes_of_different_size(scan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an overview beside a scan."""

    def set_scene(image: BioImage, scene: int) -> None:
        image.scene, image.dims = scene, Dims(T=1, C=3, Z=5 if scene == 1 else 1, Y=12, X=16)

    monkeypatch.setattr(BioImage, "set_scene", set_scene)
    stack = open_stack(scan, position="right", channel=0)
    np.testing.assert_array_equal(list(stack), PLANES[1, 0, 0])
    with pytest.raises(InputError, match=r"has 1 frame; a focus is found between frames"):
        open_stack(scan, position="left", channel=0, z_axis="z", z_step_um=1)


def test_colours_of_czi_are_blue_green_red(scan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    colours = PLANES[0, 0].transpose(1, 2, 3, 0).astype(np.uint8)  # Z, Y, X, sample
    dims = Dims(T=1, C=1, Z=5, Y=12, X=16)
    dims.order = "TCZYXS"

    def get_image_data(image: BioImage, order: str, **place: int) -> Any:
        assert order == "YXS"
        return colours[place["Z"]]

    monkeypatch.setattr(BioImage, "get_image_data", get_image_data, raising=False)
    plain = BioImage.__init__

    def opened(image: BioImage, path: Path) -> None:
        plain(image, path)
        image.scenes, image.dims, image.dtype, image.channel_names = ("only",), dims, np.dtype(np.uint8), None

    monkeypatch.setattr(BioImage, "__init__", opened)
    stack = open_stack(scan)
    assert stack.colour
    np.testing.assert_array_equal(stack.rgb(3), colours[3][..., ::-1])


def test_no_other_axis_is_the_scans_where_z_is_long(scan: Path) -> None:
    with pytest.raises(InputError, match=r"5 planes of z; the scan lies along z, omit z_axis \(--z-axis\)"):
        open_stack(scan, z_axis="c", position=0, time=0, z_step_um=1)


def test_what_bioio_cannot_open(scan: Path) -> None:
    scan.write_bytes(b"bad")
    with pytest.raises(InputError, match=r"bioio cannot open it .unsupported file.; pip install bioio-czi"):
        open_stack(scan)


def test_without_bioio_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bioio", None)
    (tmp_path / "a.nd2").write_bytes(b"")
    with pytest.raises(MissingDependency, match=r"a.nd2: .* through bioio: pip install bioio bioio-nd2"):
        open_stack(tmp_path / "a.nd2")
