"""Cameras, stages and the virtual rig; nothing here uses the compiled core."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lee.devices.registry import open_camera, open_rig, open_stage

__all__ = ["open_camera", "open_rig", "open_stage", "virtual"]


def __getattr__(name: str) -> Any:
    if name.startswith("open_") and name in __all__:
        return getattr(import_module("lee.devices.registry"), name)
    if name in __all__:
        return import_module(f"lee.devices.{name}")
    raise AttributeError(f"module 'lee.devices' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
