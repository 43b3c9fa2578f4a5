"""A toy kernel, added to a copy of the sources with the files that CONTRIBUTING.md lists, builds and runs.

The other kernels are left out of the copy's list, so that only what they share is built besides.
"""

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.repository.test_how_to_add import SECTIONS, listed
from tests.support.repository_files import FILES, ROOT, name_of, with_kernels

STEM = "toy_negation"
TOY = ROOT / "tests/support/toy_kernel"
CMAKE = [sys.executable, "-m", "cmake"]
NEW = {
    "cpp/include/lee/<stem>.hpp": "header.hpp",
    "cpp/common/<stem>_<part>.hpp": "arithmetic.hpp",
    "cpp/kernels/<stem>.cpp": "cpu.cpp",
    "cpp/cuda/<stem>.cu": "cuda.cu",
    "cpp/bindings/<stem>.cpp": "binding.cpp",
    "python/lee/kernels/<stem>.py": "function.py",
    "bench/bench_<stem>.py": "benchmark.py",
    "tests/reference/<stem>.py": "oracle.py",
    "tests/kernels/test_<stem>.py": "function_checks.py",
    "tests/cpp/test_<stem>.cpp": "test.cpp",
}


def with_the_device_overload(text: str) -> str:
    text = text.replace("namespace lee {\n", f'#include "lee/{STEM}.hpp"\n\nnamespace lee {{\n', 1)
    head, end, tail = text.rpartition("\n}  // namespace lee")
    return head + (TOY / "absent.cpp").read_text() + end + tail


def with_the_public_name(text: str) -> str:
    return f"from lee.kernels.{STEM} import {STEM} as {STEM}\n" + text


CHANGED = {
    "CMakeLists.txt": lambda text: with_kernels(text, STEM),
    "cpp/cuda/absent.cpp": with_the_device_overload,
    "python/lee/_core.pyi": lambda text: text + (TOY / "stub.txt").read_text(),
    "python/lee/__init__.pyi": with_the_public_name,
}


def ran(*command: object, **where: object) -> str:
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False, **where
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def named(pattern: str) -> str:
    return pattern.replace("<stem>", STEM).replace("<part>", "pixel")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of the sources with the toy in it."""
    copy = tmp_path_factory.mktemp("toy") / "source"
    for path in FILES:
        if name_of(path).startswith(("cpp/", "python/", "bench/", "tests/")) or path.parent == ROOT:
            (copy / name_of(path)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy / name_of(path))
    for pattern, name in NEW.items():
        shutil.copy(TOY / name, copy / named(pattern))
    for name, change in CHANGED.items():
        before = (copy / name).read_text()
        (copy / name).write_text(change(before))
        assert (copy / name).read_text() != before
    return copy


def build(source: Path, folder: Path, *options: str) -> None:
    ran(
        *CMAKE,
        "-S",
        source,
        "-B",
        folder,
        "-G",
        "Ninja",
        "-DLEE_TESTS=ON",
        "-DCMAKE_BUILD_TYPE=Debug",
        "-DCMAKE_CXX_FLAGS_DEBUG=-O0",
        *options,
    )
    ran(*CMAKE, "--build", folder, "--target", "lee", f"test_{STEM}", *(["_core"] if options[1:] else []))


def test_no_file_is_written_that_the_list_does_not_have():
    tests = re.findall(r"`(tests/[^`]+<stem>[^`]*)`", SECTIONS["A kernel"])
    assert {*NEW, *CHANGED} == {*listed("A kernel"), *tests}


@pytest.mark.slow
def test_it_runs_on_the_processor_and_in_python(source, tmp_path):
    python = [f"-DPython_EXECUTABLE={sys.executable}", f"-Dpybind11_DIR={pybind11_folder()}"]
    build(source, tmp_path, "-DLEE_PYTHON=ON", *python)
    ran(tmp_path / f"tests/cpp/test_{STEM}")
    (core,) = tmp_path.rglob(f"_core*{sysconfig.get_config_var('EXT_SUFFIX')}")
    shutil.copy(core, source / "python/lee")
    paths = {"PYTHONPATH": f"{source / 'python'}:{source}", "PATH": "/usr/bin:/bin"}
    ran(sys.executable, source / f"tests/kernels/test_{STEM}.py", env=paths, cwd=source)
    assert "toy_negation" in ran(sys.executable, "-m", f"bench.bench_{STEM}", env=paths, cwd=source)


@pytest.mark.slow
def test_its_cuda_code_compiles(source, tmp_path):
    build(source, tmp_path, "-DLEE_CUDA_ON_HOST=ON")
    ran(tmp_path / f"tests/cpp/test_{STEM}")


def pybind11_folder() -> str:
    pybind11 = pytest.importorskip("pybind11")
    return str(pybind11.get_cmake_dir())
