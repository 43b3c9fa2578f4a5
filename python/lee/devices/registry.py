"""Devices opened as a file describes them, each by the driver it names."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from lee.devices.config import RigConfig, StageConfig, load_config
from lee.devices.faults import DeviceLost
from lee.devices.protocols import Camera, Rig, Stage
from lee.errors import InputError

Source = str | Path | Mapping[str, Any] | RigConfig
_NEEDS = {
    "aravis": "install Aravis 0.8 (Debian: libaravis-0.8-0)",
    "spinnaker": "install the camera vendor's own PySpin (the package of that name on the index is another)",
}


def open_rig(config: Source) -> Rig:
    """Open the camera and the stage of a rig; two virtual ones share the wire of the pulses.

    Parameters
    ----------
    config : path, mapping or RigConfig
        A TOML file with the sections ``[camera]`` and ``[stage]``, or what it would hold.

    Returns
    -------
    Rig
        Its camera set up as asked; ``camera.configure`` tells what was applied. Nothing has moved.

    Raises
    ------
    InputError
        If the configuration cannot be used, or a driver's software is not installed.
    DeviceLost
        If a device does not answer.
    """
    asked = load_config(config)
    if asked.camera.driver == "virtual" and asked.stage.driver == "virtual":
        rig = _virtual_rig(asked)
        _set_up(asked, rig.camera)
        return rig
    stage = open_stage(asked)
    try:
        return Rig(open_camera(asked), stage)
    except (InputError, DeviceLost):
        stage.close()
        raise


def open_camera(config: Source) -> Camera:
    """Open the camera of a rig alone, set up as asked; see `open_rig`.

    A virtual one sees the height 0 then, and no pulse reaches it: ``triggered`` must be false.
    """
    asked = load_config(config)
    if asked.camera.driver == "virtual":
        from lee.devices.virtual.hardware.camera import VirtualCamera

        camera: Camera = VirtualCamera(_bank(asked))
    else:
        camera = _driver(asked)(asked.camera)
    _set_up(asked, camera)
    return camera


def open_stage(config: Source) -> Stage:
    """Open the stage of a rig alone; see `open_rig`."""
    asked = load_config(config)
    if asked.stage.driver == "virtual":
        return _virtual_rig(asked, of_camera=False).stage
    return _thorlabs(asked.stage)


def _driver(asked: RigConfig) -> Any:
    """Return what opens a camera of the driver asked for: ``open_camera`` of its module, given a section."""
    driver = asked.camera.driver
    what = f'{asked.name}: [camera] driver = "{driver}"'
    try:
        return import_module(f"lee.devices.{driver}.camera").open_camera
    except ModuleNotFoundError as error:
        if (error.name or "").startswith(f"lee.devices.{driver}"):
            raise InputError(f'{what} is not part of this version of lee; "virtual" is') from error
        raise InputError(f"{what} needs {error.name}; {_NEEDS[driver]}") from error
    except ImportError as error:
        raise InputError(f"{what} cannot be loaded ({error}); {_NEEDS[driver]}") from error


def _thorlabs(asked: StageConfig) -> Stage:
    from lee.devices.thorlabs.settings import ThorlabsSettings
    from lee.devices.thorlabs.stage import ThorlabsStage

    scale = asked.counts_per_um
    return ThorlabsStage(
        asked.port or None,
        serial=asked.serial or None,
        settings=ThorlabsSettings(
            counts_per_um=scale,
            calibrated_by=asked.calibrated_by,
            limits_counts=(round(asked.lowest_um * scale), round(asked.highest_um * scale)),
            backlash_um=asked.backlash_um,
        ),
    )


def _set_up(asked: RigConfig, camera: Camera) -> None:
    try:
        camera.configure(asked.camera.settings)
    except InputError as error:
        camera.close()
        raise InputError(f"{asked.name}: [camera] {error}") from error


def _virtual_rig(asked: RigConfig, *, of_camera: bool = True) -> Rig:
    from lee.devices.virtual.hardware.frame_bank import quick_bank
    from lee.devices.virtual.hardware.rig import virtual_rig

    stage = asked.stage
    low, high = stage.lowest_um, stage.highest_um
    return virtual_rig(
        _bank(asked) if of_camera else quick_bank((16, 16), step_um=5.0),
        scene_at_um=min(max(stage.scene_at_um, low), high),
        position_um=min(max(stage.position_um, low), high),
        counts_per_um=stage.counts_per_um,
        backlash_um=stage.backlash_um,
        limits_um=(low, high),
    )


def _bank(asked: RigConfig) -> Any:
    from lee.devices.virtual.hardware.frame_bank import FrameBank, quick_bank
    from lee.devices.virtual.scene.demo import demo_scene

    camera = asked.camera
    if camera.scene == "optics":
        return FrameBank.of_scene(demo_scene(camera.seed), seed=camera.seed)
    return quick_bank((camera.sensor_px[0], camera.sensor_px[1]), seed=camera.seed)
