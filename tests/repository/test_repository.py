"""The repository's own rules: one list of kernels, files with one subject; `test_arrows` has the others."""

import ast
import re
from pathlib import Path

import pytest

from tests.support.repository_files import FILES, KERNELS, ROOT, SOURCES, includes_of, name_of

WALL = 400
# Words that do not name what a file holds.
EMPTY_NAMES = re.compile(r"(^|_)(utils?|helpers?|manager|misc|common|stuff|tools)$")
# Put together here, so that this file does not hold what it looks for.
FOREIGN_WORDS = re.compile("|".join([r"/" + "work/", "wor" + "ktree", r"\bT" + "ODO", "F" + "IXME", "X" * 3]))


# --- one list of kernels ---


@pytest.mark.parametrize("stem", KERNELS)
@pytest.mark.parametrize(
    "place",
    [
        "cpp/include/lee/{}.hpp",
        "cpp/kernels/{}.cpp",
        "cpp/cuda/{}.cu",
        "cpp/bindings/{}.cpp",
        "tests/reference/{}.py",
        "python/lee/kernels/{}.py",
        "tests/kernels/test_{}.py",
        "tests/cpp/test_{}.cpp",
        "bench/bench_{}.py",
    ],
)
def test_every_kernel_is_in_every_place(stem, place):
    assert (ROOT / place.format(stem)).is_file()


@pytest.mark.parametrize("stem", KERNELS)
def test_every_kernel_has_a_documented_python_name(stem):
    # Looked up in the text: one that streams is a class of the room that feeds it.
    camel = "".join(part.capitalize() for part in stem.split("_"))
    rooms = ("kernels", "surfaces", "reconstruction")
    homes = [ROOT / f"python/lee/{room}/{stem}.py" for room in rooms]
    home = "\n".join(path.read_text() for path in homes if path.exists())
    assert re.search(rf"^(def {stem}\(|class {camel}\b)", home, re.MULTILINE)


@pytest.mark.parametrize("stem", KERNELS)
def test_every_kernel_is_bound_under_its_name(stem):
    assert f"void bind_{stem}(" in (ROOT / f"cpp/bindings/{stem}.cpp").read_text()
    stub = (ROOT / "python/lee/_core.pyi").read_text()
    camel = "".join(part.capitalize() for part in stem.split("_"))
    assert re.search(rf"^(def {stem}\(|class {camel}\b)", stub, re.MULTILINE)


def device_overloads(path: Path) -> list[str]:
    """Names of the functions that take arrays of a device, once for each overload."""
    text = re.sub(r"//.*", "", path.read_text())
    return re.findall(r"\b(\w+)\((?=[^;{}()]*DeviceView<)", text)


@pytest.mark.parametrize("stem", KERNELS)
def test_a_library_without_cuda_has_every_device_overload(stem):
    declared = device_overloads(ROOT / f"cpp/include/lee/{stem}.hpp")
    defined = device_overloads(ROOT / "cpp/cuda/absent.cpp")
    assert declared, "no function of this kernel takes a DeviceView"
    missing = {name for name in declared if declared.count(name) > defined.count(name)}
    assert not missing, f"cpp/cuda/absent.cpp lacks overloads of {missing}"


def test_what_stands_in_for_cuda_is_no_home_for_kernels():
    """Twins are tested as they are shipped: the stand-in is the runtime, and knows nothing of lee."""
    for path in (p for p in SOURCES if name_of(p).startswith("tests/cuda_on_host/")):
        assert not [header for header in includes_of(path) if "/" in header and not header.startswith("sys/")]
        assert "__global__ void" not in path.read_text(), name_of(path)


# --- files ---


# Longer than the wall, looked at, and found to say one thing.
LONGER = {
    "python/lee/twin/comparison/compare.py": "the comparison of measured with computed rates",
    "tests/cli/test_particles.py": "one command, from its options to its results",
}


def test_a_long_file_has_one_subject():
    """A file beyond the wall may say two things: split it, or state above why it does not."""
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in SOURCES}
    assert {name for name, n in lengths.items() if n > WALL} == set(LONGER)


def test_names_state_what_a_file_holds():
    assert not [name_of(path) for path in SOURCES if EMPTY_NAMES.search(path.stem)]


def test_a_public_class_name_has_one_meaning():
    homes: dict[str, list[str]] = {}
    for path in (p for p in SOURCES if name_of(p).startswith("python/lee/") and p.suffix == ".py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(name_of(path))
    assert not {name: where for name, where in homes.items() if len(where) > 1}


def test_no_word_that_belongs_elsewhere():
    for path in FILES:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        assert not FOREIGN_WORDS.search(text), name_of(path)


def test_every_expected_error_is_matched():
    for path in (p for p in SOURCES if name_of(p).startswith("tests/") and p.suffix == ".py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.raises":
                assert "match" in {keyword.arg for keyword in node.keywords}, f"{name_of(path)}:{node.lineno}"


def test_one_version():
    version = re.search(r"project\(lee VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text())
    assert version is not None
    assert f"## {version.group(1)}" in (ROOT / "CHANGELOG.md").read_text()
    from lee import _core

    assert _core.__version__ == version.group(1)
