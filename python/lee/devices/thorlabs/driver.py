"""The driver ``thorlabs`` of a rig's file: stepper stages on a K-Cube."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import ClassVar

from lee.devices.drivers import Fact, StageDriver
from lee.devices.protocols import Stage
from lee.errors import install_extra


@dataclass(frozen=True)
class ThorlabsDriver(StageDriver):
    """The stage at a serial ``port``, or the one whose controller has the number ``serial``."""

    install: ClassVar[str] = install_extra("rig")
    driver: str = "thorlabs"

    def open(self) -> Stage:
        """Open it; nothing moves."""
        from lee.devices.thorlabs.settings import ThorlabsSettings
        from lee.devices.thorlabs.stage import ThorlabsStage

        scale = self.counts_per_um
        return ThorlabsStage(
            self.port or None,
            serial=self.serial or None,
            settings=ThorlabsSettings(
                counts_per_um=scale,
                calibrated_by=self.calibrated_by,
                limits_counts=(round(self.lowest_um * scale), round(self.highest_um * scale)),
                backlash_um=self.backlash_um,
            ),
        )

    @classmethod
    def software(cls) -> tuple[Fact, ...]:
        """Look for the library of the controller."""
        subject, name = "stage library", "thorlabs-apt-device"
        try:
            found = version(name) if find_spec("thorlabs_apt_device") else ""
        except PackageNotFoundError:
            found = ""
        if not found:
            return (Fact(subject, False, f"{name} is missing: {cls.install}"),)
        return (Fact(subject, True, f"{name} {found} is installed"),)

    @classmethod
    def present(cls) -> tuple[Fact, ...]:
        """List serial ports; which of them is a stage shows only when it is opened."""
        if not find_spec("serial"):
            return (Fact("serial ports", False, f"pyserial is missing: {cls.install}"),)
        from serial.tools.list_ports import comports

        ports = [f"{port.device} ({port.description})" for port in comports()]
        return (Fact("serial ports", bool(ports), ", ".join(ports) or "none found"),)
