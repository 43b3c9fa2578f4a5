"""Heights, laziness and reading ahead; and one clear line for everything that cannot be used."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

import lee.stacks.stack
from lee.errors import InputError, LeeError, StorageError
from lee.stacks.image_folder import natural_key
from lee.stacks.stack import ZStack, open_stack

FRAMES = np.random.default_rng(3).integers(0, 256, (6, 20, 30), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for k, frame in enumerate(FRAMES):
        Image.fromarray(frame).save(tmp_path / f"f{k}.png")
    return tmp_path


def stack_of(frames: np.ndarray = FRAMES) -> ZStack:
    return ZStack.from_array(frames, np.arange(len(frames)), 0.5)


def refuse(match: str, path: Path | str, kind: type[LeeError] = InputError, **given: object) -> None:
    given.setdefault("pixel_um", 0.5)
    with pytest.raises(kind, match=match) as caught:
        open_stack(path, **given)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_natural_order() -> None:
    names = ["frame10.png", "Frame9.png", "frame1_2.png", "frame1_10.png", "frame01.png"]
    assert sorted(names, key=natural_key) == [
        "frame01.png", "frame1_2.png", "frame1_10.png", "Frame9.png", "frame10.png",
    ]  # fmt: skip


def test_csv_in_the_folder_and_by_name(folder: Path) -> None:
    rows = [f"{k},{10 - k * k}" for k in (3, 0, 1, 2, 5, 4)]
    (folder / "z_um.csv").write_text("frame,z_um\n" + "\n".join(rows) + "\n")
    stack = open_stack(folder, pixel_um=1)
    assert stack.z_um.tolist() == [10, 9, 6, 1, -6, -15]
    assert stack.metadata["z_um_source"] == "CSV file z_um.csv"
    (folder / "z_um.csv").rename(folder / "other.csv")
    assert np.array_equal(open_stack(folder, z_um=folder / "other.csv", pixel_um=1).z_um, stack.z_um)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "first line must be frame,z_um; found nothing"),
        ("k,z\n0,1\n", "first line must be frame,z_um; found k,z"),
        ("frame,z_um\n0,1\n1,2\n", "gives 2 heights for 6 frames"),
        (
            "frame,z_um\n" + "".join(f"{k},{k}\n" for k in range(1, 7)),
            "frame 0 is missing; frames are counted from 0",
        ),
        ("frame,z_um\n0,1\n0,2\n", "line 3: frame 0 is given twice"),
        ("frame,z_um\n0,high\n", "line 2: expected a frame number and a height in µm, found '0', 'high'"),
        ("frame,z_um\n0\n", "line 2: expected a frame number"),
        ("frame,z_um\n" + "".join(f"{k},{k % 5}\n" for k in range(6)), "heights reverse at frame 4"),
    ],
)
def test_unusable_csv(folder: Path, text: str, match: str) -> None:
    (folder / "z_um.csv").write_text(text)
    refuse(match, folder)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (
            {},
            r"the stack has no z positions; give them: z_step_um \(--z-step-um\), or z_um \(--z-csv\), a CSV",
        ),
        ({"z_step_um": 0}, "z_step_um: 0 is not a step; it must be positive"),
        ({"z_step_um": -0.2}, "z_step_um: -0.2 is not a step"),
        ({"z_step_um": float("nan")}, "z_step_um: nan is not a step"),
        ({"z_step_um": "two"}, "z_step_um: 'two' is not a number"),
        ({"z_um": [0, 1, 2]}, r"z_um: gives heights of shape \(3,\) for 6 frames"),
        ({"z_um": [0, 1, 2, np.nan, 4, 5]}, "z_um: the height of frame 3 is nan"),
        ({"z_um": [0, 1, 2, np.inf, 4, 5]}, "z_um: the height of frame 3 is inf"),
        ({"z_um": [0, 1, 2, 2, 4, 5]}, "z_um: frames 2 and 3 have the same height 2 µm"),
        ({"z_um": [0, 1, 3, 2, 4, 5]}, r"z_um: heights reverse at frame 2 \(3 µm, then 2 µm\)"),
        ({"z_um": ["a"] * 6}, "z_um: heights are not numbers"),
        ({"z_um": "nowhere.csv"}, "nowhere.csv: no such file"),
        ({"z_um": np.arange(6), "z_step_um": 1}, "both given"),
        ({"z_step_um": 1, "pixel_um": 0}, "pixel_um: a pixel size of 0 µm is impossible"),
        ({"z_step_um": 1, "pixel_um": -1}, "pixel_um: a pixel size of -1 µm is impossible"),
        ({"z_step_um": 1, "pixel_um": float("nan")}, "pixel_um: a pixel size of nan µm is impossible"),
        ({"z_step_um": 1, "pixel_um": "big"}, "pixel_um: 'big' is not a pixel size"),
    ],
)
def test_unusable_calibration(folder: Path, given: dict[str, object], match: str) -> None:
    refuse(match, folder, **given)


@pytest.mark.parametrize(
    ("frames", "match"),
    [
        (FRAMES[0], r"shape \(20, 30\) is not a stack"),
        (FRAMES[None, None], r"shape \(1, 1, 6, 20, 30\) is not a stack"),
        (FRAMES.astype(complex), "samples of type complex128 are not grey values"),
        (FRAMES.astype(str), "are not grey values"),
        (FRAMES[:1], "has 1 frame; a focus is found between frames, at least 3 are needed"),
        (FRAMES[:0], "has 0 frames"),
        (FRAMES[:, :0], "frames of 30×0 pixels are empty"),
    ],
)
def test_unusable_array(tmp_path: Path, frames: np.ndarray, match: str) -> None:
    with pytest.raises(InputError, match=match):
        ZStack.from_array(frames, z_step_um=1, pixel_um=1)
    np.save(tmp_path / "a.npy", frames)
    refuse(match, tmp_path / "a.npy", z_step_um=1)


def test_an_array_whose_last_axis_may_be_z_carries_a_warning(tmp_path: Path) -> None:
    frames = np.ones((40, 48, 6), np.uint8)
    match = r"its 40 frames are taken to be 6 × 48 pixels \(width × height\); if the last axis is z, move it"
    with pytest.warns(UserWarning, match=match):
        ZStack.from_array(frames, z_step_um=1, pixel_um=1)
    np.save(tmp_path / "a.npy", frames)
    with pytest.warns(UserWarning, match=match):
        open_stack(tmp_path / "a.npy", z_step_um=1, pixel_um=1)
    zarr.create_array(tmp_path / "a.zarr", data=frames)
    with pytest.warns(UserWarning, match=match):
        open_stack(tmp_path / "a.zarr", z_step_um=1, pixel_um=1)


def test_unusable_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse("no such file or folder; give an existing stack", tmp_path / "nowhere", z_step_um=1)
    refuse(
        r"holds no stack; give an OME-Zarr .*, a folder of images \(.bmp, .btf, .jpeg", tmp_path, z_step_um=1
    )
    Image.fromarray(FRAMES[0]).save(tmp_path / "one.png")
    refuse("one.png: is a single image; give the folder", tmp_path / "one.png", z_step_um=1)
    refuse("has 1 frame;", tmp_path, z_step_um=1)
    (tmp_path / "a.txt").write_text("")
    refuse("a.txt: is not a stack", tmp_path / "a.txt", z_step_um=1)

    def locked(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(lee.stacks.stack, "open_source", locked)
    refuse("may not be read", tmp_path, StorageError, z_step_um=1)


def test_frame_of_other_size_or_kind_is_named(folder: Path) -> None:
    Image.fromarray(FRAMES[3][:, :-1]).save(folder / "f3.png")
    refuse(r"f3.png \(frame 3\): is 29×20, the first is 30×20", folder, z_step_um=1)
    Image.fromarray(FRAMES[3].astype(np.uint16)).save(folder / "f3.png")
    refuse(r"f3.png \(frame 3\): has uint16 samples, the first frame has uint8", folder, z_step_um=1)


def test_damaged_frame_is_named(folder: Path) -> None:
    (folder / "f2.png").write_bytes(b"not a PNG")
    refuse(r"f2.png: is not an image of the kind its name states", folder, z_step_um=1)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif"])
def test_truncated_frame_is_named_and_good_ones_come_first(tmp_path: Path, suffix: str) -> None:
    for k, frame in enumerate(FRAMES):
        Image.fromarray(frame).save(tmp_path / f"f{k}.{suffix}")
    path = tmp_path / f"f4.{suffix}"
    stack = open_stack(tmp_path, z_step_um=1, pixel_um=1)
    path.write_bytes(path.read_bytes()[:-200])
    frames = stack.iter_frames()
    for k in range(4):
        assert next(frames).shape == (20, 30), k
    with pytest.raises(InputError, match=r"\(frame 4\)"):
        next(frames)


def test_frame_that_vanishes_or_changes_is_named(folder: Path) -> None:
    stack = open_stack(folder, z_step_um=1, pixel_um=1)
    (folder / "f1.png").unlink()
    with pytest.raises(InputError, match=r"f1.png \(frame 1\): is no longer there"):
        stack[1]
    Image.fromarray(FRAMES[2].T.copy()).save(folder / "f2.png")
    with pytest.raises(InputError, match=r"f2.png \(frame 2\): .*changed after the stack was opened"):
        stack[2]


def test_truncated_npy_and_tiff(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", FRAMES)
    cut(tmp_path / "a.npy", 1000)
    refuse("a.npy: not a readable .npy array, perhaps truncated", tmp_path / "a.npy", z_step_um=1)
    tifffile.imwrite(tmp_path / "a.tif", FRAMES)
    cut(tmp_path / "a.tif", 1000)
    refuse("a.tif.*truncated", tmp_path / "a.tif", z_step_um=1)
    (tmp_path / "b.tif").write_bytes(b"II nothing")
    refuse("b.tif: is not a readable TIFF file", tmp_path / "b.tif", z_step_um=1)


def cut(path: Path, count: int) -> None:
    path.write_bytes(path.read_bytes()[:-count])


def test_tiff_whose_page_list_is_cut(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        for frame in FRAMES:
            tif.write(frame, contiguous=False, metadata=None, compression="zlib")
        half = tif.filehandle.tell() // 2
    whole = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(whole[:half])
    refuse("a.tif.*truncated", tmp_path / "a.tif", z_step_um=1)


def test_tiff_pages_of_different_size(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        for k, frame in enumerate(FRAMES):
            tif.write(frame[: 20 - (k == 3)], contiguous=False, metadata=None)
    refuse(r"a.tif, frame 3: is \(19, 30\) uint8, the first \(20, 30\)", tmp_path / "a.tif", z_step_um=1)


def test_channels_and_times_are_listed(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "c.ome.tif", np.stack([FRAMES] * 2), metadata={"axes": "CZYX"})
    refuse(
        r"holds 2 channels, 6 planes of z; .* give channel \(--channel\)", tmp_path / "c.ome.tif", z_step_um=1
    )
    tifffile.imwrite(tmp_path / "t.ome.tif", FRAMES, metadata={"axes": "TYX"})
    refuse(r"holds 6 times and no z; .*: z_axis='t' \(--z-axis\)", tmp_path / "t.ome.tif")
    zarr.create_array(tmp_path / "a.zarr", shape=(2, *FRAMES.shape), chunks=(1, 1, 20, 30), dtype="uint8")
    refuse(
        "holds 2 planes along axis 0, 6 planes along axis 1, and does not name",
        tmp_path / "a.zarr",
        z_step_um=1,
    )
    zarr.open_group(tmp_path / "b.zarr", mode="w")
    refuse("is a zarr group without multiscales metadata", tmp_path / "b.zarr", z_step_um=1)


def test_bad_pixel_size_in_the_file(tmp_path: Path) -> None:
    metadata = {"axes": "ZYX", "PhysicalSizeX": 0.4, "PhysicalSizeY": 0.5}
    tifffile.imwrite(tmp_path / "a.ome.tif", FRAMES, metadata=metadata)
    with pytest.raises(InputError, match=r"OME PhysicalSize: pixels of 0.4 × 0.5 µm are not square"):
        open_stack(tmp_path / "a.ome.tif", z_step_um=1)
    tifffile.imwrite(tmp_path / "b.ome.tif", FRAMES, metadata={"axes": "ZYX", "PhysicalSizeX": 0})
    with pytest.raises(InputError, match=r"OME PhysicalSize: a pixel size of 0 µm is impossible"):
        open_stack(tmp_path / "b.ome.tif", z_step_um=1)


def test_nan_in_a_float_frame_is_named() -> None:
    frames = FRAMES.astype(np.float32)
    frames[2, 3, 4] = np.nan
    stack = stack_of(frames)
    assert stack[1].dtype == np.float32
    with pytest.raises(InputError, match="array, frame 2: 1 pixel is NaN or infinite"):
        stack[2]


def test_indexing() -> None:
    stack = stack_of()
    assert len(stack) == 6
    assert np.array_equal(stack[-1], FRAMES[5])
    with pytest.raises(IndexError, match="there is no frame 6: the stack has 6 frames"):
        stack[6]
    assert "6 frames of 30x20 uint8" in repr(stack)


@pytest.mark.parametrize("prefetch", [0, 1, 4, 50])
def test_iteration_keeps_the_order(folder: Path, prefetch: int) -> None:
    stack = open_stack(folder, z_step_um=1, pixel_um=1)
    assert np.array_equal(list(stack.iter_frames(prefetch=prefetch)), FRAMES)
    assert np.array_equal(list(stack.iter_frames(1, -2, prefetch=prefetch)), FRAMES[1:-2])


def test_iteration_is_bounded_and_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = stack_of(np.tile(FRAMES, (10, 1, 1)))
    asked: list[int] = []
    read = stack._source.read
    monkeypatch.setattr(stack._source, "read", lambda k: (asked.append(k), read(k))[1])
    frames = stack.iter_frames(prefetch=3)
    next(frames)
    frames.close()  # type: ignore[attr-defined]
    assert max(asked) <= 4
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("lee-stack")]


def test_opening_reads_no_pixels(tmp_path: Path) -> None:
    huge = np.lib.format.open_memmap(tmp_path / "a.npy", mode="w+", dtype=np.uint8, shape=(4000, 1000, 1000))
    del huge  # a sparse 4 GB file
    with open_stack(tmp_path / "a.npy", z_step_um=1, pixel_um=1) as stack:
        assert stack[3999].max() == 0
