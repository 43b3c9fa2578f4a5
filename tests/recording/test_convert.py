"""A recorded scan becomes an OME-Zarr that holds the same frames, and only then may go."""

import os

import numpy as np
import pytest
import zarr

import lee
from lee.errors import InputError
from lee.recording import SegmentReader, SegmentWriter
from lee.recording import convert as convert_module
from lee.recording.convert import convert
from tests.support.recorded_scan import SHAPE, header_of, image_of, plan_of, record


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_the_result_is_the_same_stack(tmp_path, dtype):
    record(tmp_path / "scan_000.raw", 7, dtype=dtype)
    place = convert(tmp_path / "scan_000.raw")
    assert place == tmp_path / "scan_000.zarr"
    with lee.open_stack(tmp_path / "scan_000.raw") as raw, lee.open_stack(place) as made:
        assert made.shape == raw.shape
        assert made.dtype == raw.dtype
        assert np.array_equal(made.z_um, raw.z_um)
        assert made.pixel_um == raw.pixel_um
        assert all(np.array_equal(a, b) for a, b in zip(made, raw, strict=True))
    assert (tmp_path / "scan_000.raw").exists()


def test_it_is_sharded_and_carries_what_was_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(convert_module, "_SHARD_BYTES", 3 * SHAPE[0] * SHAPE[1])
    placed = record(tmp_path / "a.raw", 8, without=[3])
    group = zarr.open_group(str(convert(tmp_path / "a.raw", tmp_path / "b.zarr")), mode="r")
    assert group["0"].shards == (3, *SHAPE)
    assert group["0"].chunks == (1, *SHAPE)
    assert len([name for _, _, names in os.walk(tmp_path / "b.zarr" / "0" / "c") for name in names]) == 3
    attributes = group.attrs["lee"]
    assert attributes["frame_id"] == [0, 1, 2, 4, 5, 6, 7]
    assert attributes["ledger"] == placed.ledger.to_json()
    assert attributes["header"]["plan"]["pulses"] == 8
    assert attributes["left_out"] == []


def test_a_large_field_has_several_chunks(tmp_path):
    shape = (600, 1100)
    record(tmp_path / "a.raw", 3, shape=shape)
    with lee.open_stack(convert(tmp_path / "a.raw")) as stack:
        assert all(np.array_equal(frame, image_of(k, shape=shape)) for k, frame in enumerate(stack))


def test_the_recording_goes_only_when_asked(tmp_path):
    record(tmp_path / "a.raw", 4)
    convert(tmp_path / "a.raw", remove_raw=True)
    assert os.listdir(tmp_path) == ["a.zarr"]
    with lee.open_stack(tmp_path / "a.zarr") as stack:
        assert all(np.array_equal(frame, image_of(k)) for k, frame in enumerate(stack))


def test_a_recording_that_holds_more_than_the_result_stays(tmp_path):
    record(tmp_path / "a.raw", 6, incomplete=[2])
    with pytest.raises(InputError, match="holds 1 frames that a stack cannot hold, so it is not removed"):
        convert(tmp_path / "a.raw", remove_raw=True)
    record(tmp_path / "b.raw", 6, finish=False)
    with pytest.raises(InputError, match="was not finished, so it is not removed"):
        convert(tmp_path / "b.raw", remove_raw=True)
    assert sorted(os.listdir(tmp_path)) == ["a.raw", "b.raw"]
    group = zarr.open_group(str(convert(tmp_path / "a.raw")), mode="r")
    assert len(group.attrs["lee"]["left_out"]) == 1
    assert "record 2 (frame id 2)" in group.attrs["lee"]["left_out"][0]
    with lee.open_stack(convert(tmp_path / "b.raw")) as stack:
        assert len(stack) == 6


def test_a_damaged_frame_is_left_out_and_keeps_the_recording(tmp_path):
    record(tmp_path / "a.raw", 6)
    with (tmp_path / "a.raw").open("r+b") as file:
        file.seek(4096 * (1 + 2 * 4 + 1) + 5)
        file.write(b"\x00\x01\x02\x03")
    with pytest.raises(InputError, match="holds 1 frames"):
        convert(tmp_path / "a.raw", remove_raw=True)
    with lee.open_stack(convert(tmp_path / "a.raw")) as stack:
        assert np.allclose(stack.z_um, np.delete(plan_of(6).z_um, 4))


def test_what_reads_back_otherwise_is_refused(tmp_path, monkeypatch):
    record(tmp_path / "a.raw", 4)
    write = convert_module._write

    def wrong(array, scan, kept, progress):
        write(array, scan, kept, progress)
        array[2, 5, 5] = array[2, 5, 5] ^ 1

    monkeypatch.setattr(convert_module, "_write", wrong)
    with pytest.raises(InputError, match=r"record 2 .* differs from what was recorded when it is read back"):
        convert(tmp_path / "a.raw", remove_raw=True)
    assert os.listdir(tmp_path) == ["a.raw"]


def test_a_scan_without_heights_or_still_recorded_is_refused(tmp_path):
    record(tmp_path / "b.raw", 4)
    with SegmentWriter(tmp_path / "a.raw", header_of(4, plan=None)) as writer:
        for k in range(4):
            writer.append(image_of(k), frame_id=k, timestamp_s=k / 80)
        with pytest.raises(InputError, match="is being recorded now"):
            convert(tmp_path / "a.raw")
    with pytest.raises(InputError, match="has no heights"):
        convert(tmp_path / "a.raw")
    with pytest.raises(InputError, match="exists already"):
        convert(convert_from(tmp_path / "b.raw"))
    convert(tmp_path / "b.raw", overwrite=True)


def convert_from(path):
    convert(path)
    return path


def test_a_run_takes_the_result_in_the_recordings_place(tmp_path):
    for k in range(3):
        record(tmp_path / f"scan_{k}.raw", 4, started=f"2025-03-04T05:00:0{2 * k}+00:00")
    convert(tmp_path / "scan_1.raw")
    convert(tmp_path / "scan_2.raw", remove_raw=True)
    run = lee.open_run(tmp_path)
    assert run.names == ["scan_0.raw", "scan_1.zarr", "scan_2.zarr"]
    assert run.times_s.tolist() == [0, 2, 4]
    assert run.times_source == "recorded"


def test_progress_is_reported(tmp_path):
    record(tmp_path / "a.raw", 4)
    reported = []
    convert(tmp_path / "a.raw", progress=lambda done, of: reported.append((done, of)))
    assert reported[0] == (4, 8)
    assert reported[-1] == (8, 8)


def test_an_unstated_pixel_stays_unstated(tmp_path):
    record(tmp_path / "a.raw", 4, pixel_um=None)
    with pytest.warns(UserWarning, match="the stack has no pixel size; 1 µm is assumed"):
        stack = lee.open_stack(convert(tmp_path / "a.raw"))
    assert stack.metadata["pixel_um_source"] == "assumed"
    with SegmentReader(tmp_path / "a.raw") as scan:
        assert scan.header.pixel_um is None
