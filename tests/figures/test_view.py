from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lee.figures.view
from lee.errors import InputError, MissingDependency
from lee.figures.view import view
from lee.surfaces.surface import Surface


@pytest.fixture
def surface() -> Surface:
    """A dome with a bright bar along the image's top and a shorter one down its left side."""
    rows, columns = np.mgrid[0:60, 0:90]
    height = (5 * np.exp(-((rows - 30) ** 2 + (columns - 45) ** 2) / 300)).astype(np.float32)
    image = np.full(height.shape, 20, np.float32)
    image[5:15, 5:85] = 220
    image[15:40, 5:15] = 220
    return Surface(height, height, np.full_like(height, 0.1), np.ones(height.shape, bool), image, 0.5)


@pytest.fixture
def can_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    missing = lee.figures.view.rendering_unavailable()
    if missing:
        pytest.skip(missing)


@pytest.mark.usefixtures("can_draw")
def test_from_above_the_model_looks_like_the_picture(surface: Surface, tmp_path: Path) -> None:
    view(surface, screenshot=tmp_path / "v.png", colour="image", from_above=True, size_px=(630, 420))
    picture = Image.open(tmp_path / "v.png").convert("L").crop((15, 10, 615, 410))  # without the white margin
    seen = np.asarray(picture.resize((90, 60)), float)
    same = np.corrcoef(seen.ravel(), surface.refocused.ravel())[0, 1]
    turned = [np.corrcoef(seen.ravel(), surface.refocused[flip].ravel())[0, 1] for flip in
              (np.s_[::-1], np.s_[:, ::-1], np.s_[::-1, ::-1])]  # fmt: skip
    assert same > 0.9
    assert max(turned) < 0.7


@pytest.mark.usefixtures("can_draw")
def test_a_picture_needs_no_display(surface: Surface, tmp_path: Path) -> None:
    assert view(surface, screenshot=tmp_path / "v.png", size_px=(400, 300)) == tmp_path / "v.png"
    picture = np.asarray(Image.open(tmp_path / "v.png").convert("RGB"), int)
    assert picture.shape == (300, 400, 3)
    assert np.ptp(picture[..., 0] - picture[..., 2]) > 100  # the colours of height, dark blue to yellow
    assert [entry.name for entry in tmp_path.iterdir()] == ["v.png"]


@pytest.mark.parametrize("colour", ["height", "image"])
def test_without_pyvista_a_coarse_picture_comes_with_a_warning(
    surface: Surface, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, colour: str
) -> None:
    monkeypatch.setattr(lee.figures.view, "find_spec", lambda _: None)
    with pytest.warns(UserWarning, match=r'drawn coarsely: .*pip install "\.\[view\]" in the folder of lee'):
        view(surface, screenshot=tmp_path / "v.png", colour=colour, size_px=(500, 300))
    picture = Image.open(tmp_path / "v.png")
    assert picture.size == (500, 300)
    assert len(picture.convert("RGB").getcolors(1 << 20)) > 200


def test_without_graphics_libraries_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lee.figures.view, "find_spec", lambda _: True)
    monkeypatch.setattr(lee.figures.view, "_TRIAL", "import os; os.abort()")
    assert "apt install libegl1" in (lee.figures.view.rendering_unavailable() or "")


def test_a_window_needs_pyvista(surface: Surface, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyvista", None)
    with pytest.raises(MissingDependency, match=r"the 3D window: pyvista is missing: pip install"):
        view(surface)


@pytest.mark.skipif(find_spec("pyvista") is None, reason="needs pyvista")
def test_a_window_needs_a_display(surface: Surface, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lee.figures.view, "_has_display", lambda: False)
    with pytest.raises(InputError, match="there is no display to open a window on: ask for a picture"):
        view(surface)


def test_misuse_is_reported(surface: Surface, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="colour is 'red': use one of height, image"):
        view(surface, colour="red")
    with pytest.raises(InputError, match="stretch is 0"):
        view(surface, stretch=0)
    with pytest.raises(InputError, match=r"'v\.txt' is not a picture"):
        view(surface, screenshot=tmp_path / "v.txt")
