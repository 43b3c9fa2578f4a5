"""The driver of Micro-Manager's cameras, with the demo camera of its own adapters."""

import sys
import types

import numpy as np
import pytest

from lee.devices import open_camera
from lee.devices.config import load_config
from lee.devices.drivers import CameraDriver
from lee.devices.faults import Backpressure, DeviceLost
from lee.devices.mmcore.driver import MmcoreDriver
from lee.devices.mmcore.system import adapters_folder, device_system
from lee.devices.protocols import CameraSettings
from lee.errors import InputError

SYSTEM = """# a microscope
Property,Core,Initialize,0
Device,Z,DemoCamera,DStage
Device,Hub,DemoCamera,DHub
Device,Cam,DemoCamera,DCam
Device,Other,DemoCamera,DCam
Property,Cam,MaximumExposureMs,500
Parent,Cam,Hub
Property,Core,Initialize,1
Property,Core,Camera,Cam
Property,Z,Position,50
Property,Cam,Gain,3
ConfigGroup,System,Startup,Z,Position,70
"""
SETTINGS = CameraSettings(0.005, "Mono8", (10, 20, 60, 80), triggered=False, buffers=16)


@pytest.fixture(scope="module")
def system_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("mmcore") / "microscope.cfg"
    path.write_text(SYSTEM)
    return path


@pytest.fixture(scope="module")
def adapters():
    pytest.importorskip("pymmcore", reason="pymmcore is not installed")
    return pytest.importorskip(
        "mm_test_adapters", reason="mm-test-adapters is not installed"
    ).device_adapter_path()


@pytest.fixture
def opened(system_file, adapters):
    from lee.devices.mmcore.camera import MmcoreCamera

    cameras = []

    def opens(path=system_file, **keys):
        cameras.append(MmcoreCamera(path, **{"adapters": adapters, **keys}))
        return cameras[-1]

    yield opens
    for camera in cameras:
        camera.close()


def rig_of(**camera):
    return {"camera": {"driver": "mmcore", **camera}, "stage": {"driver": "virtual"}}


def frames_of(camera, number):
    return [camera.next_frame(2.0) for _ in range(number)]


@pytest.mark.slow
def test_frames_come_in_their_order_with_ids_and_times_of_every_acquisition(opened):
    camera = opened()
    assert (camera.identity.vendor, camera.identity.model) == ("DemoCamera", "DCam")
    applied = camera.configure(SETTINGS)
    assert (applied.exposure_s, applied.region, applied.pixel_format) == (0.005, (10, 20, 60, 80), "Mono8")
    assert 0 < applied.frames_per_s <= 200
    for _ in range(2):
        camera.start()
        frames = frames_of(camera, 6)
        camera.stop()
        assert [frame.frame_id for frame in frames] == list(range(6))
        assert all(frame.complete and frame.image.shape == (60, 80) for frame in frames)
        assert np.all(np.diff([frame.timestamp_s for frame in frames]) > 0.004)
        rest = []
        while frame := camera.next_frame(0.0):
            rest.append(frame.frame_id)
        assert rest == list(range(6, 6 + len(rest)))


@pytest.mark.parametrize(("pixel_format", "dtype"), [("Mono12", np.uint16), ("Mono16", np.uint16)])
def test_images_have_the_bits_that_were_asked_for(opened, pixel_format, dtype):
    camera = opened()
    applied = camera.configure(CameraSettings(0.005, pixel_format, (0, 0, 8, 8), triggered=False))
    assert applied.pixel_format == pixel_format
    camera.start()
    assert frames_of(camera, 1)[0].image.dtype == dtype


def test_only_the_camera_is_loaded_and_nothing_is_left_when_it_closes(opened):
    camera = opened()
    core = camera._core
    assert set(core.getLoadedDevices()) == {"Core", "Hub", "Cam"}
    assert float(core.getProperty("Cam", "Gain")) == 3
    camera.configure(SETTINGS)
    camera.start()
    camera.close()
    camera.close()
    assert core.getLoadedDevices() == ("Core",)
    with pytest.raises(DeviceLost, match="camera: it is closed; open it again"):
        camera.next_frame(0.0)


def test_a_full_buffer_is_told_and_the_frames_in_it_are_kept(opened):
    camera = opened()
    buffers = camera.configure(CameraSettings(0.001, "Mono16", (0, 0, 512, 512), False, buffers=2)).buffers
    camera.start()
    while not camera._core.isBufferOverflowed():
        pass
    with pytest.raises(Backpressure, match=f"found none of its {buffers} buffers free"):
        camera.next_frame(1.0)
    assert [frame.frame_id for frame in frames_of(camera, buffers)] == list(range(buffers))
    assert camera.next_frame(0.05) is None
    camera.start()
    assert frames_of(camera, 1)[0].frame_id == 0


def test_a_camera_that_stops_by_itself_is_lost(opened):
    camera = opened()
    camera.configure(SETTINGS)
    camera.start()
    camera._core.stopSequenceAcquisition()
    with pytest.raises(DeviceLost, match="it stopped taking frames by itself; check its cable"):
        frames_of(camera, 1000)


def test_what_the_camera_cannot_do_is_said(opened):
    camera = opened()
    for wrong, said in [
        ({"region": (0, 0, 600, 8)}, r"region \(0, 0, 600, 8\) leaves its sensor of \(512, 512\) px"),
        ({"pixel_format": "Mono9"}, "pixel_format 'Mono9' cannot be set; images have"),
        ({"gain_db": 3.0}, "gains of their own units; omit gain_db and set it in the .cfg file"),
        ({"triggered": True}, "no trigger that all cameras share; set triggered to false"),
    ]:
        with pytest.raises(InputError, match=said):
            camera.configure(CameraSettings(**{**vars(SETTINGS), **wrong}))


def test_a_camera_that_cannot_be_loaded_is_one_line(opened, tmp_path, system_file):
    with pytest.raises(InputError, match=r"there is no device 'Dog'; devices are Z, Hub, Cam, Other"):
        opened(label="Dog")
    with pytest.raises(InputError, match=r"camera: adapters '/no/folder' is no folder; give the one"):
        opened(adapters="/no/folder")
    with pytest.raises(
        InputError, match=r"^camera: Hub, DemoCamera DHub from [^\n]*, was refused \([^\n]*\)$"
    ):
        opened(adapters=str(tmp_path))
    with pytest.raises(InputError, match=r"^camera: Z as camera was refused \([^\n]*\)$"):
        opened(label="Z")


def test_the_rig_opens_it_by_its_file(system_file, adapters):
    keys = {"system_file": str(system_file), "adapters": adapters, "serial": "Other", "exposure_s": 0.004}
    camera = open_camera(rig_of(**keys))
    try:
        camera.start()
        assert camera.next_frame(2.0).image.shape == (512, 512)
    finally:
        camera.close()
    [fact] = MmcoreDriver.software()
    assert fact.found
    assert fact.report.startswith("pymmcore ")


def test_keys_that_do_not_fit_are_named():
    with pytest.raises(InputError, match=r"\[camera\] system_file is missing; give the .cfg file"):
        load_config(rig_of())
    with pytest.raises(InputError, match=r"\[camera\] triggered is true; Micro-Manager has no trigger"):
        load_config(rig_of(system_file="a.cfg", triggered=True))
    assert issubclass(MmcoreDriver, CameraDriver)


def test_of_a_configuration_only_the_lines_of_the_camera_are_used(system_file, tmp_path):
    system = device_system(system_file)
    assert [name for name, _, _ in system.devices] == ["Hub", "Cam"]
    assert system.before == (("Cam", "MaximumExposureMs", "500"),)
    assert system.after == (("Cam", "Gain", "3"),)
    serial = tmp_path / "serial.cfg"
    serial.write_text("Device,COM1,SerialManager,COM1\nDevice,C,Make,Cam\nProperty,C,Port,COM1\n")
    assert [name for name, _, _ in device_system(serial, "C").devices] == ["COM1", "C"]
    with pytest.raises(InputError, match=r"serial.cfg: names no camera; give the label of one as serial"):
        device_system(serial)
    with pytest.raises(InputError, match=r"none.cfg.*give the .cfg file that Micro-Manager saved"):
        device_system(tmp_path / "none.cfg")
    noise = tmp_path / "noise.cfg"
    noise.write_bytes(np.random.default_rng(0).bytes(5000))
    with pytest.raises(InputError, match=r"noise.cfg: names no camera"):
        device_system(noise)


def test_adapters_are_found_by_pymmcore_plus(monkeypatch, tmp_path):
    plus = types.ModuleType("pymmcore_plus")
    monkeypatch.setitem(sys.modules, "pymmcore_plus", plus)
    plus.find_micromanager = lambda: str(tmp_path)
    assert adapters_folder("") == str(tmp_path)
    plus.find_micromanager = lambda: None
    with pytest.raises(
        InputError, match="there is no Micro-Manager with device adapters; run `mmcore install`"
    ):
        adapters_folder("")
