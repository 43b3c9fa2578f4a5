"""Input that cannot be used ends `lee reconstruct` with one clear line and leaves nothing behind."""

import errno
import importlib
import resource
import subprocess
import sys
import warnings

import numpy as np
import pytest
from PIL import Image

from lee.cli import run
from lee.cli.one_line import warnings_in_one_line
from lee.devices.virtual import gentle, render_scan

pytestmark = pytest.mark.usefixtures("undrawn")
COUNT = 20


@pytest.fixture(scope="module")
def good():
    scene = gentle((64, 72), 0.25, 3, relief_um=2.0)
    return render_scan(scene, z_um=np.linspace(-2.5, 2.5, COUNT), seed=3).frames


def in_folder(folder, frames):
    folder.mkdir()
    for k, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"f{k:03}.png")
    return folder


def as_npy(tmp_path, array):
    np.save(tmp_path / "scan.npy", array)
    return tmp_path / "scan.npy"


def refused(tmp_path, capsys, stack, *options, step="0.25"):
    """Run, expect a refusal, and return the one line."""
    results = tmp_path / "results"
    results.mkdir()
    z = [] if step is None else ["--z-step-um", step]
    code = run(["reconstruct", str(stack), "-o", str(results / "out"), "--pixel-um", "0.25", *z, *options])
    printed = capsys.readouterr()
    assert code == 1
    assert printed.out == ""
    assert not list(results.iterdir())
    lines = printed.err.splitlines()
    assert lines, "there is no message"
    assert all(line.startswith("lee: warning: ") for line in lines[:-1])
    assert lines[-1].startswith("lee: ")
    return lines[-1]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((20, 30)), "shape (20, 30) is not a stack; expected (Z, H, W)"),
        (np.zeros((2, 3, 4, 5, 6)), "shape (2, 3, 4, 5, 6) is not a stack"),
        (np.zeros((5, 20, 30), complex), "samples of type complex128 are not grey values"),
        (np.zeros((5, 20, 30), "S3"), "are not grey values"),
        (np.zeros((1, 20, 30)), "has 1 frame; a focus is found between frames"),
        (np.zeros((5, 0, 30)), "frames of 30×0 pixels are empty"),
    ],
)
def test_wrong_rank_type_or_number_of_frames(tmp_path, capsys, array, message):
    assert message in refused(tmp_path, capsys, as_npy(tmp_path, array))


def test_nothing_there(tmp_path, capsys):
    assert "none: no such file or folder" in refused(tmp_path, capsys, tmp_path / "none")


def test_an_empty_folder(tmp_path, capsys):
    assert "holds no stack; give an OME-Zarr image" in refused(
        tmp_path, capsys, in_folder(tmp_path / "frames", [])
    )


def test_frames_of_different_size(tmp_path, capsys, good):
    folder = in_folder(tmp_path / "frames", [*good[:5], good[5][:60], *good[6:]])
    line = refused(tmp_path, capsys, folder)
    assert "f005.png (frame 5): is 72×60, the first is 72×64" in line


def test_a_file_that_is_no_image_among_good_ones(tmp_path, capsys, good):
    folder = in_folder(tmp_path / "frames", good)
    (folder / "f007.png").write_bytes(b"not an image")
    assert "f007.png: is not an image" in refused(tmp_path, capsys, folder)


def test_a_truncated_file_among_good_ones(tmp_path, capsys, good):
    folder = in_folder(tmp_path / "frames", good)
    whole = (folder / "f007.png").read_bytes()
    (folder / "f007.png").write_bytes(whole[: len(whole) // 2])
    assert "f007.png (frame 7): cannot be decoded, it is damaged or truncated" in refused(
        tmp_path, capsys, folder
    )


def test_a_truncated_array(tmp_path, capsys, good):
    path = as_npy(tmp_path, good)
    path.write_bytes(path.read_bytes()[:-5000])
    assert "scan.npy: not a readable .npy array, perhaps truncated" in refused(tmp_path, capsys, path)


def test_heights_missing(tmp_path, capsys, good):
    line = refused(tmp_path, capsys, in_folder(tmp_path / "frames", good), step=None)
    assert "the stack has no z positions; give them: z_step_um (--z-step-um)" in line


@pytest.mark.parametrize(
    ("heights", "message"),
    [
        ([*range(COUNT - 1)], "z.csv: gives 19 heights for 20 frames"),
        ([*range(5), "nan", *range(6, COUNT)], "the height of frame 5 is nan; give a finite height"),
        ([*range(5), "inf", *range(6, COUNT)], "the height of frame 5 is inf; give a finite height"),
        ([*range(5), 4, *range(6, COUNT)], "frames 4 and 5 have the same height 4 µm"),
        ([*range(5), 2, *range(6, COUNT)], "z.csv: "),
        ([*range(5), "high", *range(6, COUNT)], "z.csv, line 7: expected a frame number and a height in µm"),
    ],
)
def test_heights_that_cannot_be_used(tmp_path, capsys, good, heights, message):
    table = tmp_path / "z.csv"
    table.write_text("frame,z_um\n" + "".join(f"{k},{z}\n" for k, z in enumerate(heights)))
    line = refused(tmp_path, capsys, as_npy(tmp_path, good), "--z-csv", str(table), step=None)
    assert message in line


@pytest.mark.parametrize("count", [0, 90, 255])
def test_constant_and_saturated_frames(tmp_path, capsys, count):
    line = refused(tmp_path, capsys, as_npy(tmp_path, np.full((COUNT, 64, 64), count, np.uint8)))
    assert "0 of 20 frames can be used" in line


@pytest.mark.parametrize("frame", ["constant", "textured"])
def test_frames_that_are_all_alike(tmp_path, capsys, good, frame):
    one = good[0] if frame == "textured" else np.full((64, 64), 90, np.uint8)
    stack = as_npy(tmp_path, np.repeat(one[None], COUNT, axis=0))
    assert "scan.npy: nothing comes into focus" in refused(tmp_path, capsys, stack, "--keep-frames")


def test_nan_in_a_frame(tmp_path, capsys, good):
    frames = good.astype(np.float32)
    frames[4, 3, 2] = np.nan
    assert "frame 4: 1 pixel is NaN or infinite" in refused(tmp_path, capsys, as_npy(tmp_path, frames))


def test_the_output_lies_in_a_file(tmp_path, capsys, good):
    (tmp_path / "file").write_text("mine")
    path = as_npy(tmp_path, good)
    assert run(["reconstruct", str(path), "-o", str(tmp_path / "file" / "out"), "--z-step-um", "1"]) == 1
    assert "lee: cannot write" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


def test_the_output_is_a_folder_of_something_else(tmp_path, capsys, good):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.doc").write_text("mine")
    path = as_npy(tmp_path, good)
    options = ["--z-step-um", "1", "--pixel-um", "1", "--overwrite"]
    assert run(["reconstruct", str(path), "-o", str(tmp_path / "out"), *options]) == 1
    assert "also holds 'thesis.doc', which is no part of a result" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.doc"]


def test_the_disk_is_full(tmp_path, capsys, good, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("lee.surfaces.surface.write_map", full)
    assert "no space left to write" in refused(tmp_path, capsys, as_npy(tmp_path, good))


def test_a_write_that_the_system_refuses_midway(tmp_path, good):
    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    results = tmp_path / "results"
    results.mkdir()
    command = [
        sys.executable,
        "-m",
        "lee",
        "reconstruct",
        str(as_npy(tmp_path, good)),
        "-o",
        str(results / "out"),
    ]
    done = subprocess.run(
        [*command, "--z-step-um", "0.25", "--pixel-um", "0.25"],
        capture_output=True, text=True, check=False, preexec_fn=limited,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(f"lee: cannot write {results / 'out'}: ")
    assert done.stderr.endswith(": choose a place that can be written\n")
    assert done.stderr.count("\n") == 1
    assert not list(results.iterdir())


@pytest.mark.parametrize("kind", ["uint8", "uint16", "colour", "float32", "bool"])
def test_every_kind_of_frame_goes_in(tmp_path, good, kind):
    frames = {
        "uint8": good,
        "uint16": good.astype(np.uint16) * 200,
        "colour": np.repeat(good[..., None], 3, axis=-1),
        "float32": good.astype(np.float32) / 255,
        "bool": good > np.median(good),
    }[kind]
    path = as_npy(tmp_path, frames)
    options = ["--z-step-um", "0.25", "--pixel-um", "0.25"]
    assert run(["reconstruct", str(path), "-o", str(tmp_path / "out"), *options]) == 0
    assert (tmp_path / "out" / "surface.json").is_file()


@pytest.mark.parametrize(
    ("message", "where", "shown"),
    [
        ("the stack has no pixel size", "lee.stacks.stack", True),
        ("invalid value encountered in divide", "lee.stacks.stack", False),
        ("Mean of empty slice", "lee.stacks.stack", False),
        ("reading array from closed file", "tifffile.tifffile", False),
        ("the codec is not in the specification", "zarr.core.array", False),
    ],
)
def test_warnings_of_libraries_are_not_shown(capsys, message, where, shown):
    path = importlib.import_module(where).__file__
    with warnings_in_one_line():
        warnings.warn_explicit(message, UserWarning, path, 1)
    assert capsys.readouterr().err == (f"lee: warning: {message}\n" if shown else "")
