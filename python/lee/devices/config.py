"""A rig as a file describes it: which devices, how they are set up, and how far the stage may go.

[camera]
driver = "virtual"          # or "aravis", "spinnaker"
exposure_s = 0.003
pixel_format = "Mono8"
region_px = [0, 0, 1200, 1200]  # top, left, height, width; without it the whole sensor

[stage]
driver = "virtual"          # or "thorlabs"
lowest_um = 900.0
highest_um = 1100.0
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar, cast

from lee.devices.protocols import CameraSettings
from lee.errors import InputError

CAMERA_DRIVERS = ("virtual", "aravis", "spinnaker")
STAGE_DRIVERS = ("virtual", "thorlabs")
NOT_CALIBRATED = "nominal scale, not calibrated"
PIXEL_FORMATS = ("Mono8", "Mono10", "Mono12", "Mono16")


def _is(
    *,
    above: float | None = None,
    least: float | None = None,
    most: float | None = None,
    among: tuple[str, ...] = (),
    length: int = 0,
) -> dict[str, Any]:
    """Say what a key may hold, for `_checked`."""
    return {"above": above, "least": least, "most": most, "among": among, "length": length}


@dataclass(frozen=True)
class CameraConfig:
    """The section ``[camera]``.

    ``serial`` chooses among several; pulses come in at ``trigger_line``, as the camera names it. ``scene``,
    ``sensor_px`` (height, width) and ``seed`` are what the virtual camera sees: ``quick`` grains without
    optics, or the scene of ``lee demo`` by wave ``optics``.
    """

    driver: str = field(metadata=_is(among=CAMERA_DRIVERS))
    serial: str = field(default="", metadata=_is())
    exposure_s: float = field(default=0.003, metadata=_is(above=0, most=10))
    pixel_format: str = field(default="Mono8", metadata=_is(among=PIXEL_FORMATS))
    region_px: tuple[int, ...] = field(default=(), metadata=_is(least=0, length=4))
    triggered: bool = field(default=True, metadata=_is())
    trigger_line: str = field(default="Line0", metadata=_is())
    frames_per_s: float = field(default=80.0, metadata=_is(above=0, most=10000))
    buffers: int = field(default=64, metadata=_is(least=1, most=1000))
    scene: str = field(default="quick", metadata=_is(among=("quick", "optics")))
    sensor_px: tuple[int, ...] = field(default=(400, 400), metadata=_is(least=16, most=10000, length=2))
    seed: int = field(default=0, metadata=_is(least=0))

    @property
    def settings(self) -> CameraSettings:
        """What is asked of the camera."""
        region = cast("tuple[int, int, int, int] | None", self.region_px or None)
        return CameraSettings(
            exposure_s=self.exposure_s,
            pixel_format=self.pixel_format,
            region=region,
            triggered=self.triggered,
            frames_per_s=self.frames_per_s,
            buffers=self.buffers,
        )


@dataclass(frozen=True)
class StageConfig:
    """The section ``[stage]``.

    ``port`` or ``serial`` chooses among several. ``counts_per_um`` is a calibration, and ``calibrated_by``
    says whose; ``backlash_um`` is its play, which approaches take out on a way twice as long: ``lee rig
    calibrate`` measures both. It is never sent below ``lowest_um`` or above ``highest_um``. ``position_um``
    is where the virtual stage is at first, ``scene_at_um`` where the virtual camera's height 0 is in focus.
    """

    driver: str = field(metadata=_is(among=STAGE_DRIVERS))
    port: str = field(default="", metadata=_is())
    serial: str = field(default="", metadata=_is())
    counts_per_um: float = field(default=2008.64563, metadata=_is(above=0, most=1e6))
    calibrated_by: str = field(default=NOT_CALIBRATED, metadata=_is())
    backlash_um: float = field(default=5.0, metadata=_is(least=0, most=100))
    lowest_um: float = field(default=0.0, metadata=_is(least=0, most=25000))
    highest_um: float = field(default=25000.0, metadata=_is(least=0, most=25000))
    scene_at_um: float = field(default=1000.0, metadata=_is(least=0, most=25000))
    position_um: float = field(default=1000.0, metadata=_is(least=0, most=25000))


@dataclass(frozen=True)
class RigConfig:
    """A rig; ``name`` is the file it was read from, for messages."""

    camera: CameraConfig
    stage: StageConfig
    name: str = "rig"

    def to_json(self) -> dict[str, Any]:
        """Return what a recording tells of its rig: both sections, with the scale's calibration."""
        return {"rig": {"file": self.name, "camera": asdict(self.camera), "stage": asdict(self.stage)}}


Section = TypeVar("Section", CameraConfig, StageConfig)


def load_config(source: str | Path | Mapping[str, Any] | RigConfig) -> RigConfig:
    """Read what a rig is from a TOML file, or from what such a file would hold.

    Raises
    ------
    InputError
        If the file cannot be read, a section or a key is missing or unknown, or a value cannot be used; the
        message names the file, the key, and what is allowed.
    """
    if isinstance(source, RigConfig):
        return source
    name = "rig" if isinstance(source, Mapping) else str(source)
    held = source if isinstance(source, Mapping) else _read(Path(source))
    unknown = [key for key in held if key not in ("camera", "stage")]
    if unknown:
        raise InputError(f"{name}: unknown section [{unknown[0]}]; sections are [camera] and [stage]")
    camera, stage = _section(name, held, "camera", CameraConfig), _section(name, held, "stage", StageConfig)
    if not stage.lowest_um < stage.highest_um:
        raise InputError(
            f"{name}: [stage] lowest_um is {stage.lowest_um:g} and highest_um {stage.highest_um:g}; "
            "the highest must be above the lowest"
        )
    for key in ("position_um", "scene_at_um"):
        value, told = getattr(stage, key), key in held["stage"]
        if stage.driver == "virtual" and told and not stage.lowest_um <= value <= stage.highest_um:
            raise InputError(
                f"{name}: [stage] {key} is {value:g}; it must lie in the limits, "
                f"{stage.lowest_um:g} to {stage.highest_um:g}"
            )
    return RigConfig(camera, stage, name)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give a rig's TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is no TOML ({str(error).splitlines()[0]})") from error


def _section(name: str, held: Mapping[str, Any], section: str, kind: type[Section]) -> Section:
    if section not in held:
        raise InputError(f'{name}: section [{section}] is missing; give at least driver = "virtual" in it')
    given = held[section]
    if not isinstance(given, Mapping):
        raise InputError(f"{name}: {section} is {given!r}; it must be a section, [{section}]")
    known = {item.name: item for item in fields(kind)}
    for key in given:
        if key not in known:
            raise InputError(f"{name}: [{section}] {key} is unknown; keys are {', '.join(known)}")
    for key, item in known.items():
        if item.default is MISSING and key not in given:
            raise InputError(
                f"{name}: [{section}] {key} is missing; it is one of {', '.join(item.metadata['among'])}"
            )
    values = {
        key: _checked(f"{name}: [{section}] {key}", value, str(known[key].type), known[key].metadata)
        for key, value in given.items()
    }
    return kind(**values)


def _checked(what: str, value: Any, kind: str, may: Mapping[str, Any]) -> Any:
    """Return a value as its key's type, or say what is allowed."""
    if kind.startswith("tuple"):
        if not isinstance(value, list | tuple) or len(value) != may["length"]:
            raise InputError(f"{what} is {value!r}; it must be a list of {may['length']} whole numbers")
        return tuple(_number(what, item, "int", may) for item in value)
    if kind in ("int", "float"):
        return _number(what, value, kind, may)
    if kind == "bool":
        if not isinstance(value, bool):
            raise InputError(f"{what} is {value!r}; it must be true or false")
        return value
    if not isinstance(value, str):
        raise InputError(f'{what} is {value!r}; it must be a text in quotes, "..."')
    if may["among"] and value not in may["among"]:
        raise InputError(f"{what} is {value!r}; it is one of {', '.join(may['among'])}")
    return value


def _number(what: str, value: Any, kind: str, may: Mapping[str, Any]) -> float | int:
    bounds = [
        f"{word} {may[key]:g}"
        for word, key in (("above", "above"), ("at least", "least"), ("at most", "most"))
        if may[key] is not None
    ]
    allowed = " ".join(
        ["it must be a whole number" if kind == "int" else "it must be a number", ", ".join(bounds)]
    )
    good = isinstance(value, int if kind == "int" else int | float) and not isinstance(value, bool)
    inside = good and (
        isfinite(value)
        and (may["above"] is None or value > may["above"])
        and (may["least"] is None or value >= may["least"])
        and (may["most"] is None or value <= may["most"])
    )
    if not inside:
        raise InputError(f"{what} is {value!r}; {allowed}")
    return int(value) if kind == "int" else float(value)
