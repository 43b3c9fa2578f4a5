"""What is installed is enough: a foreign CMake project finds, links and runs `lee::lee`."""

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lee import _core

ROOT = Path(__file__).resolve().parents[1]


def cmake(*arguments: object) -> None:
    # CMake of this environment, so that a machine without one of its own can run the test.
    command = [sys.executable, "-m", "cmake", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("shared", ["OFF", "ON"])
def test_a_foreign_project_links_the_installed_library(tmp_path, shared):
    build, prefix, foreign = tmp_path / "build", tmp_path / "prefix", tmp_path / "foreign"
    options = ["-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release"]
    cmake(
        "-S", ROOT, "-B", build, *options, f"-DBUILD_SHARED_LIBS={shared}", f"-DCMAKE_INSTALL_PREFIX={prefix}"
    )
    cmake("--build", build, "--parallel", "2")
    cmake("--install", build)
    assert not list(prefix.rglob("*pybind11*"))
    cmake("-S", ROOT / "tests/install", "-B", foreign, *options, f"-DCMAKE_PREFIX_PATH={prefix}")
    cmake("--build", foreign)
    done = subprocess.run([foreign / "foreign"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"lee {_core.__version__} on {_core.instruction_set()}" in done.stdout
    assert "9 -> 0" in done.stdout
    assert "opening: this build of lee has no CUDA kernels; build it with LEE_CUDA=ON" in done.stdout


def test_cuda_without_its_compiler_says_what_is_missing(tmp_path):
    command = [sys.executable, "-m", "cmake", "-S", ROOT, "-B", tmp_path, "-G", "Ninja", "-DLEE_CUDA=ON"]
    # The one place where CMake looks first.
    environment = {**os.environ, "CUDACXX": str(tmp_path / "nvcc")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    said = " ".join(done.stderr.split())
    assert "LEE_CUDA=ON: no nvcc that works was found; install the CUDA toolkit (12 or newer)" in said


def test_the_distribution_carries_the_core_and_its_version():
    assert importlib.metadata.version("lee-microscopy") == _core.__version__
    assert "lee" in {entry.name for entry in importlib.metadata.entry_points(group="console_scripts")}
