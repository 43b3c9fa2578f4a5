"""The driver for GenICam cameras, with the real library: a camera it makes up, and one over the network."""

import fcntl
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lee.devices.aravis import library as aravis_library
from lee.devices.aravis.camera import AravisCamera
from lee.devices.aravis.driver import AravisDriver
from lee.devices.aravis.stream import GigeOptions
from lee.devices.faults import Backpressure, DeviceLost
from lee.devices.found_camera import FoundCamera, chosen_camera
from lee.devices.frame_ids import IdCounter
from lee.devices.protocols import CameraSettings
from lee.devices.watchdog import LOST_AFTER_S
from lee.errors import InputError, MissingDependency
from lee.recording.ledger import account

PROGRAM = "arv-fake-gv-camera-0.8"
try:
    aravis_library.library()
    MISSING = ""
except MissingDependency as error:
    MISSING = str(error)
with_library = pytest.mark.skipif(bool(MISSING), reason=MISSING)
over_network = pytest.mark.skipif(
    bool(MISSING) or shutil.which(PROGRAM) is None, reason=MISSING or f"{PROGRAM} is not installed"
)
FREE = CameraSettings(exposure_s=0.01, triggered=False, region=(0, 0, 512, 512), frames_per_s=80.0)
SMALL = CameraSettings(exposure_s=0.001, triggered=False, region=(0, 0, 48, 64), frames_per_s=200.0)


@pytest.fixture
def camera():
    one = AravisCamera("Fake_1")
    yield one
    one.close()


def opened(serial, program, asked):
    end = time.monotonic() + 5
    while True:
        try:
            return AravisCamera(serial, **asked)
        except InputError as error:
            if program.poll() is not None or time.monotonic() > end:
                pytest.skip(f"{PROGRAM} cannot be reached at 127.0.0.1, another one may run: {error}")


@contextmanager
def alone():
    """Hold the one port that such programs have on this computer, against other tests at the same time."""
    with (Path(tempfile.gettempdir()) / "lee-fake-camera.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def network_camera(*options, serial="GVLEE", **asked):
    """Yield a camera of a program of its own, and that program."""
    with alone():
        program = subprocess.Popen(
            [PROGRAM, "-i", "127.0.0.1", "-s", serial, *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            camera = opened(serial, program, asked)
            try:
                yield camera, program
            finally:
                camera.close()
        finally:
            program.kill()
            program.wait()


def frames_of(camera, *, seconds=60.0, most=10**6):
    """Take frames for so long, or so many, and those that came until it stopped."""
    camera.start()
    end, frames = time.monotonic() + seconds, []
    while time.monotonic() < end and len(frames) < most:
        frame = camera.next_frame(0.2)
        frames += [frame] if frame is not None else []
    camera.stop()
    while (frame := camera.next_frame(0.0)) is not None:
        frames.append(frame)
    return frames


def accounted(frames, *, frames_per_s=80.0):
    ids = [frame.frame_id for frame in frames]
    return account(
        ids,
        [frame.timestamp_s for frame in frames],
        pulses_planned=ids[-1] + 1,
        frames_per_s=frames_per_s,
        complete=[frame.complete for frame in frames],
    ).ledger


def is_drawn(image):
    """Whether it is what the stand-ins draw at 10 ms: stripes that rise by 1 along both axes."""
    steps = np.diff(image[0].astype(np.int64))
    return bool(np.isin(steps, (1, -254, -255)).all() and (image[1:, :-1] == image[:-1, 1:]).all())


# --- without a camera ---


def test_a_missing_library_names_what_to_install(monkeypatch):
    monkeypatch.setattr(aravis_library, "ARAVIS", "libaravis-of-another-name.so.0")
    with pytest.raises(MissingDependency, match=r"Aravis cannot be loaded .*\(Debian: libaravis-0.8-0\)"):
        aravis_library.Library()


def test_ids_go_on_beyond_16_bits():
    count = IdCounter(short=True, lowest=1)
    raw = [1 + k % 65535 for k in range(200_000)]
    assert [count(one) for one in raw] == list(range(200_000))


def test_ids_show_what_was_lost_wherever_it_was():
    count = IdCounter(short=True, lowest=1)
    assert [count(raw) for raw in (4, 5, 65530, 65535, 3, 2, 4)] == [3, 4, -6, -1, 2, 1, 3]
    count = IdCounter(short=False, lowest=0)
    assert [count(raw) for raw in (0, 70_000, 70_001)] == [0, 70_000, 70_001]
    count = IdCounter(short=True, lowest=1)  # ids of 64 bits over a network
    assert [count(raw) for raw in (1, 30_000, 60_000, 65_536, 65_540)] == [0, 29_999, 59_999, 65_535, 65_539]


def test_a_frame_whose_id_was_lost_comes_after_the_one_before():
    count = IdCounter(short=True, lowest=1)
    assert [count(raw) for raw in (0, 2, 0, 4, 0, 8)] == [0, 1, 2, 3, 4, 7]
    count = IdCounter(short=True, lowest=1, last_raw=500)
    assert [count(raw) for raw in (0, 502, 503)] == [0, 1, 2]


def test_a_camera_that_counts_on_lost_nothing_at_its_start():
    assert IdCounter(short=True, lowest=1)(65401) == 0
    assert IdCounter(short=True, lowest=1, last_raw=20)(22) == 0
    assert IdCounter(short=True, lowest=1, last_raw=20)(3) == 2


def test_one_of_several_must_be_named():
    two = [FoundCamera(n, "Blackfly S", (f"FLIR-{n}", n)) for n in ("17", "18")]
    made_up = FoundCamera("1", "Fake", ("Fake_1", "1"), made_up=True)
    assert chosen_camera([*two, made_up], "18") is two[1]
    assert chosen_camera([two[0], made_up], "") is two[0]
    with pytest.raises(InputError, match=r"there are 2, 17 \(Blackfly S\), 18 .*name one by its serial"):
        chosen_camera(two, "")
    with pytest.raises(InputError, match=r"no camera '19'; found: 17 \(Blackfly S\), 18"):
        chosen_camera(two, "19")
    with pytest.raises(InputError, match="camera: there is none; found: none; check its cable"):
        chosen_camera([made_up], "")


# --- the camera the library makes up ---


@with_library
def test_it_reports_its_identity_and_what_it_applied():
    camera = AravisDriver(serial="Fake_1").open()
    assert (camera.identity.vendor, camera.identity.model, camera.identity.serial) == ("Aravis", "Fake", "1")
    whole = camera.configure(CameraSettings(exposure_s=0.0123456, triggered=False, pixel_format="Mono16"))
    assert whole.region == (0, 0, 2048, 2048)
    assert whole.exposure_s == pytest.approx(0.0123456, abs=1e-6)
    assert whole.pixel_format == "Mono16"
    part = camera.configure(CameraSettings(exposure_s=0.001, region=(8, 16, 50, 70), frames_per_s=1e6))
    assert part.region == (8, 16, 50, 70)
    assert part.frames_per_s == pytest.approx(1000.0)
    assert camera.configure(replace(SMALL, gain_db=6.0)).gain_db == 6.0
    assert camera.configure(SMALL).gain_db == 6.0
    camera.close()
    camera.close()
    with pytest.raises(DeviceLost, match="it is closed; open it again"):
        camera.next_frame(0.1)


@with_library
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"exposure_s": 100.0}, "exposure_s 100 must be in 1e-05 to 10"),
        ({"pixel_format": "Mono12"}, "pixel_format 'Mono12' is not one of Mono8, Mono16"),
        ({"region": (0, 2000, 64, 64)}, r"region \(0, 2000, 64, 64\) leaves its sensor of \(2048, 2048\)"),
        ({"buffers": 0}, "buffers 0 must be in 1 to 1000"),
        ({"gain_db": 99.0}, "gain_db 99 must be in 0 to 10"),
        ({"frames_per_s": 0.0}, "frames_per_s 0 must be above 0"),
    ],
)
def test_what_it_cannot_do_is_refused(camera, change, message):
    with pytest.raises(InputError, match=message):
        camera.configure(CameraSettings(**{"exposure_s": 0.001, "triggered": False, **change}))


@with_library
def test_it_is_set_up_before_it_starts_and_not_while_it_runs(camera):
    with pytest.raises(InputError, match="not set up; configure it before"):
        camera.start()
    camera.configure(SMALL)
    camera.start()
    with pytest.raises(InputError, match="taking frames; stop it before"):
        camera.configure(SMALL)


@with_library
def test_a_line_it_does_not_have_is_refused():
    camera = AravisDriver(serial="Fake_1", trigger_line="Line7").open()
    with pytest.raises(InputError, match="trigger_line 'Line7' is not one of Line0, Software"):
        camera.configure(CameraSettings(exposure_s=0.001))
    camera.close()


@with_library
def test_frames_come_in_order_and_ids_begin_anew_and_images_are_the_callers_own(camera):
    camera.configure(replace(FREE, frames_per_s=200.0))
    for _ in range(2):
        frames = frames_of(camera, most=150)  # its own ids wrap on the way
        assert [frame.frame_id for frame in frames] == list(range(len(frames)))
        steps = np.diff([frame.timestamp_s for frame in frames])
        assert steps.min() > 0
        assert np.median(steps) == pytest.approx(0.005, abs=0.001)
        assert all(is_drawn(frame.image) and frame.complete for frame in frames)
        assert frames[0].image.shape == (512, 512)
        assert frames[0].image.flags.owndata
        assert frames[0].image.flags.writeable


@with_library
def test_deep_images_are_two_bytes():
    camera = AravisCamera("Fake_1")
    camera.configure(
        CameraSettings(exposure_s=0.001, triggered=False, pixel_format="Mono16", region=(0, 0, 8, 16))
    )
    camera.start()
    image = camera.next_frame(2.0).image
    assert (image.shape, image.dtype) == ((8, 16), np.uint16)
    camera.close()


@with_library
def test_frames_that_find_no_buffer_are_reported_and_the_others_can_be_had(camera):
    camera.configure(replace(SMALL, buffers=3))
    camera.start()
    time.sleep(0.3)
    with pytest.raises(Backpressure, match="none of its 3 buffers free; take frames sooner"):
        camera.next_frame(1.0)
    camera.stop()
    frames = []
    while len(frames) < 4:
        try:
            frame = camera.next_frame(0.0)
        except Backpressure:
            continue
        if frame is None:
            break
        frames.append(frame)
    assert len(frames) == 3


# --- over the network ---


@pytest.mark.slow
@over_network
def test_at_80_frames_a_second_over_the_network_nothing_is_lost():
    with network_camera() as (camera, _):
        applied = camera.configure(FREE)
        assert applied.frames_per_s == pytest.approx(80.0)
        with pytest.raises(InputError, match=r"another program controls .*; close that one"):
            AravisCamera("GVLEE")
        frames = frames_of(camera, seconds=2.0)
        again = frames_of(camera, seconds=0.3)
        assert camera.identity.serial == "GVLEE"
    assert len(frames) >= 140
    for one in (frames, again):
        ledger = accounted(one)
        assert ledger.lost_frames == ledger.frames_incomplete == ledger.unexplained == 0, ledger.summary()
        assert all(is_drawn(frame.image) for frame in one)


@over_network
def test_pulses_make_frames_and_silence_is_no_loss():
    with network_camera(trigger_line="Software") as (camera, _):
        camera.configure(replace(FREE, triggered=True))
        camera.start()
        assert camera.next_frame(1.2) is None
        for pulse in range(3):
            camera.software_trigger()
            frame = camera.next_frame(2.0)
            assert frame is not None
            assert frame.frame_id == pulse
            assert is_drawn(frame.image)


@over_network
def test_every_lost_packet_shows():
    for gige in (None, GigeOptions(packet_resend=False)):
        with network_camera("-r", "5", gige=gige) as (camera, _):
            camera.configure(FREE)
            frames = frames_of(camera, seconds=1.2)
        ledger = accounted(frames)
        assert ledger.frames_incomplete > 20
        assert ledger.unexplained == 0, ledger.summary()
        assert ledger.frames_received + ledger.lost_frames == frames[-1].frame_id + 1
        for frame in frames:
            assert is_drawn(frame.image) or not frame.complete
        there = [np.mean(frame.image > 0) for frame in frames if not frame.complete]
        assert np.median(there) > 0.9


def wait_for_frames(camera, waits):
    while waits[-1] < waits[0] + 10:
        camera.next_frame(0.5)
        waits.append(time.monotonic())


@over_network
def test_a_camera_that_goes_away_is_lost_within_its_deadline():
    with network_camera() as (camera, program):
        camera.configure(FREE)
        camera.start()
        assert camera.next_frame(2.0) is not None
        program.kill()
        waits = [time.monotonic()]
        with pytest.raises(DeviceLost, match="camera: it does not answer"):
            wait_for_frames(camera, waits)
        waits.append(time.monotonic())
        assert waits[-1] - waits[0] < LOST_AFTER_S
        assert max(np.diff(waits)) < 0.8
        with pytest.raises(DeviceLost, match="camera: it does not answer"):
            camera.start()
        closing = time.monotonic()
        camera.stop()
        camera.close()
        assert time.monotonic() - closing < 1.0


@over_network
@pytest.mark.parametrize(
    "asked", ["stop", *(pytest.param(asked, marks=pytest.mark.slow) for asked in ("start", "configure"))]
)
def test_whatever_is_asked_of_a_camera_that_went_away_it_is_lost_within_the_deadline(asked):
    with network_camera() as (camera, program):
        camera.configure(FREE)
        camera.start()
        assert camera.next_frame(10.0) is not None
        if asked != "stop":
            camera.stop()
        program.kill()
        begun = time.monotonic()
        if asked == "stop":  # while the watchdog asks, too
            while time.monotonic() - begun < 0.8:
                camera.next_frame(0.1)
            camera.stop()
        with pytest.raises(DeviceLost, match="camera: it does not answer"):
            camera.configure(FREE) if asked == "configure" else camera.start()
        assert time.monotonic() - begun < LOST_AFTER_S
        camera.close()
        assert time.monotonic() - begun < LOST_AFTER_S + 1
