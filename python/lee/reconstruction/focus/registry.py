"""The focus measures that exist, by name. A new one is added here, or by `register_measure`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lee.errors import InputError
from lee.reconstruction.focus.variance import NormalisedVariance
from lee.reconstruction.focus.wavelet import ComplexWavelets

if TYPE_CHECKING:
    from lee.reconstruction.focus.measure import FocusMeasure

DEFAULT_FOCUS = "variance"

_measures: dict[str, FocusMeasure] = {
    measure.name: measure for measure in (NormalisedVariance(), ComplexWavelets())
}


def register_measure(measure: FocusMeasure) -> None:
    """Add a focus measure in this process.

    Raises
    ------
    InputError
        If there is one of this name.
    """
    if measure.name in _measures:
        raise InputError(f"focus: there is a measure {measure.name!r} already; choose another name")
    _measures[measure.name] = measure


def unregister_measure(name: str) -> None:
    """Take a focus measure out again."""
    del _measures[name]


def focus_names() -> tuple[str, ...]:
    """Return the names of all focus measures."""
    return tuple(_measures)


def focus_measure(name: str) -> FocusMeasure:
    """Return the focus measure of this name.

    Raises
    ------
    InputError
        If there is none.
    """
    if name not in _measures:
        raise InputError(f"focus is {name!r}; give {' or '.join(map(repr, _measures))}")
    return _measures[name]
