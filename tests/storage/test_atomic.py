"""Final names: given when complete, to names of any length, and where a system refuses links or replacing."""

import errno
import os

import pytest

from lee.errors import StorageError
from lee.storage.atomic import new_file, new_folder, take_name

KNOWN = frozenset({"map.tif"})


def written(folder, text):
    with new_folder(folder, overwrite=True, known=KNOWN) as place:
        (place / "map.tif").write_text(text)


def test_a_name_may_be_as_long_as_the_system_takes(tmp_path):
    long = "x" * 251
    for text in ("old", "new"):
        with new_file(tmp_path / f"{long}.csv") as partial:
            partial.write_text(text)
        written(tmp_path / long, text)
    assert (tmp_path / long / "map.tif").read_text() == "new"
    assert sorted(os.listdir(tmp_path)) == [long, f"{long}.csv"]


def test_what_is_open_elsewhere_is_not_replaced_and_stays(tmp_path, monkeypatch):
    """As on Windows, where another program's open file keeps its name."""
    written(tmp_path / "surface", "old")
    (tmp_path / "table.csv").write_text("old")

    def refuse(source, target):
        raise PermissionError(errno.EACCES, "Permission denied", str(source), None, str(target))

    monkeypatch.setattr(os, "replace", refuse)
    monkeypatch.setattr(os, "rename", refuse)
    kept = "close it in other programs, or"
    with (
        pytest.raises(StorageError, match=rf"cannot replace .*table\.csv .*: {kept}"),
        new_file(tmp_path / "table.csv") as partial,
    ):
        partial.write_text("new")
    with pytest.raises(StorageError, match=rf"cannot replace .*surface .*: {kept}"):
        written(tmp_path / "surface", "new")
    monkeypatch.undo()
    assert (tmp_path / "table.csv").read_text() == (tmp_path / "surface" / "map.tif").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["surface", "table.csv"]


@pytest.mark.parametrize("links", [True, False])
def test_a_name_is_taken_once(tmp_path, monkeypatch, links):
    """Also where the file system has no links, as FAT."""

    def refuse(source, target):
        if target.exists():
            raise FileExistsError(errno.EEXIST, "File exists")
        raise PermissionError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    for text in ("first", "second"):
        (tmp_path / "partial").write_text(text)
        if text == "first":
            take_name(tmp_path / "partial", tmp_path / "final")
            assert not (tmp_path / "partial").exists()
    with pytest.raises(FileExistsError, match="File exists"):
        take_name(tmp_path / "partial", tmp_path / "final")
    assert (tmp_path / "final").read_text() == "first"
