"""Locks of files: one holder at a time, also within a process."""

import portalocker
import pytest

from lee.storage.locks import hold, is_held


def test_one_holds_a_lock_at_a_time(tmp_path):
    path = tmp_path / "lock"
    assert not is_held(path)
    assert not path.exists()  # looking makes none
    with hold(path) as held:
        assert held is not None
        assert is_held(path)
        assert hold(path) is None
    assert not is_held(path)
    with hold(path) as again:
        assert again is not None


def test_a_disk_without_locks_holds_nobody_up(tmp_path, monkeypatch):
    def refuse(file, flags):
        raise portalocker.LockException("not supported")

    monkeypatch.setattr(portalocker, "lock", refuse)
    with hold(tmp_path / "lock") as first, hold(tmp_path / "lock") as second:
        assert first is not None
        assert second is not None
    assert not is_held(tmp_path / "lock")


def test_a_place_that_cannot_be_written_is_reported(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        hold(tmp_path / "none" / "lock")
