"""The README's blocks and what stands in them."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+(?: cuda)?)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return [text for found, text in BLOCKS if found == language]


def commands(program: str) -> list[str]:
    """Return the shell lines that begin with `program`."""
    lines = "".join(blocks("sh")).splitlines()
    return [line for line in lines if line.split()[0] == program]


def only(language: str) -> str:
    (text,) = blocks(language)
    return text
