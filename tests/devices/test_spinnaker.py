"""The driver for the vendor's PySpin, with a stand-in for it: what it asks of the library, and in what order.

This proves that the driver keeps the library's published rules. That a camera does, only one can show.
"""

import sys
import time
import types
from dataclasses import replace

import numpy as np
import pytest

from lee.devices import open_camera as open_configured
from lee.devices.faults import Backpressure, DeviceLost
from lee.devices.protocols import CameraSettings
from lee.devices.spinnaker.camera import SpinnakerCamera
from lee.devices.spinnaker.driver import SpinnakerDriver
from lee.devices.watchdog import LOST_AFTER_S
from lee.errors import InputError, MissingDependency
from lee.recording.ledger import account
from lee.rig.doctor import examine
from tests.support.spinnaker_stand_in import SENSOR, Device, System, stand_in

FREE = CameraSettings(exposure_s=0.001, triggered=False, frames_per_s=200.0, buffers=64)
TRIGGERED = replace(FREE, triggered=True)


@pytest.fixture
def cable(monkeypatch):
    """Put cameras on their cables; afterwards, no rule of the library may have been broken."""

    def plug(*devices):
        monkeypatch.setitem(sys.modules, "PySpin", stand_in(*devices))
        return devices[0] if devices else None

    yield plug
    if "PySpin" in sys.modules and hasattr(sys.modules["PySpin"], "System"):
        assert (System.pointers, System.lists, System.instances, System.misuse) == (0, 0, 0, [])
        assert [one.misuse for one in System.devices] == [[]] * len(System.devices)


@pytest.fixture
def device(cable):
    return cable(Device("17"))


@pytest.fixture
def camera(device):
    one = SpinnakerCamera()
    yield one
    one.close()


def rest_of(camera, timeout_s=0.0):
    frames = []
    while (frame := camera.next_frame(timeout_s)) is not None:
        frames.append(frame)
    return frames


def frames_of(camera, most):
    camera.start()
    frames = [camera.next_frame(2.0) for _ in range(most)]
    camera.stop()
    return frames + rest_of(camera)


def ids(frames):
    return [frame.frame_id for frame in frames]


def test_without_the_vendors_package_one_line_names_where_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "PySpin", None)
    with pytest.raises(
        MissingDependency, match=r"PySpin is not installed; get the camera vendor's wheel .*aravis"
    ) as caught:
        SpinnakerCamera()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["PySpin", "pyspin"])
def test_the_spinning_bars_of_that_name_are_refused(monkeypatch, tmp_path, name):
    (tmp_path / f"{name}.py").write_text("def make_spin(*given): return given")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "PySpin", raising=False)
    with pytest.raises(
        MissingDependency, match=r"shows spinning bars .*pip uninstall PySpin, and get the camera vendor's"
    ):
        SpinnakerDriver().open()
    sys.modules.pop("PySpin", None)


def test_one_whose_libraries_do_not_load_gives_the_reason(monkeypatch, tmp_path):
    (tmp_path / "PySpin.py").write_text("raise ImportError('libSpinnaker.so.4: no such file')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "PySpin", raising=False)
    with pytest.raises(MissingDependency, match=r"PySpin cannot be loaded \(libSpinnaker.so.4: no such"):
        SpinnakerCamera()


def test_doctor_reports_which_pyspin_there_is(cable, monkeypatch, tmp_path):
    def findings(package, needed=True):
        monkeypatch.setitem(sys.modules, "PySpin", package)
        config = tmp_path / "rig.toml"
        driver = "spinnaker" if needed else "virtual"
        config.write_text(f'[camera]\ndriver = "{driver}"\n[stage]\ndriver = "virtual"\n')
        return {what: (good, report) for what, good, report in examine(config, folder=tmp_path)}

    cable(Device("17"))
    found = findings(sys.modules["PySpin"])
    assert found["camera library PySpin"] == (True, "the vendor's PySpin is installed")
    assert found["camera"] == (True, "FLIR Blackfly S BFS-U3-51S5M, serial number 17")
    bars = types.ModuleType("PySpin")
    assert findings(bars)["camera library PySpin"][0] is False
    good, report = findings(bars, needed=False)["camera library PySpin"]
    assert good is None
    assert "shows spinning bars" in report
    assert "is not installed; get the camera vendor's wheel" in findings(None)["camera library PySpin"][1]


def test_one_of_several_must_be_named(cable):
    cable(Device("17"), Device("18"))
    with pytest.raises(InputError, match=r"there are 2, 17 \(Blackfly S .*\), 18 .*name one by its serial"):
        SpinnakerCamera()
    with pytest.raises(InputError, match=r"no camera '19'; found: 17 \(Blackfly S"):
        SpinnakerCamera("19")
    one = SpinnakerDriver(serial="18").open()
    other = SpinnakerCamera("17")  # the library's system is one for both
    assert (one.identity.serial, other.identity.serial) == ("18", "17")
    one.close()
    other.configure(FREE)
    assert ids(frames_of(other, 3))[:3] == [0, 1, 2]
    other.close()
    cable()
    with pytest.raises(InputError, match="camera: there is none; found: none; check its cable"):
        SpinnakerCamera()


def test_one_that_another_program_controls_is_refused(device):
    device.held_by_another = True
    with pytest.raises(InputError, match="another program controls 17; close that one") as caught:
        SpinnakerCamera()
    assert caught is not None  # it knows its frames, and none of them holds a pointer
    assert (System.pointers, System.instances) == (0, 0)


# --- setting up ---


def test_it_reports_its_identity_and_what_it_applied(camera):
    assert camera.identity.vendor == "FLIR"
    assert camera.identity.firmware == "1707.1.2.0"
    whole = camera.configure(replace(FREE, exposure_s=0.0012345, frames_per_s=1e6))
    assert whole.region == (0, 0, *SENSOR)
    assert whole.exposure_s == pytest.approx(0.001232)  # in steps of 7 us
    assert whole.frames_per_s == pytest.approx(1 / 0.002232)
    part = camera.configure(replace(TRIGGERED, region=(7, 10, 23, 42), buffers=1, gain_db=12.5))
    assert (part.region, whole.gain_db) == ((4, 8, 20, 40), 3.0)  # the gain as it was
    assert part.gain_db == 12.5
    assert part.buffers == 3  # the library takes no fewer
    assert part.frames_per_s == 200.0
    slow = camera.configure(replace(TRIGGERED, exposure_s=0.5))
    assert slow.frames_per_s == pytest.approx(1 / 0.501, rel=1e-4)
    assert camera.configure(FREE).region == (0, 0, *SENSOR)


def test_a_camera_set_up_by_a_file(cable):
    cable(Device("17"))
    camera = open_configured(
        {"camera": {"driver": "spinnaker", "region_px": [0, 0, 16, 32]}, "stage": {"driver": "virtual"}}
    )
    camera.start()
    assert camera.next_frame(0.05) is None
    camera.close()


@pytest.mark.parametrize(
    ("formats", "asked", "applied"),
    [
        (("Mono8", "Mono16"), "Mono12", "Mono16"),
        (("Mono8", "Mono16"), "Mono10", "Mono16"),
        (("Mono8", "Mono12", "Mono16"), "Mono12", "Mono12"),
    ],
)
def test_packed_pixels_are_not_taken_and_what_is_taken_is_reported(cable, formats, asked, applied):
    device = cable(Device("17", formats=formats))
    camera = SpinnakerCamera()
    assert camera.configure(replace(FREE, pixel_format=asked)).pixel_format == applied
    frame = frames_of(camera, 1)[0]
    assert (frame.image.dtype, frame.complete) == (np.uint16, True)
    assert device.nodes.value("AdcBitDepth") == f"Bit{asked[4:]}"
    assert camera.configure(FREE).pixel_format == "Mono8"
    camera.close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"exposure_s": 100.0}, "exposure_s 100 must be in 6e-06 to 30"),
        ({"gain_db": 50.0}, "gain_db 50 must be in 0 to 47"),
        ({"pixel_format": "RGB8"}, "pixel_format 'RGB8' is not one of Mono8, Mono16"),
        ({"region": (0, 40, 16, 32)}, r"region \(0, 40, 16, 32\) leaves its sensor of \(48, 64\)"),
        ({"buffers": 0}, "buffers 0 must be in 1 to 500"),
        ({"frames_per_s": 0.0}, "frames_per_s 0 must be above 0"),
    ],
)
def test_what_it_cannot_do_is_refused(camera, change, message):
    with pytest.raises(InputError, match=message):
        camera.configure(replace(FREE, **change))
    with pytest.raises(InputError, match="not set up; configure it before it is started"):
        camera.start()


def test_what_is_refused_for_pulses_and_while_it_runs(device):
    camera = SpinnakerCamera(trigger_line="Line7")
    with pytest.raises(InputError, match="trigger_line 'Line7' is not one of Software, Line0, Line2"):
        camera.configure(TRIGGERED)
    camera.configure(FREE)
    camera.start()
    with pytest.raises(InputError, match="taking frames; stop it before"):
        camera.configure(FREE)
    camera.close()


def test_what_a_node_refuses_is_reported_in_one_line(camera, device):
    height = device.nodes.GetNode("Height")
    height.inc, height._low = 5, 3
    with pytest.raises(
        InputError, match=r"Height = 20 is refused \(Spinnaker: GenICam::OutOfRange.* \[-2002\]\)"
    ):
        camera.configure(replace(FREE, region=(0, 0, 20, 20)))


# --- frames ---


@pytest.mark.parametrize("older", [False, True])
def test_frames_come_in_order_and_are_the_callers_own(cable, older):
    cable(Device("17", older=older))
    camera = SpinnakerCamera()
    camera.configure(FREE)
    for _ in range(2):
        frames = frames_of(camera, 30)
        assert ids(frames) == list(range(len(frames)))
        steps = np.diff([frame.timestamp_s for frame in frames])
        np.testing.assert_allclose(steps, 0.005, atol=1e-6)
        # What the buffer holds after its release is another frame's.
        assert [int(frame.image.min()) for frame in frames] == [k % 200 + 1 for k in range(len(frames))]
        assert all(frame.complete for frame in frames)
        assert frames[0].image.flags.owndata
        assert frames[0].image.flags.writeable
    camera.close()


def test_pulses_make_frames_and_those_that_came_can_be_had_when_it_stopped(camera, device):
    camera.configure(TRIGGERED)
    camera.start()
    assert camera.next_frame(0.1) is None
    for _ in range(20):
        device.pulse()
        time.sleep(0.003)
    camera.stop()
    device.pulse()
    frames = rest_of(camera)
    assert ids(frames) == list(range(20))
    assert camera.next_frame(0.5) is None


def test_a_pulse_by_command(device):
    camera = SpinnakerCamera(trigger_line="Software")
    camera.configure(TRIGGERED)
    camera.start()
    camera.software_trigger()
    assert camera.next_frame(1.0).frame_id == 0
    camera.close()


@pytest.mark.parametrize(("chunks", "network"), [(True, False), (False, False), (False, True), (True, True)])
def test_every_loss_shows(cable, chunks, network):
    device = cable(Device("17", chunks=chunks, network=network))
    device.lost, device.incomplete = (2, 3, 9), (5, 10)
    camera = SpinnakerCamera()
    camera.configure(FREE)
    frames = frames_of(camera, 12)
    camera.close()
    assert ids(frames) == [k for k in range(frames[-1].frame_id + 1) if k not in (2, 3, 9)]
    assert [frame.frame_id for frame in frames if not frame.complete] == [5, 10]
    ledger = account(
        ids(frames),
        [frame.timestamp_s for frame in frames],
        pulses_planned=frames[-1].frame_id + 1,
        frames_per_s=200.0,
        complete=[frame.complete for frame in frames],
    ).ledger
    assert (ledger.lost_frames, ledger.frames_incomplete, ledger.unexplained) == (3, 2, 0), ledger.summary()


def test_ids_of_the_network_go_on_beyond_16_bits(cable):
    device = cable(Device("17", chunks=False, network=True))
    camera = SpinnakerCamera()
    camera.configure(FREE)
    assert ids(frames_of(camera, 3))[:3] == [0, 1, 2]
    device.first_id = 65530  # it counts on, over the end of its bits
    assert ids(frames_of(camera, 12))[:12] == list(range(12))
    camera.close()


def test_a_camera_whose_transport_counts_otherwise_keeps_its_own_ids(camera, device):
    device.first_id, device.incomplete = 1, (4,)
    camera.configure(FREE)
    assert ids(frames_of(camera, 6))[:6] == list(range(6))


@pytest.mark.parametrize("older", [False, True])
def test_frames_that_find_no_buffer_are_reported_and_the_others_can_be_had(cable, older):
    cable(Device("17", older=older))
    camera = SpinnakerCamera()
    camera.configure(replace(FREE, buffers=4, frames_per_s=10.0))
    camera.start()
    time.sleep(0.65)  # far from the moment when a frame comes: none is missed between two calls
    with pytest.raises(Backpressure, match="none of its 4 buffers free; take frames sooner"):
        camera.next_frame(1.0)
    assert ids([camera.next_frame(1.0) for _ in range(4)]) == [0, 1, 2, 3]
    camera.close()


# --- a camera that goes away ---


def lost_after(camera):
    begun = time.monotonic()
    while time.monotonic() < begun + 10:
        camera.next_frame(0.2)


@pytest.mark.parametrize("settings", [FREE, TRIGGERED])
def test_a_camera_that_is_pulled_out_is_lost(cable, settings):
    device = cable(Device("17"))
    camera = SpinnakerCamera()
    camera.configure(settings)
    camera.start()
    device.unplug()
    begun = time.monotonic()
    with pytest.raises(
        DeviceLost, match=r"it sends no more frames \(Spinnaker: Stream has been aborted. \[-1012\]\)"
    ):
        lost_after(camera)
    assert time.monotonic() - begun < 1.0
    with pytest.raises(DeviceLost, match="check its cable and open it again"):
        camera.start()
    camera.stop()
    camera.close()
    with pytest.raises(DeviceLost, match="it is closed; open it again"):
        camera.next_frame(0.1)
    device.plugged, device.streaming, device.initialised = True, False, False
    again = SpinnakerCamera("17")
    again.configure(FREE)
    assert frames_of(again, 2)[0].frame_id == 0
    again.close()


def test_one_pulled_out_between_scans_is_lost_by_the_next_call(camera, device):
    camera.configure(FREE)
    device.unplug()
    for call in (camera.start, lambda: camera.configure(FREE)):
        with pytest.raises(DeviceLost, match=r"does not answer \(Spinnaker: Camera has been removed"):
            call()


@pytest.mark.parametrize("pulled_out", ["before the start", "while it takes frames"])
def test_it_is_let_go_of_while_its_error_is_known(camera, device, pulled_out):
    """What an error's traceback holds must be no pointer: the library's system could not be released."""
    camera.configure(TRIGGERED)
    if pulled_out == "while it takes frames":
        camera.start()
    device.unplug()
    with pytest.raises(DeviceLost, match="check its cable") as caught:
        camera.start() if pulled_out == "before the start" else lost_after(camera)
    camera.close()
    assert caught is not None
    assert (System.pointers, System.instances) == (0, 0)


def test_one_that_does_not_answer_while_it_waits_for_pulses_is_lost_in_time(cable):
    device = cable(Device("17"))
    camera = SpinnakerCamera()
    camera.configure(TRIGGERED)
    camera.start()
    device.hangs = 3.6
    begun = time.monotonic()
    with pytest.raises(DeviceLost, match="camera: it does not answer; check its cable"):
        lost_after(camera)
    assert time.monotonic() - begun < LOST_AFTER_S
    device.hangs = 0.0
    closing = time.monotonic()
    camera.close()
    assert time.monotonic() - closing < 1.0
    SpinnakerCamera().close()  # waits until the one before is released
