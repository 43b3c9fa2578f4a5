"""The virtual camera: it misses pulses while busy, counts in 16 bits, has its own clock and few buffers."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil, floor, inf
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lee.devices.faults import Backpressure, DeviceLost
from lee.devices.protocols import Camera, CameraFrame, CameraSettings, Counts, Identity, widened_ids
from lee.devices.sensor_region import fitted_region
from lee.devices.streaming_camera import refused_gain
from lee.devices.virtual.hardware.fault_plan import BOUNCE_S, EARLY_S, At, Faults
from lee.devices.virtual.hardware.frame_bank import Bank
from lee.errors import InputError

BITS = {"Mono8": 8, "Mono10": 10, "Mono12": 12, "Mono16": 16}
ID_BITS = 16
_POLL_S = 0.001


class PulseLine(Protocol):
    """The source of trigger pulses; `VirtualStage` is one."""

    def pulses(self, after_s: float, until_s: float) -> tuple[int, NDArray[np.float64]]:
        """Return the pulses sent in (after, until]: number of the first, and their times, s."""


@dataclass(frozen=True)
class SensorTiming:
    """Timing of the sensor, and the bounds of its settings.

    Parameters
    ----------
    line_s : float
        Time to read a line; while it exposes or reads it misses pulses.
    transfer_s : float
        From the end of reading until the frame can be read by the computer.
    exposure_step_s : float
        Exposures are whole multiples of it.
    exposure_s : (shortest, longest)
    region_step_px : int
        Regions begin at and measure whole multiples of it.
    max_buffers : int
        Frames the driver can hold at most.
    max_gain_db : float
    """

    line_s: float = 4e-6
    transfer_s: float = 0.002
    exposure_step_s: float = 7e-6
    exposure_s: tuple[float, float] = (14e-6, 10.0)
    region_step_px: int = 4
    max_buffers: int = 1000
    max_gain_db: float = 40.0


@dataclass(frozen=True)
class _Exposed:
    """A frame between exposure and buffer."""

    raw_id: int
    index: int
    begin_s: float
    ready_s: float


class VirtualCamera(Camera):
    """A camera that shows the planes of a bank at the stage's true height in the middle of its exposure.

    A pulse that arrives while it is busy makes no frame and no gap in the ids. Frames that find no buffer,
    and those lost in transfer, leave a gap. ``Backpressure`` is raised once for all frames that found no
    buffer since the last call; those that did can still be read.

    Parameters
    ----------
    bank : Bank
        What the objective shows.
    line : PulseLine, optional
        Source of pulses; without it the camera can only run freely.
    z_um : callable (time) -> µm, optional
        Height in focus.
    lit_for_s : float, optional
        Exposure at which the bank's counts are seen as they are; longer ones are brighter. By default the
        exposure changes no counts.
    timing : SensorTiming, optional
    after_highest_id : int
        The id that follows 65535: 0, or 1.
    first_id : int, optional
        Its own id of the first frame after every start; by default the lowest.
    faults : Faults, optional
        Faults to simulate, by pulses of the line, or by frames where it runs freely; times count from now.
    clock, sleep : callables, s
    """

    def __init__(
        self,
        bank: Bank,
        *,
        line: PulseLine | None = None,
        z_um: Callable[[float], float] | None = None,
        lit_for_s: float | None = None,
        timing: SensorTiming | None = None,
        after_highest_id: int = 1,
        first_id: int | None = None,
        faults: Faults | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._bank, self._line, self._timing = bank, line, timing or SensorTiming()
        self._z_um = z_um or (lambda time_s: 0.0)
        self._lit_for_s = self._whole_exposure(lit_for_s) if lit_for_s is not None else None
        self._lowest_id = after_highest_id
        self._first_id = after_highest_id if first_id is None else first_id
        self._faults = faults or Faults()
        self._clock, self._sleep = clock, sleep
        self._lock = threading.RLock()
        self._born_s = clock()
        self._settings = self._applied(CameraSettings(exposure_s=0.003, triggered=line is not None))
        self._unplugged_s = inf
        self._running = self._closed = False
        self._next_raw = self._taken_raw = self._first_id
        self._taken_id = self._freely = self._overrun = 0
        self._on_the_way: deque[_Exposed] = deque()
        self._pool: deque[_Exposed] = deque()
        self._delivered: deque[CameraFrame] = deque(maxlen=2)
        self.missed_pulses = 0  # pulses that arrived while it was busy, since it was made
        self._forget()
        at = self._faults.unplug_camera
        if at is not None and at.time_s is not None:
            self.unplug(at)

    # --- the contract ---

    @property
    def identity(self) -> Identity:
        """As the camera reports it."""
        return Identity("lee", "virtual camera", "V-CAMERA")

    def configure(self, settings: CameraSettings) -> CameraSettings:
        """Set it up and return what was applied; `Camera.configure`."""
        with self._lock:
            self._check_answers()
            if self._running:
                raise InputError("camera: it is taking frames; stop it before it is set up anew")
            self._settings = self._applied(settings)
            return self._settings

    def start(self) -> None:
        """Take frames, ids from 0; `Camera.start`."""
        with self._lock:
            self._check_answers()
            self._forget()
            self._running = True

    def next_frame(self, timeout_s: float) -> CameraFrame | None:
        """Wait for the oldest frame; `Camera.next_frame`."""
        deadline = self._clock() + timeout_s
        while True:
            with self._lock:
                now = self._clock()
                self._advance(now)
                if self._overrun:
                    lost, self._overrun = self._overrun, 0
                    raise Backpressure(
                        f"camera: {lost} frames found none of its {self._settings.buffers} buffers free; "
                        "take frames sooner, or give it more buffers"
                    )
                exposed = self._pool.popleft() if self._pool else None
                if exposed is not None:
                    raw = np.array([self._taken_raw, exposed.raw_id])
                    before, after = widened_ids(raw, ID_BITS, lowest=self._lowest_id).tolist()
                    self._taken_id += after - before
                    self._taken_raw = exposed.raw_id
                    frame_id, settings = self._taken_id, self._settings
            if exposed is not None:
                frame = self._frame(exposed, frame_id, settings)
                if exposed.index in self._faults.stale_frames and self._delivered:
                    frame = replace(self._delivered[0], image=self._delivered[0].image.copy())
                self._delivered.append(frame)
                return frame
            self._check_answers()
            if not self._running or now >= deadline:
                return None
            self._sleep(min(_POLL_S, deadline - now))

    def stop(self) -> None:
        """Take no more frames; `Camera.stop`."""
        with self._lock:
            self._advance(self._clock())
            self._running = False

    def close(self) -> None:
        """Release it."""
        self._running, self._closed = False, True

    # --- for tests and the rest of the virtual rig ---

    @property
    def busy_s(self) -> float:
        """How long it misses pulses after one, s."""
        tall = self._settings.region[2] if self._settings.region else self._bank.shape[0]
        return self._settings.exposure_s + tall * self._timing.line_s + self._faults.slow_camera_s

    def unplug(self, at: At | None = None) -> None:
        """Stop answering, now or at a time."""
        with self._lock:
            moment = self._clock() if at is None or at.time_s is None else self._born_s + at.time_s
            self._unplugged_s = min(self._unplugged_s, moment)

    # --- inside ---

    def _forget(self) -> None:
        self._seen_s = self._begun_s = self._clock()
        self._busy_until_s = -inf
        self._next_raw = self._taken_raw = self._first_id
        self._taken_id = self._freely = self._overrun = 0
        self._on_the_way.clear()
        self._pool.clear()
        self._delivered.clear()

    def _check_answers(self) -> None:
        if self._closed:
            raise DeviceLost("camera: it is closed; open it again")
        if self._clock() >= self._unplugged_s:
            raise DeviceLost("camera: it does not answer; check its cable and open it again")

    def _applied(self, asked: CameraSettings) -> CameraSettings:
        can = self._timing
        low, high = can.exposure_s
        if not low <= asked.exposure_s <= high:
            raise InputError(f"camera: exposure_s {asked.exposure_s:g} must be in {low:g} to {high:g}")
        if asked.pixel_format not in BITS:
            raise InputError(f"camera: pixel_format {asked.pixel_format!r} is not one of {', '.join(BITS)}")
        if asked.triggered and self._line is None:
            raise InputError("camera: triggered, but no stage's pulses reach it; set triggered to false")
        if asked.gain_db is not None and not 0 <= asked.gain_db <= can.max_gain_db:
            raise refused_gain(asked.gain_db, 0.0, can.max_gain_db)
        if not 1 <= asked.buffers <= can.max_buffers:
            raise InputError(f"camera: buffers {asked.buffers} must be in 1 to {can.max_buffers}")
        if not 0 < asked.frames_per_s < inf:
            raise InputError(f"camera: frames_per_s {asked.frames_per_s:g} must be above 0")
        top, left, tall, wide = fitted_region(asked.region, self._bank.shape, [can.region_step_px] * 4)
        exposure = self._whole_exposure(asked.exposure_s)
        fastest = 1 / (exposure + tall * can.line_s)
        return replace(
            asked,
            exposure_s=exposure,
            region=(top, left, tall, wide),
            frames_per_s=min(asked.frames_per_s, fastest),
            gain_db=asked.gain_db or 0.0,
        )

    def _whole_exposure(self, asked_s: float) -> float:
        # A multiple of the step stays what it is, whatever floating point makes of it.
        step_s = self._timing.exposure_step_s
        return floor(asked_s / step_s + 1e-6) * step_s

    def _triggers(self, until_s: float) -> tuple[int, NDArray[np.float64]]:
        if self._settings.triggered and self._line is not None:
            return self._line.pulses(self._seen_s, until_s)
        first, rate = self._freely, self._settings.frames_per_s
        self._freely = max(first, ceil((until_s - self._begun_s) * rate - 1e-9))
        return first, self._begun_s + np.arange(first, self._freely) / rate

    def _advance(self, now: float) -> None:
        """Bring the state up to now: exposures, transfers, faults."""
        if not self._running:
            return
        faults, until_s = self._faults, min(now, self._unplugged_s)
        first, times = self._triggers(until_s)
        for index, begin_s in enumerate(times.tolist(), start=first):
            if begin_s >= self._unplugged_s:
                break
            if faults.unplug_camera is not None and faults.unplug_camera.pulse == index:
                self._unplugged_s = until_s = begin_s
                break
            if index in faults.missed_triggers:
                continue
            if begin_s < self._busy_until_s:
                self.missed_pulses += 1
                continue
            if index in faults.early_frames:
                self._expose(index, begin_s - EARLY_S)
            self._busy_until_s = begin_s + self.busy_s
            self._expose(index, begin_s)
            if index in faults.late_frames:
                self._expose(index, begin_s + EARLY_S)
            if index in faults.bounces:
                self._expose(index, begin_s + BOUNCE_S)
        self._seen_s = max(self._seen_s, until_s)
        while self._on_the_way and self._on_the_way[0].ready_s <= until_s:
            exposed = self._on_the_way.popleft()
            if exposed.index in faults.lost_frames:
                continue
            if len(self._pool) >= self._settings.buffers:
                self._overrun += 1
            else:
                self._pool.append(exposed)

    def _expose(self, index: int, begin_s: float) -> None:
        ready_s = begin_s + self.busy_s + self._timing.transfer_s
        self._on_the_way.append(_Exposed(self._next_raw, index, begin_s, ready_s))
        self._next_raw = self._next_raw + 1 if self._next_raw < 2**ID_BITS - 1 else self._lowest_id

    def _frame(self, exposed: _Exposed, frame_id: int, settings: CameraSettings) -> CameraFrame:
        z_um = self._z_um(exposed.begin_s + settings.exposure_s / 2)
        image = self._in_format(self._bank.image(z_um, settings.region), settings)
        complete = exposed.index not in self._faults.incomplete_frames
        if not complete or exposed.index in self._faults.black_frames:
            image[-(len(image) // 3) :] = 0
        faults = self._faults
        by_its_clock = exposed.begin_s + faults.camera_offset_s
        by_its_clock += (exposed.begin_s - self._born_s) * faults.camera_ppm * 1e-6
        return CameraFrame(image, frame_id, by_its_clock, complete)

    def _in_format(self, seen: Counts, settings: CameraSettings) -> Counts:
        """Return an image of the bank as bright, and with as many bits, as the settings have it."""
        bits = BITS[settings.pixel_format]
        more = bits - self._bank.bit_depth
        light = 10 ** ((settings.gain_db or 0.0) / 20)
        light *= settings.exposure_s / self._lit_for_s if self._lit_for_s else 1.0
        if light != 1:
            counts = np.rint(seen * np.float32(light * 2.0**more))
            return np.asarray(np.clip(counts, 0, 2**bits - 1), dtype=settings.dtype)
        if bits == 8:
            return np.asarray(seen >> -more if more < 0 else seen, dtype=np.uint8)
        wide = seen.astype(np.uint16) << max(more, 0)
        return np.asarray(wide >> -more if more < 0 else wide, dtype=np.uint16)
