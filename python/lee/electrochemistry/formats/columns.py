"""Names and units of columns: which hold time, current and potential, and how they become SI."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lee.errors import InputError

TIME, CURRENT, POTENTIAL, UNIX, DENSITY = "time", "current", "potential", "unix", "density"

_UNITS: dict[str, dict[str, float]] = {
    TIME: {
        **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
        **dict.fromkeys(("min", "minute", "minutes"), 60.0),
        **dict.fromkeys(("h", "hr", "hour", "hours"), 3600.0),
        "ms": 1e-3,
        "d": 86400.0,
    },
    CURRENT: {
        **dict.fromkeys(("a", "amp", "amps", "ampere"), 1.0),
        **dict.fromkeys(("ma", "milliampere"), 1e-3),
        "ua": 1e-6,
        "na": 1e-9,
        "ka": 1e3,
    },
    POTENTIAL: {
        **dict.fromkeys(("v", "volt", "volts", "v vs. ref.", "v vs ref"), 1.0),
        "mv": 1e-3,
        "uv": 1e-6,
    },
    # A/cm²
    DENSITY: {
        **dict.fromkeys(("a/cm2", "a cm-2", "a_per_cm2"), 1.0),
        **dict.fromkeys(("ma/cm2", "ma cm-2", "ma_per_cm2"), 1e-3),
        **dict.fromkeys(("a/m2", "a m-2", "a_per_m2"), 1e-4),
        "ua/cm2": 1e-6,
        "ma/m2": 1e-7,
    },
}
# In the order of preference: of two that a table has, the earlier one is read.
_NAMES: dict[str, tuple[str, ...]] = {
    TIME: (
        *("test time", "total time", "time", "elapsed time", "corrected time", "t", "zeit", "run time"),
        *("record time",),
    ),
    CURRENT: (
        *("current", "i", "<i>", "im", "i mean", "cell current", "we(1).current", "strom", "idc", "iwe"),
    ),
    POTENTIAL: (
        *("ecell", "voltage", "cell voltage", "cell potential", "potential", "ewe", "<ewe>", "vf", "e", "u"),
        *("v", "we(1).potential", "potential applied", "spannung", "potenzial", "edc", "vm", "ewe-ece"),
    ),
    UNIX: ("unix time",),
}
_DENSITY_NAMES = (*_NAMES[CURRENT], "current density", "j")
_SPLIT = (
    re.compile(r"^<(?P<name>[^<>/]+)/(?P<unit>[^<>]+)>$"),
    re.compile(r"^(?P<name>.*?)\s*[(\[]\s*(?P<unit>[^()\[\]]*)\s*[)\]]\s*$"),
    re.compile(r"^(?P<name>.*?)\s*/\s*(?P<unit>.+)$"),
    re.compile(r"^(?P<name>.*?)\s+(?P<unit>(?:[µμumkn]?A|mV|V|s|ms|min|h)(?:[ /]c?m(?:\^?-?2|²))?)$"),
)
_SNAKE = re.compile(r"^(?P<name>.+?)_(?P<unit>[a-z0-9]+(?:_per_[a-z0-9]+)?)$", re.IGNORECASE)


@dataclass(frozen=True)
class RecordColumn:
    """A column that is read: what it holds, its place and name in the table, and its factor to SI."""

    holds: str
    place: int
    name: str
    factor: float


def plain(text: str) -> str:
    """Return a name or unit in small letters, with one way to write µ and ², and single spaces."""
    text = text.replace("µ", "u").replace("μ", "u").replace("²", "2").replace("^", "").replace("−", "-")
    return " ".join(text.strip().strip('"').split()).lower()


def unit_of(text: str) -> tuple[str, float] | None:
    """Return what a unit measures and its factor to SI (A/cm² for a density), or None."""
    unit = plain(text)
    for holds, units in _UNITS.items():
        if unit in units:
            return holds, units[unit]
    return None


def split_name(header: str) -> tuple[str, str]:
    """Split a header such as ``I/mA``, ``Current (A)``, ``time_s`` into name and unit, which may be empty."""
    for form in _SPLIT:
        found = form.match(header.strip().strip('"'))
        if found and unit_of(found["unit"]):
            return plain(found["name"]), found["unit"].strip()
    found = _SNAKE.match(header.strip().strip('"'))
    if found and unit_of(found["unit"]):
        return plain(found["name"]).replace("_", " "), found["unit"]
    return plain(header).replace("_", " "), ""


def find_columns(
    headers: Sequence[str],
    where: str,
    *,
    units: Sequence[str] | None = None,
    chosen: Mapping[str, str] | None = None,
    known_units: Mapping[str, str] | None = None,
    optional: Sequence[str] = (POTENTIAL, UNIX),
) -> dict[str, RecordColumn]:
    """Find the columns of time, current and potential among the headers of a table.

    Parameters
    ----------
    headers : sequence of str
    where : str
        File and line, for messages.
    units : sequence of str, optional
        A row of units below the headers.
    chosen : mapping, optional
        ``{"current": "I"}`` or, with a unit, ``{"current": "I:mA"}``.
    known_units : mapping of str to str, optional
        Units that the format fixes, by what they measure.
    optional : sequence of str
        What may be missing.

    Raises
    ------
    InputError
        If one is missing, or its unit is not stated.
    """
    found: dict[str, RecordColumn] = {}
    given = dict(chosen or {})
    unknown = set(given) - {TIME, CURRENT, POTENTIAL}
    if unknown:
        raise InputError(
            f"column {sorted(unknown)[0]!r} is not known; choose columns of time, current or potential"
        )
    for holds in (TIME, CURRENT, POTENTIAL, UNIX):
        place, unit = (
            _chosen(headers, given[holds], where, holds) if holds in given else _named(headers, units, holds)
        )
        if place is None:
            continue
        if not unit:
            unit = (units[place] if units and place < len(units) else "") or split_name(headers[place])[1]
        if not unit:
            unit = (known_units or {}).get(holds, "")
        measured = unit_of(unit) if unit else None
        own = TIME if holds == UNIX else holds
        if measured is None or measured[0] not in ((own, DENSITY) if own == CURRENT else (own,)):
            example = {TIME: "s", CURRENT: "mA", POTENTIAL: "V"}[own]
            stated = f"states the unit {unit!r}" if unit else "states no unit"
            raise InputError(
                f"{where}: the column {headers[place].strip()!r} ({own}) {stated}; say which it is, as with "
                f"--column {own}={headers[place].strip()}:{example}"
            )
        kind = DENSITY if measured[0] == DENSITY else holds
        found[kind] = RecordColumn(kind, place, headers[place].strip(), measured[1])
    for holds in (TIME, CURRENT, POTENTIAL):
        if holds not in optional and holds not in found and not (holds == CURRENT and DENSITY in found):
            listed = ", ".join(header.strip() for header in headers if header.strip())
            raise InputError(
                f"{where}: no column of {holds} among {listed[:300]}; name it, as with --column "
                f"{holds}=NAME:UNIT"
            )
    return found


def looks_like_header(cells: Sequence[str]) -> bool:
    """Return whether a row names a time and a current or potential."""
    return _named(cells, None, TIME)[0] is not None and any(
        _named(cells, None, holds)[0] is not None for holds in (CURRENT, POTENTIAL)
    )


def _named(headers: Sequence[str], units: Sequence[str] | None, holds: str) -> tuple[int | None, str]:
    names = [split_name(header) for header in headers]
    for wanted in _NAMES[holds] if holds != CURRENT else (*_NAMES[CURRENT], *_DENSITY_NAMES):
        for place, (name, unit) in enumerate(names):
            if name == wanted:
                return place, unit
    return None, ""


def _chosen(headers: Sequence[str], text: str, where: str, holds: str) -> tuple[int, str]:
    name, separator, unit = text.rpartition(":")
    if not separator or unit_of(unit) is None:
        name, unit = text, ""
    for place, header in enumerate(headers):
        if plain(header) == plain(name):
            return place, unit
    listed = ", ".join(header.strip() for header in headers if header.strip())
    raise InputError(f"{where}: there is no column {name!r} for the {holds}; the columns are {listed[:300]}")
