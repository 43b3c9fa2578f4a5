"""What the parameters of a cell may be, and where their defaults come from."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite

from lee.errors import InputError


@dataclass(frozen=True)
class Limits:
    """What a parameter may be; None is allowed where it is `optional`."""

    unit: str
    above: float | None
    minimum: float | None
    maximum: float
    optional: bool


def about(
    unit: str,
    source: str,
    *,
    above: float | None = None,
    minimum: float | None = None,
    maximum: float = inf,
    optional: bool = False,
) -> dict[str, str | Limits]:
    """Describe a parameter: its unit, where its default comes from, and its limits."""
    limits = Limits(unit, above, minimum, maximum, optional)
    return {"unit": unit, "source": source, "limits": limits}


def check(name: str, value: object, limits: Limits) -> None:
    """Refuse what a parameter cannot be.

    Raises
    ------
    InputError
        If it is no number, or outside its limits.
    """
    if value is None and limits.optional:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise InputError(f"cell: {name} is {value!r}; it must be a number, in {limits.unit}")
    unit = "" if limits.unit == "1" else f" {limits.unit}"
    above, minimum, maximum = limits.above, limits.minimum, limits.maximum
    if (above is not None and value <= above) or (minimum is not None and value < minimum) or value > maximum:
        allowed = f"above {above:g}" if above is not None else f"at least {minimum:g}"
        raise InputError(f"cell: {name} is {value:g}{unit}; it must be {allowed} and at most {maximum:g}")
