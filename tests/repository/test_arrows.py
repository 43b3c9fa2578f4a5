"""Who may use whom: the whole table of arrows, C++ and Python, and that no circle is among them."""

import ast
import re
from collections.abc import Set
from functools import cache
from pathlib import Path

import pytest

from tests.support.repository_files import FILES, KERNELS, ROOT, SOURCES, includes_of, name_of

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


@pytest.mark.parametrize("folder", MAY_INCLUDE)
def test_cpp_folders_include_only_what_they_may(folder):
    for path in (p for p in SOURCES if name_of(p).startswith(folder + "/")):
        for header in includes_of(path):
            standard = "/" not in header and "." not in header
            if standard or (header in SYSTEM_HEADERS and folder == "cpp/common"):
                continue
            assert header.startswith(MAY_INCLUDE[folder]), f"{name_of(path)} includes {header}"


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
        "lanes": "arithmetic element by element, where the compiler has vectors and where not",
        "msvc": "built-in functions by the Microsoft compiler's names",
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


def test_installed_headers_hold_no_build_option():
    for path in (p for p in FILES if name_of(p).startswith("cpp/include/")):
        conditions = re.findall(r"^\s*#\s*(?:if|ifdef|ifndef|elif)\b(.*)$", path.read_text(), re.MULTILINE)
        assert not [c for c in conditions if "LEE_" in c], name_of(path)


def test_every_installed_header_is_listed():
    listed = (ROOT / "cpp/CMakeLists.txt").read_text()
    for path in (p for p in FILES if name_of(p).startswith("cpp/include/lee/") and p.suffix == ".hpp"):
        assert path.stem in KERNELS or f"include/lee/{path.name}" in listed, name_of(path)


def headers_behind(path: Path) -> set[str]:
    """Every header that a file includes, itself or through the project's own headers."""
    seen: set[str] = set()
    waiting = includes_of(path)
    while waiting:
        header = waiting.pop()
        if header in seen:
            continue
        seen.add(header)
        for folder in ("cpp", "cpp/include"):
            own = ROOT / folder / header
            waiting += includes_of(own) if own.is_file() else []
    return seen


def test_vectorised_loops_take_nothing_inline_from_the_standard_library():
    """An inline function compiled for AVX-512 could become the one copy the linker keeps for all."""
    for path in (p for p in SOURCES if name_of(p).startswith("cpp/kernels/simd/")):
        text = path.read_text()
        assert "std::" not in re.sub(r"std::(u?int\d+_t|size_t|ptrdiff_t)\b", "", text), name_of(path)
        foreign = [
            header
            for header in headers_behind(path) - {"cstdint", "cstddef"}
            if not header.startswith(("kernels/simd/", "common/"))
        ]
        assert not foreign, f"{name_of(path)} includes {foreign}"


# --- Python ---

GROUND = ("statistics", "storage")
MEASURING = ("surfaces", "kernels", *GROUND)
FROM_STACKS = ("reconstruction", "stacks", *MEASURING)
SHOWING = ("figures", "export")
# room -> the rooms it may import, each written above it; `lee.errors` serves all
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "statistics": (),
    "storage": (),
    "devices": ("storage",),
    "electrochemistry": GROUND,
    "recording": ("devices", *GROUND),
    "kernels": (),
    "stacks": ("recording", *GROUND),
    "surfaces": ("kernels", *GROUND),
    "reconstruction": ("stacks", *MEASURING),
    "export": ("surfaces", *GROUND),
    "figures": ("export", "surfaces", *GROUND),
    "runs": ("export", "recording", *FROM_STACKS),
    "series": ("runs", "electrochemistry", *SHOWING, *FROM_STACKS),
    # Beside the series: the instrument is judged by surfaces, one or many.
    "metrology": ("runs", *SHOWING, *FROM_STACKS),
    "particles": ("series", "runs", *SHOWING, *FROM_STACKS),
    # No kernel: the twin takes surfaces as they were measured, also on machines that measure none.
    "twin": ("figures", "surfaces", "electrochemistry", *GROUND),
    "rig": ("series", "runs", *SHOWING, "recording", "devices", *FROM_STACKS),
    "demo": (
        *("rig", "twin", "particles", "series", "runs", *SHOWING, "electrochemistry", "recording", "devices"),
        *FROM_STACKS,
    ),
    "cli": (
        *(
            "demo",
            "rig",
            "twin",
            "particles",
            "metrology",
            "series",
            "runs",
            *SHOWING,
            "recording",
            "devices",
        ),
        *("electrochemistry", *FROM_STACKS),
    ),
}
# Writers that are imported when they are called, against the arrows: `Surface.save` and `Surface.export`.
WHEN_CALLED = {("surfaces/surface.py", "export"), ("surfaces/surface.py", "figures")}
# Only these import the compiled core, and only this one click.
MAY_IMPORT_CORE, MAY_IMPORT_CLICK = {"kernels", "reconstruction"}, {"cli"}

PACKAGE = ROOT / "python" / "lee"
MODULES = [path for path in SOURCES if path.suffix == ".py" and PACKAGE in path.parents]
TOP = {"__init__.py", "__main__.py", "errors.py"}


@cache
def imports_of(path: Path, *, at_top: bool = False) -> frozenset[str]:
    """Every dotted name a module imports, wherever in it the import stands, or only outside functions."""
    tree = ast.parse(path.read_text())
    inside: set[int] = set()
    if at_top:
        inside = {id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for n in ast.walk(f)}
    found: set[str] = set()
    for node in ast.walk(tree):
        if at_top and id(node) in inside:
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name_of(path)}: a relative import"
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(found)


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0]


def rooms_of(names: Set[str]) -> set[str]:
    return {name.split(".")[1] for name in names if name.startswith("lee.")}


def uses(path: Path, module: str) -> bool:
    return any(name == module or name.startswith(module + ".") for name in imports_of(path))


def test_the_top_holds_rooms_and_nothing_else():
    assert {path.name for path in PACKAGE.glob("*.py")} == TOP
    assert {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()} == set(MAY_IMPORT)


def test_every_room_states_why_it_is_one():
    for path in (p for p in PACKAGE.rglob("__init__.py") if p.parent != PACKAGE):
        assert ast.get_docstring(ast.parse(path.read_text())), name_of(path)


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_rooms_import_only_what_they_may(room):
    for path in (p for p in MODULES if p.name not in TOP or p.parent != PACKAGE):
        if room_of(path) != room:
            continue
        foreign = rooms_of(imports_of(path)) - {room, "errors", "_core", *MAY_IMPORT[room]}
        file = path.relative_to(PACKAGE).as_posix()
        foreign -= {name for where, name in WHEN_CALLED if where == file}
        assert not foreign, f"{name_of(path)} imports {foreign}"


def test_the_table_has_no_circle():
    """In the order it is written, every room imports only rooms above it."""
    above: set[str] = set()
    for room, used in MAY_IMPORT.items():
        assert set(used) <= above, f"{room} imports {set(used) - above}, written below it"
        above.add(room)


def test_writers_are_imported_only_when_they_are_called():
    for file, room in WHEN_CALLED:
        assert room not in rooms_of(imports_of(PACKAGE / file, at_top=True))


def test_modules_have_no_circle():
    """Imports at the top of modules, TYPE_CHECKING included, run one way."""
    modules = {".".join(("lee", *p.relative_to(PACKAGE).with_suffix("").parts)): p for p in MODULES}
    arrows = {
        name: {other for other in imports_of(path, at_top=True) if other in modules and other != name}
        for name, path in modules.items()
    }
    while arrows:
        free = {name for name, used in arrows.items() if not used & arrows.keys()}
        assert free, f"a circle among {sorted(arrows)}"
        arrows = {name: used for name, used in arrows.items() if name not in free}


def test_only_two_rooms_import_the_compiled_core():
    assert {room_of(path) for path in MODULES if uses(path, "lee._core")} <= MAY_IMPORT_CORE


def test_only_the_command_line_imports_click():
    assert {room_of(path) for path in MODULES if uses(path, "click")} <= MAY_IMPORT_CLICK


def test_no_private_name_is_imported():
    for path in MODULES:
        private = {
            name
            for name in imports_of(path)
            if name.startswith("lee.") and name.rpartition(".")[2].startswith("_") and name != "lee._core"
        }
        assert not private, f"{name_of(path)} imports {private}"


def test_rooms_are_not_crowded():
    """A room of more than about 15 files has rooms of its own."""
    for folder in {path.parent for path in MODULES}:
        assert len(list(folder.glob("*.py"))) <= 18, name_of(folder)


def test_the_image_library_of_the_benchmarks_is_no_dependency():
    for path in MODULES:
        assert not uses(path, "cv2"), name_of(path)
