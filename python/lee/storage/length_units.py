"""Units of length and time as image files write them, in µm and s."""

from __future__ import annotations

# Written "u" for any form of µ.
_UM_PER_UNIT = {
    **dict.fromkeys(("um", "micron", "micrometer", "micrometre"), 1.0),
    **dict.fromkeys(("nm", "nanometer", "nanometre"), 1e-3),
    **dict.fromkeys(("mm", "millimeter", "millimetre"), 1e3),
    **dict.fromkeys(("cm", "centimeter", "centimetre"), 1e4),
    **dict.fromkeys(("dm", "decimeter", "decimetre"), 1e5),
    **dict.fromkeys(("m", "meter", "metre"), 1e6),
    **dict.fromkeys(("pm", "picometer", "picometre"), 1e-6),
    **dict.fromkeys(("å", "angstrom", "ångström"), 1e-4),
    **dict.fromkeys(("in", "inch", "inche", '"'), 25400.0),
    **dict.fromkeys(("mil", "thou"), 25.4),
    **dict.fromkeys(("ft", "foot", "feet"), 304800.0),
}
_S_PER_UNIT = {
    **dict.fromkeys(("s", "sec", "second"), 1.0),
    **dict.fromkeys(("ms", "msec", "millisecond"), 1e-3),
    **dict.fromkeys(("us", "usec", "microsecond"), 1e-6),
    **dict.fromkeys(("min", "minute"), 60.0),
    **dict.fromkeys(("h", "hour"), 3600.0),
    **dict.fromkeys(("d", "day"), 86400.0),
}
# How programs that do not agree on an encoding leave "µ" behind.
_MICRO = (
    *("\\u00b5", "\\xb5", "&micro;", "&#181;"),
    *("\u00c2\u00b5", "\u00ce\u00bc", "\u00ac\u00b5"),  # UTF-8 read as Latin 1, and as Mac Roman
    *("\u00b5", "\u03bc", "\ufffd", "?"),
)


def um_per_unit(unit: object) -> float | None:
    """Return the length of one `unit` in µm; None if it names no length (pixel, reference frame, nothing).

    Forms of µ that lost their encoding ("Âµm", "?m") and plurals are understood.
    """
    if not isinstance(unit, str):
        return None
    name = unit.strip(" \t\r\n\0.").strip("\"'") if len(unit.strip()) > 1 else unit.strip()
    name = name.casefold()
    for micro in _MICRO:
        name = name.replace(micro.casefold(), "u")
    return _UM_PER_UNIT.get(name, _UM_PER_UNIT.get(name.removesuffix("s")))


def s_per_unit(unit: object) -> float | None:
    """Return the length of one `unit` of time in s; None if it names no time."""
    if not isinstance(unit, str):
        return None
    name = unit.strip(" \t\r\n\0.").casefold()
    for micro in _MICRO:
        name = name.replace(micro.casefold(), "u")
    return _S_PER_UNIT.get(name, _S_PER_UNIT.get(name.removesuffix("s")))
