"""What the rig has and what it lacks: software, devices, the calibration of the stage, the disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, TypeVar

from lee.devices.config import RigConfig, load_config
from lee.devices.drivers import NOT_CALIBRATED, Driver
from lee.devices.from_config import open_camera, open_stage
from lee.devices.protocols import Camera, Stage
from lee.devices.registry import camera_drivers, stage_drivers
from lee.errors import LeeError
from lee.recording.free_space import free_bytes, readable_bytes

Device = TypeVar("Device", Camera, Stage)


class Finding(NamedTuple):
    """Result of one check: ``good`` is None if the subject is missing but not needed."""

    subject: str
    good: bool | None
    report: str


def examine(config: str | Path | None = None, *, folder: str | Path = ".") -> Iterator[Finding]:
    """Check one thing after the other; nothing moves.

    Parameters
    ----------
    config : path, optional
        The rig's TOML file. Without it only software, ports and the disk are checked.
    folder : path
        Folder that a run would be recorded in.
    """
    rig_config: RigConfig | None = None
    if config is not None:
        try:
            rig_config = load_config(config)
            drivers = f"{rig_config.camera.driver} camera, {rig_config.stage.driver} stage"
            yield Finding("configuration", True, f"{config}: {drivers}")
        except LeeError as error:
            yield Finding("configuration", False, str(error))
    yield from _drivers(rig_config)
    if rig_config is not None:
        yield _scale(rig_config)
        yield from _devices(rig_config)
    place = Path(folder)
    if place.is_dir():
        yield Finding("disk", True, f"{readable_bytes(free_bytes(place))} free in {place.resolve()}")
    else:
        yield Finding("disk", False, f"{place}: no such folder; give an existing one")


def _drivers(rig_config: RigConfig | None) -> Iterator[Finding]:
    """Ask every driver for its software, and those that have it for the devices they see."""
    ready: list[type[Driver]] = []
    for kind, drivers, chosen in (
        ("stage", stage_drivers, rig_config and rig_config.stage.driver),
        ("camera", camera_drivers, rig_config and rig_config.camera.driver),
    ):
        for name in drivers.names:
            missing = False if name == chosen else None
            try:
                driver: type[Driver] = drivers[name]
            except LeeError as error:
                yield Finding(f"{kind} driver {name}", missing, str(error))
                continue
            facts = driver.software()
            yield from (Finding(fact.subject, fact.found or missing, fact.report) for fact in facts)
            if all(fact.found for fact in facts):
                ready.append(driver)
    for driver in ready:
        yield from (Finding(fact.subject, fact.found or None, fact.report) for fact in driver.present())


def _scale(rig_config: RigConfig) -> Finding:
    stage = rig_config.stage
    scale = f"{stage.counts_per_um:.10g} counts/µm ({stage.calibrated_by})"
    hint = "" if stage.calibrated_by != NOT_CALIBRATED else "; see lee rig calibrate"
    report = f"{scale}, backlash {stage.backlash_um:g} µm{hint}"
    return Finding("stage scale", None if hint else True, report)


def _devices(rig_config: RigConfig) -> Iterator[Finding]:
    with ExitStack() as opened:
        stage, finding = _opened("stage", lambda: open_stage(rig_config), opened)
        yield finding
        yield _opened("camera", lambda: open_camera(rig_config, stage=stage), opened)[1]


def _opened(what: str, opens: Callable[[], Device], opened: ExitStack) -> tuple[Device | None, Finding]:
    try:
        device = opens()
    except LeeError as error:
        return None, Finding(what, False, str(error))
    opened.callback(device.close)
    found = device.identity
    return device, Finding(what, True, f"{found.vendor} {found.model}, serial number {found.serial}")
