"""Files that are damaged on purpose, or are no files: one line, at once, and no foreign warnings."""

from __future__ import annotations

import logging
import os
import struct
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from lee.errors import InputError
from lee.stacks.stack import ZStack, open_stack

FRAMES = np.random.default_rng(3).integers(0, 256, (5, 20, 30), dtype=np.uint8)


def refused(path: Path, match: str, **given: object) -> None:
    begun = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match=match) as caught:
            open_stack(path, **{"z_step_um": 1, "pixel_um": 1, **given})[0]  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert time.perf_counter() - begun < 2


def npy(path: Path, header: str | bytes, data: bytes = b"") -> Path:
    text = header.encode() if isinstance(header, str) else header
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data)
    return path


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 1000000, 1000000), }\n",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999, 3, 4), }\n",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-5, 20, 30), }\n",
        "{'descr': '|u1', 'fortran_order': False, 'shape': 7, }\n",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (5, 20",
        "{'descr': '|O', 'fortran_order': False, 'shape': (5, 20, 30), }\n",
        "{'descr': '|u9', 'fortran_order': False, 'shape': (5, 20, 30), }\n",
        "{'descr': [('a', [('b', 1)])], 'fortran_order': False, 'shape': (5, 20, 30), }\n",
        "(" * 9000,
        "{'descr': __import__('os'), 'shape': (5,)}",
        b"\xff\xfe\x00" * 30,
        b"",
    ],
)
def test_npy_headers(tmp_path: Path, header: str | bytes) -> None:
    refused(
        npy(tmp_path / "a.npy", header, b"\0" * 3000), r"a.npy: .*(not a readable .npy array|are not grey)"
    )


def test_an_npy_header_that_states_its_own_length_wrongly(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + b"{}" * 50)
    refused(tmp_path / "a.npy", "not a readable .npy array")


@pytest.mark.parametrize("name", ["a.tif", "a.npy", "a.raw", "a.ozx", "a.png", "a"])
def test_a_pipe_in_the_place_of_a_file(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    refused(tmp_path / name, "is not a stack; give")


def test_pipes_beside_frames_are_ignored(tmp_path: Path) -> None:
    for k, frame in enumerate(FRAMES):
        Image.fromarray(frame).save(tmp_path / f"f{k}.png")
    for name in ("f9.png", "z_um.csv", "zarr.json", "metadata.txt"):
        os.mkfifo(tmp_path / name)
    np.testing.assert_array_equal(list(open_stack(tmp_path, z_step_um=1, pixel_um=1)), FRAMES)


def test_a_pipe_in_the_place_of_a_table(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "z.csv")
    with pytest.raises(InputError, match=r"z.csv: is not a file; give a CSV file"):
        ZStack.from_array(FRAMES, tmp_path / "z.csv", 1.0)


@pytest.mark.parametrize(
    "text",
    [
        '{"Summary":' + '{"a":' * 50_000,
        '{"Summary": {}, "FrameKey-0-0-0": {"FileName": "/etc/passwd", "SliceIndex": 1e400}}',
        '{"Summary": {}, "FrameKey-0-0-0": {"FileName": 5, "SliceIndex": null}}',
    ],
)
def test_metadata_of_micro_manager_that_means_harm(tmp_path: Path, text: str) -> None:
    (tmp_path / "metadata.txt").write_text(text)
    refused(tmp_path, "names no image that is in its folder; copy the folder again")


def test_a_frame_whose_samples_are_of_no_type(tmp_path: Path) -> None:
    for k, frame in enumerate(FRAMES):
        tifffile.imwrite(tmp_path / f"{k}.tif", frame.astype(np.float32))
    with tifffile.TiffFile(tmp_path / "2.tif", mode="r+b") as tif:
        tif.pages[0].tags["SampleFormat"].overwrite(99)
    refused(tmp_path, "2.tif: its samples are of no known type, it is damaged; copy it again")


def test_an_index_whose_axes_are_no_numbers(tmp_path: Path) -> None:
    axes, file = b'{"z": {"a": [1]}, "channel": null, "time": 1.5}', b"a.tif"
    entry = (
        struct.pack("<I", len(axes))
        + axes
        + struct.pack("<I", len(file))
        + file
        + struct.pack("<8I", *[9] * 8)
    )
    (tmp_path / "NDTiff.index").write_bytes(entry)
    refused(tmp_path, "frame 0 of 1 is missing; copy the data set again")


@pytest.mark.parametrize("shape", [(10**12, 4, 5), (5, 10**9, 10**9), (10**6, 10**6, 10**6)])
def test_zarr_arrays_that_state_an_enormous_shape(tmp_path: Path, shape: tuple[int, ...]) -> None:
    zarr.create_array(tmp_path / "a.zarr", shape=shape, chunks=(1, 4, 5), dtype="uint8")
    refused(tmp_path / "a.zarr", r"a.zarr: .*(planes along an axis|larger than can be measured)")


def png_chunk(kind: bytes, data: bytes) -> bytes:
    import zlib

    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_png_files_that_state_an_enormous_size(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 10**6, 10**6, 8, 0, 0, 0, 0)
    for k in range(3):
        data = (
            b"\x89PNG\r\n\x1a\n"
            + png_chunk(b"IHDR", header)
            + png_chunk(b"IDAT", b"x")
            + png_chunk(b"IEND", b"")
        )
        (tmp_path / f"f{k}.png").write_bytes(data)
    refused(tmp_path, r"f0.png: .*10000000000|larger than can be measured")


def test_libraries_keep_their_warnings_to_themselves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, FRAMES, ome=True, photometric="minisblack", metadata={"axes": "ZYX"})
    data = path.read_bytes().replace(b'SizeZ="5"', b'SizeZ="9"')
    path.write_bytes(data)
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        stack = open_stack(path, z_step_um=1, pixel_um=1)
        np.testing.assert_array_equal(list(stack), FRAMES)
    assert not [record for record in caplog.records if record.name in ("tifffile", "PIL", "zarr")]
    assert all("lee" in warning.filename or "tests" in warning.filename for warning in said)
    assert len(said) == 1


def test_a_program_sees_no_log_lines_of_libraries(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, FRAMES, photometric="minisblack", compression="zlib", metadata=None)
    with tifffile.TiffFile(path) as tif:
        place = tif.pages[2].tags["Orientation"].offset if "Orientation" in tif.pages[2].tags else None  # type: ignore[union-attr]
        software = tif.pages[0].tags["Software"].offset  # type: ignore[union-attr]
    assert place is None
    damaged = bytearray(path.read_bytes())
    damaged[software + 4 : software + 12] = struct.pack("<II", 2**31, 2**31)
    path.write_bytes(damaged)
    code = f"import lee; print(lee.open_stack({str(path)!r}, z_step_um=1, pixel_um=1)[0].sum())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str(FRAMES[0].sum())
    assert done.stderr == ""
