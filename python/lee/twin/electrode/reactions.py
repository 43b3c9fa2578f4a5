"""The reactions that a cell can have, by name: built in, and added with `register_reaction`."""

from __future__ import annotations

from collections.abc import Callable

from lee.errors import InputError
from lee.twin.electrode.butler_volmer import ButlerVolmer
from lee.twin.electrode.kinetics import Kinetics, Parameters

DEFAULT = "butler_volmer"
_REACTIONS: dict[str, Callable[[Parameters], Kinetics]] = {DEFAULT: ButlerVolmer.of}


def register_reaction(name: str, make: Callable[[Parameters], Kinetics]) -> None:
    """Add a reaction under a name, which `Cell.reaction` then takes.

    Parameters
    ----------
    name : str
    make : callable
        Takes a cell and returns its kinetics.

    Raises
    ------
    InputError
        If the name is taken.
    """
    if name in _REACTIONS:
        raise InputError(f"reaction {name!r} is registered already; choose another name")
    _REACTIONS[name] = make


def reaction_names() -> tuple[str, ...]:
    """Names of all reactions."""
    return tuple(_REACTIONS)


def make_kinetics(name: str, cell: Parameters) -> Kinetics:
    """Make the kinetics of a cell's reaction.

    Raises
    ------
    InputError
        If no reaction has this name.
    """
    if name not in _REACTIONS:
        raise InputError(f"reaction is {name!r}; reactions are {', '.join(_REACTIONS)}")
    return _REACTIONS[name](cell)
