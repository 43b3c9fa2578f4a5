"""The driver ``spinnaker`` of a rig's file: FLIR and Teledyne cameras through the vendor's PySpin."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import ClassVar

from lee.devices.drivers import CameraDriver, Fact
from lee.devices.protocols import Camera, Stage
from lee.errors import LeeError


@dataclass(frozen=True)
class SpinnakerDriver(CameraDriver):
    """The camera that ``serial`` names, or the only one there is."""

    install: ClassVar[str] = (
        "install the camera vendor's own PySpin (the package of that name on the index is another)"
    )
    driver: str = "spinnaker"

    def open(self, stage: Stage | None = None) -> Camera:
        """Open it."""
        from lee.devices.spinnaker.camera import SpinnakerCamera

        return SpinnakerCamera(self.serial, trigger_line=self.trigger_line)

    @classmethod
    def software(cls) -> tuple[Fact, ...]:
        """Import the vendor's package, and no other of that name."""
        from lee.devices.spinnaker.library import vendors_own

        subject = "camera library PySpin"
        try:
            vendors_own()
        except LeeError as error:
            return (Fact(subject, False, str(error).removeprefix("camera: ")),)
        try:
            return (Fact(subject, True, f"the vendor's PySpin {version('spinnaker-python')} is installed"),)
        except PackageNotFoundError:
            return (Fact(subject, True, "the vendor's PySpin is installed"),)

    @classmethod
    def present(cls) -> tuple[Fact, ...]:
        """List the cameras that the vendor's library finds."""
        from lee.devices.spinnaker.library import Spinnaker

        subject = "cameras through PySpin"
        try:
            library = Spinnaker()
            try:
                found = [f"{one.serial} ({one.model})" for one in library.found()]
            finally:
                library.release()
        except LeeError as error:
            return (Fact(subject, False, str(error).removeprefix("camera: ")),)
        return (Fact(subject, bool(found), ", ".join(found) or "none found"),)
