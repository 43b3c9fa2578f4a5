"""Nothing moves where the counter may be wrong: the real library against a stand-in for its controller."""

import struct

import pytest

from lee.devices.faults import ReferenceUnknown
from lee.devices.protocols import Reference
from lee.devices.scan_plan import ScanPlan
from lee.devices.thorlabs.settings import ThorlabsSettings
from lee.devices.thorlabs.stage import ThorlabsStage
from lee.errors import InputError, RigFault

pytest.importorskip("thorlabs_apt_device")
pytest.importorskip("pty")
from tests.support.apt_controller import AptController

UM = 2008.64563
SETTINGS = ThorlabsSettings(limits_counts=(round(900 * UM), round(1100 * UM)))
SCAN = ScanPlan.of_um(950.0, 952.0, step_um=0.4, counts_per_um=UM, frames_per_s=200.0, lead_um=4.0)


@pytest.fixture
def controller():
    with AptController(homed=False) as one:
        one.truly = round(940 * UM)
        yield one


@pytest.fixture
def stage(controller):
    one = ThorlabsStage(controller.port, settings=SETTINGS)
    yield one
    one.close()


def test_a_stage_that_is_not_homed_is_not_driven(controller, stage):
    assert stage.reference is None
    message = r"not homed since it was switched on, and its counter shows 0.00 µm; nothing moves before"
    for moves in (lambda: stage.move_to(round(950 * UM)), lambda: stage.begin_scan(SCAN)):
        with pytest.raises(ReferenceUnknown, match=message):
            moves()
    assert controller.moves == []


def test_a_counter_just_switched_on_is_set_to_what_the_operator_states(controller, stage):
    assert stage.confirm_reference(round(940 * UM)) == Reference(
        "operator", pytest.approx(940, abs=1e-3), 0.0, counter_set=True
    )
    assert controller.moves == []
    assert stage.status().position_counts == round(940 * UM)
    stage.move_to(round(950 * UM), timeout_s=5)
    assert controller.truly + controller.place == pytest.approx(round(950 * UM), abs=1)
    assert stage.reference.source == "operator"


def test_a_counter_that_shows_what_is_stated_is_kept(controller, stage):
    controller.place = round(940 * UM) + 100
    assert not stage.confirm_reference(round(940 * UM)).counter_set
    assert stage.status().position_counts == round(940 * UM) + 100


def test_the_same_command_again_does_not_set_the_counter_again(controller, stage):
    stage.confirm_reference(round(940 * UM))
    stage.move_to(round(960 * UM), timeout_s=5)
    with pytest.raises(
        InputError, match=r"shows 960.00 µm, and the stated reference is 940.00 µm; if the counter"
    ):
        stage.confirm_reference(round(940 * UM))
    assert stage.status().position_counts == round(960 * UM)


def test_a_homed_stage_is_not_told_otherwise():
    with AptController(position=round(950 * UM)) as controller:
        stage = ThorlabsStage(controller.port, settings=SETTINGS)
        assert stage.reference == Reference("homed")
        assert stage.confirm_reference(round(950 * UM)) == Reference("homed")
        with pytest.raises(InputError, match="it is homed: omit the reference"):
            stage.confirm_reference(round(940 * UM))
        stage.close()


@pytest.mark.parametrize("homed", [True, False])
def test_a_reset_between_two_moves_is_noticed(homed):
    with AptController(position=round(950 * UM), homed=homed) as controller:
        stage = ThorlabsStage(controller.port, settings=SETTINGS)
        stage.confirm_reference(round(950 * UM))
        stage.move_to(round(960 * UM), timeout_s=5)
        controller.switch_off_and_on()
        moves = len(controller.moves)
        lost = "it was homed and no longer is" if homed else r"left the way it was sent \(at 960.00 µm\)"
        with pytest.raises(ReferenceUnknown, match=lost):
            stage.begin_scan(SCAN)
        assert len(controller.moves) == moves
        stage.confirm_reference(round(960 * UM))
        stage.move_to(round(965 * UM), timeout_s=5)
        assert controller.truly + controller.place == pytest.approx(round(965 * UM), abs=1)
        stage.close()


def test_a_reset_during_a_scan_stops_it(controller, stage):
    stage.confirm_reference(round(940 * UM))
    stage.begin_scan(SCAN)
    controller.switch_off_and_on()
    with pytest.raises(ReferenceUnknown, match="left the way it was sent"):
        stage.end_scan(timeout_s=5)


def test_a_controller_just_switched_on_gets_its_settings_first(controller, stage):
    stage.confirm_reference(round(940 * UM))
    stage.move_to(round(950 * UM), timeout_s=5)
    first = controller.received.index(controller.moves[0])
    for settings in (
        0x0413,
        0x043A,
        0x0423,
        0x0523,
    ):  # speed, backlash, limits, pulses: written, then read back
        assert controller.received.index(settings) < first
        assert settings + 1 in controller.received[controller.received.index(settings) : first]
    _, _, _, highest, lowest, mode = struct.unpack("<3HLLH", controller.settings[0x0423])
    assert (lowest, highest, mode) == (*SETTINGS.limits_counts, 2)


def test_limits_that_the_controller_does_not_take_are_reported(controller, stage):
    controller.ignores.add(0x0423)
    stage.confirm_reference(round(940 * UM))
    with pytest.raises(RigFault, match="the controller keeps"):
        stage.move_to(round(950 * UM))
    assert controller.moves == []


def test_homing_makes_the_counter_true_and_the_limits_let_it_come_back(controller, stage):
    controller.truly, controller.place = 0, 5 * UM
    stage.home(consent=True, timeout_s=10)
    assert struct.unpack("<3HLLH", controller.settings[0x0423])[-1] == 1  # limits ignored meanwhile
    assert stage.reference == Reference("homed")
    assert stage.status().position_counts == 0
