"""The virtual camera and stage together: scans, and the faults of a rig."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from lee.devices.faults import Backpressure, DeviceLost, StageStalled
from lee.devices.virtual.hardware.carriage import PERFECT, Mechanics
from lee.devices.virtual.hardware.clock import SimulatedClock
from lee.devices.virtual.hardware.driver import VirtualStageDriver
from lee.devices.virtual.hardware.fault_plan import At, Faults
from lee.devices.virtual.hardware.frame_bank import FrameBank, quick_bank
from lee.devices.virtual.hardware.rig import virtual_rig
from lee.devices.virtual.hardware.stage import COUNTS_PER_UM
from lee.devices.virtual.imaging.sensor import Sensor
from lee.devices.virtual.scene.scene import electrode
from tests.support.virtual_rig import (
    FREE,
    SCENE_UM,
    TRIGGERED,
    ids,
    numbered_bank,
    plan_of,
    rest_of,
    rig_of,
    scan,
)


def test_a_scan_gives_the_planes_at_the_true_heights():
    """400 pulses, 400 frames, each the plane at the stage's true height and not at the reported one."""
    mechanics = Mechanics(backlash_um=1.5, microstep_um=0.05, drift_um_per_s=0.05)
    bank = numbered_bank(shape=(16, 24))
    rig, _ = rig_of(mechanics=mechanics, bank=bank, settings=replace(TRIGGERED, pixel_format="Mono16"))
    frames, pulses = scan(rig, plan_of())
    assert (len(frames), pulses) == (400, 400)
    assert ids(frames) == list(range(400))
    exposure_s = rig.camera.configure(replace(TRIGGERED, pixel_format="Mono16")).exposure_s
    true_um = [rig.stage.true_um(frame.timestamp_s + exposure_s / 2) - SCENE_UM for frame in frames]
    assert [int(frame.image[0, 0]) for frame in frames] == [bank.nearest(z) for z in true_um]
    reported = [bank.nearest(z - SCENE_UM) for z in plan_of().z_um]
    assert [int(frame.image[0, 0]) for frame in frames] != reported
    np.testing.assert_allclose(np.diff([frame.timestamp_s for frame in frames]), 1 / 80, rtol=1e-6)
    rig.close()


def test_a_rendered_scene_is_seen_at_its_height():
    scene = electrode((48, 48), 0.25, 0, relief_um=4.0)
    bank = FrameBank.of_scene(scene, np.arange(-4, 4.1, 0.5), sensor=Sensor(noise=False))
    clock = SimulatedClock()
    rig = virtual_rig(bank, mechanics=PERFECT, scene_at_um=100.0, clock=clock, sleep=clock.sleep)
    rig.camera.configure(FREE)
    for height in (-2.0, 1.5):
        rig.stage.move_to(round((100 + height) * COUNTS_PER_UM))
        rig.camera.start()
        np.testing.assert_array_equal(rig.camera.next_frame(1.0).image, bank.image(height))
        rig.camera.stop()


def test_a_rig_scans_up_and_down_again_and_again():
    rig, _ = rig_of()
    up = plan_of(100)
    down = replace(up, first_counts=up.first_counts + 99 * 402, step_counts=-402)
    for plan in (up, down, up):
        frames, pulses = scan(rig, plan)
        assert (len(frames), pulses) == (100, 100)
        assert ids(frames) == list(range(100))


def test_faults_leave_the_traces_of_real_ones():
    """Lost frames are gaps; missed triggers are not, and show in the times and in the count of pulses."""
    rig, _ = rig_of(Faults(lost_frames=(10, 11), missed_triggers=(20,), incomplete_frames=(30,)))
    frames, pulses = scan(rig, plan_of(100))
    assert pulses == 100
    assert len(frames) == 97
    missing = sorted(set(range(99)) - set(ids(frames)))
    assert missing == [10, 11]
    steps = np.diff([frame.timestamp_s for frame in frames]) * 80
    assert np.flatnonzero(steps > 1.5).tolist() == [9, 17]
    assert np.round(steps[[9, 17]]).tolist() == [3, 2]
    assert [k for k, frame in enumerate(frames) if not frame.complete] == [27]


def test_pulses_of_faults_count_over_scans():
    rig, _ = rig_of(Faults(lost_frames=(105,)))
    assert len(scan(rig, plan_of(100))[0]) == 100
    assert ids(scan(rig, plan_of(100))[0]) == [k for k in range(100) if k != 5]


def test_a_slow_camera_hears_every_second_pulse():
    rig, _ = rig_of(Faults(slow_camera_s=0.012))
    frames, pulses = scan(rig, plan_of(100))
    assert (len(frames), pulses) == (50, 100)
    assert ids(frames) == list(range(50))
    assert rig.camera.missed_pulses == 50


def test_a_full_pool_during_a_scan():
    rig, _ = rig_of(settings=replace(TRIGGERED, buffers=16))
    plan = plan_of(100)
    rig.stage.move_to(plan.start_counts)
    rig.camera.start()
    rig.stage.begin_scan(plan)
    assert rig.stage.end_scan(timeout_s=10.0) == 100
    with pytest.raises(Backpressure, match="84 frames found none of its 16 buffers"):
        rig.camera.next_frame(0.1)
    assert ids(rest_of(rig.camera)) == list(range(16))


def test_a_camera_unplugged_at_a_pulse():
    rig, clock = rig_of(Faults(unplug_camera=At(pulse=50)))
    with pytest.raises(DeviceLost, match="does not answer"):
        scan(rig, plan_of(400))
    assert clock() - 100.0 < 2.0
    assert rig.stage.end_scan(timeout_s=10.0) == 400
    rig.close()


@pytest.mark.parametrize(
    ("faults", "error", "message"),
    [
        (Faults(stall=At(pulse=50)), StageStalled, "does not turn"),
        (Faults(unplug_stage=At(pulse=50)), DeviceLost, "reported no status"),
    ],
)
def test_a_stage_that_fails_during_a_scan(faults, error, message):
    rig, clock = rig_of(faults)
    with pytest.raises(error, match=message):
        scan(rig, plan_of(100))
    assert clock() - 100.0 < 5.0


def test_a_rig_lets_go_of_both_though_its_stage_is_lost():
    rig, _ = rig_of()
    rig.stage.unplug()
    rig.close()
    with pytest.raises(DeviceLost, match="it is closed"):
        rig.camera.start()


def test_it_keeps_up_with_a_real_rig():
    """1200 x 1200 at 80 frames/s for two seconds, in real time: nothing is lost."""
    bank = quick_bank((1200, 1200), relief_um=32.0, step_um=2.0, depth_um=4.0)
    rig = virtual_rig(bank, mechanics=PERFECT, scene_at_um=SCENE_UM, position_um=SCENE_UM - 2.0)
    rig.camera.configure(TRIGGERED)
    frames, total = [], 0
    plan = plan_of(160)
    rig.stage.move_to(plan.start_counts)
    rig.camera.start()
    rig.stage.begin_scan(plan)
    with ThreadPoolExecutor(1) as beside:
        pulses = beside.submit(rig.stage.end_scan, timeout_s=10.0)
        while (frame := rig.camera.next_frame(0.5)) is not None:
            frames.append(frame.frame_id)
            total += frame.image.nbytes
    assert pulses.result() == 160
    assert frames == list(range(160))
    assert total == 160 * 1200 * 1200
    rig.close()


@pytest.mark.parametrize("drift", [0.0, 5.0])
def test_the_stand_drifts_only_if_the_rig_says_so(drift):
    stage = VirtualStageDriver(lowest_um=900.0, highest_um=1100.0, drift_nm_per_s=drift).open()
    now = time.monotonic()
    assert stage.true_um(now + 100) - stage.true_um(now) == pytest.approx(0.1 * drift, abs=1e-9)
    stage.close()
