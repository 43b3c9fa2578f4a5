"""GenICam cameras, USB3 Vision and GigE Vision, through Aravis, without their vendors' software."""

from __future__ import annotations

import ctypes
from dataclasses import replace
from math import inf

from lee.devices.aravis.library import Library, library
from lee.devices.aravis.stream import AravisStream, GigeOptions
from lee.devices.faults import DeviceLost
from lee.devices.found_camera import FoundCamera, chosen_camera
from lee.devices.frame_ids import IdCounter
from lee.devices.protocols import CameraSettings, Identity
from lee.devices.sensor_region import Region, fitted_region
from lee.devices.streaming_camera import FrameStream, StreamingCamera, refused_exposure, refused_gain
from lee.errors import InputError

PIXEL_BYTES = {"Mono8": 1, "Mono10": 2, "Mono12": 2, "Mono16": 2}
MAX_BUFFERS = 1000
# On a network, a frame is given up only after a while.
_QUIET_S, _MAX_QUIET_S = {True: 0.12, False: 0.03}, {True: 0.5, False: 0.1}


def found_cameras(*, call: Library | None = None) -> list[FoundCamera]:
    """Look which cameras there are; takes a second where networks are searched."""
    call = call or library()
    call("arv_update_device_list")
    cameras = []
    for k in range(call("arv_get_n_devices")):
        ident, physical, address, model, serial, protocol = (
            call.text(f"arv_get_device_{name}", k)
            for name in ("id", "physical_id", "address", "model", "serial_nbr", "protocol")
        )
        cameras.append(
            FoundCamera(
                serial,
                model,
                tuple(name for name in (ident, serial, physical, address) if name),
                loopback=address.startswith("127."),
                made_up=protocol == "Fake",
            )
        )
    return cameras


class AravisCamera(StreamingCamera):
    """A GenICam camera; `StreamingCamera`.

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

    _reads_when_lost = True

    def __init__(
        self, serial: str = "", *, trigger_line: str = "Line0", gige: GigeOptions | None = None
    ) -> None:
        super().__init__()
        self._call = library()
        if serial.startswith("Fake_"):
            self._call("arv_enable_interface", b"Fake")
            found = FoundCamera(serial, "Fake", (serial,), made_up=True)
        else:
            found = chosen_camera(found_cameras(call=self._call), serial)
        self._line = trigger_line
        self._made_up, self._loopback = found.made_up, found.loopback
        self._camera: int = self._call("arv_camera_new", found.names[0].encode())
        self._gige = (gige or GigeOptions()) if self._call("arv_camera_is_gv_device", self._camera) else None
        try:
            self._device: int = self._call("arv_camera_get_device", self._camera)
            if not self._controls():
                raise InputError(f"camera: another program controls {found.names[0]}; close that one")
            self._identity = self._identified()
        except (InputError, DeviceLost) as error:
            self._watchdog.lose(str(error))
            self.close()
            raise

    def _configure(self, settings: CameraSettings) -> CameraSettings:
        """Set it up and read back what it applied; `Camera.configure`."""
        if not 1 <= settings.buffers <= MAX_BUFFERS:
            raise InputError(f"camera: buffers {settings.buffers} must be in 1 to {MAX_BUFFERS}")
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
            raise refused_exposure(settings.exposure_s, low * 1e-6, high * 1e-6)
        self._call("arv_camera_set_exposure_time", camera, settings.exposure_s * 1e6)
        gain_db = self._set_gain(settings.gain_db)
        rate = self._set_rate(settings.frames_per_s)
        if settings.triggered:
            self._set_trigger()
        self._settings = replace(
            settings,
            exposure_s=self._call("arv_camera_get_exposure_time", camera) * 1e-6,
            pixel_format=self._call.text("arv_camera_get_pixel_format_as_string", camera),
            region=region,
            frames_per_s=rate,
            gain_db=gain_db,
        )
        return self._settings

    def software_trigger(self) -> None:
        """Send a pulse by command, where ``trigger_line`` is "Software"."""
        self._check_answers()
        self._call("arv_camera_software_trigger", self._camera)

    # --- acquisitions; `StreamingCamera` ---

    def _new_ids(self) -> IdCounter:
        return IdCounter(
            short=self._made_up or self._gige is not None,
            lowest=0 if self._gige is None else 1,
            last_raw=self._last_raw,
        )

    def _begin_stream(self, settings: CameraSettings, region: Region, ids: IdCounter) -> FrameStream:
        stream = AravisStream(
            self._call,
            self._camera,
            shape=region[2:],
            pixel_bytes=PIXEL_BYTES[settings.pixel_format],
            buffers=settings.buffers,
            ids=ids,
            gige=self._gige,
            loopback=self._loopback,
        )
        try:
            self._call("arv_camera_start_acquisition", self._camera)
        except (InputError, DeviceLost):
            stream.close()
            raise
        return stream

    def _end_stream(self) -> None:
        try:
            if not self._watchdog.lost:
                self._call("arv_camera_stop_acquisition", self._camera)
        except DeviceLost as error:
            self._watchdog.lose(str(error))
        finally:
            self._running = False
        if self._stream is not None and not self._watchdog.lost:
            gige = self._gige is not None
            self._stream.settle(_QUIET_S[gige], max_s=_MAX_QUIET_S[gige])
            with self._guard:
                self._stream.finish()

    def _release(self) -> None:
        self._watchdog.end()
        self._drop_stream()
        self._call("g_object_unref", self._camera)

    def _ask(self) -> str:
        value = ctypes.c_uint32()
        try:
            self._call("arv_device_read_register", self._device, 0, ctypes.byref(value))
        except DeviceLost as error:
            return str(error)
        except InputError:
            pass  # it answers, though not to this
        return "" if self._controls() else "camera: control of it was lost; check its cable and open it again"

    def _controls(self) -> bool:
        return self._gige is None or bool(self._call("arv_gv_device_is_controller", self._device))

    # --- setting up ---

    def _identified(self) -> Identity:
        versions = (self._text("string", name) for name in (b"DeviceFirmwareVersion", b"DeviceVersion"))
        return Identity(
            self._text("vendor_name"),
            self._text("model_name"),
            self._text("device_serial_number"),
            next(filter(None, versions), ""),
        )

    def _text(self, what: str, *arguments: bytes) -> str:
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
            raise InputError(f"camera: pixel_format {asked!r} is not one of {', '.join(can) or 'grey ones'}")
        self._call("arv_camera_set_pixel_format_from_string", self._camera, asked.encode())

    def _set_region(self, asked: Region | None) -> Region:
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

    def _set_gain(self, asked_db: float | None) -> float | None:
        """Set it where it is asked for; return the one that it has, None where it has none."""
        has = bool(self._call("arv_camera_is_gain_available", self._camera))
        if asked_db is not None:
            low, high = self._call.bounds("arv_camera_get_gain_bounds", self._camera) if has else (0.0, 0.0)
            if not low <= asked_db <= high:
                raise refused_gain(asked_db, low, high)
            if has:
                self._call("arv_camera_set_gain", self._camera, asked_db)
        return float(self._call("arv_camera_get_gain", self._camera)) if has else None

    def _set_rate(self, asked: float) -> float:
        """Set the rate of frames that no pulse triggers; return what the camera can do."""
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
            raise InputError(f"camera: trigger_line {self._line!r} is not one of {', '.join(lines)}")
        # Frame start, rising edge, and every other trigger off.
        self._call("arv_camera_set_trigger", self._camera, self._line.encode())
        # Else a pulse that comes while the frame before is read out makes no frame.
        self._choose("TriggerOverlap", "ReadOut")
