"""Whether a stage's counter tells where the stage is: it was homed, or the operator stated where it stands.

A stepper without an encoder only counts its own steps. After it was switched off, its counter begins at 0
wherever the stage stands: driven by that, it goes where an objective may be.
"""

from __future__ import annotations

from lee.devices.faults import ReferenceUnknown
from lee.devices.protocols import Reference, StageStatus
from lee.errors import InputError

# A position that the operator gives may differ from the counter's by this much.
CONFIRMED_WITHIN_UM = 1.0


def check_position(counts: int, limits_counts: tuple[int, int], counts_per_um: float) -> None:
    """Raise ``InputError`` where a position is no whole count, or beyond the limits, (lowest, highest)."""
    lowest, highest = limits_counts
    if not isinstance(counts, int):
        raise InputError(f"stage: the position is {counts!r} counts; give whole counts")
    if not lowest <= counts <= highest:
        here, low, high = (f"{value / counts_per_um:.2f}" for value in (counts, lowest, highest))
        raise InputError(
            f"stage: {here} µm is beyond its limits, {low} to {high} µm; move within them, or correct "
            "lowest_um and highest_um"
        )


class PositionReference:
    """Watches the status of a stage, and refuses motion where its counter may be wrong.

    A stage that reported itself homed and no longer does was reset. One whose height the operator stated was
    reset, or moved by hand, where its counter leaves the way that it was sent.

    Parameters
    ----------
    counts_per_um : float
    """

    def __init__(self, counts_per_um: float) -> None:
        self._scale = counts_per_um
        self._confirmed: Reference | None = None
        self._homed = False
        self._lost = ""
        self._way = (0, 0)  # where the counter may be until the next motion

    @property
    def known(self) -> Reference | None:
        """What is known of the counter now; None where it may be wrong."""
        if self._lost:
            return None
        return Reference("homed") if self._homed else self._confirmed

    def see(self, status: StageStatus) -> None:
        """Take note of a status; call it for every one that is waited for."""
        here = status.position_counts
        margin = CONFIRMED_WITHIN_UM * self._scale
        if status.homed:
            self._homed, self._confirmed, self._lost = True, None, ""
        elif self._homed:
            self._homed = False
            self._lost = "it was homed and no longer is: it was switched off or reset"
        elif self._confirmed and not self._way[0] - margin <= here <= self._way[1] + margin:
            self._confirmed = None
            low, high = (count / self._scale for count in self._way)
            where = f"at {low:.2f}" if low == high else f"between {low:.2f} and {high:.2f}"
            self._lost = (
                f"its counter left the way it was sent ({where} µm): it was switched off, or moved by hand"
            )

    def sent(self, status: StageStatus, target: int) -> None:
        """Take note of a motion that begins now, from the status to the target."""
        self._way = (min(status.position_counts, target), max(status.position_counts, target))

    def arrived(self, counts: int) -> None:
        """Take note of where the stage rests."""
        self._way = (counts, counts)

    def begin_homing(self) -> None:
        """Forget what was known: the counter will change."""
        self._homed, self._confirmed, self._lost = False, None, ""

    def require(self, status: StageStatus) -> None:
        """Raise ``ReferenceUnknown`` where the counter may be wrong; nothing may move then."""
        self.see(status)
        if self.known is not None:
            return
        why = self._lost or "it was not homed since it was switched on"
        raise ReferenceUnknown(
            f"stage: {why}, and its counter shows {status.position_counts / self._scale:.2f} µm; nothing "
            "moves before it is homed (lee rig home, with the objective out of the way), or you state the "
            "height at which it stands (--reference-um)"
        )

    def needs_setting(self, status: StageStatus, counts: int) -> bool:
        """Return whether the counter must be set to the position that the operator states.

        Parameters
        ----------
        status : StageStatus
            At rest.
        counts : int
            Where the operator says that the stage stands.

        Raises
        ------
        InputError
            If the counter shows something else although it was not just switched on: one of the two is wrong.
        """
        self.see(status)
        here, um = status.position_counts, status.position_counts / self._scale
        if abs(here - counts) <= CONFIRMED_WITHIN_UM * self._scale:
            return False
        stated_um = counts / self._scale
        stated = f"stage: its counter shows {um:.2f} µm, and the stated reference is {stated_um:.2f} µm; "
        if status.homed:
            raise InputError(f"{stated}it is homed: omit the reference (--reference-um), or home it again")
        if abs(here) <= CONFIRMED_WITHIN_UM * self._scale:
            return True
        raise InputError(
            f"{stated}if the counter is right, state what it shows; if not, home the stage, or switch its "
            "controller off and on where it stands and state that height"
        )

    def confirm(self, counts: int, before: StageStatus, *, was_set: bool) -> Reference:
        """Take the operator's word; return what a recording keeps of it."""
        self._lost = ""
        self._way = (counts, counts) if was_set else (before.position_counts, before.position_counts)
        if before.homed:
            return Reference("homed")
        self._confirmed = Reference(
            "operator", counts / self._scale, before.position_counts / self._scale, counter_set=was_set
        )
        return self._confirmed
