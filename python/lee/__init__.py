"""Measured 3D surfaces, growth and the local electrochemical environment from in-situ microscope scans."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lee.reconstruction.reconstruct import reconstruct
from lee.reconstruction.refocuser import ReconstructParams, Refocuser

# Not lazy: their modules have the functions' names, and would take their places.
from lee.surfaces.curvature import Curvature, curvature

if TYPE_CHECKING:
    from lee.kernels.adaptive_variance import adaptive_variance as adaptive_variance
    from lee.kernels.argmax_refocus import argmax_refocus as argmax_refocus
    from lee.kernels.detect_particles import detect_particles as detect_particles
    from lee.kernels.opening import opening as opening
    from lee.particles.finding.find import find_particles as find_particles
    from lee.reconstruction.target import Target as Target
    from lee.runs.run import Run as Run
    from lee.runs.run import open_run as open_run
    from lee.stacks.stack import ZStack as ZStack
    from lee.stacks.stack import open_stack as open_stack
    from lee.surfaces.surface import Surface as Surface

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
