"""What the rig has and what it lacks: software, the devices that a file names, the disk."""

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
    """One thing looked at: ``good`` None where it is not needed."""

    what: str
    good: bool | None
    said: str


def examine(config: str | Path | None = None, *, folder: str | Path = ".") -> Iterator[Finding]:
    """Look at one thing after the other; nothing moves.

    Parameters
    ----------
    config : path, optional
        Of the rig's TOML file. Without it only software, ports and disk are looked at.
    folder : path
        Where a run would be recorded.
    """
    asked: RigConfig | None = None
    if config is not None:
        try:
            asked = load_config(config)
            drivers = f"{asked.camera.driver} camera, {asked.stage.driver} stage"
            yield Finding("configuration", True, f"{config}: {drivers}")
        except LeeError as error:
            yield Finding("configuration", False, str(error))
    yield from _drivers(asked)
    if asked is not None:
        yield _scale(asked)
        yield from _devices(asked)
    place = Path(folder)
    if place.is_dir():
        yield Finding("disk", True, f"{readable_bytes(free_bytes(place))} free in {place.resolve()}")
    else:
        yield Finding("disk", False, f"{place}: no such folder; give one that can be written")


def _drivers(asked: RigConfig | None) -> Iterator[Finding]:
    """Ask every driver for its software, and those that have it for the devices they see."""
    ready: list[type[Driver]] = []
    for kind, drivers, chosen in (
        ("stage", stage_drivers, asked and asked.stage.driver),
        ("camera", camera_drivers, asked and asked.camera.driver),
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


def _scale(asked: RigConfig) -> Finding:
    stage = asked.stage
    told = f"{stage.counts_per_um:.10g} counts/um ({stage.calibrated_by}), backlash {stage.backlash_um:g} um"
    calibrated = stage.calibrated_by != NOT_CALIBRATED
    return Finding(
        "stage scale", calibrated or None, told + ("" if calibrated else "; see lee rig calibrate")
    )


def _devices(asked: RigConfig) -> Iterator[Finding]:
    with ExitStack() as opened:
        stage, finding = _opened("stage", lambda: open_stage(asked), opened)
        yield finding
        yield _opened("camera", lambda: open_camera(asked, stage=stage), opened)[1]


def _opened(what: str, opens: Callable[[], Device], opened: ExitStack) -> tuple[Device | None, Finding]:
    try:
        device = opens()
    except LeeError as error:
        return None, Finding(what, False, str(error))
    opened.callback(device.close)
    found = device.identity
    return device, Finding(what, True, f"{found.vendor} {found.model}, serial number {found.serial}")
