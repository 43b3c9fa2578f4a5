from pathlib import Path

import imageio.v2 as imageio
import numpy as np
import pytest

from lee.errors import InputError, MissingDependency
from lee.figures import film_relief
from lee.figures.film_relief import write_relief_film
from lee.figures.view import rendering_unavailable

needs_graphics = pytest.mark.skipif(
    rendering_unavailable() is not None, reason="pyvista or a graphics library is missing"
)
SIZE = (320, 240)


def growing() -> np.ndarray:
    y, x = np.mgrid[-20:20, -30:30]
    bump = 4 * np.exp(-(x**2 + y**2) / 100).astype(np.float32)
    heights = np.stack([bump * k for k in (1.0, 2.0, 3.0)])
    heights[:, :12, :15] = np.nan
    return heights


@needs_graphics
def test_a_film_in_three_dimensions_shows_growth_and_gaps(tmp_path: Path) -> None:
    heights = growing()
    heights[1] = np.nan
    path = write_relief_film(
        tmp_path / "r.mp4", heights, times_s=[0, 1, 2], pixel_um=0.5, phases=["plating"] * 3, size_px=SIZE
    )
    with imageio.get_reader(path) as film:
        first, lost, last = (np.asarray(film.get_data(k)).astype(int) for k in range(film.count_frames()))
    assert first.shape == (240, 320, 3)
    assert np.abs(last - first)[60:].max() > 60
    orange = [(np.abs(frame - (255, 140, 0)).sum(axis=-1) < 120).sum() for frame in (first, lost, last)]
    assert 50 < orange[0] < orange[1] / 3
    # Empty paper above the surface, the title at the top.
    assert (first[:30, :200].min(axis=-1) < 100).any()


@needs_graphics
def test_the_top_of_the_image_is_far_away(tmp_path: Path) -> None:
    heights = np.zeros((2, 60, 60), np.float32)
    heights[:, 30:] = 5  # high below
    path = write_relief_film(
        tmp_path / "r.mp4", heights, times_s=[0, 1], pixel_um=0.5, size_px=(400, 300), stretch=1
    )
    frame = np.asarray(imageio.get_reader(path).get_data(0)).astype(int)[..., :3]
    inside = frame[:, :300]
    yellow = (inside[..., 0] > 150) & (inside[..., 1] > 150) & (inside[..., 2] < 110)
    purple = (inside[..., 2] > inside[..., 1] + 25) & (inside.max(axis=-1) < 130)
    assert yellow.any()
    assert purple.any()
    assert np.nonzero(yellow)[0].mean() > np.nonzero(purple)[0].mean() + 20


def test_what_is_missing_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(film_relief, "rendering_unavailable", lambda: "pyvista is missing: pip install it")
    with pytest.raises(MissingDependency, match="cannot be drawn: pyvista is missing: pip install it"):
        write_relief_film(tmp_path / "r.mp4", growing(), times_s=[0, 1, 2], pixel_um=0.5)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"size_px": (101, 100)}, r"size_px is \(101, 100\): width and height must be even"),
        ({"times_s": [0.0]}, "times_s has 1 entries for 3 maps"),
        ({"stretch": 0.0}, "stretch is 0: it must be a positive number"),
    ],
)
def test_bad_input_is_reported(tmp_path: Path, change: dict, match: str) -> None:
    options = {"times_s": [0.0, 1.0, 2.0], "pixel_um": 0.5} | change
    with pytest.raises(InputError, match=match):
        write_relief_film(tmp_path / "r.mp4", growing(), **options)
