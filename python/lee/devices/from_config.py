"""Devices opened as a rig's file describes them, each by the driver that it names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from lee.devices.config import RigConfig, Source, load_config
from lee.devices.drivers import Driver
from lee.devices.protocols import Camera, Rig, Stage
from lee.errors import InputError, LeeError, MissingDependency

Device = TypeVar("Device", Camera, Stage)


def open_rig(config: Source) -> Rig:
    """Open the camera and the stage of a rig; the pulses of a virtual stage reach a virtual camera.

    Parameters
    ----------
    config : path, mapping or RigConfig
        A TOML file with the sections ``[camera]`` and ``[stage]``, or a mapping of the same content.

    Returns
    -------
    Rig
        Its camera is set up as the file asks; ``camera.configure`` returns what was applied. Nothing has
        moved.

    Raises
    ------
    InputError
        If the configuration cannot be used.
    MissingDependency
        If a driver's software is not installed.
    DeviceLost
        If a device does not answer.
    """
    asked = load_config(config)
    stage = open_stage(asked)
    try:
        return Rig(open_camera(asked, stage=stage), stage)
    except LeeError:
        stage.close()
        raise


def open_camera(config: Source, *, stage: Stage | None = None) -> Camera:
    """Open the camera of a rig alone, set up as its file asks; see `open_rig`.

    Without the rig's open stage a virtual camera sees the height 0, and no pulse reaches it: ``triggered``
    must be false.
    """
    asked = load_config(config)
    camera = _opened(asked, "camera", asked.camera, lambda: asked.camera.open(stage))
    try:
        camera.configure(asked.camera.settings)
    except InputError as error:
        camera.close()
        raise InputError(f"{asked.name}: [camera] {error}") from error
    return camera


def open_stage(config: Source) -> Stage:
    """Open the stage of a rig alone; see `open_rig`."""
    asked = load_config(config)
    return _opened(asked, "stage", asked.stage, asked.stage.open)


def _opened(asked: RigConfig, section: str, driver: Driver, opens: Callable[[], Device]) -> Device:
    """Open a device; where software is missing, the message names what to install."""
    what = f'{asked.name}: [{section}] driver = "{getattr(asked, section).driver}"'
    try:
        return opens()
    except MissingDependency:  # a library that its driver looked for
        raise
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("lee."):
            raise InputError(f'{what} is not part of this version of lee; "virtual" is') from error
        raise MissingDependency(f"{what} needs {error.name}; {driver.install}") from error
    except ImportError as error:
        raise MissingDependency(f"{what} cannot be loaded ({error}); {driver.install}") from error
