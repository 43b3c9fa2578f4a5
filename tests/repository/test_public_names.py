"""What DESIGN promises of the public names: declared once, reachable, lazy, and never the name of a room."""

import ast
import importlib
import inspect
import subprocess
import sys

import pytest

import lee
import lee.devices
from tests.support.repository_files import KERNELS, ROOT

PACKAGE = ROOT / "python" / "lee"
PUBLIC = {
    *("open_stack", "ZStack", "reconstruct", "ReconstructParams", "Refocuser", "Target", "Surface"),
    *("Curvature", "find_particles", "open_run", "Run"),
    *(stem for stem in KERNELS if stem != "refocuser"),  # which is the class Refocuser
    *("devices", "electrochemistry", "errors", "metrology", "twin"),
}
HEAVY = ("scipy", "matplotlib", "ngsolve", "numpy", "pandas", "zarr", "tifffile", "lee._core")


def run(code: str) -> str:
    """Run code in a fresh process, where nothing is imported yet."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


# What others wrote is imported once; then each is looked up in a copy of the process, without lee's rooms.
_ALONE = """
import os, sys
import numpy, pandas, scipy.ndimage, scipy.optimize, scipy.signal, tifffile, zarr
import lee
for name in sys.argv[1:]:
    if os.fork() == 0:
        print(eval(name).__name__.rpartition(".")[2], flush=True)
        os._exit(0)
    os.wait()
"""


def test_the_names_are_those_promised():
    assert set(lee.__all__) == PUBLIC
    assert dir(lee) == lee.__all__


def test_the_stub_lists_them_and_imports_each():
    """A type checker reads the same names as `dir(lee)`."""
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text())
    (assigned,) = [node for node in stub.body if isinstance(node, ast.Assign)]
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    names = [alias for node in imports for alias in node.names]
    assert ast.literal_eval(assigned.value) == lee.__all__
    assert sorted(alias.name for alias in names) == lee.__all__
    assert all(alias.name == alias.asname for alias in names)  # else a stub's imports are private


def test_each_is_reachable_as_an_attribute_alone():
    """Where no other import can have bound it."""
    names = [f"lee.{name}" for name in PUBLIC] + [f"lee.devices.{name}" for name in lee.devices.__all__]
    command = [sys.executable, "-c", _ALONE, *names]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.split() == [name.rpartition(".")[2] for name in names]


def test_a_name_that_is_none_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'lee' has no attribute 'reconstruction_of'"):
        _ = lee.reconstruction_of


def test_importing_lee_imports_nothing_large():
    code = f"import sys, lee; dir(lee); print([name for name in {HEAVY} if name in sys.modules])"
    assert run(code) == "[]"


@pytest.mark.parametrize("room", ["devices", "electrochemistry", "metrology", "twin"])
def test_public_rooms_agree_with_themselves(room):
    module = importlib.import_module(f"lee.{room}")
    assert set(module.__all__) <= set(dir(module))
    for name in module.__all__:
        assert getattr(module, name) is not None


def test_opening_devices_imports_no_kernel_and_no_figures():
    code = "import sys, lee; lee.devices.open_rig; print({'lee._core', 'matplotlib'} & set(sys.modules))"
    assert run(code) == "set()"


def test_no_room_has_the_name_of_a_public_function():
    top = {path.stem for path in PACKAGE.iterdir() if path.is_dir() or path.suffix == ".py"}
    functions = {name for name in PUBLIC if not inspect.ismodule(getattr(lee, name))}
    assert not top & functions


def test_public_functions_and_classes_are_documented():
    for name in PUBLIC:
        assert inspect.getdoc(getattr(lee, name)), name
