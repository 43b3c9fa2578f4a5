"""FLIR and Teledyne cameras through the vendor's own PySpin."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import replace
from math import inf
from typing import Any

import numpy as np

from lee.devices.faults import Backpressure, DeviceLost
from lee.devices.frame_ids import IdCounter
from lee.devices.protocols import Camera, CameraFrame, CameraSettings, Identity
from lee.devices.sensor_region import fitted_region
from lee.devices.spinnaker.library import Found, Nodes, Spinnaker
from lee.devices.spinnaker.stream import FrameStream
from lee.errors import InputError

# What is taken for what is asked, the first that the camera has: packed ones would have to be taken apart.
TAKEN_FOR = {
    "Mono8": ("Mono8",),
    "Mono10": ("Mono10", "Mono16"),
    "Mono12": ("Mono12", "Mono16"),
    "Mono16": ("Mono16",),
}
# It is asked so often while it takes frames, and may take so long to answer.
_ASK_S, _ANSWER_S = 0.5, 3.0
LOST_AFTER_S = 4.0
_LOOK_S = 0.05
_QUIET_S, _MOST_QUIET_S = 0.03, 0.1
_RATE_SWITCHES = ("AcquisitionFrameRateEnable", "AcquisitionFrameRateEnabled")
_releases: list[threading.Thread] = []


class SpinnakerCamera(Camera):
    """A camera behind the vendor's library.

    One that does not answer is known as lost within `LOST_AFTER_S` while it takes frames, and by the call
    that asks it otherwise. Its ids and times are the camera's own where frames carry them with them, else
    those of the transport. Of a frame that is not complete, what did not come shows whatever the driver's
    buffer held.

    Parameters
    ----------
    serial : str
        Its serial number; "" for the only one.
    trigger_line : str
        Where pulses come in; a frame's exposure begins at the rising edge.

    Raises
    ------
    InputError
        If the vendor's PySpin is not installed, there is no such camera or more than one, or another program
        controls it.
    DeviceLost
        If it does not answer.
    """

    def __init__(self, serial: str = "", *, trigger_line: str = "Line0") -> None:
        while _releases:  # of a camera that was lost; this may be the same one
            _releases.pop().join()
        self._library = Spinnaker()
        self._line = trigger_line
        self._guard, self._enough = threading.Lock(), threading.Event()
        self._asked_s: float | None = None
        self._lost: str | None = None
        self._stream: FrameStream | None = None
        self._watch: threading.Thread | None = None
        self._settings: CameraSettings | None = None
        self._running = self._closed = self._chunks = False
        self._last_raw: int | None = None
        self._camera: Any = None
        try:
            found = _chosen(self._library.found(), serial)
            self._network = found.network
            self._camera = self._library.opened(found.serial)
            module = self._library.module
            self._nodes = Nodes(module, self._camera.GetNodeMap())
            self._stream_nodes = Nodes(module, self._camera.GetTLStreamNodeMap())
        except BaseException:
            self._release()
            raise
        versions = map(self._nodes.text, ("DeviceFirmwareVersion", "DeviceVersion"))
        self._identity = Identity(found.vendor, found.model, found.serial, next(filter(None, versions), ""))

    @property
    def identity(self) -> Identity:
        """What it says it is."""
        return self._identity

    def configure(self, settings: CameraSettings) -> CameraSettings:
        """Set it up and read back what it applied; `Camera.configure`.

        Where it has Mono10 or Mono12 only packed, Mono16 is applied, as the settings returned say.
        """
        self._check_answers()
        if self._running:
            raise InputError("camera: it is taking frames; stop it before it is set up anew")
        self._drop_stream()
        self._settings = None
        nodes = self._nodes
        nodes.choose("AcquisitionMode", "Continuous")
        for name in ("ExposureAuto", "GainAuto", "AcquisitionFrameRateAuto"):
            nodes.choose(name, "Off")
        nodes.choose("ExposureMode", "Timed")
        buffers = self._set_buffers(settings.buffers)
        pixel_format = self._set_pixel_format(settings.pixel_format)
        region = self._set_region(settings.region)
        self._clear_triggers()
        # A rate that was set before would limit the exposure.
        for name in _RATE_SWITCHES:
            nodes.set_switch(name, False)
        exposure_s = self._set_exposure(settings.exposure_s)
        rate = self._set_rate(settings.frames_per_s, free=not settings.triggered)
        if settings.triggered:
            self._set_trigger()
        self._set_chunks()
        self._settings = replace(
            settings,
            exposure_s=exposure_s,
            pixel_format=pixel_format,
            region=region,
            frames_per_s=rate,
            buffers=buffers,
        )
        return self._settings

    def start(self) -> None:
        """Take frames, ids from 0; `Camera.start`."""
        self._check_answers()
        if self._settings is None or self._settings.region is None:
            raise InputError("camera: it is not set up; configure it before it is started")
        self.stop()
        self._end_watch()
        self._drop_stream()
        by_transport = self._network and not self._chunks
        self._ids = IdCounter(short=by_transport, lowest=1 if by_transport else 0, last_raw=self._last_raw)
        self._stream = FrameStream(
            self._library.module,
            self._camera,
            self._stream_nodes,
            shape=self._settings.region[2:],
            dtype=np.dtype(np.uint8 if self._settings.pixel_format == "Mono8" else np.uint16),
            buffers=self._settings.buffers,
            ids=self._ids,
            chunks=self._chunks,
        )
        self._running = True
        self._enough = threading.Event()
        self._watch = threading.Thread(
            target=self._ask, args=(self._enough,), name="camera answers", daemon=True
        )
        self._watch.start()

    def next_frame(self, timeout_s: float) -> CameraFrame | None:
        """Wait for the oldest frame; `Camera.next_frame`."""
        deadline = time.monotonic() + timeout_s
        while True:
            if self._closed:
                self._check_answers()
            with self._guard:
                frame = self._looked_for(deadline)
            if frame is not None:
                return frame
            self._check_answers()
            if not self._running or time.monotonic() >= deadline:
                return None

    def stop(self) -> None:
        """Take no more frames; `Camera.stop`. One that is lost is left alone."""
        if not self._running:
            return
        self._enough.set()
        with self._guard:
            self._running = False
            if self._stream is None or self._lost is not None:
                return
            try:
                self._stream.settle(_QUIET_S, most_s=_MOST_QUIET_S)
            except DeviceLost as error:
                self._lost = str(error)
            else:
                self._stream.finish()

    def software_trigger(self) -> None:
        """Send a pulse by command, where ``trigger_line`` is "Software"."""
        self._check_answers()
        if not self._nodes.execute("TriggerSoftware"):
            raise InputError('camera: it takes no pulse by command; set trigger_line to "Software"')

    def close(self) -> None:
        """Let go of it."""
        if self._closed:
            return
        self.stop()
        self._closed = True
        release = threading.Thread(target=self._release, name="camera release", daemon=True)
        release.start()
        release.join(LOST_AFTER_S if self._lost is None else 0.2)
        if release.is_alive():  # the library waits for answers to what it asks last
            _releases.append(release)

    def _release(self) -> None:
        """Drop every pointer to the camera, then the system: it is not released while one is left."""
        self._end_watch()
        self._drop_stream()
        if self._camera is not None:
            with suppress(self._library.module.SpinnakerException):
                self._camera.DeInit()
        self._camera = None
        self._library.release()

    # --- frames, and whether it answers ---

    def _looked_for(self, deadline: float) -> CameraFrame | None:
        stream = self._stream
        if stream is None:
            return None
        if stream.overrun():
            buffers = self._settings.buffers if self._settings else 0
            raise Backpressure(
                f"camera: frames found none of its {buffers} buffers free; "
                "take frames sooner, or give it more buffers"
            )
        if self._lost is not None and self._running:
            return None
        left = deadline - time.monotonic() if self._running else 0.0
        try:
            return stream.next_frame(min(max(left, 0.0), _LOOK_S))
        except DeviceLost as error:
            self._lost = str(error)
            return None

    def _check_answers(self) -> None:
        if self._closed:
            raise DeviceLost("camera: it is closed; open it again")
        asked_s = self._asked_s
        if self._lost is None and asked_s is not None and time.monotonic() - asked_s > _ANSWER_S:
            self._lost = "camera: it does not answer; check its cable and open it again"
        if self._lost is not None:
            raise DeviceLost(self._lost)

    def _ask(self, enough: threading.Event) -> None:
        """Ask it while it takes frames: a camera that waits for pulses and a lost one are both silent."""
        while not enough.wait(_ASK_S):
            self._asked_s = time.monotonic()
            try:
                answer = self._nodes.number("Width", fresh=True)
            except (InputError, DeviceLost):
                answer = None
            if answer is None:
                self._lost = "camera: it does not answer; check its cable and open it again"
                break
            self._asked_s = None
        self._asked_s = None

    def _end_watch(self) -> None:
        self._enough.set()
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.join()

    def _drop_stream(self) -> None:
        with self._guard:
            stream, self._stream = self._stream, None
            if stream is not None:
                self._last_raw = self._ids.last_raw
                stream.finish()

    # --- setting up ---

    def _set_buffers(self, asked: int) -> int:
        name = "StreamBufferCountManual"
        low, high = self._stream_nodes.bounds(name) or (1, 1000)
        if not 1 <= asked <= high:
            raise InputError(f"camera: buffers {asked} must lie in 1 to {high:g}")
        # A queue that is full must not throw away what waits in it.
        self._stream_nodes.choose("StreamBufferHandlingMode", "OldestFirst")
        self._stream_nodes.choose("StreamBufferCountMode", "Manual")
        self._stream_nodes.set_number(name, max(asked, low))
        return round(self._stream_nodes.number(name) or asked)

    def _set_pixel_format(self, asked: str) -> str:
        nodes = self._nodes
        if asked in ("Mono10", "Mono12"):
            nodes.choose("AdcBitDepth", f"Bit{asked[4:]}")
        can = nodes.choices("PixelFormat")
        fit = next((name for name in TAKEN_FOR.get(asked, ()) if name in can), None)
        if fit is None or not nodes.choose("PixelFormat", fit):
            known = ", ".join(name for name in can if name in TAKEN_FOR) or "grey ones"
            raise InputError(f"camera: pixel_format {asked!r} is none of its {known}")
        return nodes.text("PixelFormat")

    def _set_region(self, asked: tuple[int, int, int, int] | None) -> tuple[int, int, int, int]:
        nodes, names = self._nodes, ("OffsetY", "OffsetX", "Height", "Width")
        for name in names[:2]:
            nodes.set_number(name, 0)  # else they limit the size
        tall, wide = (round(nodes.number(name) or 0) for name in ("HeightMax", "WidthMax"))
        region = fitted_region(asked, (tall, wide), [nodes.step(name) for name in names])
        for k in (2, 3, 0, 1):
            nodes.set_number(names[k], region[k])
        top, left, height, width = (round(nodes.number(name) or 0) for name in names)
        return top, left, height, width

    def _set_exposure(self, asked_s: float) -> float:
        low, high = self._nodes.bounds("ExposureTime") or (0.0, 0.0)
        if not low <= asked_s * 1e6 <= high:
            raise InputError(f"camera: exposure_s {asked_s:g} must lie in {low * 1e-6:g} to {high * 1e-6:g}")
        self._nodes.set_number("ExposureTime", asked_s * 1e6)
        return (self._nodes.number("ExposureTime") or 0.0) * 1e-6

    def _set_rate(self, asked: float, *, free: bool) -> float:
        """Set the pace of frames that no pulse begins; return what it can do."""
        if not 0 < asked < inf:
            raise InputError(f"camera: frames_per_s {asked:g} must be above 0")
        nodes = self._nodes
        fastest = nodes.number("AcquisitionResultingFrameRate") or inf
        if free and any(nodes.set_switch(name, True) for name in _RATE_SWITCHES):
            low, high = nodes.bounds("AcquisitionFrameRate") or (asked, asked)
            nodes.set_number("AcquisitionFrameRate", min(max(asked, low), high))
            return nodes.number("AcquisitionFrameRate") or asked
        return min(asked, fastest)

    def _clear_triggers(self) -> None:
        for selector in self._nodes.choices("TriggerSelector"):
            self._nodes.choose("TriggerSelector", selector)
            self._nodes.choose("TriggerMode", "Off")

    def _set_trigger(self) -> None:
        nodes = self._nodes
        nodes.choose("TriggerSelector", "FrameStart")
        lines = nodes.choices("TriggerSource")
        if self._line not in lines:
            raise InputError(f"camera: trigger_line {self._line!r} is none of its {', '.join(lines)}")
        if nodes.choose("LineSelector", self._line):
            nodes.choose("LineMode", "Input")
        nodes.choose("TriggerSource", self._line)
        nodes.choose("TriggerActivation", "RisingEdge")
        # Else a pulse that comes while the frame before is read out makes no frame.
        nodes.choose("TriggerOverlap", "ReadOut")
        if not nodes.choose("TriggerMode", "On"):
            raise InputError("camera: it cannot wait for pulses; set triggered to false")

    def _set_chunks(self) -> None:
        """Let frames carry the camera's own id and time with them, where it can."""
        nodes = self._nodes
        self._chunks = nodes.set_switch("ChunkModeActive", True) and all(
            nodes.choose("ChunkSelector", chunk) and nodes.set_switch("ChunkEnable", True)
            for chunk in ("FrameID", "Timestamp")
        )


def _chosen(found: list[Found], serial: str) -> Found:
    fit = [one for one in found if one.serial == serial] if serial else found
    told = ", ".join(f"{one.serial} ({one.model})" for one in found) or "none"
    if not fit:
        wanted = f"camera: there is no camera {serial!r}" if serial else "camera: there is none"
        raise InputError(f"{wanted}; found: {told}; check its cable and the rights to use it")
    if len(fit) > 1:
        raise InputError(f"camera: there are {len(fit)}, {told}; name one by its serial")
    return fit[0]
