"""The drivers ``mmcore`` of a rig's file: any camera and Z stage that Micro-Manager has an adapter for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from lee.devices.driver_keys import allowed
from lee.devices.drivers import CameraDriver, Fact, StageDriver
from lee.devices.protocols import Camera, Stage
from lee.errors import InputError, LeeError


@dataclass(frozen=True)
class MmcoreDriver(CameraDriver):
    """The camera of a Micro-Manager configuration, `system_file`.

    ``serial`` is its label there, where it is not the one that the file names as the camera. ``adapters`` is
    the folder of Micro-Manager with its device adapters; without it, the one that pymmcore-plus finds.
    """

    install: ClassVar[str] = "pip install pymmcore-plus, and get device adapters by `mmcore install`"
    driver: str = "mmcore"
    triggered: bool = field(default=False, metadata=allowed())
    system_file: str = field(default="", metadata=allowed())
    adapters: str = field(default="", metadata=allowed())

    def open(self, stage: Stage | None = None) -> Camera:
        """Open it; no other device of the configuration is touched."""
        from lee.devices.mmcore.camera import MmcoreCamera

        return MmcoreCamera(Path(self.system_file), label=self.serial, adapters=self.adapters)

    def check(self, where: str, given: Collection[str]) -> None:
        """Raise ``InputError`` for keys that do not fit each other; ``given`` are those in the file."""
        if not self.system_file:
            raise InputError(f"{where} system_file is missing; give the .cfg file that Micro-Manager saved")
        if self.triggered:
            raise InputError(
                f"{where} triggered is true; Micro-Manager has no trigger that all cameras share; set false"
            )

    @classmethod
    def software(cls) -> tuple[Fact, ...]:
        """Import the core, and look for device adapters."""
        from lee.devices.mmcore.system import adapters_folder, core_module

        subject = "camera library pymmcore"
        try:
            version = core_module().__version__
        except LeeError as error:
            return (Fact(subject, False, str(error).removeprefix("camera: ")),)
        try:
            where = f"adapters in {adapters_folder('')}"
        except LeeError:
            where = "no device adapters found: `mmcore install`, or name their folder as adapters"
        return (Fact(subject, True, f"pymmcore {version} is installed, {where}"),)


@dataclass(frozen=True)
class MmcoreStageDriver(StageDriver):
    """The Z stage of a Micro-Manager configuration, `system_file`.

    ``serial`` is its label there, where it is not the one that the file names as the focus device.
    ``adapters`` as for the camera. Micro-Manager's stages report µm, which ``counts_per_um`` rounds.
    """

    install: ClassVar[str] = MmcoreDriver.install
    driver: str = "mmcore"
    counts_per_um: float = field(default=1000.0, metadata=allowed(above=0, maximum=1e6))
    lowest_um: float = field(default=0.0, metadata=allowed(minimum=-25000, maximum=25000))
    highest_um: float = field(default=0.0, metadata=allowed(minimum=-25000, maximum=25000))
    system_file: str = field(default="", metadata=allowed())
    adapters: str = field(default="", metadata=allowed())

    def open(self) -> Stage:
        """Open it; nothing moves, and no other device of the configuration is touched."""
        from lee.devices.mmcore.stage import MmcoreStage

        return MmcoreStage(
            Path(self.system_file),
            label=self.serial,
            adapters=self.adapters,
            counts_per_um=self.counts_per_um,
            limits_um=(self.lowest_um, self.highest_um),
            backlash_um=self.backlash_um,
        )

    def check(self, where: str, given: Collection[str]) -> None:
        """Raise ``InputError`` where the file or the limits are missing."""
        if not self.system_file:
            raise InputError(f"{where} system_file is missing; give the .cfg file that Micro-Manager saved")
        for key in ("lowest_um", "highest_um"):
            if key not in given:
                raise InputError(f"{where} {key} is missing; no adapter tells how far its stage may go")
        super().check(where, given)
