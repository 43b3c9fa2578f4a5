"""The JSON beside every result: values made to fit into it, and the versions of the software."""

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np


def json_values(value: object) -> Any:
    """Turn numpy's numbers and arrays, paths and times into JSON's types; non-finite numbers into null."""
    if isinstance(value, Mapping):
        return {str(key): json_values(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray):
        return json_values(value.tolist())
    if isinstance(value, (list, tuple, set, frozenset)):
        return [json_values(entry) for entry in value]
    if isinstance(value, np.generic):
        return json_values(value.item())
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value if value is None or isinstance(value, (str, int, bool)) else str(value)


def versions() -> dict[str, str]:
    """Return the versions of Python, lee and the libraries its numbers depend on."""
    found = {"python": platform.python_version()}
    for package in ("lee-microscopy", "numpy", "scipy", "tifffile"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed as a package"
    return found
