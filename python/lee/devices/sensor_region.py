"""The region of a sensor that is read, in the steps that the sensor allows."""

from __future__ import annotations

from collections.abc import Sequence

from lee.errors import InputError

Region = tuple[int, int, int, int]


def fitted_region(asked: Region | None, sensor: tuple[int, int], steps: Sequence[int]) -> Region:
    """Round a region down to the steps of a sensor; without one, the whole sensor.

    Parameters
    ----------
    asked : (top, left, height, width) px, optional
    sensor : (height, width) px
    steps : (top, left, height, width) px
        Multiples that the sensor allows.

    Raises
    ------
    InputError
        If it leaves the sensor, or is smaller than a step.
    """
    region = asked or (0, 0, *sensor)
    inside = all(
        at >= 0 and size >= step and at + size <= whole
        for at, size, step, whole in zip(region[:2], region[2:], steps[2:], sensor, strict=True)
    )
    if not inside:
        raise InputError(f"camera: region {region} leaves its sensor of {sensor} px")
    top, left, height, width = (value - value % step for value, step in zip(region, steps, strict=True))
    return top, left, height, width
