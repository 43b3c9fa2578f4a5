"""Cameras and stages of the rig behind two small protocols, and a virtual rig that stands in for them.

A rig's file names a driver for each device; `registry` lists them, and other packages add theirs. The room
stands alone: a virtual rig that drew its images with the code under test would share its errors.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lee.devices.from_config import open_camera, open_rig, open_stage

__all__ = ["open_camera", "open_rig", "open_stage", "virtual"]


def __getattr__(name: str) -> Any:
    if name.startswith("open_") and name in __all__:
        return getattr(import_module("lee.devices.from_config"), name)
    if name in __all__:
        return import_module(f"lee.devices.{name}")
    raise AttributeError(f"module 'lee.devices' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
