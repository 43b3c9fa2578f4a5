import errno

import pytest

from lee.errors import (
    DeviceError,
    DeviceMemoryError,
    InputError,
    LeeError,
    MissingDependency,
    RigFault,
    StorageError,
)
from lee.storage.atomic import new_file, new_folder
from lee.storage.refusals import unreadable, unwritable


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (InputError, ValueError),
        (StorageError, OSError),
        (MissingDependency, ImportError),
        (DeviceError, RuntimeError),
        (DeviceMemoryError, DeviceError),
        (RigFault, RuntimeError),
    ],
)
def test_every_error_is_one_of_lee_and_one_of_python(error, builtin):
    assert issubclass(error, LeeError)
    assert issubclass(error, builtin)
    assert str(error("a: is wrong; give b")) == "a: is wrong; give b"


def test_a_missing_file_is_the_callers_and_a_locked_one_the_systems(tmp_path):
    missing = unreadable("a.toml", FileNotFoundError(errno.ENOENT, "No such file or directory"), "give b")
    assert type(missing) is InputError
    assert str(missing) == "a.toml: cannot be read (No such file or directory); give b"
    assert (
        type(unreadable("a.toml", IsADirectoryError(errno.EISDIR, "Is a directory"), "give b")) is InputError
    )
    assert type(unreadable("a.toml", PermissionError(errno.EACCES, "Permission denied"), "")) is StorageError


def test_a_full_disk_is_distinguished_from_a_locked_place():
    full = unwritable("out", OSError(errno.ENOSPC, "No space left on device"))
    assert str(full) == "no space left to write out: free some, or write elsewhere"
    locked = unwritable("out", PermissionError(errno.EACCES, "Permission denied"))
    assert str(locked) == "cannot write out: Permission denied: choose a place that can be written"


def test_the_error_of_a_file_inside_a_folder_keeps_its_message(tmp_path):
    with (
        pytest.raises(StorageError, match=r"^no space left to write inner"),
        new_folder(tmp_path / "out", known=frozenset()),
    ):
        raise unwritable("inner", OSError(errno.ENOSPC, "No space left on device"))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_a_storage_error(tmp_path):
    with (
        pytest.raises(StorageError, match=r"^cannot write .*out\.txt: Input/output error"),
        new_file(tmp_path / "out.txt"),
    ):
        raise OSError(errno.EIO, "Input/output error")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_too_few_file_handles_are_told_from_a_place_that_cannot_be_used(number):
    error = OSError(number, "Too many open files")
    advice = r"allow more open files \(ulimit -n\), or close other programs$"
    for refusal in (unreadable("a", error, "give b"), unwritable("a", error)):
        assert type(refusal) is StorageError
        with pytest.raises(StorageError, match=rf"Too many open files.*{advice}"):
            raise refusal
