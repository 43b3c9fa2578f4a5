"""An electrode that moves, as it advances in time: with its deposit, or as it was measured."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lee.twin.mesh.columns import MAX_SLOPE
from lee.twin.mesh.moving import MeshPosition, MovingMesh
from lee.twin.model import Model
from lee.twin.results.builder import SolutionBuilder
from lee.twin.results.checkpoints import Checkpoints
from lee.twin.results.solution import Balance
from lee.twin.solve import why_stopped
from lee.twin.solver.equations import State
from lee.twin.solver.newton import SubstepSolver
from lee.twin.solver.stepping import Geometry, Stepper
from lee.twin.solver.time_loop import StoppedEarly


class MovingElectrode:
    """State and mesh of an electrode that moves; a subclass says where to, and how steep it may become.

    Parameters
    ----------
    model : Model
    builder : SolutionBuilder
        Takes the states that are recorded.
    tolerance : float
        As of `lee.twin.solve`.
    checkpoints : Checkpoints or None
        Where states are saved as they are recorded.
    position : MeshPosition
        Where the mesh begins.
    start : State or None
        None where `restore` brings it.
    time_s : float
    """

    def __init__(
        self,
        model: Model,
        builder: SolutionBuilder,
        tolerance: float,
        checkpoints: Checkpoints | None,
        position: MeshPosition,
        start: State | None,
        time_s: float = 0.0,
    ) -> None:
        self.model, self.builder, self._checkpoints = model, builder, checkpoints
        columns = model.columns
        self.solver = SubstepSolver(model.problem, columns.shape)
        self.mesh = MovingMesh(model.forms, columns.share, position)
        if start is None:
            start = State(np.ones((2, columns.shape[0] * columns.shape[1], columns.shape[2])), 0.0)
        self.stepper = Stepper(self.solver, self._toward, start, time_s=time_s, tolerance=tolerance)

    @property
    def steepest(self) -> float:
        """Slope at which it ends."""
        return MAX_SLOPE

    @property
    def time_s(self) -> float:
        """End of the last step."""
        return self.stepper.time_s

    def end_of_step(self, begin_s: float, length_s: float) -> NDArray[np.float64]:
        """Return the heights (ny, nx) at the end of a step."""
        raise NotImplementedError

    def moved(self) -> None:
        """Follow up on a step that was made."""

    def step(self, until_s: float) -> Balance:
        """Make one step and move the electrode by it."""
        balance = self.stepper.step(until_s)
        self.mesh.accept()
        self._check_mesh()
        self.moved()
        # The mesh is another one now.
        self.solver.forget()
        return self.builder.add_balance(balance)

    def saved(self) -> Any:
        """Return what `go_back` needs."""
        return self.stepper.saved(), self.stepper.longest_s, self.mesh.saved(), len(self.builder.balances)

    def go_back(self, saved: Any) -> None:
        """Return to where `saved` was called."""
        steps, self.stepper.longest_s, mesh, made = saved
        self.stepper.go_back(steps)
        self.mesh.go_back(mesh)
        del self.builder.balances[made:]
        self.solver.forget()

    def restart(self) -> None:
        """Begin anew from the last state: the current jumps."""
        self.stepper.restart()

    def record(self, more: Mapping[str, NDArray[np.float64]] | None = None) -> None:
        """Record the state at the end of the last step, and save it."""
        self._add_state()
        if self._checkpoints:
            states, solver = self.builder.states, {**self.checkpoint(), **(more or {})}
            self._checkpoints.save(states[-1], solver, self.builder.balances, len(states))

    def stop(self, cause: StoppedEarly) -> None:
        """Record why it ended; the last state is not saved, for no time asked for was reached."""
        self.builder.stopped = why_stopped(self.model.cell, self.stepper.state, cause)
        if self.time_s > self.builder.last_time_s:
            self._add_state()

    def _add_state(self) -> None:
        position, columns = self.mesh.position, self.model.columns
        moved = columns.to_pixels(position.height_um - columns.height_um)
        self.builder.add(
            self.time_s, self.stepper.state, None, self.mesh.z_um(position), columns.pixels_um + moved
        )

    def checkpoint(self) -> dict[str, NDArray[np.float64]]:
        """Return all that is needed to continue."""
        history = list(self.stepper.history)
        return {
            "times_s": np.array([moment for moment, _ in history]),
            "fields": np.stack([state.fields for _, state in history]),
            "electrodes": np.array([state.metal for _, state in history]),
            "next_s": np.array([self.stepper.next_s, self.stepper.longest_s]),
            "height_um": self.mesh.position.height_um,
            "plane_um": np.array(self.mesh.position.plane_um),
        }

    def restore(self, known: dict[str, NDArray[Any]]) -> None:
        """Continue from a checkpoint of what was interrupted."""
        stepper = self.stepper
        states = [State(f, float(e)) for f, e in zip(known["fields"], known["electrodes"], strict=True)]
        times = [float(moment) for moment in known["times_s"]]
        stepper.history = deque(zip(times, states, strict=True), maxlen=3)
        stepper.next_s, stepper.longest_s = (float(value) for value in known["next_s"])

    def _toward(self, begin_s: float, length_s: float) -> Geometry:
        end = self.end_of_step(begin_s, length_s)
        return self.mesh.toward(MeshPosition(end, self.model.plane_um(end)), begin_s, length_s)

    def _check_mesh(self) -> None:
        columns, height = self.model.columns, self.mesh.position.height_um
        steep = max(
            float(np.abs(np.diff(height, axis=axis)).max() / places[1])
            for axis, places in ((0, columns.y_um), (1, columns.x_um))
        )
        if steep > self.steepest:
            raise StoppedEarly(
                f"stopped at {self.time_s:.4g} s: a wall has grown to "
                f"{np.degrees(np.arctan(steep)):.0f} degrees, too steep for a height map; "
                "the results so far are kept",
                self.time_s,
            )
        if self.mesh.position.plane_um <= height.max():
            raise StoppedEarly(
                f"stopped at {self.time_s:.4g} s: the deposit has reached the anode", self.time_s
            )


def position_of(known: dict[str, NDArray[Any]]) -> MeshPosition:
    """Return where the mesh was at a checkpoint."""
    return MeshPosition(known["height_um"], float(known["plane_um"]))
