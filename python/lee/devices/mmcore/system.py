"""Micro-Manager's core, its device adapters, and what of a configuration belongs to one device.

A configuration describes a whole microscope, and loading it starts every stage in it, some of which drive to
their reference. Only the lines of the camera, or of the stage, are used, and those of the hub and port that
it is connected by.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lee.errors import InputError, MissingDependency
from lee.storage.refusals import unreadable

_INSTALL = "pip install pymmcore-plus"


@dataclass(frozen=True)
class DeviceSystem:
    """The lines of a configuration that a device needs.

    ``role`` Camera or Focus; ``devices`` (label, adapter, name) with the device last; ``parents`` of a label
    to its hub's; ``before`` and ``after`` the initialisation, (label, property, value).
    """

    role: str
    label: str
    devices: tuple[tuple[str, str, str], ...]
    parents: dict[str, str]
    before: tuple[tuple[str, str, str], ...]
    after: tuple[tuple[str, str, str], ...]


def core_module() -> Any:
    """Import pymmcore; raise ``MissingDependency`` where it is not installed."""
    try:
        import pymmcore
    except ImportError as error:
        raise MissingDependency(f"camera: pymmcore cannot be loaded ({error}); {_INSTALL}") from error
    return pymmcore


def adapters_folder(given: str) -> str:
    """Return the folder of the device adapters: the given one, or the one that pymmcore-plus finds.

    Raises
    ------
    InputError
        If there is none.
    """
    if given:
        if not Path(given).is_dir():
            raise InputError(f"camera: adapters {given!r} is no folder; give the one of Micro-Manager")
        return given
    try:
        from pymmcore_plus import find_micromanager
    except ImportError as error:
        raise MissingDependency(f"camera: pymmcore-plus cannot be loaded ({error}); {_INSTALL}") from error
    found = find_micromanager()
    if not found:
        raise InputError(
            "camera: there is no Micro-Manager with device adapters; run `mmcore install`, or give its "
            "folder as adapters"
        )
    return str(found)


def loaded_core(system: DeviceSystem, adapters: str) -> tuple[Any, Any]:
    """Return pymmcore, and a core that has a device and what it is connected by, and nothing else.

    Raises
    ------
    MissingDependency, InputError
        If pymmcore, the folder of the adapters, or a device cannot be loaded; nothing is left loaded.
    """
    module = core_module()
    folder = adapters_folder(adapters)
    core: Any = module.CMMCore()
    core.enableStderrLog(False)
    core.setDeviceAdapterSearchPaths([folder])
    device = "camera" if system.role == "Camera" else "stage"

    def set_up(properties: tuple[tuple[str, str, str], ...]) -> None:
        for name, key, value in properties:
            with core_errors(f"{key} {value!r} of {name}", device):
                core.setProperty(name, key, value)

    try:
        for name, adapter, kind in system.devices:
            with core_errors(f"{name}, {adapter} {kind} from {folder},", device):
                core.loadDevice(name, adapter, kind)
        for name, hub in system.parents.items():
            with core_errors(f"hub {hub} of {name}", device):
                core.setParentLabel(name, hub)
        set_up(system.before)
        for name, _, _ in system.devices:
            with core_errors(f"initialisation of {name}", device):
                core.initializeDevice(name)
        set_up(system.after)
    except InputError:
        with suppress(RuntimeError):
            core.unloadAllDevices()
        raise
    return module, core


@contextmanager
def core_errors(doing: str, device: str = "camera") -> Iterator[None]:
    """Turn what the core raises into one line, ``InputError``."""
    try:
        yield
    except (RuntimeError, ValueError, IndexError, OSError) as error:
        raise InputError(f"{device}: {doing} was refused ({reason_of(error)})") from error


def reason_of(error: BaseException) -> str:
    """Return what the core says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def device_system(path: Path, label: str = "", *, role: str = "Camera") -> DeviceSystem:
    """Read from a Micro-Manager configuration what its camera or stage needs.

    Parameters
    ----------
    path : Path
        A ``.cfg`` file.
    label : str
        Of the device; "" for the one that the file has as the core's.
    role : {"Camera", "Focus"}

    Raises
    ------
    InputError
        If the file cannot be read, has no such device, or names none in that role.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise unreadable(path, error, "give the .cfg file that Micro-Manager saved") from error
    devices: dict[str, tuple[str, str, str]] = {}
    parents: dict[str, str] = {}
    before: list[tuple[str, str, str]] = []
    after: list[tuple[str, str, str]] = []
    properties, chosen = before, ""
    lines = (line for line in text.replace("\0", "").splitlines() if not line.startswith("#"))
    for words in csv.reader(lines, quoting=csv.QUOTE_NONE):
        match words:
            case ["Device", name, adapter, device]:
                devices[name] = (name, adapter, device)
            case ["Parent", name, hub]:
                parents[name] = hub
            case ["Property", "Core", "Initialize", "1"]:
                properties = after
            case ["Property", "Core", of, name] if of == role:
                chosen = name
            case ["Property", name, key, *rest] if rest:
                properties.append((name, key, ",".join(rest)))
            case ["ConfigGroup", "System", "Startup", "Core", of, name] if of == role:
                chosen = chosen or name
    label = label or chosen
    listed = ", ".join(devices) or "none"
    if not label:
        what = "camera" if role == "Camera" else "stage"
        raise InputError(f"{path}: names no {what}; give the label of one as serial, devices are {listed}")
    if label not in devices:
        raise InputError(f"{path}: there is no device {label!r}; devices are {listed}")
    needed = _connected(label, devices, parents, before)
    return DeviceSystem(
        role,
        label,
        tuple(devices[name] for name in needed),
        {name: parents[name] for name in needed if parents.get(name) in needed},
        tuple(one for one in before if one[0] in needed),
        tuple(one for one in after if one[0] in needed),
    )


def _connected(
    label: str,
    devices: dict[str, tuple[str, str, str]],
    parents: dict[str, str],
    before: list[tuple[str, str, str]],
) -> list[str]:
    """Return a device and those that it is connected by, hubs and ports first."""
    needed = [label]
    for name in needed:
        by = [parents.get(name), *(value for owner, key, value in before if owner == name and key == "Port")]
        needed += [one for one in by if one in devices and one not in needed]
    return needed[::-1]
