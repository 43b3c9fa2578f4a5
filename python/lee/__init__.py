"""Measured 3D surfaces, growth and the local electrochemical environment from in-situ microscope scans."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lee.kernels.adaptive_variance import adaptive_variance as adaptive_variance
    from lee.kernels.argmax_refocus import argmax_refocus as argmax_refocus
    from lee.kernels.detect_particles import detect_particles as detect_particles
    from lee.kernels.opening import opening as opening
    from lee.particles.finding.find import find_particles as find_particles
    from lee.reconstruction.parameters import ReconstructParams as ReconstructParams
    from lee.reconstruction.reconstruct import reconstruct as reconstruct
    from lee.reconstruction.refocuser import Refocuser as Refocuser
    from lee.reconstruction.target import Target as Target
    from lee.runs.run import Run as Run
    from lee.runs.run import open_run as open_run
    from lee.stacks.stack import ZStack as ZStack
    from lee.stacks.stack import open_stack as open_stack
    from lee.surfaces.curvature import Curvature as Curvature
    from lee.surfaces.curvature import curvature as curvature
    from lee.surfaces.surface import Surface as Surface

# Imported on first use, so that `import lee` stays fast.
_HOME = {
    "Curvature": "surfaces.curvature",
    "ReconstructParams": "reconstruction.parameters",
    "Refocuser": "reconstruction.refocuser",
    "Run": "runs.run",
    "Surface": "surfaces.surface",
    "Target": "reconstruction.target",
    "ZStack": "stacks.stack",
    "adaptive_variance": "kernels.adaptive_variance",
    "argmax_refocus": "kernels.argmax_refocus",
    "curvature": "surfaces.curvature",
    "detect_particles": "kernels.detect_particles",
    "find_particles": "particles.finding.find",
    "open_run": "runs.run",
    "open_stack": "stacks.stack",
    "opening": "kernels.opening",
    "reconstruct": "reconstruction.reconstruct",
}
_ROOMS = ("devices", "twin")

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"lee.{_HOME[name]}"), name)
    if name in _ROOMS:
        return import_module(f"lee.{name}")
    raise AttributeError(f"module 'lee' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, *_ROOMS, "errors"]
