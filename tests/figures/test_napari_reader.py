"""The layers that napari gets; napari itself is asked where it is installed."""

import importlib.metadata
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import yaml

from lee.figures.napari_reader import read_surface, surface_reader
from lee.surfaces.surface import Surface


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    height = (np.arange(12 * 9, dtype=np.float32).reshape(12, 9) / 10).copy()
    gaps = height.copy()
    gaps[3, 4] = np.nan
    sigma = np.where(np.isfinite(gaps), np.float32(0.1), np.float32(np.nan))
    surface = Surface(gaps, height, sigma, np.isfinite(gaps), height * 20, 0.5)
    place = tmp_path_factory.mktemp("napari") / "surface"
    surface.save(place)
    return place


def test_only_surfaces_are_read(folder: Path, tmp_path: Path) -> None:
    assert surface_reader(str(folder)) is read_surface
    assert surface_reader(str(folder / "surface.json")) is read_surface
    for other in (str(tmp_path), str(folder / "height_um.tif"), str(tmp_path / "absent"), [str(folder)]):
        assert surface_reader(other) is None


def test_layers_are_in_um_with_y_down_the_image(folder: Path) -> None:
    layers = {
        options["name"].split(": ")[1]: (data, options, kind)
        for data, options, kind in read_surface(str(folder))
    }
    assert [kind for _, _, kind in layers.values()] == ["image", "image", "image", "labels", "surface"]
    height, options, _ = layers["height (um)"]
    assert options["scale"] == (0.5, 0.5)
    assert options["units"] == ("um", "um")
    assert np.isnan(height[3, 4])
    assert np.argwhere(layers["not measured"][0]).tolist() == [[3, 4]]
    (corners, faces, values), _, _ = layers["relief"]
    assert faces.max() < len(corners) == height.size
    z, y, x = corners.T
    np.testing.assert_allclose(z, y / 0.5 * 0.9 + x / 0.5 * 0.1, atol=1e-4)  # height rises down the image
    np.testing.assert_array_equal(values, z)


def test_the_manifest_names_the_reader() -> None:
    import lee.figures

    manifest = yaml.safe_load((Path(lee.figures.__file__).parent / "napari.yaml").read_text())
    (command,) = manifest["contributions"]["commands"]
    assert command["python_name"] == f"{surface_reader.__module__}:{surface_reader.__name__}"
    assert manifest["contributions"]["readers"][0]["command"] == command["id"]


@pytest.mark.skipif(find_spec("napari") is None, reason="napari is not installed")
def test_napari_opens_the_folder(folder: Path) -> None:
    from napari.components import ViewerModel

    assert importlib.metadata.entry_points(group="napari.manifest", name="lee-microscopy")
    viewer = ViewerModel()
    layers = viewer.open(str(folder), plugin="lee-microscopy")
    assert [type(layer).__name__ for layer in layers] == ["Image", "Image", "Image", "Labels", "Surface"]
    assert tuple(layers[1].scale) == (0.5, 0.5)
    assert {str(unit) for unit in layers[1].units} == {"micrometer"}
