"""What the rig has and what it lacks: software, serial ports, the devices that a file names, the disk."""

from __future__ import annotations

import ctypes.util
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from lee.devices.config import NOT_CALIBRATED, RigConfig, load_config
from lee.devices.faults import RigFault
from lee.devices.protocols import Camera, Identity, Stage
from lee.devices.registry import open_camera, open_rig, open_stage
from lee.devices.spinnaker.library import vendors_own
from lee.errors import InputError
from lee.recording.room import free_bytes, said_bytes


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
        Of the rig's TOML file. Without it only software and disk are looked at.
    folder : path
        Where a run would be recorded.
    """
    asked: RigConfig | None = None
    if config is not None:
        try:
            asked = load_config(config)
            drivers = f"{asked.camera.driver} camera, {asked.stage.driver} stage"
            yield Finding("configuration", True, f"{config}: {drivers}")
        except InputError as error:
            yield Finding("configuration", False, str(error))
    yield _software(
        "stage library",
        _has("thorlabs_apt_device"),
        asked is not None and asked.stage.driver == "thorlabs",
        "thorlabs-apt-device",
        "pip install 'lee-microscopy[rig]'",
    )
    yield _software(
        "camera library Aravis",
        ctypes.util.find_library("aravis-0.8") is not None,
        asked is not None and asked.camera.driver == "aravis",
        "libaravis-0.8",
        "install libaravis-0.8-0 (Debian, Ubuntu) or aravis",
    )
    yield _spinnaker(asked is not None and asked.camera.driver == "spinnaker")
    yield _ports()
    if asked is not None:
        yield _scale(asked)
        yield from _devices(asked)
    place = Path(folder)
    if place.is_dir():
        yield Finding("disk", True, f"{said_bytes(free_bytes(place))} free in {place.resolve()}")
    else:
        yield Finding("disk", False, f"{place}: no such folder; give one that can be written")


def _has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _software(what: str, there: bool, needed: bool, name: str, how: str) -> Finding:
    if there:
        return Finding(what, True, f"{name} is there")
    return Finding(what, False if needed else None, f"{name} is missing: {how}")


def _spinnaker(needed: bool) -> Finding:
    what = "camera library PySpin"
    try:
        vendors_own()
    except InputError as error:
        return Finding(what, False if needed else None, str(error).removeprefix("camera: "))
    return Finding(what, True, "the vendor's PySpin is there")


def _ports() -> Finding:
    if not _has("serial"):
        return Finding("serial ports", None, "pyserial is missing: pip install 'lee-microscopy[rig]'")
    from serial.tools.list_ports import comports

    found = [f"{port.device} ({port.description})" for port in comports()]
    return Finding("serial ports", True if found else None, ", ".join(found) or "none found")


def _scale(asked: RigConfig) -> Finding:
    stage = asked.stage
    told = f"{stage.counts_per_um:.10g} counts/um ({stage.calibrated_by}), backlash {stage.backlash_um:g} um"
    calibrated = stage.calibrated_by != NOT_CALIBRATED
    return Finding(
        "stage scale", calibrated or None, told + ("" if calibrated else "; see lee rig calibrate")
    )


def _devices(asked: RigConfig) -> Iterator[Finding]:
    if asked.camera.driver == asked.stage.driver == "virtual":
        # The virtual camera hears pulses only of the stage it was made with.
        with open_rig(asked) as rig:
            for what, device in (("stage", rig.stage.identity), ("camera", rig.camera.identity)):
                yield Finding(what, True, _named(device))
        return
    yield _opened("stage", lambda: open_stage(asked))
    yield _opened("camera", lambda: open_camera(asked))


def _named(device: Identity) -> str:
    return f"{device.vendor} {device.model}, serial number {device.serial}"


def _opened(what: str, opens: Callable[[], Camera | Stage]) -> Finding:
    try:
        device = opens()
    except (InputError, RigFault) as error:
        return Finding(what, False, str(error))
    try:
        told = device.identity
    finally:
        device.close()
    return Finding(what, True, _named(told))
