"""What is installed is enough: a foreign CMake project finds, links and runs `lee::lee`.

The library is built once, by the README's own commands; whoever links it here has only what they installed.
Only the kernels that are called here are built; `make test-all` builds them all.
"""

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

import lee
from lee import _core
from tests.support.readme import ROOT, commands, only
from tests.support.repository_files import FILES, KERNELS, with_kernels

# CMake of this environment, so that a machine without one of its own can run the tests.
CMAKE = [sys.executable, "-m", "cmake"]
# By tests/install and by the README's program.
CALLED = ("opening", "refocuser")


def ran(*command: object, **where: object) -> str:
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False, **where)
    assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
    return done.stdout


def linked(project: Path, build: Path, prefix: Path) -> None:
    """Build a project that is given nothing but where lee was installed."""
    options = ["-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", f"-DCMAKE_PREFIX_PATH={prefix}"]
    ran(*CMAKE, "-S", project, "-B", build, *options)
    ran(*CMAKE, "--build", build)


@pytest.fixture(scope="module", params=[CALLED, pytest.param(KERNELS, marks=pytest.mark.slow)], ids=len)
def source(request, tmp_path_factory):
    """The sources, in which the README's commands were run."""
    folder = tmp_path_factory.mktemp("install") / "source"
    folder.mkdir()
    (folder / "cpp").symlink_to(ROOT / "cpp")
    listed = (ROOT / "CMakeLists.txt").read_text()
    if request.param != KERNELS:  # optimised, they are in the core that is tested everywhere
        listed = listed.replace("add_subdirectory(cpp)", "add_compile_options(-O0)\nadd_subdirectory(cpp)")
    (folder / "CMakeLists.txt").write_text(with_kernels(listed, *request.param))
    # Kept from here on: what is linked, not how fast it runs, is what is tested.
    ran(*CMAKE, "-B", "build/release", "-DCMAKE_CXX_FLAGS_RELEASE=-O0", cwd=folder)
    for line in commands("cmake"):
        ran(*CMAKE, *line.split()[1:], cwd=folder)
    return folder


@pytest.fixture(scope="module", params=["static", "shared"])
def prefix(request, source):
    if request.param == "static":
        return source / "installed"
    # The same folder again: a shared library is linked from the objects of the static one.
    build, prefix = source / "build" / "release", source / "shared"
    ran(*CMAKE, "-B", build, "-DBUILD_SHARED_LIBS=ON", cwd=source)
    ran(*CMAKE, "--build", build, "--parallel", 2)
    ran(*CMAKE, "--install", build, "--prefix", prefix)
    return prefix


def test_a_foreign_project_links_the_installed_library(tmp_path, prefix):
    assert not list(prefix.rglob("*pybind11*"))
    assert any(path.suffix == ".a" for path in prefix.rglob("liblee.*")) == (prefix.name == "installed")
    linked(ROOT / "tests/install", tmp_path, prefix)
    message = ran(tmp_path / "foreign")
    assert f"lee {_core.__version__} on {_core.instruction_set()}" in message
    assert "9 -> 0" in message
    assert "opening: this build of lee has no CUDA kernels; build it with LEE_CUDA=ON" in message


def test_the_cpp_snippet_builds_against_the_install_and_runs(tmp_path, source):
    (tmp_path / "main.cpp").write_text(only("cpp"))
    (tmp_path / "CMakeLists.txt").write_text(only("cmake"))
    linked(tmp_path, tmp_path / "build", source / "installed")
    assert ran(tmp_path / "build" / "rig") == "height 5.0 um\n"


def test_cuda_without_its_compiler_states_what_is_missing(tmp_path):
    command = [*CMAKE, "-S", ROOT, "-B", tmp_path, "-G", "Ninja", "-DLEE_CUDA=ON"]
    # The one place where CMake looks first.
    environment = {**os.environ, "CUDACXX": str(tmp_path / "nvcc")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    message = " ".join(done.stderr.split())
    assert "LEE_CUDA=ON: no nvcc that works was found; install the CUDA toolkit (12 or newer)" in message


def test_the_distribution_carries_the_core_and_its_version():
    assert importlib.metadata.version("lee-microscopy") == _core.__version__
    assert "lee" in {entry.name for entry in importlib.metadata.entry_points(group="console_scripts")}


def test_the_installed_package_holds_every_file_of_the_source():
    installed = Path(lee.__file__).parent
    source = ROOT / "python/lee"
    kept = {".py", ".pyi", ".typed", ".html", ".css", ".js", ".svg"}
    files = {path.relative_to(source) for path in FILES if source in path.parents and path.suffix in kept}
    assert not [name.as_posix() for name in sorted(files) if not (installed / name).is_file()]
