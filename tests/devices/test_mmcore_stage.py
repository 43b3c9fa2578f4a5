"""The driver of Micro-Manager's Z stages, with the demo stage of its own adapters, and scans with both."""

import re
import threading
from pathlib import Path

import numpy as np
import pytest

from lee.devices import open_rig
from lee.devices.config import load_config
from lee.devices.faults import DeviceLost, ReferenceUnknown, StageStalled
from lee.devices.mmcore.system import device_system
from lee.devices.scan_plan import ScanPlan
from lee.errors import InputError
from lee.recording.segment_reader import SegmentReader
from lee.rig.acquire import take_scan

DOCS = Path(__file__).resolve().parents[2] / "docs" / "rig.md"
SYSTEM = """Device,Z,DemoCamera,DStage
Device,XY,DemoCamera,DXYStage
Device,Cam,DemoCamera,DCam
Property,Core,Initialize,1
Property,Core,Camera,Cam
Property,Core,Focus,Z
"""
LIMITS = {"lowest_um": -50.0, "highest_um": 100.0}


def config_of(folder, adapters="", **stage):
    path = folder / "microscope.cfg"
    path.write_text(SYSTEM)
    keys = {"driver": "mmcore", "system_file": str(path), "adapters": adapters}
    return {
        "camera": {**keys, "exposure_s": 0.02, "region_px": [0, 0, 16, 24]},
        "stage": {**keys, **LIMITS, **stage},
    }


@pytest.fixture(scope="module")
def adapters():
    pytest.importorskip("pymmcore", reason="pymmcore is not installed")
    return pytest.importorskip("mm_test_adapters", reason="not installed").device_adapter_path()


@pytest.fixture(scope="module")
def rig(adapters, tmp_path_factory):
    with open_rig(config_of(tmp_path_factory.mktemp("mm"), adapters)) as rig:
        yield rig


@pytest.fixture
def stage(rig):
    rig.stage.confirm_reference(rig.stage.status().position_counts)
    return rig.stage


def test_nothing_moves_before_the_operator_states_where_it_stands(rig):
    stage = rig.stage
    assert (stage.identity.model, stage.can_trigger, stage.reference) == ("DStage", False, None)
    assert set(stage._core.getLoadedDevices()) == {"Core", "Z"}
    with pytest.raises(ReferenceUnknown, match="nothing moves before it is homed"):
        stage.move_to(5_000)
    with pytest.raises(InputError, match="keeps its own zero: state the height that it reports"):
        stage.confirm_reference(7_000)
    with pytest.raises(InputError, match="home it in Micro-Manager"):
        stage.home(consent=True)
    assert stage.status().position_counts == 0


def test_it_goes_where_it_is_sent_within_its_limits(stage):
    stage.move_to(5_000)
    assert stage.status().position_counts == 5_000
    assert not stage.status().moving
    with pytest.raises(InputError, match=r"100.00 µm is beyond its limits|100.01 µm is beyond"):
        stage.move_to(100_010)
    with pytest.raises(InputError, match="another scale"):
        stage.begin_scan(ScanPlan.of_um(0, 10, step_um=0.2, counts_per_um=500, frames_per_s=50))


def test_a_stop_ends_a_scan_where_it_is(stage):
    plan = ScanPlan.of_um(10, 60, step_um=0.2, counts_per_um=1000, frames_per_s=50, lead_um=2)
    stage.begin_scan(plan)
    assert stage.last_status().moving
    threading.Timer(0.1, stage.stop).start()
    with pytest.raises(StageStalled, match="was stopped during the move"):
        stage.end_scan(timeout_s=5.0)
    here = stage.status().position_counts
    assert here < 60_000
    assert stage.status().position_counts == here
    stage.move_to(0)


@pytest.mark.parametrize("ends_um", [(10.0, 18.0), (18.0, 10.0)])
def test_a_scan_with_its_camera_is_complete_and_at_its_heights(rig, stage, tmp_path, ends_um):
    settings = rig.camera._settings
    plan = ScanPlan.of_um(
        *ends_um, step_um=0.2, counts_per_um=1000.0, frames_per_s=settings.frames_per_s, lead_um=1.0
    )
    for attempt in range(5):  # the demo camera itself is late where the computer is busy
        path = tmp_path / f"scan_{attempt:03d}.raw"
        taken = take_scan(rig, plan, path, settings=settings, pixel_um=0.1, reconstruct=False)
        assert taken.fault is None
        assert taken.synchronisation.method == "timestamps"
        if taken.ledger.complete:
            break
    assert taken.ledger.complete
    assert len(SegmentReader(path)) == taken.ledger.frames_written >= 38
    z_um = np.asarray(SegmentReader(path).z_um)
    assert np.abs(z_um - plan.z_um[: len(z_um)]).max() < 0.6
    assert stage.status().position_counts == plan.end_counts


def test_a_stage_that_refuses_or_is_gone_is_told(adapters, tmp_path):
    config = config_of(tmp_path, adapters, lowest_um=-20000.0, highest_um=20000.0)
    with open_rig(config) as rig:
        stage = rig.stage
        stage.confirm_reference(0)
        with pytest.raises(StageStalled, match=r"was sent to 9000.00; check what blocks it|was refused \("):
            stage.move_to(9_000_000)
        stage.confirm_reference(stage.status().position_counts)
        stage._core.unloadDevice("Z")
        with pytest.raises(DeviceLost, match="it accepts no stop"):
            stage.stop()
        with pytest.raises(DeviceLost, match=r"no status within 0\.2 s"):
            stage.status(0.2)


def test_a_file_that_lacks_something_is_one_line(tmp_path):
    config = config_of(tmp_path)
    assert device_system(tmp_path / "microscope.cfg", role="Focus").label == "Z"
    for key, said in [
        ("system_file", "system_file is missing; give the .cfg file"),
        ("highest_um", "highest_um is missing; no adapter tells how far its stage may go"),
    ]:
        stage = {name: value for name, value in config["stage"].items() if name != key}
        with pytest.raises(InputError, match=said):
            load_config(config | {"stage": stage})
    (tmp_path / "none.cfg").write_text("Device,Cam,DemoCamera,DCam\n")
    with pytest.raises(InputError, match="names no stage; give the label of one as serial, devices are Cam"):
        device_system(tmp_path / "none.cfg", role="Focus")


@pytest.mark.slow  # importing pymmcore-plus takes seconds
def test_frames_of_a_running_acquisition_become_a_surface(adapters):
    plus = pytest.importorskip("pymmcore_plus", reason="pymmcore-plus is not installed")
    core = plus.CMMCorePlus()
    core.setDeviceAdapterSearchPaths([adapters])
    for label, device in (("Z", "DStage"), ("Cam", "DCam")):
        core.loadDevice(label, "DemoCamera", device)
        core.initializeDevice(label)
    core.setCameraDevice("Cam")
    core.setFocusDevice("Z")
    core.setROI(0, 0, 80, 64)
    core.setExposure(1)
    core.setAutoShutter(False)
    (example,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    names = {"core": core, "heights": {"bottom": 0, "top": 4, "step": 0.5}, "pixel_um": 0.1}
    exec(compile(example, "docs/rig.md", "exec"), names)
    assert names["surface"].height_um.shape == (64, 80)
    assert names["surface"].provenance.frames_used == 9
