"""What is printed where the console's encoding lacks a letter."""

import io
import sys

import pytest

from lee.cli.one_line import print_plainly

TEXT = "20 µm² ± 1 → κ ≥ −3, é 漢"


@pytest.mark.parametrize(
    ("encoding", "printed"),
    [
        ("utf-8", TEXT),
        ("cp1252", "20 µm² ± 1 -> kappa >= -3, é ?"),
        ("ascii", "20 um2 +- 1 -> kappa >= -3, e ?"),
    ],
)
def test_what_an_encoding_lacks_is_printed_in_plain_letters(monkeypatch, encoding, printed):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    print_plainly()
    print(TEXT, end="", flush=True)
    assert written.getvalue().decode(encoding) == printed
