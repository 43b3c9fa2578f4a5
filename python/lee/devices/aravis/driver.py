"""The driver ``aravis`` of a rig's file: GenICam cameras through Aravis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lee.devices.drivers import CameraDriver, Fact
from lee.devices.protocols import Camera, Stage
from lee.errors import LeeError


@dataclass(frozen=True)
class AravisDriver(CameraDriver):
    """The camera that ``serial`` names by serial number, id or address, or the only one there is."""

    install: ClassVar[str] = "install Aravis 0.8 (Debian, Ubuntu: libaravis-0.8-0)"
    driver: str = "aravis"

    def open(self, stage: Stage | None = None) -> Camera:
        """Open it."""
        from lee.devices.aravis.camera import AravisCamera

        return AravisCamera(self.serial, trigger_line=self.trigger_line)

    @classmethod
    def software(cls) -> tuple[Fact, ...]:
        """Load the library."""
        from lee.devices.aravis.library import library, version

        subject = "camera library Aravis"
        try:
            library()
        except LeeError as error:
            return (Fact(subject, False, str(error).removeprefix("camera: ")),)
        return (Fact(subject, True, f"Aravis {version()} is installed"),)

    @classmethod
    def present(cls) -> tuple[Fact, ...]:
        """List cameras, on networks too; takes about a second."""
        from lee.devices.aravis.camera import found_cameras

        try:
            found = [f"{one.serial} ({one.model})" for one in found_cameras() if not one.made_up]
        except LeeError as error:
            return (Fact("cameras through Aravis", False, str(error).removeprefix("camera: ")),)
        return (Fact("cameras through Aravis", bool(found), ", ".join(found) or "none found"),)
