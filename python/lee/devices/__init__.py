"""Cameras, stages and the virtual rig; nothing here uses the compiled core."""

from importlib import import_module
from typing import Any

__all__ = ["virtual"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return import_module(f"lee.devices.{name}")
    raise AttributeError(f"module 'lee.devices' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
