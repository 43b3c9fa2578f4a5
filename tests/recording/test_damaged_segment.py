"""Recorded scans that were changed, cut or forged: what is whole is read, and the rest is named."""

import struct

import numpy as np
import pytest

import lee
from lee.errors import InputError, StorageError
from lee.recording import RecordingFailed, SegmentHeader, SegmentReader, SegmentWriter, account
from lee.recording.layout import MAGIC, PAGE, VERSION, pack_footer, pack_start, paged
from lee.recording.segment_reader import header_of as scan_header_of
from lee.stacks.stack import ZStack
from tests.support.focal_stacks import focal_stack
from tests.support.recorded_scan import header_of, image_of, record, record_at


def spoil(path, at, value=None):
    with path.open("r+b") as file:
        file.seek(at)
        old = file.read(1)
        file.seek(at)
        file.write(bytes([old[0] ^ 0xFF]) if value is None else value)


def test_damage_is_found_and_named(tmp_path):
    path = tmp_path / "a.raw"
    record(path, 5)
    spoil(path, record_at(path, 1) + PAGE + 700)
    spoil(path, record_at(path, 3) + 20)
    with SegmentReader(path) as scan:
        faults = scan.verify()
        assert len(faults) == 2
        assert "record 1 (frame id 1): its image is damaged" in faults[0]
        assert "record 3 (frame id 3): its record header is damaged" in faults[1]
        with pytest.raises(InputError, match=r"record 1 .*image is damaged"):
            scan.read(1)
        assert np.array_equal(scan.read(3), image_of(3))


def test_without_its_footer_every_whole_frame_is_found(tmp_path):
    path = tmp_path / "a.raw"
    record(path, 6)
    spoil(path, path.stat().st_size - 10)
    spoil(path, record_at(path, 2) + PAGE + 700)
    spoil(path, record_at(path, 4) + 20)
    with SegmentReader(path) as scan:
        assert not scan.finished
        assert scan.ledger is None
        assert scan.frame_id.tolist() == [0, 1, 3, 5]
        assert all(np.array_equal(scan.read(k), image_of(scan.frame_id[k])) for k in range(4))
        assert [torn.split(":")[0] for torn in scan.torn if "record 6" not in torn] == [
            "record 2",
            "record 4",
        ]
        assert any("was not finished" in fault for fault in scan.verify())


def test_cut_anywhere_the_frames_before_are_there(tmp_path):
    path = tmp_path / "a.raw"
    record(path, 5)
    whole = path.read_bytes()
    for size in np.random.default_rng(3).integers(PAGE, len(whole), 60):
        path.write_bytes(whole[:size])
        with SegmentReader(path) as scan:
            assert len(scan) >= min(5, (size - PAGE) // (2 * PAGE))
            assert all(np.array_equal(scan.read(k), image_of(k)) for k in range(len(scan)))


def test_what_an_older_file_left_on_the_disk_is_no_frame(tmp_path):
    record(tmp_path / "old.raw", 5, finish=False)
    record(tmp_path / "new.raw", 5, finish=False)
    old = (tmp_path / "old.raw").read_bytes()
    spoil(tmp_path / "new.raw", record_at(tmp_path, 3), old[record_at(tmp_path, 3) :])
    with SegmentReader(tmp_path / "new.raw") as scan:
        assert len(scan) == 3
        assert scan.torn == [f"record {k}: its record header belongs elsewhere" for k in (3, 4)]


def test_a_file_that_is_none_is_refused(tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(100))
    with pytest.raises(InputError, match="does not begin as a recorded scan does"):
        lee.open_stack(path)
    with pytest.raises(InputError, match=r"b\.raw: cannot be read \(No such file"):
        SegmentReader(tmp_path / "b.raw")
    record(tmp_path / "c.raw", 3)
    spoil(tmp_path / "c.raw", 40)
    with pytest.raises(InputError, match="its header is damaged"):
        lee.open_stack(tmp_path / "c.raw")
    record(tmp_path / "d.raw", 3)
    spoil(tmp_path / "d.raw", 8, bytes([VERSION + 1]))
    with pytest.raises(InputError, match="update lee"):
        lee.open_stack(tmp_path / "d.raw")


def forged(path, facts, *, records=b""):
    """Write a segment with a header whose checksum is right, whatever it states."""
    path.write_bytes(pack_start(facts) + records)
    return path


def facts_of(**changed):
    sizes = {"scan_id": "00" * 16, "record_bytes": 2 * PAGE, "image_offset": PAGE}
    return {**header_of(3).to_json(), **sizes, **changed}


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"record_bytes": 0}, "states records of 0 bytes for images of 1500, 4096 bytes into them"),
        ({"record_bytes": -(2**40)}, "states records of -1099511627776 bytes"),
        ({"record_bytes": PAGE}, "states records of 4096 bytes"),
        ({"image_offset": 2**70}, "states records of 8192 bytes"),
        ({"image_offset": -1}, "-1 bytes into them"),
        ({"record_bytes": 2.5}, "sizes that are no whole numbers"),
        ({"record_bytes": "many"}, "sizes that are no whole numbers"),
        ({"shape": [10**9, 10**9]}, "states records of 8192 bytes for images of 1000000000000000000"),
        ({"shape": [2.5, 3]}, r"has a wrong one \(segment: height is 2.5; give a whole number\)"),
        ({"shape": 7}, "lacks a field or has a wrong one"),
        ({"frames": None}, "segment: frames is None"),
        ({"first_id": "x"}, "segment: first_id is 'x'"),
        ({"scan_id": 5}, "lacks a field or has a wrong one"),
        ({"plan": [1]}, "lacks a field or has a wrong one"),
        ({"settings": {"nothing": 1}}, "lacks a field or has a wrong one"),
    ],
)
def test_a_header_that_states_absurd_sizes_is_refused_in_one_line(tmp_path, changed, match):
    path = forged(tmp_path / "a.raw", facts_of(**changed), records=bytes(3 * PAGE))
    with pytest.raises(InputError, match=match) as refused:
        lee.open_stack(path)
    assert str(refused.value).startswith(str(path))
    assert "\n" not in str(refused.value)


def test_a_header_longer_than_its_file_asks_for_no_memory(tmp_path):
    length = 2**32 - 2 * PAGE
    head = struct.pack("<8sIII", MAGIC, VERSION, paged(24 + length), length) + bytes(4)
    (tmp_path / "a.raw").write_bytes(head + bytes(PAGE))
    for read in (SegmentReader, scan_header_of, lee.open_stack):
        with pytest.raises(InputError, match="its header is damaged"):
            read(tmp_path / "a.raw")


@pytest.mark.parametrize("size", [0, 1, 23, PAGE - 1])
def test_a_file_of_nothing_or_of_half_a_header_is_refused(tmp_path, size):
    record(tmp_path / "a.raw", 3)
    (tmp_path / "a.raw").write_bytes((tmp_path / "a.raw").read_bytes()[:size])
    with pytest.raises(InputError, match=r"does not begin as a recorded scan|its header is damaged"):
        lee.open_stack(tmp_path / "a.raw")


def test_a_header_alone_holds_no_frames(tmp_path):
    record(tmp_path / "a.raw", 3)
    (tmp_path / "a.raw").write_bytes((tmp_path / "a.raw").read_bytes()[:PAGE])
    with pytest.raises(InputError, match=r"a\.raw: has 0 frames"):
        lee.open_stack(tmp_path / "a.raw")


@pytest.mark.parametrize("entry", [("slot", 3), ("slot", 2**63)])
def test_a_footer_of_frames_that_are_not_there_is_not_believed(tmp_path, entry):
    path = tmp_path / "a.raw"
    placed = record(path, 3)
    with SegmentReader(path) as scan:
        entries, scan_id = scan._entries.copy(), scan._scan
    entries[entry[0]][1] = entry[1]
    end = record_at(path, 3)
    footer = pack_footer(scan_id, end, {"ledger": placed.ledger.to_json()}, entries)
    path.write_bytes(path.read_bytes()[:end] + footer)
    with SegmentReader(path) as scan:
        assert not scan.finished
        assert scan.frame_id.tolist() == [0, 1, 2]


def test_a_footer_without_its_ledger_is_not_believed(tmp_path):
    path = tmp_path / "a.raw"
    record(path, 3)
    with SegmentReader(path) as scan:
        entries, scan_id = scan._entries.copy(), scan._scan
    end = record_at(path, 3)
    for facts in ({}, {"ledger": 5}, {"ledger": {"dropped": "x"}}):
        path.write_bytes(path.read_bytes()[:end] + pack_footer(scan_id, end, facts, entries))
        with SegmentReader(path) as scan:
            assert (scan.finished, len(scan)) == (False, 3)


def test_a_file_removed_while_it_is_recorded_is_an_error_that_names_it(tmp_path):
    placed = record(tmp_path / "b.raw", 3)
    writer = SegmentWriter(tmp_path / "a.raw", header_of(3))
    for k in range(3):
        writer.append(image_of(k), frame_id=k, timestamp_s=k / 80)
    (tmp_path / "a.raw").unlink()
    (tmp_path / "a.raw").write_bytes(b"another file")
    with pytest.raises(RecordingFailed, match=r"a\.raw: was removed or renamed while it was recorded; find"):
        writer.finish(placed.ledger)


def test_a_folder_removed_while_it_is_recorded_into_is_an_error_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr("lee.recording.segment._LOOK_S", 0.0)
    (tmp_path / "run" / "scans").mkdir(parents=True)
    with SegmentWriter(tmp_path / "run" / "scans" / "a.raw", header_of(3)) as writer:
        writer.append(image_of(0), frame_id=0, timestamp_s=0.0)
        (tmp_path / "run").rename(tmp_path / "elsewhere")
        with pytest.raises(RecordingFailed, match=rf"^{tmp_path / 'run'}: was removed or renamed while"):
            writer.append(image_of(1), frame_id=1, timestamp_s=0.1)
    with pytest.raises(StorageError, match=rf"^{tmp_path / 'run'}: is not there, or not any more; give a"):
        SegmentWriter(tmp_path / "run" / "scans" / "b.raw", header_of(3))


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_removed_while_room_is_reserved_is_no_lack_of_room(tmp_path, monkeypatch, replaced):
    path = tmp_path / "a.raw"

    def remove(*_):
        path.unlink()
        if replaced:
            path.write_bytes(b"another file")
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr("lee.recording.segment.sync_folder", remove)
    with pytest.raises(RecordingFailed, match=r"a\.raw: was removed or renamed while it was recorded"):
        SegmentWriter(path, header_of(3))
    assert path.exists() == replaced


def test_a_damaged_frame_costs_itself_and_not_the_scan(tmp_path):
    path = tmp_path / "a.raw"
    record(path, 6)
    spoil(path, record_at(path, 1) + PAGE + 700)
    with lee.open_stack(path) as stack:
        with pytest.warns(UserWarning, match=r"a\.raw, record 1 \(frame id 1\): damaged images are left out"):
            whole = stack.without_damaged()
        assert whole.z_um.tolist() == pytest.approx([1.0, 1.4, 1.6, 1.8, 2.0])
        assert all(
            np.array_equal(frame, image_of(k)) for k, frame in zip((0, 2, 3, 4, 5), whole, strict=True)
        )
        assert "record 1 (frame id 1): image damaged" in whole.metadata["left_out"][0]
        assert whole.without_damaged() is whole
    for k in (2, 3, 4):
        spoil(path, record_at(path, k) + PAGE + 700)
    with lee.open_stack(path) as stack, pytest.raises(InputError, match="and 2 whole frames are left"):
        stack.without_damaged()


def test_a_surface_is_measured_without_the_damaged_frame(tmp_path):
    _, frames, z_um = focal_stack((48, 60), 40, blur_px_per_um=3.0)
    path, bad = tmp_path / "a.raw", 17
    times = np.arange(40) / 80
    with SegmentWriter(path, SegmentHeader(shape=(48, 60), dtype="uint8", frames=40, pixel_um=0.5)) as writer:
        for k, frame in enumerate(frames):
            writer.append(frame, frame_id=k, timestamp_s=times[k], z_um=z_um[k])
        writer.finish(account(range(40), times, pulses_planned=40, frames_per_s=80.0).ledger)
    spoil(path, record_at(path, bad) + PAGE + 700)
    with lee.open_stack(path) as stack, pytest.warns(UserWarning, match="damaged images are left out"):
        found = lee.reconstruct(stack)
    kept = np.arange(40) != bad
    expected = lee.reconstruct(ZStack.from_array(frames[kept], z_um[kept], 0.5))
    np.testing.assert_array_equal(found.height_um, expected.height_um)
    assert np.isfinite(found.height_um).mean() > 0.5
    assert "record 17" in found.provenance.scan.notes["left_out"][0]
