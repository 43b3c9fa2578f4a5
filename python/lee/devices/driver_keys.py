"""The keys of a section of a rig's file: which values each may have, and how a file's values are checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from math import isfinite
from typing import TYPE_CHECKING, TypeVar, get_type_hints

from lee.errors import InputError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Section = TypeVar("Section", bound=DataclassInstance)

_ALLOWED = "allowed"


@dataclass(frozen=True)
class Allowed:
    """What a key may hold: numbers within bounds, one of some texts, a list of so many whole numbers."""

    above: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    among: tuple[str, ...] = ()
    length: int = 0

    @property
    def bounds(self) -> str:
        """The bounds of a number in words."""
        limits = (("above", self.above), ("at least", self.minimum), ("at most", self.maximum))
        return ", ".join(f"{word} {value:g}" for word, value in limits if value is not None)

    def admits(self, value: float) -> bool:
        """Whether a number is finite and within the bounds."""
        return (
            isfinite(value)
            and (self.above is None or value > self.above)
            and (self.minimum is None or value >= self.minimum)
            and (self.maximum is None or value <= self.maximum)
        )


def allowed(
    *,
    above: float | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    among: tuple[str, ...] = (),
    length: int = 0,
) -> dict[str, object]:
    """Return the ``metadata`` of a dataclass field that is a key."""
    return {_ALLOWED: Allowed(above, minimum, maximum, among, length)}


def section_of(kind: type[Section], where: str, given: Mapping[str, object]) -> Section:
    """Build a section, a dataclass whose fields are its keys, from the values in a file.

    Parameters
    ----------
    kind : type
        Its fields are ``str``, ``bool``, ``int``, ``float``, ``float | None`` or ``tuple[int, ...]``, by
        annotation.
    where : str
        File and section, for messages.
    given : mapping

    Raises
    ------
    InputError
        If a key is missing or unknown, or a value is not allowed.
    """
    known = {item.name: item for item in fields(kind)}
    for key in given:
        if key not in known:
            raise InputError(f"{where} {key} is unknown; keys are {', '.join(known)}")
    for key, item in known.items():
        if item.default is MISSING and item.default_factory is MISSING and key not in given:
            raise InputError(f"{where} {key} is missing; give it")
    types = get_type_hints(kind)
    values = {
        key: _checked(f"{where} {key}", value, types[key], known[key].metadata.get(_ALLOWED, Allowed()))
        for key, value in given.items()
    }
    return kind(**values)


def text_of(what: str, value: object) -> str:
    """Return a value that must be a text."""
    if not isinstance(value, str):
        raise InputError(f'{what} is {value!r}; it must be a text in quotes, "..."')
    return value


def one_of(what: str, value: str, among: tuple[str, ...]) -> str:
    """Return a text that must be one of some."""
    if value not in among:
        raise InputError(f"{what} is {value!r}; it is one of {', '.join(among)}")
    return value


def _checked(what: str, value: object, kind: object, may: Allowed) -> object:
    """Return a value as its key's type, or raise with what is allowed."""
    if kind is int or kind in (float, float | None):
        return _number(what, value, may, whole=kind is int)
    if kind is bool:
        if not isinstance(value, bool):
            raise InputError(f"{what} is {value!r}; it must be true or false")
        return value
    if kind is str:
        text = text_of(what, value)
        return one_of(what, text, may.among) if may.among else text
    if not isinstance(value, list | tuple) or len(value) != may.length:
        raise InputError(f"{what} is {value!r}; it must be a list of {may.length} whole numbers")
    return tuple(_number(what, item, may, whole=True) for item in value)


def _number(what: str, value: object, may: Allowed, *, whole: bool) -> float | int:
    good = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not (good and isinstance(value, int | float) and may.admits(value)):
        number = "it must be a whole number" if whole else "it must be a number"
        raise InputError(f"{what} is {value!r}; {number} {may.bounds}")
    return int(value) if whole else float(value)
