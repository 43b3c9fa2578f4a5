"""Measured 3D surfaces, growth and the local electrochemical environment from in-situ microscope scans.

The public names and the modules they come from are declared once, in ``__init__.pyi`` beside this file, where
type checkers and editors read them too. Each is imported on first use, so that `import lee` stays fast.
"""

import ast
from importlib import import_module
from pathlib import Path


def _declared() -> dict[str, str]:
    """Return the module that each public name comes from, as the imports of ``__init__.pyi`` state it."""
    stub = ast.parse(Path(__file__).with_name("__init__.pyi").read_text(encoding="utf-8"))
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


_HOME = _declared()
__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'lee' has no attribute {name!r}")
    if _HOME[name] == "lee":
        return import_module(f"lee.{name}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
