"""A slow controller, and noise on its line, are no lost device."""

import time

import pytest

from tests.devices.test_thorlabs import START, controller, plan, stage

__all__ = ["controller", "stage"]  # fixtures


def test_a_controller_that_takes_its_time_is_not_lost(controller, stage):
    controller.work_s = 0.05
    begun = time.monotonic()
    while time.monotonic() - begun < 1.0:  # requests faster than answers would pile up
        stage.status()
    stage.move_to(START + 30_000, timeout_s=10)
    assert controller.place == START + 30_000
    assert stage.status().age_s < 0.2


@pytest.mark.parametrize("heads", [(), (0x0481, 0x0412)])
def test_a_burst_of_noise_is_survived(controller, stage, heads):
    stage.begin_scan(plan(20, 30, frames_per_s=100))
    for _ in range(3):
        controller.burst(3000, heads)
        time.sleep(0.1)
    assert stage.end_scan(timeout_s=10) == -1
    assert controller.pulses == plan(20, 30).pulse_counts.tolist()
