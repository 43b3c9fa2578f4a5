"""Names that Windows gives another meaning are refused there, and only there."""

from pathlib import Path

import pytest

from lee.errors import InputError
from lee.storage import file_names
from lee.storage.atomic import new_file, new_folder
from lee.storage.file_names import refuse_reserved

MEANT = "choose another output name"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nul", "'nul' is a device"),
        ("run/CON.txt", "'CON.txt' is a device"),
        ("com1", "'com1' is a device"),
        ("LPT9 .tif/surface", "'LPT9 .tif' is a device"),
        ("surface.", r"'surface\.' would lose its last character"),
        ("surface ", "'surface ' would lose its last character"),
        ("t=10:30", "'t=10:30' holds ':'"),
        ("what?/surface", r"'what\?' holds '\?'"),
    ],
)
def test_a_name_that_windows_takes_otherwise_is_refused_there(monkeypatch, tmp_path, path, message):
    refuse_reserved(tmp_path / path)
    monkeypatch.setattr(file_names, "_WINDOWS", True)
    with pytest.raises(InputError, match=f"on Windows {message}.*: {MEANT}"):
        refuse_reserved(tmp_path / path)
    with pytest.raises(InputError, match=MEANT), new_file(tmp_path / path):
        pass
    with pytest.raises(InputError, match=MEANT), new_folder(tmp_path / path, known=frozenset()):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["console", "null.txt", "../nul_1", "com", "com10", "a.b", "20 µm", ".lee"])
def test_other_names_are_taken(monkeypatch, path):
    monkeypatch.setattr(file_names, "_WINDOWS", True)
    refuse_reserved(Path("/data") / path)
    refuse_reserved(Path(path))
