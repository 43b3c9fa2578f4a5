"""A protocol as TOML: an array of tables ``[[protocol]]``, one for each step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lee.electrochemistry.protocol import Control, Limit, Protocol, Step
from lee.errors import InputError

PROTOCOL = "protocol"
_VALUES: dict[str, Control] = {"current_ma_per_cm2": "current", "potential_v": "potential"}
_KEYS = (*_VALUES, "duration_s", "times_s", "above", "below", "repeat")
_MOST = 100_000


def protocol_of(steps: Any, name: str) -> Protocol:
    """Read a protocol from its tables.

    Each holds `current_ma_per_cm2` or `potential_v`: a number with `duration_s`, or numbers with `times_s`
    from the step's beginning; `above` or `below` end it early, at V of a controlled current or mA/cm² of a
    held potential. `repeat` in a table repeats all steps up to it, so many times in all.

    Parameters
    ----------
    steps : sequence of mappings
    name : str
        Of the file, for messages.

    Raises
    ------
    InputError
        If it is no list of tables, or one of them cannot be used.
    """
    if not isinstance(steps, list) or not all(isinstance(step, Mapping) for step in steps):
        raise InputError(f"{name}: protocol must be steps; begin each one with [[{PROTOCOL}]]")
    made: list[Step] = []
    for k, step in enumerate(steps, 1):
        place = f"{name}: step {k} of the protocol"
        made.append(_step(step, place))
        times = step.get("repeat", 1)
        if not isinstance(times, int) or isinstance(times, bool) or not 1 <= times * len(made) <= _MOST:
            raise InputError(f"{place}: repeat is {times!r}; give a whole number from 1 on")
        made *= times
    return Protocol(tuple(made))


def protocol_toml(protocol: Protocol) -> str:
    """Write a protocol's steps as TOML."""
    lines: list[str] = []
    for step in protocol.steps:
        value = next(key for key, control in _VALUES.items() if control == step.control)
        lines.append(f"[[{PROTOCOL}]]")
        if len(step.times_s) == 2 and step.values[0] == step.values[1]:
            lines += [f"{value} = {step.values[0]!r}", f"duration_s = {step.duration_s!r}"]
        else:
            lines += [f"{value} = {list(step.values)!r}", f"times_s = {list(step.times_s)!r}"]
        for side in ("above", "below"):
            limit = getattr(step.limit, side, None)
            lines += [f"{side} = {limit!r}"] if limit is not None else []
        lines.append("")
    return "\n".join(lines)


def _step(step: Mapping[str, Any], place: str) -> Step:
    unknown = [key for key in step if key not in _KEYS]
    if unknown:
        raise InputError(f"{place}: unknown key {unknown[0]!r}; keys are {', '.join(_KEYS)}")
    given = [key for key in _VALUES if key in step]
    if len(given) != 1 or ("duration_s" in step) == ("times_s" in step):
        raise InputError(f"{place}: give one of {', '.join(_VALUES)}, and one of duration_s and times_s")
    values = _numbers(step[given[0]], f"{place}: {given[0]}")
    if "duration_s" in step:
        times = [0.0, *_numbers(step["duration_s"], f"{place}: duration_s")]
        values = values * 2 if len(values) == 1 else values
    else:
        times = _numbers(step["times_s"], f"{place}: times_s")
    sides = {side: _numbers(step[side], f"{place}: {side}")[0] for side in ("above", "below") if side in step}
    try:
        return Step(_VALUES[given[0]], tuple(times), tuple(values), Limit(**sides) if sides else None)
    except InputError as error:
        raise InputError(f"{place}: {str(error).removeprefix('protocol: ')}") from error


def _numbers(given: Any, place: str) -> list[float]:
    numbers = given if isinstance(given, list) else [given]
    if not numbers or not all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers):
        raise InputError(f"{place} is {given!r}; give a number, or a list of numbers")
    return [float(number) for number in numbers]
