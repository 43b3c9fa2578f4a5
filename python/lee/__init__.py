"""Measured 3D surfaces, growth and the local electrochemical environment from in-situ microscope scans."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Not lazy: their modules have the functions' names, and would take their places.
from lee.curvature import Curvature, curvature
from lee.reconstruct import reconstruct
from lee.refocuser import ReconstructParams, Refocuser

if TYPE_CHECKING:
    from lee.kernels import adaptive_variance as adaptive_variance
    from lee.kernels import argmax_refocus as argmax_refocus
    from lee.kernels import opening as opening
    from lee.particles.detect import detect_particles as detect_particles
    from lee.particles.find import find_particles as find_particles
    from lee.run import Run as Run
    from lee.run import open_run as open_run
    from lee.stack import ZStack as ZStack
    from lee.stack import open_stack as open_stack
    from lee.surface import Surface as Surface
    from lee.target import Target as Target

# Imported on first use, so that `import lee` stays fast.
_HOME = {
    "adaptive_variance": "kernels",
    "argmax_refocus": "kernels",
    "opening": "kernels",
    "detect_particles": "particles.detect",
    "find_particles": "particles.find",
    "Target": "target",
    "open_stack": "stack",
    "ZStack": "stack",
    "Run": "run",
    "open_run": "run",
    "Surface": "surface",
}

__all__ = ["Curvature", "curvature", "ReconstructParams", "Refocuser", "reconstruct", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"lee.{_HOME[name]}"), name)
    raise AttributeError(f"module 'lee' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "devices", "errors"]
