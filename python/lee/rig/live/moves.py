"""Moves of the stage outside runs: to a height, by a distance, and over a range in search of the sample."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from lee.devices.faults import StageStalled
from lee.devices.protocols import Rig, Stage
from lee.devices.reference import check_position
from lee.errors import InputError, LeeError, RigFault
from lee.rig.focus_sweep import FocusRange, sweep_heights, take_sweep
from lee.rig.halting import StoppedByUser, haltable
from lee.rig.live.doing import Doing

# Longest move, over the whole travel of a slow stage; time in which a stopped stage comes to rest.
_MOVE_S, _REST_S, _POLL_S = 120.0, 2.0, 0.05


class Moves:
    """Moves that somebody asked for, one at a time, on a thread of their own and never during a run.

    Parameters
    ----------
    rig : Rig
    doing : Doing
    look : callable
        Returns an image, (H, W) counts, that was exposed after the call.

    Attributes
    ----------
    found : FocusRange or None
        Outcome of the last sweep.
    """

    def __init__(self, rig: Rig, doing: Doing, look: Callable[[], NDArray[np.integer]]) -> None:
        self._rig, self._doing, self._look = rig, doing, look
        self._thread: threading.Thread | None = None
        self.found: FocusRange | None = None

    def go_to(self, um: float) -> None:
        """Move to a height; it is checked before anything moves.

        Raises
        ------
        InputError
            If it is beyond the limits, a run is in progress, or the stage moves.
        """
        stage = self._rig.stage
        if not isfinite(um):
            raise InputError(f"live: the height is {um}; give it in µm")
        counts = round(um * stage.counts_per_um)
        check_position(counts, stage.limits_counts, stage.counts_per_um)

        def work(stage: Stage) -> str:
            stage.move_to(counts, timeout_s=_MOVE_S)
            return f"the stage is at {_um(stage):.2f} µm"

        self._begin("moving", work)

    def jog(self, um: float) -> None:
        """Move by a distance, up where it is positive; as `go_to`."""
        self._doing.require_rest()
        self.go_to(_um(self._rig.stage) + um)

    def sweep(self, from_um: float, to_um: float, step_um: float) -> None:
        """Look for the sample from height to height, see `lee.rig.focus_sweep`; as `go_to`.

        The outcome is `found`; it moves no scan window.
        """
        heights = sweep_heights(self._rig.stage, from_um, to_um, step_um)

        def work(stage: Stage) -> str:
            self.found = take_sweep(stage, heights, self._look)
            return self.found.summary()

        self._begin("sweeping", work)

    def join(self, timeout_s: float | None) -> bool:
        """Wait for the end of a move; return whether there is none any more."""
        if self._thread is not None:
            self._thread.join(timeout_s)
        return self._thread is None or not self._thread.is_alive()

    def _begin(self, phase: str, work: Callable[[Stage], str]) -> None:
        with self._doing.lock:
            self._doing.begin(phase)
            self.found = None if phase == "sweeping" else self.found
            self._thread = threading.Thread(target=self._move, args=(work,), name="lee-move", daemon=True)
            self._thread.start()

    def _move(self, work: Callable[[Stage], str]) -> None:
        doing = self._doing
        try:
            doing.end("idle", work(haltable(self._rig, doing.halted).stage))
        except LeeError as fault:
            stopped = isinstance(fault, StoppedByUser | StageStalled) and doing.halted.is_set()
            doing.end("idle" if stopped else "fault", self._stopped() if stopped else str(fault))
        except Exception as error:  # the page must stay up to report it
            with suppress(RigFault):
                self._rig.stage.stop()
            doing.end("fault", f"unexpected {type(error).__name__}: {error}; a stop was sent to the stage")

    def _stopped(self) -> str:
        """Say where the stage came to rest."""
        end = time.monotonic() + _REST_S
        try:
            while (moving := self._rig.stage.status().moving) and time.monotonic() < end:
                time.sleep(_POLL_S)
            where = f"at {_um(self._rig.stage):.2f} µm"
        except RigFault as fault:
            return f"a stop was sent to the stage; {fault}"
        return f"the stage still moves, {where}" if moving else f"the stage was stopped {where}"


def _um(stage: Stage) -> float:
    return stage.status().position_counts / stage.counts_per_um
