"""The contracts in the public C++ headers are tables with a key, and values in one column.

``/// key   value`` opens a row; a longer value continues below its first word. A formatter that joins the
lines as if they were prose breaks the table.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LISTED = re.search(r"set\(LEE_KERNELS\s+([^)]*)\)", (ROOT / "CMakeLists.txt").read_text())
assert LISTED is not None
KERNELS = LISTED.group(1).split()
HEADERS = sorted(path for path in (ROOT / "cpp").rglob("*") if path.suffix in {".hpp", ".cuh"})
# What every kernel's contract states.
REQUIRED = {"shape", "unit", "NaN", "throws"}
LINE_LENGTH = 110

ROW = re.compile(r"/// ([A-Za-z]+)( {2,})\S")


def blocks(text: str) -> list[list[str]]:
    """Runs of ``///`` lines, without their indentation."""
    runs: list[list[str]] = []
    run: list[str] = []
    for line in [*text.splitlines(), ""]:
        if re.match(r"\s*///(?!<)", line):
            run.append(line.strip())
        elif run:
            runs.append(run)
            run = []
    return runs


def table_of(block: list[str]) -> list[str]:
    """The lines of a block from its first row on; none where it has no table."""
    first = next((k for k, line in enumerate(block) if ROW.match(line)), None)
    return [] if first is None else block[first:]


def keys_of(table: list[str]) -> list[str]:
    return [row.group(1) for row in map(ROW.match, table) if row]


def tables(path: Path) -> list[list[str]]:
    return [table for table in map(table_of, blocks(path.read_text())) if table]


# Every key in use, and those a header could begin to use.
KEYS = REQUIRED | {"ties"} | {key for path in HEADERS for table in tables(path) for key in keys_of(table)}


def faults_of(text: str, keys: set[str]) -> list[str]:
    """Lines of the comments in a C++ text that are no rows, no continuations, or hold two keys."""
    faults = []
    # "throws  X" or "256 unit      x" within a line, or a row that follows a full stop.
    second = re.compile(rf"\S (?:{'|'.join(keys)}) {{3,}}|\S throws {{2,}}|\. (?:shape|unit|ties|throws) ")
    for block in blocks(text):
        faults += [line for line in block if second.search(line.removeprefix("/// "))]
        faults += [line for line in block if re.match(r"/// (?:shape|unit|ties|throws) \S", line)]
        table = table_of(block)
        columns = {len(row.group(0)) - 1 for row in map(ROW.match, table) if row}
        if len(columns) > 1:
            faults.append(f"values begin in columns {sorted(columns)}: {table[0]}")
        for line in table:
            indent = re.match(r"///( *)\S", line)
            continues = indent is not None and 3 + len(indent.group(1)) in columns
            if not ROW.match(line) and not continues:
                faults.append(line)
    faults += [line for line in text.splitlines() if len(line) > LINE_LENGTH]
    return faults


@pytest.mark.parametrize("stem", KERNELS)
def test_every_kernel_header_holds_a_contract(stem):
    header = ROOT / f"cpp/include/lee/{stem}.hpp"
    held = [set(keys_of(table)) for table in tables(header)]
    assert any(keys >= REQUIRED for keys in held), f"{stem}: no table holds all of {REQUIRED}, only {held}"


@pytest.mark.parametrize("path", HEADERS, ids=lambda path: path.relative_to(ROOT / "cpp").as_posix())
def test_tables_are_aligned(path):
    assert faults_of(path.read_text(), KEYS) == []


# What a formatter that reflows comments makes of such tables.
MANGLED = [
    "/// shape     stack (Z, H, W), at most\n/// 255 unit      all in counts; focus >= 0\n",
    "/// shape     stack (Z, H, W)\n/// window    the first for which\n/// over\n///           z exceeds\n",
    "/// The same. z_um may go as soon as this\n/// returns. throws  DeviceError also elsewhere\n",
    "/// pixels in them. shape   all (H, W)\n",
    "/// threads is ignored. throws ShapeError\n",
    "/// shape   height (H, W)\n/// borders the footprint is clipped\n",
    "/// shape   height (H, W)\n/// borders  the footprint is clipped\n",
    "/// throws ShapeError where an extent is zero\n",
    "/// shape   height (H, W), " + "in one long line " * 6 + "\n",
]


@pytest.mark.parametrize("text", MANGLED)
def test_a_mangled_table_is_found(text):
    assert faults_of(text, KEYS)


def test_the_example_of_the_style_is_a_table():
    text = """\
/// shape   stack, focus (Z, H, W)    sharp, plane (H, W)    Z >= 1
/// unit    stack, sharp counts       focus any, larger is sharper       plane index in [0, Z)
/// ties    the lowest plane wins, so that both backends agree exactly
/// NaN     never wins; where every plane is NaN, plane = -1 and sharp = NaN
/// throws  ShapeError, before anything is written
"""
    assert faults_of(text, KEYS) == []


def test_the_formatter_leaves_comments_alone():
    assert "ReflowComments: Never\n" in (ROOT / ".clang-format").read_text()
