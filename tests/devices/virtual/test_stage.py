"""The virtual stage: its motion against analytic times, its pulses, and what goes wrong with it."""

from dataclasses import replace

import numpy as np
import pytest

from lee.devices.faults import DeviceLost, StageStalled
from lee.devices.scan_plan import ScanPlan
from lee.devices.virtual.hardware.carriage import PERFECT, Carriage, Mechanics
from lee.devices.virtual.hardware.clock import SimulatedClock
from lee.devices.virtual.hardware.fault_plan import At, Faults
from lee.devices.virtual.hardware.motion import MotionProfile
from lee.devices.virtual.hardware.stage import COUNTS_PER_UM, REPORT_INTERVAL_S, VirtualStage
from lee.errors import InputError

PLAN = ScanPlan.of_um(1000.0, 1079.9, step_um=0.2, counts_per_um=COUNTS_PER_UM, frames_per_s=80.0)


def stage_of(faults=None, mechanics=PERFECT, position_um=990.0, **options):
    clock = SimulatedClock(5.0)
    return (
        VirtualStage(
            faults=faults,
            mechanics=mechanics,
            position_um=position_um,
            clock=clock,
            sleep=clock.sleep,
            **options,
        ),
        clock,
    )


def scan(stage, plan=PLAN, timeout_s=30.0):
    stage.move_to(plan.start_counts)
    stage.begin_scan(plan)
    return stage.end_scan(timeout_s=timeout_s)


# --- motion ---


@pytest.mark.parametrize("sign", [1, -1])
def test_a_long_way_is_a_trapezoid(sign):
    way = MotionProfile.trapezoid(2.0, 100.0, 100.0 + sign * 1000.0, speed=100.0, acceleration=50.0)
    assert way.end_s == pytest.approx(2.0 + 2.0 + (1000 - 200) / 100 + 2.0)
    assert way.position(0.0) == 100.0
    assert way.position(3.0) == pytest.approx(100 + sign * 25)  # a t² / 2
    assert way.velocity(3.0) == pytest.approx(sign * 50)
    assert way.position(5.0) == pytest.approx(100 + sign * 200)  # the ramp's 100, then a second of 100
    assert way.position(way.end_s - 1) == pytest.approx(100 + sign * 975)
    assert way.position(99.0) == way.end == 100 + sign * 1000
    assert way.velocity(99.0) == 0


def test_a_short_way_never_reaches_the_speed():
    way = MotionProfile.trapezoid(0.0, 0.0, 50.0, speed=1000.0, acceleration=50.0)
    assert way.end_s == pytest.approx(2.0)
    assert way.velocity(1.0 - 1e-9) == pytest.approx(50.0)


@pytest.mark.parametrize("sign", [1, -1])
def test_crossing_times_are_where_the_position_is(sign):
    way = MotionProfile.trapezoid(2.0, 10.0, 10.0 + sign * 1000.0, speed=100.0, acceleration=50.0)
    places = 10.0 + sign * np.linspace(0, 1000, 101)
    times = way.crossing_times(places)
    assert np.all(np.diff(times) > 0)
    np.testing.assert_allclose([way.position(t) for t in times], places, atol=1e-6)
    assert np.isnan(way.crossing_times([10.0 - sign, 10.0 + sign * 1001])).all()


def test_braking_ends_after_the_way_of_its_speed():
    way = MotionProfile.braking(1.0, 0.0, -100.0, acceleration=50.0)
    assert way.end_s == pytest.approx(3.0)
    assert way.end == pytest.approx(-100.0)


def test_a_move_takes_its_time_and_ends_at_the_count():
    stage, clock = stage_of()
    begun = clock()
    stage.move_to(round(1990 * COUNTS_PER_UM))
    assert clock() - begun == pytest.approx(
        2.0, abs=2 * REPORT_INTERVAL_S
    )  # 1000 um at 1000 um/s, 1000 um/s²
    clock.sleep(0.02)
    status = stage.status()
    assert status.position_counts == round(1990 * COUNTS_PER_UM)
    assert not status.moving
    assert status.homed
    assert 0 <= status.age_s <= REPORT_INTERVAL_S * 1.001


def test_the_status_is_the_last_report_of_the_controller():
    stage, clock = stage_of()
    clock.sleep(0.5 * REPORT_INTERVAL_S)
    stage.move_to(PLAN.start_counts)
    clock.sleep(0.1 * REPORT_INTERVAL_S)
    stage.begin_scan(PLAN)
    assert not stage.status().moving, "the report is older than the command"
    clock.sleep(REPORT_INTERVAL_S)
    assert stage.status().moving


# --- pulses ---


@pytest.mark.parametrize("falling", [False, True])
def test_pulses_come_at_equal_counts_and_times(falling):
    ends = (1079.9, 1000.0) if falling else (1000.0, 1079.9)
    plan = ScanPlan.of_um(*ends, step_um=0.2, counts_per_um=COUNTS_PER_UM, frames_per_s=80.0)
    stage, clock = stage_of(position_um=1100.0)
    begun = clock()
    assert scan(stage, plan) == plan.pulses == 400
    first, times = stage.pulses(begun, clock())
    assert first == 0
    np.testing.assert_allclose(np.diff(times), 1 / 80, rtol=1e-9)
    true_um = [stage.true_um(t) for t in times]
    np.testing.assert_allclose(true_um, plan.z_um, atol=1e-6)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_scan_comes_from_its_own_side(sign):
    """Play is taken up before the first pulse, wherever the stage was."""
    mechanics = Mechanics(backlash_um=1.5, microstep_um=0, drift_um_per_s=0)
    plan = ScanPlan(round(1000 * COUNTS_PER_UM), sign * 402, 20, COUNTS_PER_UM, 80.0, 300)
    for begin_um in (1000.0 - sign * 50, 1000.0 + sign * 50, plan.start_counts / COUNTS_PER_UM):
        stage, clock = stage_of(mechanics=mechanics, position_um=begin_um)
        begun = clock()
        stage.begin_scan(plan)
        assert stage.end_scan(timeout_s=10.0) == 20
        true_um = [stage.true_um(t) for t in stage.pulses(begun, clock())[1]]
        np.testing.assert_allclose(true_um, plan.z_um + (1.5 if sign < 0 else 0.0), atol=1e-6)


def test_pulses_are_counted_over_scans_and_given_once():
    stage, clock = stage_of()
    begun = clock()
    scan(stage)
    between = clock()
    scan(stage)
    assert stage.pulses(between, clock())[0] == 400
    first, times = stage.pulses(begun, clock())
    assert (first, len(times)) == (0, 800)
    cuts = np.sort(np.random.default_rng(0).uniform(begun, clock(), 50))
    pieces = [stage.pulses(a, b) for a, b in zip([begun, *cuts], [*cuts, clock()], strict=True)]
    assert [k for first, part in pieces for k in range(first, first + len(part))] == list(range(800))


def test_a_stage_may_be_unable_to_count_its_pulses():
    stage, _ = stage_of(counts_pulses=False)
    assert scan(stage) == -1


def test_pulses_end_where_it_is_stopped():
    stage, clock = stage_of()
    stage.move_to(PLAN.start_counts)
    begun = clock()
    stage.begin_scan(PLAN)
    clock.sleep(2.0)
    stage.stop()
    sent = len(stage.pulses(begun, clock())[1])
    assert 0 < sent < 400
    clock.sleep(10.0)
    assert len(stage.pulses(begun, clock())[1]) == sent
    with pytest.raises(StageStalled, match=r"rests at .* was it stopped"):
        stage.end_scan(timeout_s=5.0)


# --- the true position ---


def test_play_shows_on_the_way_down_only():
    how = Mechanics(backlash_um=1.5, microstep_um=0.0, drift_um_per_s=0.0)
    carriage = Carriage(how, 1000.0, (0, 10**6), motor=1e5, zero=0.0, homed=True, born_s=0.0)
    for time_s, told_um, true_um in ((1.0, 110, 110), (2.0, 109, 110), (3.0, 100, 101.5), (4.0, 101, 101.5),
                                     (5.0, 102, 102)):  # fmt: skip
        carriage.set_off(time_s, told_um * 1000, 1000.0)
        assert carriage.true_um(time_s + 0.99) == pytest.approx(true_um, abs=1e-3)


@pytest.mark.parametrize("lowest_um", [0.0, 997.0, 1000.0])
def test_a_move_arrives_rising_and_without_play(lowest_um):
    """However it came there; near the lowest limit it goes down to that, and straight down to the limit."""
    play = Mechanics(backlash_um=1.5, microstep_um=0.0, drift_um_per_s=0.0)
    stage, _ = stage_of(mechanics=play, position_um=1100.0, limits_um=(lowest_um, 1200.0))
    lowest = []
    stage._sleep = lambda s, slept=stage._sleep: (slept(s), lowest.append(stage.status().position_counts))
    for from_um in (1050.0, 1001.0, 1000.5):
        stage.move_to(round(from_um * COUNTS_PER_UM))
        lowest.clear()
        stage.move_to(round(1000 * COUNTS_PER_UM))
        assert stage.status().position_counts == round(1000 * COUNTS_PER_UM)
        assert stage.true_um() == pytest.approx(1000 + (1.5 if lowest_um == 1000 else 0), abs=1e-3)
        assert min(lowest) / COUNTS_PER_UM == pytest.approx(max(990.0, lowest_um), abs=0.2)


def test_play_that_is_out_costs_no_second_approach():
    stage, clock = stage_of()
    stage.move_to(round(1000 * COUNTS_PER_UM))
    begun = clock()
    stage.move_to(round(1001 * COUNTS_PER_UM))
    straight = clock() - begun
    stage.stop()  # from then on, nobody knows
    stage.move_to(round(1002 * COUNTS_PER_UM))
    assert clock() - begun - straight > 3 * straight


def test_microsteps_wobble_within_a_full_step_and_the_stand_drifts():
    stage, clock = stage_of(mechanics=Mechanics(backlash_um=0, microstep_um=0.05, drift_um_per_s=0.01))
    born = clock()
    errors = []
    for count in range(1000 * 2048, 1001 * 2048 + 1, 128):
        stage.move_to(count)
        errors.append(stage.true_um() - count / COUNTS_PER_UM - 0.01 * (clock() - born))
    wave = 0.05 * np.sin(2 * np.pi * np.arange(17) / 16)
    np.testing.assert_allclose(errors, wave, atol=1e-9)


def test_a_wrong_scale_shows_in_the_true_position():
    stage, _ = stage_of(mechanics=Mechanics(scale_ppm=11, backlash_um=0, microstep_um=0, drift_um_per_s=0))
    stage.move_to(round(10000 * COUNTS_PER_UM))
    assert stage.true_um() == pytest.approx(10000.11, abs=1e-3)


# --- homing and limits ---


def test_homing_needs_consent():
    stage, clock = stage_of(homed=False)
    with pytest.raises(InputError, match="clear the objective, then give consent=True"):
        stage.home(consent=False)
    assert not stage.status().homed
    assert stage.status().position_counts == 0
    assert stage.true_um() == pytest.approx(990, abs=1e-3)
    stage.home(consent=True)
    clock.sleep(0.02)
    assert stage.status().homed
    assert stage.status().position_counts == 0
    assert stage.true_um() == pytest.approx(0, abs=1e-3)


def test_a_stage_whose_reference_is_wrong_runs_into_its_end():
    stage, _ = stage_of(homed=False, position_um=24000.0)
    stage.confirm_reference(0)
    with pytest.raises(StageStalled, match="does not turn"):
        stage.move_to(round(2000 * COUNTS_PER_UM))
    assert stage.true_um() == pytest.approx(25000, abs=1e-3)


def test_what_it_refuses():
    stage, _ = stage_of()
    with pytest.raises(InputError, match=r"-0.00 µm is beyond its limits, 0.00 to"):
        stage.move_to(-1)
    for changed, message in (
        ({"counts_per_um": 2000.0}, r"2000 counts/µm and the stage 2008\.65; plan with"),
        ({"lead_counts": 20}, "lead is .* µm, but its speed is reached after .* give a longer lead"),
    ):
        with pytest.raises(InputError, match=message):
            stage.begin_scan(replace(PLAN, **changed))
    low = ScanPlan.of_um(1.0, 10.0, step_um=0.2, counts_per_um=COUNTS_PER_UM, frames_per_s=80.0)
    with pytest.raises(InputError, match=r"from 1.00 to .* reaches -1.00 µm, beyond the stage's limits"):
        stage.begin_scan(low)
    fast = ScanPlan.of_um(1000.0, 1100.0, step_um=20.0, counts_per_um=COUNTS_PER_UM, frames_per_s=80.0)
    with pytest.raises(InputError, match="take fewer frames/s or shorter steps"):
        stage.begin_scan(fast)
    with pytest.raises(InputError, match="no scan was begun"):
        stage.end_scan(timeout_s=1.0)
    with pytest.raises(InputError, match="position_um -5 must be within its limits"):
        VirtualStage(position_um=-5)


# --- faults, each within its time ---


def test_a_stall_is_reported_though_the_controller_believes_that_it_moves():
    stage, clock = stage_of(Faults(stall=At(pulse=100)))
    stage.move_to(PLAN.start_counts)
    begun = clock()
    stage.begin_scan(PLAN)
    stuck_s = 101 / 80 + PLAN.lead_counts / COUNTS_PER_UM / 16
    clock.sleep(stuck_s + 0.2)
    assert stage.status().moving
    with pytest.raises(StageStalled, match=r"does not turn, at .* check what blocks it"):
        stage.end_scan(timeout_s=30.0)
    assert clock() - begun < stuck_s + 0.75
    assert len(stage.pulses(begun, clock())[1]) == 101
    with pytest.raises(StageStalled, match="does not turn"):
        stage.move_to(PLAN.start_counts)
    stage.free()
    assert scan(stage) == 400


def test_a_stall_by_time():
    stage, clock = stage_of(Faults(stall=At(time_s=1.0)))
    with pytest.raises(StageStalled, match="does not turn"):
        stage.move_to(round(5000 * COUNTS_PER_UM))
    assert clock() - 5.0 == pytest.approx(1.5, abs=0.05)


def test_an_unplugged_stage_freezes_its_status_and_is_lost():
    stage, clock = stage_of()
    stage.move_to(PLAN.start_counts)
    begun = clock()
    stage.begin_scan(PLAN)
    clock.sleep(1.0)
    stage.unplug()
    frozen = stage.status()
    clock.sleep(0.5)
    later = stage.status()
    assert later.position_counts == frozen.position_counts
    assert later.moving
    assert later.age_s == pytest.approx(frozen.age_s + 0.5)
    with pytest.raises(DeviceLost, match="reported no status for"):
        stage.end_scan(timeout_s=30.0)
    assert clock() - begun < 2.1
    with pytest.raises(DeviceLost, match=r"no status within 0\.1 s"):
        stage.status(0.1)
    with pytest.raises(DeviceLost, match="accepts no command"):
        stage.move_to(PLAN.start_counts)
    with pytest.raises(DeviceLost, match="accepts no command"):
        stage.stop()
    clock.sleep(10.0)
    assert len(stage.pulses(begun, clock())[1]) == 400, "the motor does not need the cable"
    stage.close()
    stage.close()
    stage.stop()


def test_a_stage_is_lost_at_a_pulse():
    stage, clock = stage_of(Faults(unplug_stage=At(pulse=200)))
    stage.move_to(PLAN.start_counts)
    begun = clock()
    stage.begin_scan(PLAN)
    with pytest.raises(DeviceLost, match="reported no status"):
        stage.end_scan(timeout_s=30.0)
    assert 200 / 80 < clock() - begun < 200 / 80 + 1.5


def test_a_lost_completion_costs_a_moment_and_no_scan():
    quick, clock = stage_of()
    assert scan(quick) == 400
    slow, other = stage_of(Faults(lost_completions=2))
    assert scan(slow) == 400
    assert 0.1 < other() - clock() < 0.5


def test_a_move_ends_within_its_deadline():
    stage, clock = stage_of()
    with pytest.raises(StageStalled, match="did not arrive within 2 s"):
        stage.move_to(round(20000 * COUNTS_PER_UM), timeout_s=2.0)
    assert clock() - 5.0 == pytest.approx(2.0, abs=0.02)
    clock.sleep(2.0)
    assert not stage.status().moving


def test_a_stop_from_elsewhere_ends_the_waiting():
    """While one waits for a move, another may stop it: the one who waits learns of it soon."""
    clock = SimulatedClock()

    def sleep(seconds):
        before = clock()
        clock.sleep(seconds)
        if before < 2.0 <= clock():
            stage.stop()

    stage = VirtualStage(mechanics=PERFECT, clock=clock, sleep=sleep)
    with pytest.raises(StageStalled, match=r"rests at [\d.]+ µm and was sent to .* was it stopped"):
        stage.move_to(round(10000 * COUNTS_PER_UM))
    assert clock() < 2.0 + 1.0 + 0.2  # braking from 1000 um/s, and settling
    assert stage.true_um() == pytest.approx(1500 + 500, abs=15)


def test_closing_stops_it():
    stage, clock = stage_of()
    stage.begin_scan(PLAN)
    stage.close()
    clock.sleep(1.0)
    resting = stage.true_um()
    clock.sleep(1.0)
    assert stage.true_um() == resting


def test_a_closed_stage_is_lost():
    stage, _ = stage_of()
    stage.close()
    with pytest.raises(DeviceLost, match="it is closed"):
        stage.move_to(0)


@pytest.mark.parametrize("given", [{}, {"pulse": 1, "time_s": 1.0}])
def test_a_fault_has_one_moment(given):
    with pytest.raises(InputError, match="one of the two"):
        At(**given)
