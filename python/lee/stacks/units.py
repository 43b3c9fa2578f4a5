"""Units of length as image files write them, in µm."""

from __future__ import annotations

_UM_PER_UNIT = {
    **dict.fromkeys(("um", "µm", "μm", "\\u00b5m", "micron", "microns", "micrometer", "micrometre"), 1.0),
    **dict.fromkeys(("nm", "nanometer", "nanometre"), 1e-3),
    **dict.fromkeys(("mm", "millimeter", "millimetre"), 1e3),
    **dict.fromkeys(("cm", "centimeter", "centimetre"), 1e4),
    **dict.fromkeys(("m", "meter", "metre"), 1e6),
    **dict.fromkeys(("pm", "picometer", "picometre"), 1e-6),
    **dict.fromkeys(("å", "å", "angstrom"), 1e-4),
    **dict.fromkeys(("in", "inch"), 25400.0),
}


def um_per_unit(unit: str | None) -> float | None:
    """Return the length of one `unit` in µm; None if it names no length (pixel, reference frame, nothing)."""
    return None if unit is None else _UM_PER_UNIT.get(unit.strip().casefold())
