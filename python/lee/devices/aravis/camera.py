"""GenICam cameras, USB3 Vision and GigE Vision, through Aravis, without the maker's own software."""

from __future__ import annotations

import ctypes
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from math import inf

from lee.devices.aravis.library import Library, library
from lee.devices.aravis.stream import FrameStream, GigeOptions
from lee.devices.faults import Backpressure, DeviceLost
from lee.devices.frame_ids import IdCounter
from lee.devices.protocols import Camera, CameraFrame, CameraSettings, Identity
from lee.devices.sensor_region import fitted_region
from lee.errors import InputError

PIXEL_BYTES = {"Mono8": 1, "Mono10": 2, "Mono12": 2, "Mono16": 2}
MOST_BUFFERS = 1000
# It is asked so often, and may take so long to answer: over a network Aravis asks six times, 0.5 s each.
_ASK_S, _ANSWER_S = 0.5, 3.0
LOST_AFTER_S = 4.0
_LOOK_S = 0.05
# On a network, a frame is given up only after a while.
_QUIET_S, _MOST_QUIET_S = {True: 0.12, False: 0.03}, {True: 0.5, False: 0.1}
_releases: list[threading.Thread] = []


@dataclass(frozen=True)
class Found:
    """A camera that can be opened."""

    ident: str
    names: tuple[str, ...]
    model: str
    serial: str
    address: str
    fake: bool


def found_cameras(*, call: Library | None = None) -> list[Found]:
    """Look which cameras there are; takes a second where networks are searched."""
    call = call or library()
    call("arv_update_device_list")
    cameras = []
    for k in range(call("arv_get_n_devices")):
        ident, physical, address, model, serial, protocol = (
            call.text(f"arv_get_device_{name}", k)
            for name in ("id", "physical_id", "address", "model", "serial_nbr", "protocol")
        )
        names = tuple(name for name in (ident, serial, physical, address) if name)
        cameras.append(Found(ident, names, model, serial, address, protocol == "Fake"))
    return cameras


class AravisCamera(Camera):
    """A GenICam camera.

    One that does not answer is known as lost within `LOST_AFTER_S` while it takes frames, and by the call
    that asks it otherwise.

    Parameters
    ----------
    serial : str
        Its serial number, Aravis' id, or its address in the network; "" for the only one. ``Fake_1`` is a
        camera that the library makes up.
    trigger_line : str
        Where pulses come in; a frame's exposure begins at the rising edge.
    gige : GigeOptions, optional

    Raises
    ------
    InputError
        If Aravis is not installed, there is no such camera or more than one, or another program controls it.
    DeviceLost
        If it does not answer.
    """

    def __init__(
        self, serial: str = "", *, trigger_line: str = "Line0", gige: GigeOptions | None = None
    ) -> None:
        self._call = library()
        while _releases:  # of a camera that was lost; this may be the same one
            _releases.pop().join()
        if serial.startswith("Fake_"):
            self._call("arv_enable_interface", b"Fake")
            found = Found(serial, (serial,), "Fake", serial, "", fake=True)
        else:
            found = _chosen(found_cameras(call=self._call), serial)
        self._line = trigger_line
        self._guard, self._enough = threading.Lock(), threading.Event()
        self._asked_s: float | None = None
        self._lost: str | None = None
        self._stream: FrameStream | None = None
        self._watch: threading.Thread | None = None
        self._settings: CameraSettings | None = None
        self._running = self._closed = False
        self._last_raw: int | None = None
        self._fake, self._loopback = found.fake, found.address.startswith("127.")
        self._camera: int = self._call("arv_camera_new", found.ident.encode())
        self._gige = (gige or GigeOptions()) if self._call("arv_camera_is_gv_device", self._camera) else None
        try:
            self._device: int = self._call("arv_camera_get_device", self._camera)
            if not self._controls():
                raise InputError(f"camera: another program controls {found.ident}; close that one")
            self._identity = self._identified()
        except (InputError, DeviceLost) as error:
            self._lost = str(error)
            self.close()
            raise

    @property
    def identity(self) -> Identity:
        """What it says it is."""
        return self._identity

    def configure(self, settings: CameraSettings) -> CameraSettings:
        """Set it up and read back what it applied; `Camera.configure`."""
        self._check_answers()
        if self._running:
            raise InputError("camera: it is taking frames; stop it before it is set up anew")
        if not 1 <= settings.buffers <= MOST_BUFFERS:
            raise InputError(f"camera: buffers {settings.buffers} must lie in 1 to {MOST_BUFFERS}")
        self._drop_stream()
        camera = self._camera
        self._choose("AcquisitionMode", "Continuous")
        for name in ("ExposureAuto", "GainAuto"):
            self._choose(name, "Off")
        self._choose("ExposureMode", "Timed")
        self._set_pixel_format(settings.pixel_format)
        region = self._set_region(settings.region)
        self._call("arv_camera_clear_triggers", camera)
        low, high = self._call.bounds("arv_camera_get_exposure_time_bounds", camera)
        if not low <= settings.exposure_s * 1e6 <= high:
            raise InputError(
                f"camera: exposure_s {settings.exposure_s:g} must lie in {low * 1e-6:g} to {high * 1e-6:g}"
            )
        self._call("arv_camera_set_exposure_time", camera, settings.exposure_s * 1e6)
        rate = self._set_rate(settings.frames_per_s)
        if settings.triggered:
            self._set_trigger()
        self._settings = replace(
            settings,
            exposure_s=self._call("arv_camera_get_exposure_time", camera) * 1e-6,
            pixel_format=self._call.text("arv_camera_get_pixel_format_as_string", camera),
            region=region,
            frames_per_s=rate,
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
        self._ids = IdCounter(
            short=self._fake or self._gige is not None,
            lowest=0 if self._gige is None else 1,
            last_raw=self._last_raw,
        )
        stream = FrameStream(
            self._call,
            self._camera,
            shape=self._settings.region[2:],
            pixel_bytes=PIXEL_BYTES[self._settings.pixel_format],
            buffers=self._settings.buffers,
            ids=self._ids,
            gige=self._gige,
            loopback=self._loopback,
        )
        try:
            self._call("arv_camera_start_acquisition", self._camera)
        except (InputError, DeviceLost):
            stream.close()
            raise
        self._stream, self._running = stream, True
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
                stream = self._stream
                if stream is not None and stream.overrun():
                    buffers = self._settings.buffers if self._settings else 0
                    raise Backpressure(
                        f"camera: frames found none of its {buffers} buffers free; "
                        "take frames sooner, or give it more buffers"
                    )
                left = deadline - time.monotonic() if self._running and self._lost is None else 0.0
                frame = stream.next_frame(min(max(left, 0.0), _LOOK_S)) if stream is not None else None
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
        try:
            if self._lost is None:
                self._call("arv_camera_stop_acquisition", self._camera)
        except DeviceLost as error:
            self._lost = str(error)
        finally:
            self._running = False
        if self._lost is None and self._stream is not None:
            gige = self._gige is not None
            self._stream.settle(_QUIET_S[gige], most_s=_MOST_QUIET_S[gige])
            with self._guard:
                self._stream.finish()

    def software_trigger(self) -> None:
        """Send a pulse by command, where ``trigger_line`` is "Software"."""
        self._check_answers()
        self._call("arv_camera_software_trigger", self._camera)

    def close(self) -> None:
        """Let go of it."""
        if self._closed:
            return
        with suppress(InputError):
            self.stop()
        self._closed = True
        release = threading.Thread(target=self._release, name="camera release", daemon=True)
        release.start()
        release.join(LOST_AFTER_S if self._lost is None else 0.2)
        if release.is_alive():  # Aravis waits for answers to what it asks last
            _releases.append(release)

    def _release(self) -> None:
        self._end_watch()
        self._drop_stream()
        self._call("g_object_unref", self._camera)

    # --- whether it answers ---

    def _check_answers(self) -> None:
        if self._closed:
            raise DeviceLost("camera: it is closed; open it again")
        asked_s = self._asked_s
        if self._lost is None and asked_s is not None and time.monotonic() - asked_s > _ANSWER_S:
            self._lost = "camera: it does not answer; check its cable and open it again"
        if self._lost is not None:
            raise DeviceLost(self._lost)

    def _controls(self) -> bool:
        return self._gige is None or bool(self._call("arv_gv_device_is_controller", self._device))

    def _ask(self, enough: threading.Event) -> None:
        """Ask it while it takes frames: a camera that waits for pulses and a lost one are both silent."""
        value = ctypes.c_uint32()
        while not enough.wait(_ASK_S):
            self._asked_s = time.monotonic()
            try:
                self._call("arv_device_read_register", self._device, 0, ctypes.byref(value))
            except DeviceLost as error:
                self._lost = str(error)
                return
            except InputError:
                pass  # it answers, though not to this
            self._asked_s = None
            if not self._controls():
                self._lost = "camera: control of it was lost; check its cable and open it again"
                return
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
                stream.close()

    # --- setting up ---

    def _identified(self) -> Identity:
        versions = (self._told("string", name) for name in (b"DeviceFirmwareVersion", b"DeviceVersion"))
        return Identity(
            self._told("vendor_name"),
            self._told("model_name"),
            self._told("device_serial_number"),
            next(filter(None, versions), ""),
        )

    def _told(self, what: str, *arguments: bytes) -> str:
        """Read a text that not every camera has."""
        try:
            return self._call.text(f"arv_camera_get_{what}", self._camera, *arguments)
        except InputError:
            return ""

    def _choose(self, feature: str, entry: str) -> None:
        """Set an enumeration where the camera has it, and this entry of it."""
        name = feature.encode()
        if self._call("arv_camera_is_feature_available", self._camera, name) and self._call(
            "arv_camera_is_enumeration_entry_available", self._camera, name, entry.encode()
        ):
            self._call("arv_camera_set_string", self._camera, name, entry.encode())

    def _set_pixel_format(self, asked: str) -> None:
        can = [name for name in self._call.choices(self._camera, "PixelFormat") if name in PIXEL_BYTES]
        if asked not in can:
            raise InputError(f"camera: pixel_format {asked!r} is none of its {', '.join(can) or 'grey ones'}")
        self._call("arv_camera_set_pixel_format_from_string", self._camera, asked.encode())

    def _set_region(self, asked: tuple[int, int, int, int] | None) -> tuple[int, int, int, int]:
        call, camera = self._call, self._camera
        wide, tall = call.ints("arv_camera_get_sensor_size", camera, 2)
        steps = [
            max(1, call(f"arv_camera_get_{name}_increment", camera))
            for name in ("y_offset", "x_offset", "height", "width")
        ]
        top, left, height, width = fitted_region(asked, (tall, wide), steps)
        call("arv_camera_set_region", camera, left, top, width, height)
        left, top, width, height = call.ints("arv_camera_get_region", camera, 4)
        return top, left, height, width

    def _set_rate(self, asked: float) -> float:
        """Set the pace of frames that no pulse begins; return what it can do."""
        if not 0 < asked < inf:
            raise InputError(f"camera: frames_per_s {asked:g} must be above 0")
        if not self._call("arv_camera_is_frame_rate_available", self._camera):
            return asked
        low, high = self._call.bounds("arv_camera_get_frame_rate_bounds", self._camera)
        rate = min(max(asked, low), high)
        self._call("arv_camera_set_frame_rate", self._camera, rate)
        return float(self._call("arv_camera_get_frame_rate", self._camera))

    def _set_trigger(self) -> None:
        lines = self._call.choices(self._camera, "TriggerSource")
        if self._line not in lines:
            raise InputError(f"camera: trigger_line {self._line!r} is none of its {', '.join(lines)}")
        # Frame start, rising edge, and every other trigger off.
        self._call("arv_camera_set_trigger", self._camera, self._line.encode())
        # Else a pulse that comes while the frame before is read out makes no frame.
        self._choose("TriggerOverlap", "ReadOut")


def _chosen(found: list[Found], serial: str) -> Found:
    fit = [one for one in found if serial in one.names] if serial else [one for one in found if not one.fake]
    told = ", ".join(f"{one.serial} ({one.model})" for one in found if not one.fake) or "none"
    if not fit:
        wanted = f"camera: there is no camera {serial!r}" if serial else "camera: there is none"
        raise InputError(f"{wanted}; found: {told}; check its cable and the rights to use it")
    if len(fit) > 1:
        raise InputError(f"camera: there are {len(fit)}, {told}; name one by its serial")
    return fit[0]
