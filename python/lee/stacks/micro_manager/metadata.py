"""Heights and pixel size from what Micro-Manager writes for every frame and for the acquisition."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np

from lee.stacks.calibration.stated import StatedCalibration, heights_of

POSITION = "Micro-Manager ZPositionUm"
_STEP = "Micro-Manager z-step_um"
# The names of several versions; the stage's own position goes before the one that was asked for.
_HEIGHT_KEYS = ("ZPositionUm", "ZPosition_um", "ZPosition_um_Intended")
_PIXEL_KEYS = ("PixelSizeUm", "PixelSize_um")
_STEP_KEYS = ("z-step_um", "ZStep_um")


def height_um(frame: Mapping[str, object]) -> float | None:
    """Return the height of a frame; None where it is not stated."""
    return _first_number(frame, _HEIGHT_KEYS)


def calibration_of_frames(
    frames: Sequence[Mapping[str, object]], summary: Mapping[str, object], *, along_z: bool
) -> StatedCalibration:
    """Return the calibration of a stack.

    Parameters
    ----------
    frames : sequence of dict
        Metadata of every frame, in their order.
    summary : dict
        Metadata of the acquisition.
    along_z : bool
        Whether the frames lie along z, so that the step of the acquisition is theirs.
    """
    heights = [height_um(frame) for frame in frames]
    known = None if any(z is None for z in heights) else np.array(heights, dtype=np.float64)
    step = _first_number(summary, _STEP_KEYS) if along_z else None
    found = heights_of(len(frames), positions_um=known, positions=POSITION, step_um=step or None, step=_STEP)
    pixel = (frames and _first_number(frames[0], _PIXEL_KEYS)) or _first_number(summary, _PIXEL_KEYS)
    if pixel:
        found.pixel_yx_um, found.pixel_um_source = (pixel, pixel), "Micro-Manager PixelSizeUm"
    return found


def axes_of_frames(
    frames: Sequence[Mapping[str, object]],
) -> tuple[dict[str, int], dict[str, list[str]], list[int | None]] | None:
    """Return the axes along which frames lie, names of channels or positions, and the frame at each place.

    The places are in the order of the axes, the last one fastest; None where no frame is. None for frames
    that do not say where they lie, or lie along z only.
    """
    placed = [_place(frame) for frame in frames]
    levels = {axis: in_order([place.get(axis, 0) for place in placed]) for axis in "ptzc"}
    levels = {axis: values for axis, values in levels.items() if len(values) > 1}
    if set(levels) <= {"z"}:
        return None
    index = {
        tuple(levels[axis].index(place.get(axis, 0)) for axis in levels): k for k, place in enumerate(placed)
    }
    axes = {axis: len(values) for axis, values in levels.items()}
    labels = {
        axis: [str(value) for value in values]
        for axis, values in levels.items()
        if any(isinstance(value, str) for value in values)
    }
    return axes, labels, [index.get(place) for place in np.ndindex(*axes.values())]


def _place(frame: Mapping[str, object]) -> dict[str, int | str]:
    stated = frame.get("Axes")
    if isinstance(stated, dict):
        names = {"z": "z", "time": "t", "channel": "c", "position": "p"}
        return {names[name]: value for name, value in stated.items() if name in names}
    keys = {"z": "SliceIndex", "t": "FrameIndex", "c": "ChannelIndex", "p": "PositionIndex"}
    return {axis: value for axis, key in keys.items() if isinstance(value := frame.get(key), int)}


def in_order(values: Sequence[int | str]) -> list[int | str]:
    """Return numbers in their order, names in that in which they come first."""
    numbers = sorted({value for value in values if isinstance(value, int)})
    return [*numbers, *dict.fromkeys(value for value in values if isinstance(value, str))]


def parsed(text: object) -> Mapping[str, object]:
    """Return JSON of a file or tag as a dict; empty where it is something else."""
    if isinstance(text, str | bytes):
        try:
            text = json.loads(text.rstrip(b"\0" if isinstance(text, bytes) else "\0"))  # type: ignore[arg-type]
        except (ValueError, RecursionError):
            return {}
    return text if isinstance(text, dict) else {}


def whole_members(text: str) -> dict[str, object]:
    """Return the members of a JSON object that are whole, also where the end of the file is missing."""
    decoder, members = json.JSONDecoder(), {}
    place = text.find("{") + 1
    while place:
        start = text.find('"', place)
        if start < 0:
            break
        try:
            key, end = decoder.raw_decode(text, start)
            colon = text.index(":", end) + 1
            value, place = decoder.raw_decode(text, colon + _blanks(text, colon))
        except (ValueError, RecursionError):
            break
        members[str(key)] = value
    return members


def _blanks(text: str, place: int) -> int:
    return len(text[place : place + 64]) - len(text[place : place + 64].lstrip())


def _first_number(facts: Mapping[str, object], keys: Sequence[str]) -> float | None:
    for key in keys:
        try:
            return float(facts[key])  # type: ignore[arg-type]
        except (KeyError, TypeError, ValueError):
            continue
    return None
