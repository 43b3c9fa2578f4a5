"""A rig as a file describes it: which devices, how they are set up, and how far the stage may go.

[camera]
driver = "virtual"          # or "aravis", "spinnaker", "mmcore"
exposure_s = 0.003
pixel_format = "Mono8"
region_px = [0, 0, 1200, 1200]  # top, left, height, width; without it the whole sensor

[stage]
driver = "virtual"          # or "thorlabs"
lowest_um = 900.0
highest_um = 1100.0
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from lee.devices.driver_keys import one_of, section_of, text_of
from lee.devices.drivers import CameraDriver, StageDriver
from lee.devices.registry import Registry, camera_drivers, stage_drivers
from lee.errors import InputError
from lee.storage.toml_file import read_toml


@dataclass(frozen=True)
class RigConfig:
    """A rig; ``name`` is the file it was read from, for messages."""

    camera: CameraDriver
    stage: StageDriver
    name: str = "rig"

    def to_json(self) -> dict[str, dict[str, object]]:
        """Return what a recording keeps of its rig: both sections, with the scale's calibration."""
        return {"rig": {"file": self.name, "camera": asdict(self.camera), "stage": asdict(self.stage)}}


Source = str | Path | Mapping[str, object] | RigConfig
Section = TypeVar("Section", CameraDriver, StageDriver)


def load_config(source: Source) -> RigConfig:
    """Read a rig's configuration from a TOML file, or from a mapping of the same content.

    Raises
    ------
    InputError
        If the file cannot be read, a section or a key is missing or unknown, or a value cannot be used; the
        message names the file, the key, and what is allowed.
    """
    if isinstance(source, RigConfig):
        return source
    name = "rig" if isinstance(source, Mapping) else str(source)
    held = source if isinstance(source, Mapping) else read_toml(Path(source), "a rig's")
    unknown = [key for key in held if key not in ("camera", "stage")]
    if unknown:
        raise InputError(f"{name}: unknown section [{unknown[0]}]; sections are [camera] and [stage]")
    camera = _section(name, held, "camera", camera_drivers)
    return RigConfig(camera, _section(name, held, "stage", stage_drivers), name)


def _section(name: str, held: Mapping[str, object], section: str, drivers: Registry[Section]) -> Section:
    if section not in held:
        raise InputError(f'{name}: section [{section}] is missing; give at least driver = "virtual" in it')
    given = held[section]
    if not isinstance(given, Mapping):
        raise InputError(f"{name}: {section} is {given!r}; it must be a section, [{section}]")
    where = f"{name}: [{section}]"
    if "driver" not in given:
        raise InputError(f"{where} driver is missing; it is one of {', '.join(drivers.names)}")
    driver = one_of(f"{where} driver", text_of(f"{where} driver", given["driver"]), drivers.names)
    made = section_of(drivers[driver], where, given)
    made.check(where, given)
    return made
