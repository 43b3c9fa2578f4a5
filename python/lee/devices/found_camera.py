"""A camera that a vendor's library sees, and the choice of one among several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lee.errors import InputError


@dataclass(frozen=True)
class FoundCamera:
    """A camera that can be opened.

    ``names`` are those that a rig's file may give for it, the library's own first. ``loopback``: it is a
    program on this computer; ``made_up``: the library simulates it.
    """

    serial: str
    model: str
    names: tuple[str, ...]
    vendor: str = ""
    network: bool = False
    loopback: bool = False
    made_up: bool = False


def chosen_camera(found: Sequence[FoundCamera], name: str) -> FoundCamera:
    """Return the camera of a name, or the only one there is where the name is "".

    Raises
    ------
    InputError
        If there is none, or more than one.
    """
    real = [one for one in found if not one.made_up]
    fit = [one for one in found if name in one.names] if name else real
    listed = ", ".join(f"{one.serial} ({one.model})" for one in real) or "none"
    if not fit:
        wanted = f"camera: there is no camera {name!r}" if name else "camera: there is none"
        raise InputError(f"{wanted}; found: {listed}; check its cable and the rights to use it")
    if len(fit) > 1:
        raise InputError(f"camera: there are {len(fit)}, {listed}; name one by its serial")
    return fit[0]
