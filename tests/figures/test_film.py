from pathlib import Path

import imageio.v2 as imageio
import numpy as np
import pytest
from matplotlib import colormaps

from lee.errors import InputError, MissingDependency, StorageError
from lee.figures.film import write_film
from lee.figures.film_frame import FilmFrame
from lee.figures.maps import ColourScale

TIMES = [0.0, 10.0, 20.0]
PHASES = ["plating", "plating", "stripping"]


def frames_of(path: Path) -> list[np.ndarray]:
    with imageio.get_reader(path) as film:
        return [np.asarray(film.get_data(k)) for k in range(film.count_frames())]


def maps(shape: tuple[int, int] = (64, 80)) -> np.ndarray:
    ramp = np.linspace(-1, 1, shape[1], dtype=np.float32)
    return np.stack([np.tile(ramp * k, (shape[0], 1)) for k in (20, 60, 100)])


class Counted:
    """A run too long to hold: maps exist only while they are looked at."""

    def __init__(self, count: int, shape: tuple[int, int]) -> None:
        self.count, self.shape, self.read = count, shape, []

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, k: int) -> np.ndarray:
        if not 0 <= k < self.count:
            raise IndexError(k)
        self.read.append(k)
        return np.full(self.shape, k, np.float32)


def drawn_map(scale: ColourScale, values: np.ndarray, relief: float = 0.0) -> np.ndarray:
    frame = FilmFrame(
        values.shape,
        pixel_um=0.5,
        title="rate",
        label="rate (nm/s)",
        scale=scale,
        times_s=[0.0],
        relief=relief,
    )
    y, x = frame._place
    return frame.draw(values, 0)[y, x]


@pytest.mark.parametrize("shape", [(64, 80), (65, 81), (1, 1), (30, 500), (500, 30), (900, 300)])
def test_a_film_has_a_frame_a_scan_of_even_size(tmp_path: Path, shape: tuple[int, int]) -> None:
    path = write_film(tmp_path / "rate.mp4", maps(shape), kind="rate", times_s=TIMES, pixel_um=0.5)
    with imageio.get_reader(path) as film:
        assert film.count_frames() == 3
        assert film.get_meta_data()["fps"] >= 4
        assert film.get_meta_data()["codec"] == "h264"
        assert all(side % 2 == 0 for side in film.get_meta_data()["size"])
    assert [entry.name for entry in tmp_path.iterdir()] == ["rate.mp4"]


def test_colours_mean_the_same_in_every_frame(tmp_path: Path) -> None:
    flat = np.stack([np.full((64, 64), value, np.float32) for value in (30, 0, 30, 100, -100)])
    path = write_film(tmp_path / "f.mp4", flat, kind="rate", times_s=range(5), pixel_um=1, limits=(-100, 100))
    frame = FilmFrame(
        (64, 64),
        pixel_um=1,
        title="",
        label="",
        scale=ColourScale("RdBu_r", -100, 100, "both"),
        times_s=range(5),
    )
    y, x = ((side.start + side.stop) // 2 for side in frame._place)
    shown = [picture[y, x].astype(int) for picture in frames_of(path)]
    for colour, value in zip(shown, (30, 0, 30, 100, -100), strict=True):
        true = np.array(colormaps["RdBu_r"]((value + 100) / 200)[:3]) * 255
        np.testing.assert_allclose(colour, true, atol=6)


def test_the_top_of_a_map_is_at_the_top_of_the_frame() -> None:
    values = np.zeros((100, 200), np.float32)
    values[:20, :40] = 100
    shown = drawn_map(ColourScale("gray", 0, 100, "neither"), values)
    assert shown[0, 0, 0] == 255
    assert shown[-1, -1, 0] == 0
    assert shown[0, -1, 0] == 0


def test_a_bump_is_lit_from_the_top_left() -> None:
    y, x = np.mgrid[-50:50, -50:50]
    bump = np.exp(-(y**2 + x**2) / 300).astype(np.float32) * 10
    shown = (
        drawn_map(ColourScale("gray", -1000, 1000, "neither"), bump, relief=0.5).astype(float).mean(axis=-1)
    )
    rows, columns = shown.shape
    lit = shown[: rows // 2, : columns // 2].mean()
    dark = shown[rows // 2 : rows * 3 // 4, columns // 2 :].mean()
    assert lit > dark + 5


def test_what_was_not_measured_has_no_colour_of_the_map() -> None:
    values = np.full((200, 200), 50, np.float32)
    values[:100] = np.nan
    shown = drawn_map(ColourScale("viridis", 0, 100, "neither"), values)
    missing, measured = shown[:200], shown[220:360, 200:]
    assert set(np.unique(missing)) == {154, 217}
    np.testing.assert_array_equal(
        measured.reshape(-1, 3), np.tile(measured[0, 0], (measured[..., 0].size, 1))
    )


def test_a_scan_without_surface_is_reported() -> None:
    scale = ColourScale("viridis", 0, 100, "neither")
    empty = drawn_map(scale, np.full((500, 500), np.nan, np.float32))
    assert (empty[230:270, 180:320] == 20).any()
    assert not (drawn_map(scale, np.full((500, 500), 50, np.float32)) == 20).any()


def test_maps_are_read_one_at_a_time(tmp_path: Path) -> None:
    run = Counted(60, (40, 40))
    write_film(tmp_path / "f.mp4", run, kind="delta", times_s=range(60), pixel_um=1)
    assert len(run.read) < 60 + 60


def test_a_long_noisy_film_stays_small(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    class Noise(Counted):
        def __getitem__(self, k: int) -> np.ndarray:
            return rng.normal(0, 50, self.shape).astype(np.float32)

    path = write_film(
        tmp_path / "f.mp4", Noise(24, (512, 512)), kind="rate", times_s=range(24), pixel_um=1, frames_per_s=12
    )
    assert path.stat().st_size < 5_000_000


def test_a_film_knows_its_phases_and_progress(tmp_path: Path) -> None:
    seen = []
    path = write_film(
        tmp_path / "f.mp4", maps(), kind="height", times_s=TIMES, pixel_um=0.5, phases=PHASES,
        progress=lambda done, count: seen.append((done, count)),
    )  # fmt: skip
    assert seen == [(1, 3), (2, 3), (3, 3)]
    plating, _, stripping = (picture[:32, :320].astype(int) for picture in frames_of(path))
    assert np.abs(plating - stripping).max() > 100


@pytest.mark.parametrize("values", [np.nan, 0.0])
def test_maps_without_anything_to_see_are_filmed(tmp_path: Path, values: float) -> None:
    flat = np.full((3, 30, 30), values, np.float32)
    for kind in ("height", "delta", "rate"):
        path = write_film(tmp_path / f"{kind}.mp4", flat, kind=kind, times_s=TIMES, pixel_um=1)
        assert len(frames_of(path)) == 3


def test_an_interrupted_film_leaves_the_older_one(tmp_path: Path) -> None:
    path = tmp_path / "f.mp4"
    path.write_bytes(b"older")

    class Broken(Counted):
        def __getitem__(self, k: int) -> np.ndarray:
            if len(self.read) > 5:
                raise KeyboardInterrupt("stop")
            return super().__getitem__(k)

    with pytest.raises(KeyboardInterrupt, match="stop"):
        write_film(path, Broken(5, (40, 40)), kind="delta", times_s=range(5), pixel_um=1)
    assert path.read_bytes() == b"older"
    assert [entry.name for entry in tmp_path.iterdir()] == ["f.mp4"]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"path": "film.avi"}, r"'film.avi': a film's name ends in .mp4"),
        ({"kind": "colour"}, "no maps of kind 'colour': use one of height, delta"),
        ({"times_s": [0.0]}, "times_s has 1 entries for 3 maps"),
        ({"phases": ["plating"]}, "phases has 1 entries for 3 maps"),
        ({"limits": (3.0, 3.0)}, "limits are 3 to 3: the second must be larger"),
        ({"maps": []}, "no maps to film for film.mp4"),
        ({"maps": np.zeros((3, 4), np.float32)}, r"a map has shape \(4,\): maps are \(H, W\)"),
        ({"frames_per_s": 0.0}, "frames_per_s is 0: give frames per second above 0"),
        ({"pixel_um": -1.0}, "pixel_um is -1: give µm above 0"),
    ],
)
def test_bad_input_is_reported_in_one_line(tmp_path: Path, change: dict, match: str) -> None:
    options = {"path": "film.mp4", "maps": maps(), "kind": "rate", "times_s": TIMES, "pixel_um": 1.0} | change
    path = tmp_path / options.pop("path")
    with pytest.raises(InputError, match=match) as raised:
        write_film(path, options.pop("maps"), **options)
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_without_ffmpeg_the_error_names_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "absent"))
    with pytest.raises(MissingDependency, match=r"films need ffmpeg.*pip install imageio-ffmpeg"):
        write_film(tmp_path / "f.mp4", maps(), kind="rate", times_s=TIMES, pixel_um=1)


def test_an_encoder_that_dies_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "ffmpeg"
    broken.write_text("#!/bin/sh\necho 'ffmpeg version 9'\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(broken))
    with pytest.raises(StorageError, match=r"ffmpeg failed while writing .*f\.mp4"):
        write_film(tmp_path / "f.mp4", maps((512, 512)), kind="rate", times_s=TIMES, pixel_um=1)
    assert [entry.name for entry in tmp_path.iterdir()] == ["ffmpeg"]


def test_a_film_without_its_end_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = tmp_path / "ffmpeg"
    silent.write_text("#!/bin/sh\necho 'ffmpeg version 9'\ncat > /dev/null\n")
    silent.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(silent))
    with pytest.raises(StorageError, match=r"ffmpeg did not finish .*f\.mp4"):
        write_film(tmp_path / "f.mp4", maps(), kind="rate", times_s=TIMES, pixel_um=1)
    assert [entry.name for entry in tmp_path.iterdir()] == ["ffmpeg"]
