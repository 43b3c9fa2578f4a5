"""Errors and warnings as one line, what is wrong, where, and what to do, in letters that the console has."""

import codecs
import errno
import io
import logging
import os
import re
import sys
import traceback
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import click
from tqdm import tqdm

import lee
from lee.errors import LeeError

DONE, FAILED, MISUSED = 0, 1, 2
TRACEBACK = "LEE_TRACEBACK"

# Those of messages and tables that have no decomposition into plain letters.
_PLAIN = {
    **{
        "→": "->",
        "←": "<-",
        "−": "-",
        "–": "-",
        "—": "-",
        "±": "+-",
        "×": "x",
        "·": "*",
        "≤": "<=",
        "≥": ">=",
    },
    **{"≈": "~", "√": "sqrt", "°": " deg", "µ": "u", "μ": "u", "κ": "kappa", "σ": "sigma", "α": "alpha"},
    **{"Ω": "Ohm", "’": "'", "‘": "'", "“": '"', "”": '"', "…": "...", "█": "#"},
}
_HANDLER = "lee.plain"

_INSTALLED = str(Path(click.__file__).parents[1])
_OWN = (str(Path(lee.__file__).parent), str(Path(click.__file__).parent))
_ARITHMETIC = re.compile(r" encountered in |^(Mean of empty|All-NaN|Degrees of freedom)")


def one_line(error: BaseException) -> str:
    """Describe an error and what to do about it.

    Parameters
    ----------
    error : BaseException
        Whatever ended a command.

    Returns
    -------
    str
        One line, without the program's name.
    """
    if os.environ.get(TRACEBACK):
        traceback.print_exception(error)
    return " ".join(_meaning(error).split())


def _meaning(error: BaseException) -> str:
    if isinstance(error, click.UsageError):
        message = error.format_message().rstrip(".")
        command = error.ctx.command_path if error.ctx is not None else "lee"
        return f"{message[:1].lower()}{message[1:]}; see {command} --help"
    if isinstance(error, (click.Abort, KeyboardInterrupt)):
        return "stopped; nothing was left half written"
    if isinstance(error, MemoryError):
        return "not enough memory: close other programs, or crop the frames"
    if isinstance(error, LeeError):
        return str(error)
    if isinstance(error, OSError):
        return _meaning_of_os_error(error)
    if isinstance(error, ImportError):
        return f"a part of lee or of what it needs cannot be loaded ({error}): install lee again"
    where = traceback.extract_tb(error.__traceback__)[-1:]
    place = f" at {os.path.basename(where[0].filename)}:{where[0].lineno}" if where else ""
    return (
        f"unexpected {type(error).__name__}{place}: {error}: "
        f"please report this; {TRACEBACK}=1 in the environment shows more"
    )


def _meaning_of_os_error(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{place}no space left: free some, or write elsewhere"
    return f"{place}{error.strerror or error}: check the name and its permissions"


def _is_a_librarys(message: str, filename: str) -> bool:
    """Whether a warning is a library's word to its developers, and none of lee's to the user."""
    if _ARITHMETIC.search(message):
        return True
    return filename.startswith(_INSTALLED) and not filename.startswith(_OWN)


@contextmanager
def warnings_in_one_line() -> Iterator[None]:
    """Print warnings as ``lee: warning: ...`` on stderr, above any progress bar."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if _is_a_librarys(str(message), filename):
            return
        tqdm.write(f"lee: warning: {' '.join(str(message).split())}", file=file or sys.stderr)

    # tifffile logs what it then raises or recovers from.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def print_plainly() -> None:
    """Let stdout and stderr replace what their encoding lacks, as "->" for an arrow.

    The encoding itself stays, since whoever reads the output expects it: a redirected file on Windows is in
    the system's code page, an old terminal in ASCII.
    """
    codecs.register_error(_HANDLER, _replaced)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_plain(letter, error.encoding) for letter in lacking), error.end


def _plain(letter: str, encoding: str) -> str:
    for plain in (_PLAIN.get(letter, ""), unicodedata.normalize("NFKD", letter)):
        kept = plain.encode(encoding, "ignore").decode(encoding)
        if kept:
            return kept
    return "?"
