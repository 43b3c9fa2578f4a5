from lee import devices as devices
from lee import electrochemistry as electrochemistry
from lee import errors as errors
from lee import metrology as metrology
from lee import twin as twin
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

__all__ = [
    "Curvature",
    "ReconstructParams",
    "Refocuser",
    "Run",
    "Surface",
    "Target",
    "ZStack",
    "adaptive_variance",
    "argmax_refocus",
    "curvature",
    "detect_particles",
    "devices",
    "electrochemistry",
    "errors",
    "find_particles",
    "metrology",
    "open_run",
    "open_stack",
    "opening",
    "reconstruct",
    "twin",
]
