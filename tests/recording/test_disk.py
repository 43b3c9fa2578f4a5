"""What a disk can do is measured where it matters, and nothing of it stays."""

import os

import pytest

from lee.errors import InputError, StorageError
from lee.recording.disk import DiskSpeed, probe_disk, require_space


def test_a_probe_measures_both_rates_and_leaves_nothing(tmp_path):
    speed = probe_disk(tmp_path, bytes_=20_000_000, frame_shape=(512, 512))
    assert speed.sequential_mb_per_s > 1
    assert speed.recording_mb_per_s > 1
    assert 0 < speed.longest_append_s < 10
    assert speed.frame_bytes == 512 * 512
    assert speed.frames_per_s == pytest.approx(speed.recording_mb_per_s * 1e6 / 512**2)
    assert os.listdir(tmp_path) == []


def test_its_summary_is_one_line(tmp_path):
    speed = DiskSpeed(tmp_path, 1000.0, 800.0, 0.01, 48 * 10**9, 5_000_000)
    assert (
        "records 800 MB/s (plain writing 1000 MB/s), 160 frames/s; keeps up with 80 frames/s"
        in speed.summary()
    )
    assert "48 GB left, 2 minutes" in speed.summary()
    assert "is too slow for 200 frames/s" in speed.summary(200)
    assert "\n" not in speed.summary()


def test_no_room_is_refused_with_the_numbers(tmp_path):
    assert require_space(tmp_path, 1000, spare_bytes=0) > 1000
    with pytest.raises(
        StorageError, match=r"1e\+06 GB are needed and 67\.1 MB kept free, but only .* are left"
    ):
        require_space(tmp_path, 10**15)
    with pytest.raises(StorageError, match="are needed"):
        probe_disk(tmp_path, bytes_=10**16)


def test_a_place_that_cannot_be_is_refused(tmp_path):
    with pytest.raises(StorageError, match="give a folder that can be written"):
        probe_disk(tmp_path / "none", bytes_=10**6)
    with pytest.raises(InputError, match="rounds is 0"):
        probe_disk(tmp_path, rounds=0)
