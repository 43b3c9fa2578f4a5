"""What is printed where the console's encoding lacks a letter: plain letters in its place, never an error."""

from __future__ import annotations

import codecs
import io
import sys
import unicodedata

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
