"""Drivers: the keys of a section of a rig's file, how its device is opened, which software it needs.

A driver is a dataclass derived from `CameraDriver` or `StageDriver`. Its fields are the keys that its section
may have; those of its own state with `lee.devices.driver_keys.allowed` which values they may hold.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import ClassVar, cast

from lee.devices.driver_keys import allowed
from lee.devices.protocols import Camera, CameraSettings, Stage
from lee.errors import InputError

NOT_CALIBRATED = "nominal scale, not calibrated"
PIXEL_FORMATS = ("Mono8", "Mono10", "Mono12", "Mono16")


@dataclass(frozen=True)
class Fact:
    """One line of a driver in the report of `lee rig doctor`: on which subject, and whether it was found."""

    subject: str
    found: bool
    report: str


class Driver:
    """The questions that drivers of cameras and of stages answer alike."""

    # How to install the software that it calls.
    install: ClassVar[str] = ""

    @classmethod
    def software(cls) -> tuple[Fact, ...]:
        """Look whether the software that it calls is installed, and which version."""
        return ()

    @classmethod
    def present(cls) -> tuple[Fact, ...]:
        """Look which devices, or ports for them, this computer has; asked where the software was found."""
        return ()


@dataclass(frozen=True)
class CameraDriver(Driver):
    """A section ``[camera]`` with the keys that all cameras have.

    ``serial`` chooses among several; pulses come in at ``trigger_line``, as the camera names it; without
    ``gain_db`` the gain stays as the camera has it.
    """

    driver: str = field(metadata=allowed())
    serial: str = field(default="", metadata=allowed())
    exposure_s: float = field(default=0.003, metadata=allowed(above=0, maximum=10))
    pixel_format: str = field(default="Mono8", metadata=allowed(among=PIXEL_FORMATS))
    region_px: tuple[int, ...] = field(default=(), metadata=allowed(minimum=0, length=4))
    triggered: bool = field(default=True, metadata=allowed())
    trigger_line: str = field(default="Line0", metadata=allowed())
    frames_per_s: float = field(default=80.0, metadata=allowed(above=0, maximum=10000))
    buffers: int = field(default=64, metadata=allowed(minimum=1, maximum=1000))
    gain_db: float | None = field(default=None, metadata=allowed(minimum=-100, maximum=100))

    @property
    def settings(self) -> CameraSettings:
        """The settings requested of the camera."""
        region = cast("tuple[int, int, int, int] | None", self.region_px or None)
        return CameraSettings(
            exposure_s=self.exposure_s,
            pixel_format=self.pixel_format,
            region=region,
            triggered=self.triggered,
            frames_per_s=self.frames_per_s,
            buffers=self.buffers,
            gain_db=self.gain_db,
        )

    def open(self, stage: Stage | None = None) -> Camera:
        """Open the camera; it is not set up yet.

        Parameters
        ----------
        stage : Stage, optional
            The open stage of the same rig; only a camera that is simulated needs it.

        Raises
        ------
        InputError
            If there is no such camera, or the driver's software is not installed.
        DeviceLost
            If it does not answer.
        """
        raise NotImplementedError

    def check(self, where: str, given: Collection[str]) -> None:
        """Raise ``InputError`` for keys that do not fit each other; ``given`` are those in the file."""


@dataclass(frozen=True)
class StageDriver(Driver):
    """A section ``[stage]`` with the keys that all stages have.

    ``port`` or ``serial`` chooses among several. ``counts_per_um`` is a calibration, and ``calibrated_by``
    states whose; approaches take ``backlash_um`` out over twice that distance: ``lee rig
    calibrate`` measures both. It is never sent below ``lowest_um`` or above ``highest_um``.
    """

    driver: str = field(metadata=allowed())
    port: str = field(default="", metadata=allowed())
    serial: str = field(default="", metadata=allowed())
    counts_per_um: float = field(default=2008.64563, metadata=allowed(above=0, maximum=1e6))
    calibrated_by: str = field(default=NOT_CALIBRATED, metadata=allowed())
    backlash_um: float = field(default=5.0, metadata=allowed(minimum=0, maximum=100))
    lowest_um: float = field(default=0.0, metadata=allowed(minimum=0, maximum=25000))
    highest_um: float = field(default=25000.0, metadata=allowed(minimum=0, maximum=25000))

    def open(self) -> Stage:
        """Open the stage; nothing moves.

        Raises
        ------
        InputError
            If its keys do not name one stage, or the driver's software is not installed.
        DeviceLost
            If it does not answer.
        """
        raise NotImplementedError

    def check(self, where: str, given: Collection[str]) -> None:
        """Raise ``InputError`` for keys that do not fit each other; ``given`` are those in the file."""
        if not self.lowest_um < self.highest_um:
            raise InputError(
                f"{where} lowest_um is {self.lowest_um:g} and highest_um {self.highest_um:g}; "
                "the highest must be above the lowest"
            )
