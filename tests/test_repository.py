"""The repository's own rules: who may use whom, one list of kernels, files that say one thing."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CODE = {".cpp", ".hpp", ".h", ".cu", ".cuh", ".py", ".pyi", ".cmake"}
WALL = 400
# Words that say nothing about what a file holds.
EMPTY_NAMES = re.compile(r"(^|_)(utils?|helpers?|manager|misc|common|stuff|tools)$")
# Put together here, so that this file does not hold what it looks for.
FOREIGN_WORDS = re.compile("|".join([r"/" + "work/", "wor" + "ktree", r"\bT" + "ODO", "F" + "IXME", "X" * 3]))


def repository_files() -> list[Path]:
    try:
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        files = [ROOT / name for name in listed]
    except (OSError, subprocess.CalledProcessError):  # an unpacked source archive
        folders = [ROOT / name for name in ("cpp", "python", "tests", "bench")]
        files = [*ROOT.glob("*"), *(path for folder in folders for path in folder.rglob("*"))]
    return sorted(path for path in files if path.is_file() and "__pycache__" not in path.parts)


FILES = repository_files()
SOURCES = [path for path in FILES if path.suffix in CODE]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def kernels() -> list[str]:
    listed = re.search(r"set\(LEE_KERNELS\s+([^)]*)\)", (ROOT / "CMakeLists.txt").read_text())
    assert listed is not None
    return listed.group(1).split()


KERNELS = kernels()


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
        "tests/test_{}.py",
        "tests/cpp/test_{}.cpp",
        "bench/bench_{}.py",
    ],
)
def test_every_kernel_is_in_every_place(stem, place):
    assert (ROOT / place.format(stem)).is_file()


@pytest.mark.parametrize("stem", KERNELS)
def test_every_kernel_has_a_documented_python_name(stem):
    # Looked up in the text: one that streams is a class, which may live beside kernels.py.
    camel = "".join(part.capitalize() for part in stem.split("_"))
    home = "\n".join((ROOT / f"python/lee/{name}.py").read_text() for name in ("kernels", "refocuser") if
                     (ROOT / f"python/lee/{name}.py").exists())  # fmt: skip
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


# What all kernels of a folder share, and why.
SHARED = {
    "cpp/common": {
        "aligned": "memory for vector loads",
        "both": "marks arithmetic that both compilers take",
        "check": "messages of refused arguments",
        "error": "the home of the public errors",
        "floats": "bits of floats",
        "footprint_runs": "footprints of adaptive_variance and opening",
        "isa": "choice of the instruction set",
        "parallel": "the pool of threads",
    },
    "cpp/kernels": {},
    "cpp/kernels/simd": {},
    "cpp/cuda": {
        "absent": "what throws where CUDA is not built",
        "device": "the device's description",
        "runtime": "errors, memory and launches",
        "select": "the k-th largest of a sample",
    },
}


def kernel_of(stem: str) -> str | None:
    """The kernel that a file of this stem belongs to: a kernel's parts are <kernel>_<part>."""
    return next((kernel for kernel in KERNELS if stem == kernel or stem.startswith(kernel + "_")), None)


@pytest.mark.parametrize("folder", SHARED)
def test_every_file_belongs_to_a_kernel_or_is_shared(folder):
    files = [path for path in (ROOT / folder).glob("*.*") if path in SOURCES]
    for path in files:
        assert (kernel_of(path.stem) is None) == (path.stem in SHARED[folder]), name_of(path)
    assert set(SHARED[folder]) <= {path.stem for path in files}


@pytest.mark.parametrize("folder", SHARED)
def test_kernels_never_see_each_other(folder):
    """A kernel's files include their own parts and what is shared, not those of another kernel."""
    for path in (p for p in SOURCES if name_of(p).startswith(folder + "/")):
        if path.stem == "absent":  # stands in for them all
            continue
        seen = {kernel_of(Path(header).stem) for header in includes_of(path)} - {None}
        assert seen <= {kernel_of(path.stem)}, f"{name_of(path)} includes files of {seen}"


def test_what_stands_in_for_cuda_is_no_home_for_kernels():
    """Twins are tested as they are shipped: the stand-in is the runtime, and knows nothing of lee."""
    for path in (p for p in SOURCES if name_of(p).startswith("tests/cuda_on_host/")):
        assert not [header for header in includes_of(path) if "/" in header and not header.startswith("sys/")]
        assert "__global__ void" not in path.read_text(), name_of(path)


# --- who may use whom: C++ ---

# folder -> what an #include of the project's own, or of a third party, may begin with there
MAY_INCLUDE = {
    "cpp/include": ("lee/",),
    "cpp/common": ("lee/", "common/"),
    "cpp/kernels": ("lee/", "common/", "kernels/"),
    "cpp/cuda": ("lee/", "common/", "cuda/", "cuda"),
    "cpp/bindings": ("lee/", "pybind11/", "arrays.hpp", "cuda_arrays.hpp", "kernels.inc"),
    "cpp/examples": ("lee/",),
}
SYSTEM_HEADERS = ("sched.h", "unistd.h", "sys/mman.h")


def includes_of(path: Path) -> list[str]:
    return re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', path.read_text(), re.MULTILINE)


@pytest.mark.parametrize("folder", MAY_INCLUDE)
def test_cpp_folders_include_only_what_they_may(folder):
    for path in (p for p in SOURCES if name_of(p).startswith(folder + "/")):
        for header in includes_of(path):
            standard = "/" not in header and "." not in header
            if standard or (header in SYSTEM_HEADERS and folder == "cpp/common"):
                continue
            assert header.startswith(MAY_INCLUDE[folder]), f"{name_of(path)} includes {header}"


def test_installed_headers_hold_no_build_option():
    for path in (p for p in FILES if name_of(p).startswith("cpp/include/")):
        conditions = re.findall(r"^\s*#\s*(?:if|ifdef|ifndef|elif)\b(.*)$", path.read_text(), re.MULTILINE)
        assert not [c for c in conditions if "LEE_" in c], name_of(path)


def test_every_installed_header_is_listed():
    listed = (ROOT / "cpp/CMakeLists.txt").read_text()
    for path in (p for p in FILES if name_of(p).startswith("cpp/include/lee/") and p.suffix == ".hpp"):
        assert path.stem in KERNELS or f"include/lee/{path.name}" in listed, name_of(path)


def test_vectorised_loops_take_nothing_inline_from_the_standard_library():
    """An inline function compiled for AVX-512 could become the one copy the linker keeps for all."""
    for path in (p for p in SOURCES if name_of(p).startswith("cpp/kernels/simd/")):
        text = path.read_text()
        assert "std::" not in re.sub(r"std::(u?int\d+_t|size_t|ptrdiff_t)\b", "", text), name_of(path)
        allowed = {"cstdint", "cstddef", "common/isa.hpp"}
        foreign = [
            h
            for h in includes_of(path)
            if h not in allowed and not h.startswith(("kernels/simd/", "common/"))
        ]
        assert not foreign, f"{name_of(path)} includes {foreign}"


# --- who may use whom: Python ---

PACKAGE = ROOT / "python" / "lee"
MODULES = [path for path in SOURCES if path.suffix == ".py" and PACKAGE in path.parents]


def imports_of(path: Path) -> set[str]:
    """Every dotted name a module imports, wherever in it the import stands."""
    package = ["lee", *path.relative_to(PACKAGE).parts[:-1]]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            found.add(stem)
            found.update(f"{stem}.{alias.name}" for alias in node.names)
    return found


def uses(path: Path, module: str) -> bool:
    return any(name == module or name.startswith(module + ".") for name in imports_of(path))


def within(path: Path, part: str) -> bool:
    return PACKAGE / part in path.parents or path == PACKAGE / f"{part}.py"


def test_only_kernels_imports_the_compiled_core():
    users = {path.relative_to(PACKAGE).as_posix() for path in MODULES if uses(path, "lee._core")}
    assert users == {"kernels.py"}


@pytest.mark.parametrize("part", ["devices", "twin"])
def test_virtual_rig_and_twin_use_no_kernel(part):
    """Images drawn with the code under test would share its errors."""
    for path in (p for p in MODULES if within(p, part)):
        for forbidden in ("lee._core", "lee.kernels", "lee.reconstruction.refocuser", "lee.reconstruct"):
            assert not uses(path, forbidden), f"{name_of(path)} imports {forbidden}"


def test_nothing_imports_the_command_line():
    for path in (p for p in MODULES if not within(p, "cli") and p.name != "__main__.py"):
        assert not uses(path, "lee.cli"), name_of(path)
        assert not uses(path, "click"), name_of(path)


def test_the_image_library_of_the_benchmarks_is_no_dependency():
    for path in MODULES:
        assert not uses(path, "cv2"), name_of(path)


# --- files ---


def test_no_file_is_longer_than_the_wall():
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in SOURCES}
    assert not {name: n for name, n in lengths.items() if n > WALL}


def test_names_say_what_a_file_holds():
    assert not [name_of(path) for path in SOURCES if EMPTY_NAMES.search(path.stem)]


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
