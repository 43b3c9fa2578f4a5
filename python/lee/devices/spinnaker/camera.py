"""FLIR and Teledyne cameras through the vendor's own PySpin."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from math import inf

from lee.devices.faults import DeviceLost
from lee.devices.found_camera import chosen_camera
from lee.devices.frame_ids import IdCounter
from lee.devices.protocols import CameraSettings, Identity
from lee.devices.sensor_region import Region, fitted_region
from lee.devices.spinnaker.library import Nodes, Spinnaker
from lee.devices.spinnaker.pyspin import CameraPtr
from lee.devices.spinnaker.stream import SpinnakerStream
from lee.devices.streaming_camera import FrameStream, StreamingCamera, refused_exposure, refused_gain
from lee.errors import InputError

# Formats used for the requested one, the first that the camera has; packed ones would need unpacking.
TAKEN_FOR = {
    "Mono8": ("Mono8",),
    "Mono10": ("Mono10", "Mono16"),
    "Mono12": ("Mono12", "Mono16"),
    "Mono16": ("Mono16",),
}
_QUIET_S, _MAX_QUIET_S = 0.03, 0.1
_RATE_SWITCHES = ("AcquisitionFrameRateEnable", "AcquisitionFrameRateEnabled")


class SpinnakerCamera(StreamingCamera):
    """A camera behind the vendor's library; `StreamingCamera`.

    Its ids and times are the camera's own where frames carry them with them, else those of the transport. Of
    an incomplete frame, the missing part shows whatever the driver's buffer held.

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
        super().__init__()
        self._library = Spinnaker()
        self._line = trigger_line
        self._chunks = False
        self._camera: CameraPtr | None = None
        try:
            found = chosen_camera(self._library.found(), serial)
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

    def _configure(self, settings: CameraSettings) -> CameraSettings:
        """Set it up and read back what it applied; `Camera.configure`.

        Where it has Mono10 or Mono12 only packed, Mono16 is applied, as the returned settings state.
        """
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
        gain_db = self._set_gain(settings.gain_db)
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
            gain_db=gain_db,
        )
        return self._settings

    def software_trigger(self) -> None:
        """Send a pulse by command, where ``trigger_line`` is "Software"."""
        self._check_answers()
        if not self._nodes.execute("TriggerSoftware"):
            raise InputError('camera: it accepts no software trigger; set trigger_line to "Software"')

    # --- acquisitions; `StreamingCamera` ---

    def _new_ids(self) -> IdCounter:
        by_transport = self._network and not self._chunks
        return IdCounter(short=by_transport, lowest=1 if by_transport else 0, last_raw=self._last_raw)

    def _begin_stream(self, settings: CameraSettings, region: Region, ids: IdCounter) -> FrameStream:
        if self._camera is None:
            raise DeviceLost("camera: it is closed; open it again")
        return SpinnakerStream(
            self._library.module,
            self._camera,
            self._stream_nodes,
            shape=region[2:],
            dtype=settings.dtype,
            buffers=settings.buffers,
            ids=ids,
            chunks=self._chunks,
        )

    def _end_stream(self) -> None:
        with self._guard:
            self._running = False
            if self._stream is None or self._watchdog.lost:
                return
            try:
                self._stream.settle(_QUIET_S, max_s=_MAX_QUIET_S)
            except DeviceLost as error:
                self._watchdog.lose(str(error))
            else:
                self._stream.finish()

    def _release(self) -> None:
        """Drop every pointer to the camera, then the system: it is not released while one is left."""
        self._watchdog.end()
        self._drop_stream()
        if self._camera is not None:
            with suppress(self._library.module.SpinnakerException):
                self._camera.DeInit()
        self._camera = None
        self._library.release()

    def _ask(self) -> str | None:
        try:
            answer = self._nodes.number("Width", fresh=True)
        except (InputError, DeviceLost):
            return None
        return None if answer is None else ""

    # --- setting up ---

    def _set_buffers(self, asked: int) -> int:
        name = "StreamBufferCountManual"
        low, high = self._stream_nodes.bounds(name) or (1, 1000)
        if not 1 <= asked <= high:
            raise InputError(f"camera: buffers {asked} must be in 1 to {high:g}")
        # A full queue must not drop the frames that wait in it.
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
            raise InputError(f"camera: pixel_format {asked!r} is not one of {known}")
        return nodes.text("PixelFormat")

    def _set_region(self, asked: Region | None) -> Region:
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
            raise refused_exposure(asked_s, low * 1e-6, high * 1e-6)
        self._nodes.set_number("ExposureTime", asked_s * 1e6)
        return (self._nodes.number("ExposureTime") or 0.0) * 1e-6

    def _set_gain(self, asked_db: float | None) -> float | None:
        """Set it where it is asked for; return the one that it has, None where it has none."""
        if asked_db is not None:
            low, high = self._nodes.bounds("Gain") or (0.0, 0.0)
            if not low <= asked_db <= high:
                raise refused_gain(asked_db, low, high)
            self._nodes.set_number("Gain", asked_db)
        return self._nodes.number("Gain")

    def _set_rate(self, asked: float, *, free: bool) -> float:
        """Set the rate of frames that no pulse triggers; return what the camera can do."""
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
            raise InputError(f"camera: trigger_line {self._line!r} is not one of {', '.join(lines)}")
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
