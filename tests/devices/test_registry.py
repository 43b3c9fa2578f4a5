"""Cameras and stages of other packages: a toy of each, added through the registry."""

from dataclasses import dataclass, field
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from lee.devices import open_rig, registry
from lee.devices.config import load_config
from lee.devices.driver_keys import allowed
from lee.devices.drivers import CameraDriver, Fact, StageDriver
from lee.devices.protocols import Camera, CameraFrame, CameraSettings, Identity, Stage, StageStatus
from lee.devices.registry import camera_drivers, stage_drivers
from lee.errors import InputError, MissingDependency
from lee.rig.doctor import examine


class ToyCamera(Camera):
    identity = Identity("toys", "one grey", "T-1")

    def __init__(self, grey):
        self.grey = grey

    def configure(self, settings: CameraSettings) -> CameraSettings:
        return settings

    def next_frame(self, timeout_s: float) -> CameraFrame:
        return CameraFrame(np.full((4, 4), self.grey, np.uint8), 0, 0.0)


class ToyStage(Stage):
    identity = Identity("toys", "a brick", "T-2")
    counts_per_um = 1.0
    limits_counts = (0, 10)
    can_trigger = False

    def status(self, timeout_s: float = 1.0) -> StageStatus:
        return StageStatus(5, moving=False, homed=True, age_s=0.0)


@dataclass(frozen=True)
class ToyCameraDriver(CameraDriver):
    driver: str = "toy"
    grey: int = field(default=7, metadata=allowed(minimum=0, maximum=255))

    def open(self, stage=None):
        return ToyCamera(self.grey)

    @classmethod
    def software(cls):
        return (Fact("toy software", True, "toys 1.0 are installed"),)

    @classmethod
    def present(cls):
        return (Fact("toys", True, "T-1"),)


@dataclass(frozen=True)
class ToyStageDriver(StageDriver):
    driver: str = "brick"

    def open(self):
        return ToyStage()

    @classmethod
    def software(cls):
        return (Fact("brick software", False, "bricks are missing: pip install bricks"),)

    @classmethod
    def present(cls):
        raise AssertionError("asked without its software")


OFFERED = {
    "lee.cameras": [("toy", "ToyCameraDriver"), ("torn", "NoSuchDriver"), ("swapped", "ToyStageDriver")],
    "lee.stages": [("brick", "ToyStageDriver"), ("virtual", "ToyStageDriver")],
}


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    """A package that offers toys by its entry points."""

    def entry_points(*, group):
        return [EntryPoint(name, f"{__name__}:{value}", group) for name, value in OFFERED[group]]

    monkeypatch.setattr(registry, "entry_points", entry_points)


def test_toys_are_opened_by_their_names():
    with open_rig({"camera": {"driver": "toy", "grey": 9}, "stage": {"driver": "brick"}}) as rig:
        assert rig.camera.next_frame(1.0).image.max() == 9
        assert rig.stage.status().position_counts == 5


def test_a_driver_checks_its_own_keys():
    with pytest.raises(InputError, match=r"\[camera\] grey is 300; it must be a whole number at least 0"):
        load_config({"camera": {"driver": "toy", "grey": 300}, "stage": {"driver": "brick"}})
    with pytest.raises(InputError, match=r"\[stage\] grey is unknown; keys are driver, port, serial, "):
        load_config({"camera": {"driver": "toy"}, "stage": {"driver": "brick", "grey": 3}})


def test_the_drivers_of_lee_come_first_and_stay():
    assert camera_drivers.names[:4] == ("virtual", "aravis", "spinnaker", "mmcore")
    assert set(stage_drivers.names) == {"virtual", "thorlabs", "mmcore", "brick"}
    assert stage_drivers["virtual"] is not ToyStageDriver


def test_what_is_no_driver_is_named():
    with pytest.raises(
        MissingDependency, match=r"lee.cameras: the driver 'torn' .*NoSuchDriver\) cannot be loaded"
    ):
        camera_drivers["torn"]
    with pytest.raises(InputError, match=r"swapped = .*:ToyStageDriver is not a CameraDriver; update"):
        camera_drivers["swapped"]
    with pytest.raises(InputError, match="there is no driver 'web'; it is one of virtual, aravis"):
        camera_drivers["web"]


def test_a_driver_of_this_process_is_added_once(monkeypatch):
    monkeypatch.setattr(camera_drivers, "_added", {})
    camera_drivers.add("grey", ToyCameraDriver)
    assert camera_drivers["grey"] is ToyCameraDriver
    assert camera_drivers.names[-1] == "grey"
    with open_rig({"camera": {"driver": "grey"}, "stage": {"driver": "brick"}}) as rig:
        assert rig.camera.grey == 7
    with pytest.raises(InputError, match="there is a driver 'grey' already; give yours another name"):
        camera_drivers.add("grey", ToyCameraDriver)
    with pytest.raises(InputError, match=r"lee\.cameras: brick is not a CameraDriver"):
        camera_drivers.add("brick", ToyStageDriver)


def test_doctor_asks_the_drivers(tmp_path):
    config = tmp_path / "rig.toml"
    config.write_text('[camera]\ndriver = "toy"\n[stage]\ndriver = "brick"\n')
    found = {what: (good, report) for what, good, report in examine(config, folder=tmp_path)}
    assert found["toy software"] == (True, "toys 1.0 are installed")
    assert found["toys"] == (True, "T-1")
    assert found["brick software"] == (False, "bricks are missing: pip install bricks")
    assert found["camera driver torn"][0] is None
    assert found["camera"] == (True, "toys one grey, serial number T-1")
    assert found["stage"] == (True, "toys a brick, serial number T-2")
