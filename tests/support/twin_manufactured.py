"""A manufactured solution of the twin's equations over a wavy electrode, at rest or moving."""

from __future__ import annotations

import ngsolve as ng
import numpy as np

from lee.twin import Cell
from lee.twin.electrode.butler_volmer import ButlerVolmer
from lee.twin.electrode.electrode import Electrode
from lee.twin.mesh.moving import MeshPosition, MovingMesh
from lee.twin.solver.equations import Problem, State
from lee.twin.solver.forms import Forms
from lee.twin.solver.newton import SubstepSolver
from lee.twin.solver.scales import Scales
from lee.twin.solver.stepping import Stepper

WIDE_UM, DEEP_UM, PLANE_UM, END_S = 50.0, 40.0, 40.0, 2.0
EXCHANGE = 0.4


class Manufactured:
    """Smooth c and ψ, the sources that make them a solution, and a mesh that follows a wavy electrode."""

    def __init__(self, cells: int, *, moving: bool) -> None:
        self.moving = float(moving)
        x, y = np.linspace(0, WIDE_UM, cells + 1), np.linspace(0, DEEP_UM, cells // 2 + 1)
        even = np.linspace(0, 1, cells + 1)
        self.share = even * (0.5 + 0.5 * even)
        self.forms = Forms(x, y, self.share)
        self.wave = np.cos(np.pi * x / WIDE_UM) * np.cos(np.pi * y / DEEP_UM)[:, None]
        self.scales = Scales.of(Cell())
        self._now, self._volt = ng.Parameter(0.0), ng.Parameter(0.0)
        self._make_loads()

    def place(self, time_s: float) -> MeshPosition:
        """Where the electrode and the plane are."""
        height = 6 * self.wave * (1 + 0.3 * self.moving * np.sin(1.5 * time_s))
        return MeshPosition(height, PLANE_UM + 1.5 * self.moving * np.sin(time_s))

    def z_um(self, time_s: float):
        place = self.place(time_s)
        return place.height_um[..., None] * (1 - self.share) + place.plane_um * self.share

    @staticmethod
    def electrode(time_s: float) -> float:
        return -2.0 - 0.3 * np.sin(time_s)

    def exact(self, time_s: float):
        """(2, columns, nz)."""
        z, wave = self.z_um(time_s), self.wave[..., None]
        u, psi = self._formulae(np, time_s, z, wave)
        return np.stack([f.reshape(wave.size, -1) for f in (u, psi)])

    @staticmethod
    def _formulae(m, t, z, wave):
        u = 0.8 + 0.15 * m.sin(0.8 * t + 0.3) * m.exp(-z / 30) * (1 + 0.5 * wave)
        psi = z / 60 * (1 + 0.3 * m.cos(t)) + 0.2 * m.sin(z / 25 + 0.2) * m.cos(0.7 * t) * wave
        return u, psi

    def _make_loads(self) -> None:
        t, scales = self._now, self.scales
        wave = ng.cos(np.pi / WIDE_UM * ng.x) * ng.cos(np.pi / DEEP_UM * ng.y)
        u, psi = self.functions = self._formulae(ng, t, ng.z, wave)
        rate = 0.15 * 0.8 * ng.cos(0.8 * t + 0.3) * ng.exp(-ng.z / 30) * (1 + 0.5 * wave)
        lifted = 6 * wave * 0.45 * self.moving * ng.cos(1.5 * t)
        salt = rate + lifted * u.Diff(ng.z) - scales.diffusivity * laplace(u)
        eta = self._volt - psi - scales.diffusion_potential * ng.log(u)
        self._plating = EXCHANGE * u**0.5 * (ng.exp(-0.5 * eta) - ng.exp(1.5 * eta))
        self._volume_loads = (salt / scales.uptake).Compile(), (-scales.conductance * laplace(psi)).Compile()
        self._electrode_loads = tuple(
            (factor * gradient(f) * ng.specialcf.normal(3) + self._plating).Compile()
            for f, factor in ((u, scales.diffusivity / scales.uptake), (psi, scales.conductance))
        )

    def set_time(self, time_s: float) -> None:
        self._now.Set(time_s)
        self._volt.Set(self.electrode(time_s))

    def loads(self, time_s: float):
        self.set_time(time_s)
        return tuple(
            self.forms.load(inside, ng.dx(bonus_intorder=2))
            + self.forms.load(outside, ng.ds("electrode", bonus_intorder=2))
            for inside, outside in zip(self._volume_loads, self._electrode_loads, strict=True)
        )

    def total(self, time_s: float) -> float:
        self.set_time(time_s)
        return float(self.forms.load(self._plating, ng.ds("electrode", bonus_intorder=4)).sum())

    def errors(self, steps: int):
        """Errors in L2, at the end, of c/c₀ and of ψ, and of the electrode's potential."""
        forms, scales = self.forms, self.scales
        columns, nz = self.wave.size, len(self.share)
        free = np.ones((2, nz), bool)
        free[:, -1] = False
        electrode = Electrode(
            np.full(columns, EXCHANGE), ButlerVolmer(0.5, 1.5, 0.5), scales.diffusion_potential
        )
        mesh = MovingMesh(forms, self.share, self.place(0.0))
        problem = Problem(
            scales,
            electrode,
            None,
            free,
            WIDE_UM * DEEP_UM,
            forms.plane_area(),
            self.loads,
            lambda t: self.exact(t)[:, :, -1],
            self.total,
        )
        stepper = Stepper(
            SubstepSolver(problem, forms.shape),
            lambda begin, length: mesh.toward(self.place(begin + length), begin, length),
            State(self.exact(0.0), self.electrode(0.0)),
            step_s=END_S / steps,
        )
        while stepper.time_s < END_S:
            stepper.step(END_S)
            mesh.accept()
        self.set_time(END_S)
        forms.move(self.z_um(END_S))
        volume = forms.mass().sum()
        found = [forms.difference(f, e) for f, e in zip(stepper.state.fields, self.functions, strict=True)]
        off = abs(stepper.state.metal - self.electrode(END_S))
        return np.array([*(np.sqrt(f / volume) for f in found), off])


def gradient(function):
    return ng.CoefficientFunction(tuple(function.Diff(axis) for axis in (ng.x, ng.y, ng.z)))


def laplace(function):
    return sum(function.Diff(axis).Diff(axis) for axis in (ng.x, ng.y, ng.z))
