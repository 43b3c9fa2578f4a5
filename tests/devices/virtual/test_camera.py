"""The virtual camera: the frames it delivers and loses, and how it reports them."""

from dataclasses import replace

import numpy as np
import pytest

from lee.devices.faults import Backpressure, DeviceLost
from lee.devices.protocols import CameraSettings
from lee.devices.virtual.hardware.camera import SensorTiming, VirtualCamera
from lee.devices.virtual.hardware.clock import SimulatedClock
from lee.devices.virtual.hardware.fault_plan import At, Faults
from lee.devices.virtual.hardware.frame_bank import FrameBank, quick_bank
from lee.errors import InputError
from lee.reconstruction.parameters import ReconstructParams
from lee.reconstruction.reconstruct import reconstruct
from lee.stacks.stack import ZStack
from tests.support.virtual_rig import FREE, TRIGGERED, ids, numbered_bank, rest_of


class Pulses:
    """A wire on which pulses come at given times."""

    def __init__(self, times_s):
        self.times_s = np.asarray(times_s, dtype=float)

    def pulses(self, after_s, until_s):
        low, high = np.searchsorted(self.times_s, [after_s, until_s], side="right")
        return int(low), self.times_s[low:high]


def camera_on(times_s, *, bank=None, settings=TRIGGERED, **options):
    clock = SimulatedClock()
    line = Pulses(times_s)
    camera = VirtualCamera(bank or numbered_bank(), line=line, clock=clock, sleep=clock.sleep, **options)
    camera.configure(settings)
    camera.start()
    return camera, clock


# --- the camera ---


def test_settings_are_rounded_and_read_back():
    camera, _ = camera_on([])
    camera.stop()
    asked = CameraSettings(exposure_s=0.0030001, region=(0, 4, 15, 18), frames_per_s=1e6, buffers=7)
    applied = camera.configure(asked)
    assert applied.exposure_s == pytest.approx(428 * 7e-6)
    assert applied.region == (0, 4, 12, 16)
    assert applied.frames_per_s == pytest.approx(1 / (applied.exposure_s + 12 * 4e-6))
    assert applied.buffers == 7
    assert camera.configure(applied) == applied
    assert camera.configure(TRIGGERED).region == (0, 0, 16, 24)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"exposure_s": 3000.0}, r"exposure_s 3000 must be in"),
        ({"exposure_s": float("nan")}, r"exposure_s nan must be in"),
        ({"pixel_format": "RGB8"}, r"'RGB8' is not one of Mono8, Mono10, Mono12, Mono16"),
        ({"region": (0, 0, 17, 24)}, r"region \(0, 0, 17, 24\) leaves its sensor of \(16, 24\) px"),
        ({"region": (-4, 0, 8, 8)}, r"leaves its sensor"),
        ({"buffers": 0}, r"buffers 0 must be in 1 to 1000"),
        ({"frames_per_s": 0.0}, r"frames_per_s 0 must be above 0"),
    ],
)
def test_what_it_cannot_do(changed, message):
    camera, _ = camera_on([])
    camera.stop()
    with pytest.raises(InputError, match=message):
        camera.configure(replace(TRIGGERED, **changed))


def test_it_is_set_up_at_rest_and_triggered_by_a_wire_only():
    camera, _ = camera_on([])
    with pytest.raises(InputError, match="stop it before"):
        camera.configure(TRIGGERED)
    with pytest.raises(InputError, match="no stage's pulses reach it"):
        VirtualCamera(numbered_bank()).configure(TRIGGERED)


def test_a_pulse_while_it_is_busy_makes_neither_frame_nor_gap():
    busy_s = 0.003 + 16 * 4e-6
    pulses = [0.1, 0.1 + 0.9 * busy_s, 0.2, 0.2 + 1.1 * busy_s, 0.3]
    camera, _ = camera_on(pulses)
    frames = rest_of(camera, 0.2)
    assert ids(frames) == [0, 1, 2, 3]
    assert [frame.timestamp_s for frame in frames] == pytest.approx([0.1, 0.2, pulses[3], 0.3])
    assert camera.missed_pulses == 1


def test_a_frame_comes_when_it_is_read_and_not_before():
    camera, clock = camera_on([0.1])
    assert camera.next_frame(0.103) is None
    assert clock() == pytest.approx(0.103)
    assert camera.next_frame(0.01) is not None
    assert clock() == pytest.approx(0.1 + 0.003 + 16 * 4e-6 + 0.002, abs=0.0011)
    begun = clock()
    assert camera.next_frame(0.5) is None
    assert clock() - begun == pytest.approx(0.5)


@pytest.mark.parametrize("lowest", [0, 1])
def test_short_ids_are_widened(lowest):
    times = 0.01 * np.arange(1, 21)
    lost = Faults(lost_frames=(9, 10))
    camera, _ = camera_on(times, after_highest_id=lowest, first_id=65530, faults=lost)
    assert ids(rest_of(camera)) == [k for k in range(20) if k not in (9, 10)]


def test_ids_count_on_over_a_gap_of_nearly_all_their_range():
    times = 0.01 * np.arange(1, 131_073)
    lost = (*range(3, 65_530), *range(65_533, 131_066))
    camera, clock = camera_on(times, faults=Faults(lost_frames=frozenset(lost)))
    clock.sleep(1311.0)
    assert ids(rest_of(camera)) == [0, 1, 2, *range(65_530, 65_533), *range(131_066, 131_072)]


def test_a_first_frame_that_is_lost_is_a_gap_too():
    camera, _ = camera_on([0.1, 0.2, 0.3], faults=Faults(lost_frames=(0,)))
    assert ids(rest_of(camera, 0.3)) == [1, 2]


def test_ids_begin_anew_with_every_start():
    camera, clock = camera_on([0.1, 0.2, 0.3, 0.4])
    clock.sleep(0.25)
    camera.stop()
    assert ids(rest_of(camera)) == [0, 1]
    camera.start()
    assert ids(rest_of(camera, 0.2)) == [0, 1]


def test_its_clock_is_ahead_and_runs_faster():
    times = np.arange(1, 101) * 1.0
    camera, _ = camera_on(times, faults=Faults(camera_offset_s=1000.0, camera_ppm=50.0))
    stamps = np.array([frame.timestamp_s for frame in rest_of(camera, 1.5)])
    slope, offset = np.polyfit(times, stamps, 1)
    assert slope - 1 == pytest.approx(50e-6, rel=1e-6)
    assert offset == pytest.approx(1000.0)


def test_a_full_pool_loses_frames_and_reports_it_once():
    times = 0.0125 * np.arange(1, 101)
    camera, clock = camera_on(times, settings=replace(TRIGGERED, buffers=10))
    clock.sleep(1.0)
    with pytest.raises(Backpressure, match="69 frames found none of its 10 buffers free; take frames sooner"):
        camera.next_frame(0.1)
    frames = rest_of(camera, 0.1)
    assert ids(frames) == [*range(10), *range(79, 100)]


def test_incomplete_frames_are_marked_and_lack_their_last_rows():
    camera, _ = camera_on([0.1, 0.2, 0.3], faults=Faults(incomplete_frames=(1,)))
    whole, part, _ = rest_of(camera, 0.2)
    assert (whole.complete, part.complete) == (True, False)
    assert whole.image[-1].all()
    assert not part.image[-5:].any()
    assert part.image[-6].all()


def test_a_missed_trigger_is_no_gap():
    camera, _ = camera_on([0.1, 0.2, 0.3, 0.4], faults=Faults(missed_triggers=(1,)))
    frames = rest_of(camera, 0.3)
    assert ids(frames) == [0, 1, 2]
    assert [frame.timestamp_s for frame in frames] == pytest.approx([0.1, 0.3, 0.4])


def test_an_unplugged_camera_gives_what_it_had_and_is_lost_at_once():
    camera, clock = camera_on([0.1, 0.2, 0.3, 0.4], faults=Faults(unplug_camera=At(time_s=0.25)))
    clock.sleep(0.5)
    assert [camera.next_frame(0.1).frame_id for _ in range(2)] == [0, 1]
    begun = clock()
    with pytest.raises(DeviceLost, match="does not answer; check its cable"):
        camera.next_frame(5.0)
    assert clock() == begun
    for call in (camera.start, lambda: camera.configure(TRIGGERED)):
        with pytest.raises(DeviceLost, match="does not answer"):
            call()
    camera.stop()
    camera.close()
    camera.close()
    with pytest.raises(DeviceLost, match="it is closed"):
        camera.start()


def test_unplugged_while_one_waits():
    camera, clock = camera_on([], faults=Faults(unplug_camera=At(time_s=2.0)))
    with pytest.raises(DeviceLost, match="does not answer"):
        camera.next_frame(30.0)
    assert clock() == pytest.approx(2.0, abs=0.002)


def test_it_runs_freely_at_the_applied_rate():
    camera, clock = camera_on([], settings=FREE)
    clock.sleep(0.3)
    frames = rest_of_free(camera, clock, 40)
    assert ids(frames) == list(range(40))
    np.testing.assert_allclose([frame.timestamp_s for frame in frames], np.arange(40) / 80, atol=1e-9)


def rest_of_free(camera, clock, count):
    return [camera.next_frame(1.0) for _ in range(count)]


@pytest.mark.parametrize(
    ("pixel_format", "dtype", "factor"),
    [("Mono8", np.uint8, 1), ("Mono10", np.uint16, 4), ("Mono12", np.uint16, 16), ("Mono16", np.uint16, 256)],
)
def test_pixel_formats(pixel_format, dtype, factor):
    bank = quick_bank((32, 48))
    camera, _ = camera_on([0.1], bank=bank, settings=replace(TRIGGERED, pixel_format=pixel_format))
    image = camera.next_frame(1.0).image
    assert image.dtype == dtype
    np.testing.assert_array_equal(image, bank.image(0.0).astype(int) * factor)


def test_fewer_bits_than_the_bank_has():
    bank = numbered_bank(shape=(16, 24))
    camera, _ = camera_on([0.1], bank=bank)
    np.testing.assert_array_equal(camera.next_frame(1.0).image, bank.image(0.0) >> 8)


def test_a_region_and_an_image_of_ones_own():
    bank = quick_bank((32, 48))
    camera, _ = camera_on([0.1, 0.2], bank=bank, settings=replace(TRIGGERED, region=(4, 8, 12, 20)))
    first, second = rest_of(camera, 0.2)
    np.testing.assert_array_equal(first.image, bank.image(0.0)[4:16, 8:28])
    first.image[:] = 0
    np.testing.assert_array_equal(second.image, bank.image(0.0)[4:16, 8:28])


# --- the bank ---


def test_the_nearest_plane_or_a_blend_of_two():
    frames = np.stack([np.full((4, 4), value, dtype=np.uint8) for value in (0, 100, 200)])
    nearest, between = (FrameBank(frames, [0.0, 1.0, 2.0], between=how) for how in (False, True))
    assert [int(nearest.image(z)[0, 0]) for z in (-5, 0.4, 0.6, 1.5, 1.6, 9)] == [0, 0, 100, 100, 200, 200]
    assert [int(between.image(z)[0, 0]) for z in (-5, 0.25, 1.0, 1.5, 9)] == [0, 25, 100, 150, 200]


def test_noise_is_new_in_every_image_and_as_large_as_stated():
    frames = np.full((3, 64, 96), 100, dtype=np.uint8)
    frames[:, :8] = 255
    bank = FrameBank(frames, [0.0, 1.0, 2.0], noise_counts=2.0, seed=1)
    first, second = (bank.image(0.3).astype(float) for _ in range(2))
    assert np.std(first[8:] - second[8:]) == pytest.approx(2 * np.sqrt(2), rel=0.1)
    assert np.std(first[8:]) == pytest.approx(2.0, rel=0.1)
    assert first[8:].mean() == pytest.approx(100.0, abs=0.1)
    assert first[:8].max() == 255  # cut off, not wrapped
    assert first[:8].min() > 240
    small = bank.image(1.0, (10, 20, 8, 12))
    assert small.shape == (8, 12)
    small[:] = 0
    assert bank.image(1.0)[10:18, 20:32].min() > 80


@pytest.mark.parametrize("between", [True, False])
def test_a_still_sample_stays_where_it_is_only_between_planes(between):
    """Scans begin at other heights than the planes': then a whole surface moves, or does not."""
    clean = quick_bank((48, 64), relief_um=6.0)
    frames = np.stack([clean.image(float(z)) for z in clean.z_um])
    bank = FrameBank(frames, clean.z_um, between=between, noise_counts=1.0)
    z = np.arange(-2.5, 8.5, 0.2)
    found = []
    for late in (0.0, 0.06, 0.12, 0.19):
        frames = np.stack([bank.image(at) for at in z + late])
        stack = ZStack.from_array(frames, z + late, 0.1)
        one = reconstruct(stack, params=ReconstructParams(threads=1, drift=False), device="cpu")
        found.append(one.height_um)
    apart = [abs(np.nanmedian(one - found[0])) for one in found[1:]]
    assert (max(apart) < 0.01) == between
    assert (max(apart) > 0.03) != between


def test_banks_that_cannot_be():
    frames = np.zeros((3, 4, 4), dtype=np.uint8)
    with pytest.raises(InputError, match="and rising"):
        FrameBank(frames, [0.0, 2.0, 1.0])
    with pytest.raises(InputError, match="which is not 12 bit"):
        FrameBank(frames, [0.0, 1.0, 2.0], bit_depth=12)


def test_the_quick_bank_is_sharp_where_its_surface_is():
    bank = quick_bank((64, 64), relief_um=10.0)
    contrast = [bank.image(z).astype(float).std() for z in (-3.0, 5.0, 13.0)]
    assert contrast[1] > 2 * max(contrast[0], contrast[2])


def test_a_bigger_sensor_takes_longer():
    slow = SensorTiming(line_s=1e-5)
    camera = VirtualCamera(quick_bank((64, 64)), timing=slow)
    assert camera.configure(FREE).exposure_s == pytest.approx(0.002996)
    assert camera.busy_s == pytest.approx(0.002996 + 64e-5)
