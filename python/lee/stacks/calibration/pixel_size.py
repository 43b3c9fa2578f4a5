"""The pixel size: given, or stated by the stack where that can be believed."""

from __future__ import annotations

import math
import warnings

from lee.errors import InputError
from lee.stacks.reader import FrameSource


def pixel_size(source: FrameSource, where: str, given: float | None, *, stacklevel: int) -> tuple[float, str]:
    """Return the edge of a square pixel in µm and its provenance: given, else the file's, else 1 µm assumed.

    Raises
    ------
    InputError
        If it is no length, or pixels are not square.
    """
    if given is not None:
        return _checked(given, "pixel_um"), "given"
    if source.pixel_yx_um is not None:
        if source.pixel_um_doubt:
            warnings.warn(f"{where}: {source.pixel_um_doubt}", stacklevel=stacklevel + 1)
        y, x = (_checked(size, f"{where}, {source.pixel_um_source}") for size in source.pixel_yx_um)
        if abs(y - x) > 1e-3 * x:
            raise InputError(
                f"{where}, {source.pixel_um_source}: pixels of {x:g} × {y:g} µm are not square; "
                "resample the stack, or give pixel_um (--pixel-um) if that is wrong"
            )
        return x, source.pixel_um_source
    reason = f"; {source.pixel_um_doubt}" if source.pixel_um_doubt else ""
    warnings.warn(
        f"{where}: the stack has no pixel size; 1 µm is assumed, give it: pixel_um (--pixel-um){reason}",
        stacklevel=stacklevel + 1,
    )
    return 1.0, "assumed"


def _checked(value: object, source: str) -> float:
    try:
        pixel = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise InputError(f"{source}: {value!r} is not a pixel size; give it in µm") from None
    if not math.isfinite(pixel) or pixel <= 0:
        raise InputError(
            f"{source}: a pixel size of {pixel:g} µm is impossible; give a positive, finite one (--pixel-um)"
        )
    return pixel
