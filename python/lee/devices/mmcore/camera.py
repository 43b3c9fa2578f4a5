"""Cameras of Micro-Manager through its core, free-running."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from math import ceil, inf
from pathlib import Path
from typing import Any

import numpy as np

from lee.devices.faults import DeviceLost
from lee.devices.frame_ids import IdCounter
from lee.devices.mmcore.stream import MmcoreStream, number_of
from lee.devices.mmcore.system import core_errors, device_system, loaded_core, reason_of
from lee.devices.protocols import CameraSettings, Identity
from lee.devices.sensor_region import Region, fitted_region
from lee.devices.streaming_camera import FrameStream, StreamingCamera
from lee.errors import InputError

_QUIET_S, _MAX_QUIET_S = 0.02, 0.1
_ENDLESS = 2**31 - 1  # frames
_RATE_S, _RATE_FRAMES = 1.0, 12
_SERIALS = ("SerialNumber", "Serial Number", "CameraID")


class MmcoreCamera(StreamingCamera):
    """A camera behind an adapter of Micro-Manager; `StreamingCamera`.

    Of the configuration only the camera is loaded, with the hub and port that it is connected by. The times
    of its frames are those of their arrival at the core, less the exposure. A full buffer ends the
    acquisition: the frames in it can still be had, and the next acquisition begins with new ones. Adapters
    share no setting for the rate: it is the one that the exposure leads to, measured when it is set up.

    Parameters
    ----------
    system_file : Path
        A Micro-Manager configuration, ``.cfg``.
    label : str
        The camera's in it; "" for the one that it has as the core's camera.
    adapters : str
        Folder of the device adapters; "" for the one that pymmcore-plus finds.

    Raises
    ------
    MissingDependency
        If pymmcore, or pymmcore-plus where no folder is given, is not installed.
    InputError
        If the file or the folder cannot be used, the camera is not found, or another program holds it.
    """

    _reads_when_lost = True

    def __init__(self, system_file: Path, *, label: str = "", adapters: str = "") -> None:
        super().__init__()
        system = device_system(system_file, label)
        self._label = system.label
        self._module, core = loaded_core(system, adapters)
        self._core: Any = core
        try:
            with core_errors(f"{self._label} as camera"):
                core.setCameraDevice(self._label)
            self._identity = self._identified()
        except InputError:
            self.close()
            raise

    def _configure(self, settings: CameraSettings) -> CameraSettings:
        """Set it up and read back what it applied; `Camera.configure`."""
        if settings.triggered:
            raise InputError(
                "camera: Micro-Manager has no trigger that all cameras share; set triggered to false"
            )
        if settings.gain_db is not None:
            raise InputError(
                "camera: Micro-Manager's cameras have gains of their own units; omit gain_db and set it in "
                "the .cfg file"
            )
        if not 0 < settings.frames_per_s < inf:
            raise InputError(f"camera: frames_per_s {settings.frames_per_s:g} must be above 0")
        self._drop_stream()
        self._settings = None
        core = self._core
        pixel_format = self._set_pixel_format(settings.pixel_format)
        region = self._set_region(settings.region)
        with core_errors(f"exposure_s {settings.exposure_s:g}"):
            core.setExposure(settings.exposure_s * 1e3)
            exposure_s = core.getExposure() * 1e-3
        with core_errors(f"buffers {settings.buffers}"):
            frame_bytes = core.getImageBufferSize()
            core.setCircularBufferMemoryFootprint(ceil(settings.buffers * frame_bytes / 2**20))
            core.initializeCircularBuffer()
            buffers = core.getBufferTotalCapacity()
        self._settings = replace(
            settings,
            exposure_s=exposure_s,
            pixel_format=pixel_format,
            region=region,
            frames_per_s=self._measured_rate() or min(settings.frames_per_s, 1 / max(exposure_s, 1e-6)),
            buffers=buffers,
        )
        return self._settings

    # --- acquisitions; `StreamingCamera` ---

    def _new_ids(self) -> IdCounter:
        return IdCounter(short=False, lowest=0)

    def _begin_stream(self, settings: CameraSettings, region: Region, ids: IdCounter) -> FrameStream:
        with core_errors("the start of frames"):
            # Where a full buffer were emptied instead, the core would count anew and the loss be hidden.
            self._core.startSequenceAcquisition(_ENDLESS, 0.0, True)
        return MmcoreStream(
            self._module,
            self._core,
            shape=region[2:],
            dtype=settings.dtype,
            exposure_s=settings.exposure_s,
            ids=ids,
        )

    def _end_stream(self) -> None:
        self._running = False
        if self._watchdog.lost:
            return
        try:
            self._core.stopSequenceAcquisition()
            with self._guard:
                if self._stream is not None:
                    self._stream.settle(_QUIET_S, max_s=_MAX_QUIET_S)
                    self._stream.finish()
        except RuntimeError as error:
            self._watchdog.lose(f"camera: it does not stop ({reason_of(error)}); open it again")
        except DeviceLost as error:
            self._watchdog.lose(str(error))

    def _release(self) -> None:
        """Stop, and unload every device, so that other programs can have them."""
        self._watchdog.end()
        self._drop_stream()
        with suppress(RuntimeError):
            if self._core.isSequenceRunning():
                self._core.stopSequenceAcquisition()
        with suppress(RuntimeError):
            self._core.unloadAllDevices()

    def _ask(self) -> str | None:
        try:
            running = self._core.isSequenceRunning() or self._core.isBufferOverflowed()
        except RuntimeError as error:
            return f"camera: it does not answer ({reason_of(error)}); check its cable and open it again"
        stopped = "camera: it stopped taking frames by itself; check its cable and open it again"
        return "" if running or not self._running else stopped

    # --- setting up ---

    def _measured_rate(self) -> float:
        """Return the frames/s of a short acquisition; 0 where too few came."""
        core = self._core
        times: list[float | None] = []
        end = time.monotonic() + _RATE_S
        with core_errors("the start of frames"):
            core.startSequenceAcquisition(_RATE_FRAMES, 0.0, True)
            while len(times) < _RATE_FRAMES and time.monotonic() < end:
                if core.getRemainingImageCount():
                    about = self._module.Metadata()
                    core.popNextImageMD(about)
                    times.append(number_of(about, "ElapsedTime-ms"))
                else:
                    time.sleep(0.001)
            core.stopSequenceAcquisition()
        steps_ms = np.diff([value for value in times if value is not None])
        step_ms = float(np.median(steps_ms)) if len(steps_ms) > 1 else 0.0
        return 1e3 / step_ms if step_ms > 0 else 0.0

    def _identified(self) -> Identity:
        core, label = self._core, self._label
        with core_errors(f"the identity of {label}"):
            serials = (core.getProperty(label, key) for key in _SERIALS if core.hasProperty(label, key))
            return Identity(
                core.getDeviceLibrary(label), core.getDeviceName(label), next(filter(None, serials), label)
            )

    def _set_pixel_format(self, asked: str) -> str:
        """Set it by the properties that adapters have in common; return the one that images have."""
        core, label = self._core, self._label
        bits = asked.removeprefix("Mono")
        with core_errors(f"pixel_format {asked!r}"):
            for key, value in (("PixelType", "8bit" if bits == "8" else "16bit"), ("BitDepth", bits)):
                if core.hasProperty(label, key) and value in core.getAllowedPropertyValues(label, key):
                    core.setProperty(label, key, value)
            size, depth = core.getBytesPerPixel(), core.getImageBitDepth()
            grey = core.getNumberOfComponents() == 1
        has = "Mono8" if size == 1 else f"Mono{depth}" if depth in (10, 12) else "Mono16"
        if not grey or size > 2 or has != asked:
            raise InputError(
                f"camera: pixel_format {asked!r} cannot be set; images have {depth} bits in {size} bytes, "
                f"set them up in the .cfg file" + (f' or give "{has}"' if grey and size <= 2 else "")
            )
        return has

    def _set_region(self, asked: Region | None) -> Region:
        core = self._core
        with core_errors(f"region {asked}"):
            core.clearROI()
            sensor = (core.getImageHeight(), core.getImageWidth())
            top, left, height, width = fitted_region(asked, sensor, (1, 1, 1, 1))
            if asked is not None:
                core.setROI(left, top, width, height)
            left, top, width, height = core.getROI()
        return top, left, height, width
