"""Bytes at given places, with the calls of POSIX and without."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from lee.recording import placed_file
from lee.recording.placed_file import PlacedFile


@pytest.mark.parametrize("posix", [True, False])
def test_bytes_are_read_and_written_where_asked(tmp_path, monkeypatch, posix):
    if not posix:
        for name in ("_READ_AT", "_WRITE_AT", "_RESERVE", "_ADVISE"):
            monkeypatch.setattr(placed_file, name, None)
    path = tmp_path / "file"
    path.write_bytes(b"")
    with PlacedFile(path, "r+b") as file:
        file.reserve(64)
        file.write([memoryview(b"cd"), memoryview(b""), memoryview(b"efg")], 2)
        file.write([memoryview(b"ab")], 0)
        file.write_out(0, 7)
        file.truncate(7)
        file.sync()
        assert file.size == 7
        assert file.read(3, 2) == b"cde"
        assert file.read(9, 5) == b"fg"
        with ThreadPoolExecutor(4) as pool:
            assert b"".join(pool.map(lambda k: file.read(1, k % 7), range(700))) == b"abcdefg" * 100
    assert file.closed
    file.close()
    assert path.read_bytes() == b"abcdefg"
