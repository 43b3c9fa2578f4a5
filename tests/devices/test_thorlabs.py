"""The stepper stage, driven through the real library against a stand-in for its controller."""

import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest

from lee.devices.faults import DeviceLost, StageStalled
from lee.devices.protocols import Rig
from lee.devices.scan_plan import ScanPlan
from lee.devices.thorlabs.settings import ThorlabsSettings
from lee.devices.thorlabs.stage import ThorlabsStage
from lee.errors import InputError, MissingDependency, RigFault

pytest.importorskip("thorlabs_apt_device")
pytest.importorskip("pty")
from tests.support.apt_controller import MOVE_STOP, AptController

UM = 2008.64563
START = round(20 * UM)


@contextmanager
def stage_on(controller, **options):
    stage = ThorlabsStage(controller.port, **options)
    try:
        yield stage
    finally:
        stage.close()


@pytest.fixture
def controller():
    with AptController(position=START) as one:
        yield one


@pytest.fixture
def stage(controller):
    with stage_on(controller) as one:
        yield one


def plan(start_um=20.0, end_um=100.0, *, frames_per_s=80.0, lead_um=2.0):
    return ScanPlan.of_um(
        start_um, end_um, step_um=0.2, counts_per_um=UM, frames_per_s=frames_per_s, lead_um=lead_um
    )


# --- opening ---


def test_opening_moves_nothing_and_reports_its_identity(controller, stage):
    time.sleep(1.3)  # the library's own default homes one second after opening
    assert controller.moves == []
    assert (stage.identity.vendor, stage.identity.model) == ("Thorlabs", "KST101")
    assert (stage.identity.serial, stage.identity.firmware) == ("26001234", "1.2.3")
    assert stage.can_trigger
    assert stage.counts_per_um == UM
    assert "not calibrated" in stage.settings.calibrated_by
    status = stage.status()
    assert status.position_counts == START
    assert not status.moving
    assert status.homed
    assert status.age_s < 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [({"serial": "26009999"}, "serial number 26001234, not 26009999"), ({"model": "KDC101"}, "model KST101")],
)
def test_another_controller_is_refused(controller, options, message):
    with pytest.raises(InputError, match=message), stage_on(controller, **options):
        pass
    assert controller.moves == []


def test_the_named_controller_is_taken(controller):
    with stage_on(controller, serial="26001234", model="KST101") as stage:
        assert stage.status().position_counts == START


def test_what_cannot_be_opened_is_reported():
    with pytest.raises(DeviceLost, match=r"/dev/no-such-port cannot be opened"):
        ThorlabsStage("/dev/no-such-port")
    with pytest.raises(InputError, match="give its port, or its serial number"):
        ThorlabsStage()
    with pytest.raises(DeviceLost, match="no port has the serial number no-such-number"):
        ThorlabsStage(serial="no-such-number")


def test_a_port_that_is_in_use_is_refused_before_anything_is_sent_to_it(controller, stage, tmp_path):
    stage.status()
    by_id = tmp_path / "by-id"
    by_id.symlink_to(controller.port)
    stops = controller.received.count(MOVE_STOP)
    for name in (controller.port, str(by_id)):
        with pytest.raises(DeviceLost, match="used by another program, which goes on undisturbed"):
            ThorlabsStage(name)
    time.sleep(0.1)
    assert set(controller.received[-3:]) <= {0x0480}  # its own requests of the status
    assert controller.received.count(MOVE_STOP) == stops
    stage.close()
    with stage_on(controller) as again:
        assert again.status().position_counts == START


def test_a_missing_library_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "thorlabs_apt_device", None)
    with pytest.raises(MissingDependency, match=r'pip install "\.\[rig\]"'):
        ThorlabsStage("/dev/no-such-port")


def test_status_comes_often_and_commands_at_once(controller, stage):
    stage.status()
    begun, ages = time.monotonic(), []
    while time.monotonic() - begun < 0.5:
        ages.append(stage.status().age_s)
    assert len(ages) > 15  # 9 a second before; some 45 on an idle machine
    waits = []
    for _ in range(20):
        seen, begun = len(controller.received), time.monotonic()
        stage.stop()
        assert controller.receives(MOVE_STOP, after=seen)
        waits.append(time.monotonic() - begun)
    assert np.median(waits) < 0.03


# --- moves ---


def test_homing_needs_consent(controller, stage):
    with pytest.raises(InputError, match="consent"):
        stage.home(consent=False)
    assert controller.moves == []
    stage.home(consent=True, timeout_s=10)
    status = stage.status()
    assert status.homed
    assert status.position_counts == 0


def test_moves_end_where_sent_and_from_below(controller, stage):
    stage.move_to(START + 40_000, timeout_s=5)
    assert stage.status().position_counts == START + 40_000
    seen = []
    watch = threading.Event()

    def record():
        while not watch.is_set():
            seen.append(controller.place)
            time.sleep(0.001)

    recorder = threading.Thread(target=record)
    recorder.start()
    stage.move_to(START, timeout_s=5)
    watch.set()
    recorder.join()
    assert stage.status().position_counts == START
    assert min(seen) == pytest.approx(START - 10 * UM, abs=1)
    moves = len(controller.moves)
    stage.move_to(START + 100, timeout_s=5)  # backlash is out already
    assert len(controller.moves) == moves + 1


def test_near_its_lowest_limit_a_move_rises_from_there(controller):
    limits = (START - 4_000, START + 100_000)
    with stage_on(controller, settings=ThorlabsSettings(limits_counts=limits)) as stage:
        for target, ways in ((START - 2_000, 2), (limits[0], 1)):
            seen = len(controller.moves)
            stage.move_to(target, timeout_s=5)
            assert len(controller.moves) == seen + ways
            assert controller.place == target


@pytest.mark.parametrize("counts", [-1, 60_000_000])
def test_limits_are_kept(controller, stage, counts):
    with pytest.raises(InputError, match="µm is beyond its limits"):
        stage.move_to(counts)
    assert controller.moves == []


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"start_um": 1.0}, "reaches -9.00 µm, beyond the stage's limits"),
        ({"frames_per_s": 600.0}, "pulse_us"),
        ({"frames_per_s": 4000.0}, "at most at 500"),
        ({"frames_per_s": 400.0, "lead_um": 0.1}, "longer lead"),
    ],
)
def test_scans_that_cannot_be_are_refused(changed, message):
    with pytest.raises(InputError, match=message):
        ThorlabsSettings().check_plan(plan(**{"lead_um": 10.0, **changed}))


def test_a_refused_scan_moves_nothing(controller, stage):
    with pytest.raises(InputError, match="plan with the stage's scale"):
        stage.begin_scan(ScanPlan(START, 402, 100, 2008.6, 80.0, 5000))
    assert controller.moves == []
    with pytest.raises(InputError, match="no scan was begun"):
        stage.end_scan(timeout_s=1)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"counts_per_um": 0.0}, "counts_per_um is 0"),
        ({"backlash_um": -1.0}, "backlash_um is -1"),
        ({"limits_counts": (5, 5)}, "limits_counts"),
        ({"trigger_port": 3}, "trigger_port"),
    ],
)
def test_settings_that_cannot_be_are_refused(changed, message):
    with pytest.raises(InputError, match=message):
        ThorlabsSettings(**changed)


# --- scans ---


def test_a_scan_pulses_at_every_step(controller, stage):
    scan = plan(frames_per_s=240.0)
    assert scan.step_counts == 402
    begun = time.monotonic()
    stage.begin_scan(scan)
    set_off = time.monotonic()
    assert controller.pulses == []
    assert stage.status().moving
    assert stage.end_scan(timeout_s=15) == -1
    assert time.monotonic() - set_off == pytest.approx(scan.seconds + 2 * 2.0 / scan.speed_um_per_s, abs=0.6)
    assert set_off - begun < 2
    assert controller.pulses == scan.pulse_counts.tolist()
    assert len(controller.pulses) == scan.pulses == 400
    assert stage.status().position_counts == scan.end_counts
    trigger = np.frombuffer(controller.settings[0x0523], dtype="<u2")
    assert trigger.tolist()[1:5] == [0, 1, 0x0B, 2]  # off again; the other port as it was
    stage.move_to(scan.start_counts, timeout_s=10)  # the way back and the approach send none
    assert len(controller.pulses) == scan.pulses


def test_speed_is_given_in_the_controllers_units(controller, stage):
    stage._controller.set_speed(16.0)
    _, acceleration, velocity = np.frombuffer(controller.settings[0x0413][2:], dtype="<i4")
    assert velocity == pytest.approx(1_725_186, abs=1)
    assert acceleration == pytest.approx(22_097.3, abs=1)  # of 1 mm/s^2


@pytest.mark.parametrize("number", [0x0526, 0x0523, 0x0413])
def test_a_controller_that_does_not_take_the_settings_is_reported(controller, stage, number):
    controller.ignores.add(number)
    with pytest.raises(RigFault, match="the controller keeps"):
        stage.begin_scan(plan())
    assert controller.pulses == []


def test_scans_follow_one_another_in_both_directions(controller, stage):
    rising, falling = plan(20, 40, frames_per_s=400), plan(40, 20, frames_per_s=400)
    for k, scan in enumerate([rising, falling, falling]):
        controller.pulses.clear()
        stage.begin_scan(ScanPlan(**{**vars(scan), "lead_counts": 10_000}))
        stage.end_scan(timeout_s=10)
        assert controller.pulses == scan.pulse_counts.tolist(), k
    assert (
        np.frombuffer(controller.settings[0x043A][2:], dtype="<i4") == 0
    )  # else it would overshoot by itself


# --- what goes wrong ---


def test_unplugging_is_seen_within_a_second(controller, stage):
    stage.begin_scan(plan())
    time.sleep(0.2)
    controller.unplug()
    begun = time.monotonic()
    with pytest.raises(DeviceLost, match="is lost"):
        stage.end_scan(timeout_s=10)
    assert time.monotonic() - begun < 1
    with pytest.raises(DeviceLost, match="is lost"):
        stage.status()
    with pytest.raises(DeviceLost, match="is lost"):
        stage.stop()
    stage.close()
    stage.stop()  # closed: nothing is left to stop


def test_a_frozen_status_is_seen(controller, stage):
    stage.begin_scan(plan())
    controller.frozen = True
    begun = time.monotonic()
    with pytest.raises(DeviceLost, match="reported no status"):
        stage.end_scan(timeout_s=10)
    assert time.monotonic() - begun < 2  # 0.4 s where the computer is idle
    assert controller.receives(MOVE_STOP)


def test_a_busy_computer_is_not_taken_for_a_lost_stage(controller, stage):
    interval = sys.getswitchinterval()

    def hog():
        for _ in range(3):
            sys.setswitchinterval(100)  # no other thread runs meanwhile
            end = time.monotonic() + 0.5
            while time.monotonic() < end:
                pass
            sys.setswitchinterval(interval)
            time.sleep(0.1)

    busy = threading.Timer(0.1, hog)
    busy.start()
    stage.move_to(START + 1_000_000, timeout_s=10)
    busy.join()
    assert stage.status().position_counts == START + 1_000_000


def test_a_stall_is_seen_and_the_stage_stopped(controller, stage):
    controller.stalls = True
    begun = time.monotonic()
    with pytest.raises(StageStalled, match=r"does not move; it is at 20.00 µm"):
        stage.move_to(START + 100_000, timeout_s=10)
    assert time.monotonic() - begun < 2
    assert controller.receives(MOVE_STOP)
    controller.stalls = False
    stage.move_to(START + 10_000, timeout_s=5)  # it goes on once it is free


def test_a_stall_within_a_scan_is_seen(controller, stage):
    stage.begin_scan(plan())
    time.sleep(0.5)
    controller.stalls = True
    with pytest.raises(StageStalled, match="does not move"):
        stage.end_scan(timeout_s=10)
    assert 0 < len(controller.pulses) < 400


def test_a_deadline_ends_a_move(controller, stage):
    with pytest.raises(StageStalled, match="did not arrive in time"):
        stage.move_to(START + 10_000_000, timeout_s=0.3)
    time.sleep(0.1)
    assert not stage.status().moving


def test_stop_ends_a_move_that_waits(controller, stage):
    timer = threading.Timer(0.3, stage.stop)
    timer.start()
    with pytest.raises(StageStalled, match="was stopped"):
        stage.move_to(START + 10_000_000, timeout_s=10)
    timer.join()
    assert not stage.status().moving


def test_garbage_between_messages_is_survived(controller, stage):
    controller.garbage = True
    stage.move_to(START + 30_000, timeout_s=10)
    stage.begin_scan(ScanPlan(**{**vars(plan(40, 60, frames_per_s=400)), "lead_counts": 10_000}))
    stage.end_scan(timeout_s=10)
    assert len(controller.pulses) == plan(40, 60).pulses
    assert stage._connection.unreadable > 0  # what the library alone would not have survived


def test_lost_completions_and_slow_answers_are_survived(controller, stage):
    controller.loses_completions = True
    controller.delay_s = 0.1
    stage.move_to(START + 30_000, timeout_s=10)
    assert controller.place == START + 30_000


def test_a_rig_closes_the_stage(controller):
    class NoCamera:
        def close(self): ...

    stage = ThorlabsStage(controller.port)
    rig = Rig(NoCamera(), stage)
    rig.close()
    rig.close()
    with pytest.raises(DeviceLost, match="is closed"):
        stage.status()
    assert controller.receives(MOVE_STOP)
