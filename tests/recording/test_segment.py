"""A recorded scan holds every frame bit by bit, names what is damaged, and is a stack like any other."""

import os
import resource
import subprocess
import sys

import numpy as np
import pytest

import lee
from lee.devices.protocols import CameraSettings, Identity
from lee.errors import InputError, StorageError
from lee.recording import RecordingFailed, SegmentHeader, SegmentReader, SegmentWriter
from lee.recording.layout import PAGE
from tests.support.recorded_scan import SHAPE, header_of, image_of, plan_of, record, record_at


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("shape", [(64, 64), (1, 1), (37, 111)])
def test_frames_come_back_bit_by_bit(tmp_path, dtype, shape):
    placed = record(tmp_path / "scan_000.raw", 5, dtype=dtype, shape=shape)
    with SegmentReader(tmp_path / "scan_000.raw") as scan:
        assert len(scan) == 5
        assert scan.finished
        assert scan.ledger == placed.ledger
        assert scan.ledger.complete
        for k in range(5):
            image = scan.read(k)
            assert image.dtype == dtype
            assert np.array_equal(image, image_of(k, dtype=dtype, shape=shape))
        assert scan.frame_id.tolist() == [0, 1, 2, 3, 4]
        assert np.array_equal(scan.z_um, plan_of(5).z_um)
        assert np.allclose(np.diff(scan.timestamp_s), 1 / 80)
        assert scan.complete.all()
        assert scan.verify() == []


def test_the_header_comes_back(tmp_path):
    header = header_of(
        3,
        settings=CameraSettings(exposure_s=0.004, region=(1, 2, 30, 50)),
        camera=Identity("FLIR", "BFS-U3-51S5M", "1234", "1.2"),
        stage=Identity("Thorlabs", "ZST225B", "77"),
        notes={"operator": "me", "k": [1, 2]},
        started="2025-03-04T05:06:07+01:00",
    )
    SegmentWriter(tmp_path / "a.raw", header).append(image_of(0), frame_id=0, timestamp_s=0)
    with SegmentReader(tmp_path / "a.raw") as scan:
        assert scan.header == header


def test_records_share_no_page_and_the_room_kept_is_given_back(tmp_path):
    writer = SegmentWriter(tmp_path / "a.raw", header_of(100))
    assert os.stat(tmp_path / "a.raw").st_size > 100 * 2 * PAGE
    writer.append(image_of(0), frame_id=0, timestamp_s=0)
    writer.append(image_of(1), frame_id=1, timestamp_s=0)
    writer.abandon()
    assert os.stat(tmp_path / "a.raw").st_size == record_at(tmp_path, 2)
    raw = (tmp_path / "a.raw").read_bytes()
    assert raw[2 * PAGE : 2 * PAGE + 1500] == image_of(0).tobytes()


def test_heights_known_at_the_end_replace_those_of_the_frames(tmp_path):
    placed = record(tmp_path / "a.raw", 3)
    with SegmentWriter(tmp_path / "b.raw", header_of(3)) as writer:
        for k in range(3):
            writer.append(image_of(k), frame_id=k, timestamp_s=k / 80)
        other = record(tmp_path / "c.raw", 4)
        with pytest.raises(InputError, match="counts 4 frames written, the file holds 3"):
            writer.finish(other.ledger)
        with pytest.raises(InputError, match="2 heights for 3 frames"):
            writer.finish(placed.ledger, z_um=[1, 2])
        writer.finish(placed.ledger, z_um=[1, 2, 4])
    with SegmentReader(tmp_path / "b.raw") as scan:
        assert scan.z_um.tolist() == [1, 2, 4]
        assert scan.verify() == []


def test_a_recording_is_never_overwritten(tmp_path):
    record(tmp_path / "a.raw", 3)
    before = (tmp_path / "a.raw").read_bytes()
    with pytest.raises(InputError, match=r"a\.raw: exists already"):
        SegmentWriter(tmp_path / "a.raw", header_of(3))
    assert (tmp_path / "a.raw").read_bytes() == before
    assert os.listdir(tmp_path) == ["a.raw"]


def test_a_frame_that_does_not_fit_is_refused(tmp_path):
    with SegmentWriter(tmp_path / "a.raw", header_of(3)) as writer:
        with pytest.raises(InputError, match=r"a frame of \(2, 2\) uint8 does not fit"):
            writer.append(np.zeros((2, 2), np.uint8), frame_id=0, timestamp_s=0)
        with pytest.raises(InputError, match="uint16 does not fit"):
            writer.append(np.zeros(SHAPE, np.uint16), frame_id=0, timestamp_s=0)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"shape": (0, 3)}, "shape is"),
        ({"dtype": "float32"}, "dtype is float32"),
        ({"frames": 0}, "frames is 0"),
        ({"pixel_um": -1.0}, "pixel_um is -1"),
        ({"started": "yesterday"}, "ISO 8601"),
        ({"started": "2025-01-01T00:00:00"}, "with a time zone"),
    ],
)
def test_a_header_that_cannot_be_is_refused(wrong, match):
    with pytest.raises(InputError, match=match):
        SegmentHeader(**{"shape": (3, 3), "dtype": "uint8", "frames": 3, **wrong})


def test_notes_must_fit_into_json(tmp_path):
    with pytest.raises(InputError, match="does not fit into JSON"):
        SegmentWriter(tmp_path / "a.raw", header_of(3, notes={"gain": float("nan")}))
    assert os.listdir(tmp_path) == []


def test_too_little_space_is_reported_with_the_numbers_before_the_scan(tmp_path):
    with pytest.raises(StorageError, match=r"GB are needed and .* kept free, but only .* are left"):
        SegmentWriter(tmp_path / "a.raw", header_of(10**9, plan=None))
    with pytest.raises(StorageError, match="give a folder that can be written"):
        SegmentWriter(tmp_path / "none" / "a.raw", header_of(3))
    assert os.listdir(tmp_path) == []


def limited(tmp_path, code, limit_bytes):
    """Run code in a process whose files may not grow beyond a limit, as a full disk would have it."""
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "from tests.support.recorded_scan import *\nfrom lee.recording import *\n" + code,
            tmp_path,
        ],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes)),
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(entry for entry in [os.getcwd(), *sys.path] if entry),
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_disk_that_refuses_the_room_leaves_no_file(tmp_path):
    code = "import sys\nSegmentWriter(sys.argv[1] + '/a.raw', header_of(100))"
    ended = limited(tmp_path, code, 100_000)
    assert "StorageError" in ended.stderr
    assert "a.raw: no space for 100 frames, 831 kB" in ended.stderr
    assert os.listdir(tmp_path) == []


def test_a_disk_full_in_mid_scan_keeps_what_was_written(tmp_path):
    code = """
import sys
writer = SegmentWriter(sys.argv[1] + '/a.raw', header_of(3))
try:
    for k in range(100):
        writer.append(image_of(k), frame_id=k, timestamp_s=k / 80)
except RecordingFailed as error:
    print(error)
    try:
        writer.append(image_of(k), frame_id=k, timestamp_s=k / 80)
    except RecordingFailed:
        writer.abandon()
"""
    ended = limited(tmp_path, code, 100_000)
    assert ended.stderr == ""
    assert "no space for frame 11" in ended.stdout
    assert "11 frames are safe in a.raw" in ended.stdout
    with SegmentReader(tmp_path / "a.raw") as scan:
        assert scan.frame_id.tolist() == list(range(11))
        assert scan.torn == []
        assert all(np.array_equal(scan.read(k), image_of(k)) for k in range(11))


def test_a_failed_end_is_reported_in_one_line(tmp_path, monkeypatch):
    writer = SegmentWriter(tmp_path / "a.raw", header_of(3))
    for k in range(3):
        writer.append(image_of(k), frame_id=k, timestamp_s=k / 80)

    def refuse(file):
        raise OSError(5, "Input/output error")

    placed = record(tmp_path / "b.raw", 3)
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(RecordingFailed, match=r"cannot be finished \(Input/output error\); its 3 frames"):
        writer.finish(placed.ledger)


def test_a_recorded_scan_is_a_stack(tmp_path):
    record(tmp_path / "scan_000.raw", 6)
    with lee.open_stack(tmp_path / "scan_000.raw") as stack:
        assert stack.shape == (6, *SHAPE)
        assert stack.dtype == np.uint8
        assert stack.pixel_um == 0.25
        assert stack.z_um.tolist() == pytest.approx([1.0, 1.2, 1.4, 1.6, 1.8, 2.0])
        assert stack.metadata["left_out"] == []
        assert stack.metadata["recording"] == "complete: 6 of 6 frames"
        assert all(np.array_equal(frame, image_of(k)) for k, frame in enumerate(stack))


def test_frames_that_are_missing_or_not_whole_leave_the_heights_of_the_others(tmp_path):
    record(tmp_path / "scan_000.raw", 8, without=[2], incomplete=[5])
    with lee.open_stack(tmp_path / "scan_000.raw") as stack:
        assert stack.z_um.tolist() == pytest.approx([1.0, 1.2, 1.6, 1.8, 2.2, 2.4])
        assert stack.metadata["left_out"] == ["record 4: incomplete"]
        assert "1 lost between camera and computer" in stack.metadata["recording"]
        assert np.array_equal(stack[2], image_of(3))
        assert np.array_equal(stack[4], image_of(6))


def test_cut_short_before_heights_were_known_the_plan_gives_them(tmp_path):
    record(tmp_path / "a.raw", 8, without=[2], finish=False, z_known=False)
    with lee.open_stack(tmp_path / "a.raw") as stack:
        assert stack.z_um.tolist() == pytest.approx([1.0, 1.2, 1.6, 1.8, 2.0, 2.2, 2.4])
        assert stack.metadata["z_um_source"] == "plan, by frame ids and timestamps"
        assert stack.metadata["recording"] == "cut short: 7 whole frames"


def test_ids_that_go_on_from_scan_to_scan_are_no_loss(tmp_path):
    with SegmentWriter(tmp_path / "a.raw", header_of(6, first_id=70_000)) as writer:
        for k in (0, 1, 3, 4):
            writer.append(image_of(k), frame_id=70_000 + k, timestamp_s=k / 80)
    with lee.open_stack(tmp_path / "a.raw") as stack:
        assert np.array_equal(stack.z_um, plan_of(6).z_um[[0, 1, 3, 4]])


def test_a_scan_being_recorded_is_no_stack_yet(tmp_path):
    writer = SegmentWriter(tmp_path / "scan_001.raw", header_of(4))
    for k in range(4):
        writer.append(image_of(k), frame_id=k, timestamp_s=k / 80)
    with pytest.raises(InputError, match="is being recorded now"):
        lee.open_stack(tmp_path / "scan_001.raw")
    record(tmp_path / "scan_000.raw", 4)
    assert lee.open_run(tmp_path).names == ["scan_000.raw"]
    writer.abandon()
    assert len(lee.open_stack(tmp_path / "scan_001.raw")) == 4


def test_a_folder_of_recorded_scans_is_a_run(tmp_path):
    (tmp_path / "scans").mkdir()
    for k in (0, 1, 2, 10):
        record(tmp_path / "scans" / f"scan_{k}.raw", 4, started=f"2025-03-04T05:00:{k:02}.5+00:00")
    (tmp_path / "scans" / "other.raw").write_bytes(b"of another program")
    run = lee.open_run(tmp_path)
    assert run.names == ["scan_0.raw", "scan_1.raw", "scan_2.raw", "scan_10.raw"]
    assert run.times_s.tolist() == [0, 1, 2, 10]
    assert run.times_source == "recorded"
    assert run.pixel_um == 0.25
    with run.open_scan(3) as stack:
        assert len(stack) == 4
