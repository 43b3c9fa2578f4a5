"""The watchdog of a camera: asked while frames come, and lost with a reason or after a silence."""

import threading
import time

import pytest

from lee.devices import watchdog
from lee.devices.faults import DeviceLost
from lee.devices.watchdog import Watchdog


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(watchdog, "_ASK_S", 0.01)
    monkeypatch.setattr(watchdog, "ANSWER_S", 0.1)


def until(condition):
    deadline = time.monotonic() + 10.0
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_camera_that_answers_is_asked_until_the_end():
    asked = []
    dog = Watchdog(lambda: asked.append(1) or "")
    dog.start()
    until(lambda: len(asked) >= 3)
    dog.check()
    dog.end()
    count = len(asked)
    time.sleep(0.05)
    assert len(asked) == count
    assert not dog.lost


@pytest.mark.parametrize(
    ("answer", "message"),
    [("camera: control of it was lost", "control of it was"), (None, "does not answer")],
)
def test_a_camera_is_lost_with_its_reason(answer, message):
    dog = Watchdog(lambda: answer)
    dog.start()
    until(lambda: dog.lost)
    with pytest.raises(DeviceLost, match=message):
        dog.check()
    dog.end()


def test_a_camera_that_keeps_silent_is_lost_though_the_call_still_waits():
    answered = threading.Event()
    dog = Watchdog(lambda: "" if answered.wait(10.0) else None)
    dog.start()

    def silent():
        try:
            dog.check()
        except DeviceLost:
            return True
        return False

    until(silent)
    answered.set()
    dog.end()
    with pytest.raises(DeviceLost, match="it does not answer; check its cable"):
        dog.check()
