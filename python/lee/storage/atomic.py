"""Write files and folders so that a final name never holds half a result."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lee.errors import InputError, StorageError
from lee.storage.file_names import refuse_reserved
from lee.storage.refusals import in_use, unreadable, unwritable


@contextmanager
def new_file(path: str | Path, *, overwrite: bool = True) -> Iterator[Path]:
    """Give a temporary sibling of `path` to write to; it takes the final name only when the block ends well.

    Whatever ends the block early, Ctrl-C included, leaves an older file of that name as it was and no
    temporary one.

    Parameters
    ----------
    path : str or Path
        The final name. Missing parent folders are made.
    overwrite : bool
        Replace an older file of that name; False refuses before anything is written.

    Yields
    ------
    Path
        A name in the same folder, with the same suffix.

    Raises
    ------
    InputError
        If `path` is a folder, or the file exists and may not be replaced.
    StorageError
        If the place cannot be written, or the disk is full.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder, not a file: give the name of a file to write")
    refuse_reserved(path)
    if not overwrite:
        refuse_to_replace(path)
    with _refusals_in_one_line(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _scratch(path) as folder:
            partial = folder / path.name
            yield partial
            replace(partial, path)


def replace(partial: Path, path: Path) -> None:
    """Give a complete file its final name, in place of an older file.

    Raises
    ------
    StorageError
        If the older file is in use: Windows does not replace a file that a program has open.
    OSError
        If the system refuses for another reason.
    """
    try:
        os.replace(partial, path)
    except PermissionError as error:
        if not path.exists():
            raise
        raise in_use(path, error) from error


def take_name(partial: Path, path: Path) -> None:
    """Give a complete file a final name that nobody has, whatever happens there at the same time.

    Raises
    ------
    FileExistsError
        If the name is taken.
    OSError
        If the system refuses.
    """
    try:
        os.link(partial, path)
    except FileExistsError:
        raise
    except OSError:  # FAT and some network disks have no links
        path.open("xb").close()
        os.replace(partial, path)
    else:
        partial.unlink()


def refuse_to_replace(path: Path) -> None:
    """Refuse a name that is taken by a file, a link or a folder.

    Raises
    ------
    InputError
        If it is.
    """
    if path.exists() or path.is_symlink():
        raise InputError(
            f"{path} exists already: choose another output name, or replace it (--overwrite, overwrite=True)"
        )


class _Writable(Exception):  # noqa: N818  no error: it ends the trial
    """The folder could be begun."""


def try_new_folder(path: str | Path, *, overwrite: bool = False, known: frozenset[str]) -> None:
    """Find out before long work whether `new_folder` could write its result; nothing stays there.

    Raises
    ------
    InputError, StorageError
        As `new_folder`.
    """
    with suppress(_Writable), new_folder(path, overwrite=overwrite, known=known):
        raise _Writable


@contextmanager
def new_folder(path: str | Path, *, overwrite: bool = False, known: frozenset[str]) -> Iterator[Path]:
    """Give a temporary sibling folder to fill; it takes the final name only when the block ends well.

    Parameters
    ----------
    path : str or Path
        The final name. Missing parent folders are made.
    overwrite : bool
        Replace an older folder of that name. Only one that holds nothing but `known` names is replaced: a
        mistyped name must not cost a folder of measurements.
    known : frozenset of str
        Names of the files such a folder holds.

    Yields
    ------
    Path
        The empty temporary folder.

    Raises
    ------
    InputError
        If `path` exists and may not be replaced.
    StorageError
        If it cannot be written, or the disk is full.
    """
    path = Path(path)
    refuse_reserved(path)
    _refuse_to_lose(path, overwrite, known)
    with _refusals_in_one_line(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _scratch(path) as folder:
            partial, older = folder / "new", folder / "older"
            partial.mkdir()
            yield partial
            if not path.exists():
                os.rename(partial, path)
                return
            _refuse_to_lose(path, overwrite, known)
            try:
                os.rename(path, older)
            except PermissionError as error:
                raise in_use(path, error) from error
            try:
                os.rename(partial, path)
            except BaseException:
                os.rename(older, path)
                raise
            shutil.rmtree(older)


@contextmanager
def _scratch(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside `path`, whose name is short even where that of `path` is not."""
    with tempfile.TemporaryDirectory(prefix=".lee-", suffix=".part", dir=path.parent) as folder:
        yield Path(folder)


def _refuse_to_lose(path: Path, overwrite: bool, known: frozenset[str]) -> None:
    if not path.exists() and not path.is_symlink():
        return
    if not overwrite:
        refuse_to_replace(path)
    if not path.is_dir() or path.is_symlink():
        raise InputError(f"{path} is not a folder, so it is not overwritten: choose another output name")
    try:
        foreign = sorted(entry.name for entry in path.iterdir() if entry.name not in known)
    except OSError as error:
        raise unreadable(path, error, "choose another output name") from error
    if foreign:
        raise InputError(
            f"{path} also holds {foreign[0]!r}, which is no part of a result, so it is not overwritten: "
            "choose another output name"
        )


@contextmanager
def _refusals_in_one_line(path: Path) -> Iterator[None]:
    try:
        yield
    except StorageError:  # of a file inside, named already
        raise
    except OSError as error:
        raise unwritable(path, error) from error
