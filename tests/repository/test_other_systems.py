"""What a computer without POSIX needs: the same, with its calls absent and the rules of Windows for files.

`tests/support/windows` takes both away in a process and in all that it starts.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONG = 250
NAMES = {"__name__": "lee.code"}
# What the rig, its recordings and what is read from them are made of.
PARTS = (
    "storage",
    "stacks",
    "recording",
    "runs",
    "rig",
    "export",
    "surfaces",
    "series",
    "electrochemistry",
    "cli",
)
# The room of a scan is not reserved where the system cannot: these test that it is.
RESERVED = (
    "tests/recording/test_segment.py::test_records_share_no_page_and_the_room_kept_is_given_back",
    "tests/recording/test_segment.py::test_a_disk_that_refuses_the_room_leaves_no_file",
)


def as_on_windows(*command: object, **options) -> subprocess.CompletedProcess:
    """Run Python without what Windows lacks, in the code page of western Windows."""
    first = ROOT / "tests" / "support" / "windows"
    return subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(str(entry) for entry in (first, *sys.path, ROOT) if entry),
            "PYTHONIOENCODING": "cp1252",
            "PYTHONUTF8": "0",
            "PYTHONWARNDEFAULTENCODING": "1",
        },
        capture_output=True,
        encoding="cp1252",
        check=False,
        **options,
    )


def long_folder(tmp_path: Path) -> Path:
    """Make a folder whose path is long and holds spaces and letters beyond ASCII."""
    folder = tmp_path / "Maße der Wände, 20 µm"
    while len(str(folder)) < LONG - 60:
        folder /= "another folder of a long name"
    folder /= "x" * (LONG - len(str(folder)) - 1)
    folder.mkdir(parents=True)
    assert len(str(folder)) == LONG
    return folder


def test_the_smallest_path_needs_nothing_of_posix(tmp_path):
    ended = as_on_windows("-m", "tests.support.smallest_path", long_folder(tmp_path))
    assert ended.returncode == 0, ended.stderr
    assert "median rate 40 to 40 nm/s" in ended.stdout
    assert ended.stdout.endswith("µm² ± 1 -> done\n")
    assert "surface exists already" in ended.stderr
    assert "20 µm" in ended.stderr


@pytest.mark.parametrize(
    ("code", "refused"),
    [
        ("import fcntl", "ModuleNotFoundError: No module named 'fcntl'"),
        ("import os; os.pread(0, 1, 0)", "AttributeError: module 'os' has no attribute 'pread'"),
        ("import os; kept = open('kept', 'wb'); os.replace('kept', 'other')", "PermissionError: .* in use"),
        ("import os; os.open('.', os.O_RDONLY)", "PermissionError: .* denied"),
        ("from pathlib import Path; Path('a:b').write_bytes(b'')", "OSError: .* Invalid argument"),
        ("open('text', 'w')", "EncodingWarning"),
    ],
)
def test_the_rules_of_windows_hold(tmp_path, code, refused):
    """The stand-in refuses what it is there to refuse, in modules of lee."""
    ended = as_on_windows("-c", f"import os; os.chdir({str(tmp_path)!r}); exec({code!r}, {NAMES})")
    assert ended.returncode == 1
    assert re.search(refused, ended.stderr), ended.stderr


@pytest.mark.slow
def test_every_module_is_imported_without_posix():
    code = """
import importlib, pkgutil, lee
names = [found.name for found in pkgutil.walk_packages(lee.__path__, "lee.") if found.name != "lee.__main__"]
for name in names:
    importlib.import_module(name)
print(len(names), "modules")
"""
    ended = as_on_windows("-c", code)
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout.split()[0]) > 400


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_its_tests_pass_without_posix(tmp_path, part):
    folder = long_folder(tmp_path)
    ended = as_on_windows(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", "--basetemp", folder / "t"),
        *(f"--deselect={test}" for test in RESERVED),
        f"tests/{part}",
    )
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-2000:]
