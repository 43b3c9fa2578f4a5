"""A stand-in for a Thorlabs K-Cube stepper controller: it speaks the APT protocol on a pseudo-terminal.

Written from the protocol's message layouts, not with the library that it answers. It moves in trapezoids of
speed, counts the pulses of its position trigger, and fails in the ways a real one can.
"""

import os
import random
import select
import struct
import threading
import time
import tty
from dataclasses import dataclass

USB, HOST = 0x50, 0x01
VELOCITY_PER_COUNT = 53.68
ACCELERATION_PER_COUNT = 1 / 90.9
MOVING_FORWARD, MOVING_REVERSE, CONNECTED, HOMING, HOMED, ENABLED = 0x10, 0x20, 0x100, 0x200, 0x400, 1 << 31
REQUEST_STATUS, MOVE_ABSOLUTE, MOVE_RELATIVE, MOVE_HOME, MOVE_STOP = 0x0480, 0x0453, 0x0448, 0x0443, 0x0465
SET_ENABLED, SET_COUNTER = 0x0210, 0x0410
MOVES = {MOVE_ABSOLUTE, MOVE_RELATIVE, MOVE_HOME, 0x0457, 0x046A}
AT_POSITION_STEPS = 0x0D
# A request asks for what was set with the number below it and is answered by the number above it.
SETTINGS = {
    0x0413: struct.pack("<H3l", 1, 0, 10_000, 100_000_000),  # speed
    0x043A: struct.pack("<Hl", 1, 20_000),  # backlash taken out by the controller itself
    0x0423: struct.pack("<3HLLH", 1, 2, 3, 0, 0, 1),  # limit switches, and limits in software, ignored
    0x0416: struct.pack("<HH4lH", 1, 2, 1000, 0, 10_000, 100_000_000, 2),  # jogs
    0x0440: struct.pack("<3H2l", 1, 2, 1, 100_000_000, 0),  # homing
    0x0523: struct.pack("<6H", 1, 0, 1, 0x0B, 2, 0),  # trigger ports: the second is in use by someone
    0x0526: struct.pack("<H8l", 1, 0, 0, 0, 0, 0, 0, 0, 0),  # position trigger
}


@dataclass
class Motion:
    """A trapezoid of speed from one position to another."""

    start: float
    target: int
    speed: float
    acceleration: float
    begun_s: float

    def position(self, now_s: float) -> float:
        way = abs(self.target - self.start)
        sign = 1 if self.target >= self.start else -1
        speed = min(self.speed, (way * self.acceleration) ** 0.5)
        ramp_s = speed / self.acceleration if speed else 0.0
        total_s = way / speed + ramp_s if speed else 0.0
        t = now_s - self.begun_s
        if t >= total_s:
            return self.target
        if t < ramp_s:
            done = self.acceleration * t**2 / 2
        elif t < total_s - ramp_s:
            done = speed * (t - ramp_s / 2)
        else:
            done = way - self.acceleration * (total_s - t) ** 2 / 2
        return self.start + sign * done


class AptController:
    """The controller and its stage; `port` is the name of its serial port.

    Set to make it fail: ``garbage`` bytes before every answer, ``loses_completions``, ``frozen`` (it reports
    no status), ``stalls`` (sent somewhere, it does not move), ``delay_s`` of every answer, ``work_s`` that it
    takes for each before it begins the next, ``ignores`` (messages, by their numbers); `burst` is noise at
    once; `switch_off_and_on` makes it forget where it is, `unplug` takes it away.
    """

    def __init__(self, *, serial=26_001_234, model=b"KST101", position=0, homed=True):
        self.serial, self.model = serial, model
        self.place = position  # by its counter
        self.truly = 0  # where its counter is 0
        self.garbage = self.loses_completions = self.frozen = self.stalls = False
        self.delay_s = self.work_s = self._idle_s = 0.0
        self.ignores = set()
        self.received = []  # message ids
        self.pulses = []  # position of every pulse
        self.settings = dict(SETTINGS)
        self._bits = CONNECTED | (HOMED if homed else 0)
        self._motion = None
        self._pulsed = set()
        self._random = random.Random(7)
        self._incoming = b""
        self._outgoing = []  # (when, bytes)
        self._gone = threading.Event()
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.unplug()

    def unplug(self):
        if not self._gone.is_set():
            self._gone.set()
            self._thread.join(timeout=5)
            os.close(self._master)
            os.close(self._slave)

    def switch_off_and_on(self):
        """It stands where it stood and counts from 0 there."""
        self.truly += self.place
        self._motion, self.place = None, 0
        self.settings = dict(SETTINGS)
        self._bits = CONNECTED

    def receives(self, number, *, after=0, within_s=1.0):
        """Whether a message comes in time, beyond those it had received before."""
        deadline = time.monotonic() + within_s
        while number not in self.received[after:] and time.monotonic() < deadline:
            time.sleep(0.0005)
        return number in self.received[after:]

    @property
    def moves(self):
        """Moves that it was sent, of any kind."""
        return [number for number in self.received if number in MOVES]

    @property
    def moving(self):
        """Whether its motor turns."""
        return self._motion is not None

    def _run(self):
        while not self._gone.is_set():
            ready, _, _ = select.select([self._master], [], [], 0.001)
            if ready:
                self._incoming += os.read(self._master, 4096)
                self._take_messages()
            self._advance()
            now = time.monotonic()
            while self._outgoing and self._outgoing[0][0] <= now:
                os.write(self._master, self._outgoing.pop(0)[1])

    def _take_messages(self):
        while len(self._incoming) >= 6:
            number, length, to = struct.unpack_from("<HHB", self._incoming)
            size = 6 + (length if to & 0x80 else 0)
            if len(self._incoming) < size:
                return
            message, self._incoming = self._incoming[:size], self._incoming[size:]
            self.received.append(number)
            self._advance()
            if number not in self.ignores:
                self._obey(number, message[3], message[6:])

    def _obey(self, number, option, data):
        if number == 0x0005:
            info = struct.pack("<l8sH4B60s3H", self.serial, self.model, 16, 3, 2, 1, 0, b"", 1, 0, 1)
            self._answer(0x0006, info)
        elif number == REQUEST_STATUS and not self.frozen:
            self._answer(0x0481, self._status())
        elif number in self.settings:
            self.settings[number] = data
            if number == 0x0526:
                self._pulsed = set()
        elif number - 1 in self.settings:
            self._answer(number + 1, self.settings[number - 1])
        elif number == SET_COUNTER:
            place = struct.unpack_from("<l", data, 2)[0]
            self.truly, self.place = self.truly + self.place - place, place
        elif number == SET_COUNTER + 1:
            self._answer(SET_COUNTER + 2, struct.pack("<Hl", 1, round(self.place)))
        elif number == SET_ENABLED:
            self._bits = self._bits | ENABLED if option == 1 else self._bits & ~ENABLED
        elif number == MOVE_ABSOLUTE:
            self._set_off(struct.unpack_from("<l", data, 2)[0])
        elif number == MOVE_RELATIVE:
            self._set_off(round(self.place) + struct.unpack_from("<l", data, 2)[0])
        elif number == MOVE_HOME:
            self._bits = (self._bits | HOMING) & ~HOMED
            self._set_off(0)
        elif number == MOVE_STOP:
            self._motion = None
            self._bits &= ~(HOMING | MOVING_FORWARD | MOVING_REVERSE)
            self._answer(0x0466, self._status())

    def _set_off(self, target):
        if not self._bits & ENABLED:
            return
        _, _, acceleration, speed = struct.unpack("<H3l", self.settings[0x0413])
        self._motion = Motion(
            self.place,
            target,
            speed / VELOCITY_PER_COUNT,
            acceleration / ACCELERATION_PER_COUNT,
            time.monotonic(),
        )
        self._bits |= MOVING_FORWARD if target >= self.place else MOVING_REVERSE

    def _advance(self):
        if self._motion is None:
            return
        if self.stalls:
            self._motion.begun_s, self._motion.start = time.monotonic(), self.place
            return
        before, self.place = self.place, self._motion.position(time.monotonic())
        self._pulse(before, self.place)
        if self.place == self._motion.target:
            homing = self._bits & HOMING
            self._motion = None
            self._bits &= ~(HOMING | MOVING_FORWARD | MOVING_REVERSE)
            self._bits |= HOMED if homing else 0
            if not self.loses_completions:
                self._answer(0x0444 if homing else 0x0464, None if homing else self._status())

    def _pulse(self, before, after):
        _, mode1, _, mode2, _, _ = struct.unpack("<6H", self.settings[0x0523])
        if AT_POSITION_STEPS not in (mode1, mode2):
            return
        forward, reverse = (struct.unpack_from("<3l", self.settings[0x0526], 2 + 12 * k) for k in (0, 1))
        start, step, count = forward if after > before else reverse
        sign = 1 if after > before else -1
        for k in range(count):
            place = start + sign * k * step
            if sign * before < sign * place <= sign * after and (sign, k) not in self._pulsed:
                self._pulsed.add((sign, k))
                self.pulses.append(place)

    def _status(self):
        return struct.pack("<HllL", 1, round(self.place), 0, self._bits)

    def _answer(self, number, data=None):
        if data is None:
            message = struct.pack("<HBBBB", number, 1, 0, HOST, USB)
        else:
            message = struct.pack("<HHBB", number, len(data), HOST | 0x80, USB) + data
        if self.garbage:
            noise = self._random.randbytes(self._random.randrange(1, 8))
            # The head of a "move completed" without its data: what the library cannot take apart.
            headless = struct.pack("<HBBBB", 0x0464, 1, 0, HOST, USB)
            message = (headless if self._random.random() < 0.1 else noise) + message
        self._idle_s = max(self._idle_s, time.monotonic()) + self.work_s
        self._outgoing.append((self._idle_s + self.delay_s, message))

    def burst(self, size, heads=()):
        """Send noise, in it the heads of long messages that never come."""
        noise = self._random.randbytes(size // 2)
        noise += b"".join(struct.pack("<HHBB", head, 255, HOST | 0x80, USB) for head in heads)
        self._outgoing.insert(0, (0.0, noise + self._random.randbytes(size - size // 2)))
