"""A stand-in for the vendor's PySpin, put into sys.modules: its names, its errors, and its strictness.

It follows what is published of the library, and refuses what the library refuses. It has no camera's
firmware and no transport in it: docs/rig.md lists what only a real camera can show.
"""
# ruff: noqa: N802  names are the vendor's

import time
import types
from functools import partial

import numpy as np

from tests.support.spinnaker_nodes import NodeMap, SpinnakerException, add_pointers

SENSOR = (48, 64)
READ_OUT_US = 1000.0
TRIGGERS = ("AcquisitionStart", "FrameBurstStart", "FrameStart")


class Device:
    """A camera on its cable, as the library finds it; a test pulses it, pulls it out, loses its frames."""

    def __init__(self, serial, *, model="Blackfly S BFS-U3-51S5M", formats=("Mono8", "Mono16"), chunks=True,
                 network=False, older=False):  # fmt: skip
        self.serial, self.model, self.network = serial, model, network
        self.plugged, self.hangs, self.held_by_another, self.initialised = True, False, False, False
        self.lost, self.incomplete, self.first_id = (), (), 0
        self.streaming, self.begun_s, self.made, self.pulses = False, 0.0, 0, []
        self.queue, self.unreleased, self.missed, self.misuse = [], 0, 0, []
        self.nodes = NodeMap(self)
        self.stream_nodes = NodeMap(self)
        self.tl_nodes = NodeMap(self)
        self._fill(formats, chunks, older)

    def _fill(self, formats, chunks, older):
        add, (tall, wide), value = self.nodes, SENSOR, self.nodes.value
        for name, most in (("HeightMax", tall), ("WidthMax", wide)):
            add.integer(name, most, writable=False)
        for size, offset, most in (("Height", "OffsetY", tall), ("Width", "OffsetX", wide)):
            room_in, left = partial(self._room, most, offset), partial(self._room, most, size)
            add.integer(size, most, low=4, high=room_in, inc=4, writable=self._idle)
            add.integer(offset, 0, high=left, inc=4, writable=self._idle)
        add.text("DeviceFirmwareVersion", "1707.1.2.0")
        add.enum("PixelFormat", ("BayerRG8", *formats, "Mono12p"), writable=self._idle)
        add.enum("AdcBitDepth", ("Bit8", "Bit10", "Bit12"), writable=self._idle)
        add.enum("AcquisitionMode", ("SingleFrame", "MultiFrame", "Continuous"), writable=self._idle)
        for name in ("ExposureAuto", "GainAuto"):
            add.enum(name, ("Continuous", "Once", "Off"))
        add.enum("ExposureMode", ("TriggerWidth", "Timed"))
        add.real("ExposureTime", 5000.0, low=6.0, high=self._longest_us, step=7.0,
                 writable=lambda: value("ExposureAuto") == "Off")  # fmt: skip
        add.real("Gain", 3.0, low=0.0, high=47.0, writable=lambda: value("GainAuto") == "Off")
        if older:
            add.enum("AcquisitionFrameRateAuto", ("Continuous", "Off"))
        self.rate_switch = "AcquisitionFrameRateEnabled" if older else "AcquisitionFrameRateEnable"
        add.switch(self.rate_switch, True)
        add.real("AcquisitionFrameRate", 30.0, low=1.0, high=self._fastest, writable=self._rated)
        add.real("AcquisitionResultingFrameRate", self._rate, writable=False)
        add.enum("TriggerSelector", TRIGGERS)
        add.enum("TriggerMode", ("On", "Off"), by="TriggerSelector")
        for name, entries in (("Source", ("Software", "Line0", "Line2")), ("Overlap", ("Off", "ReadOut")),
                              ("Activation", ("FallingEdge", "RisingEdge"))):  # fmt: skip
            add.enum(f"Trigger{name}", entries, by="TriggerSelector",
                     writable=lambda: value("TriggerMode") == "Off")  # fmt: skip
        add.enum("LineSelector", ("Line0", "Line1", "Line2"))
        add.enum("LineMode", ("Output", "Input"), by="LineSelector")
        add.command("TriggerSoftware", partial(self.pulse, "Software"))
        if chunks:
            add.switch("ChunkModeActive", False, writable=self._idle)
            add.enum("ChunkSelector", ("Image", "CRC", "FrameID", "Timestamp"), writable=self._idle)
            add.switch("ChunkEnable", False, by="ChunkSelector", writable=self._idle)
        stream = self.stream_nodes
        stream.enum("StreamBufferHandlingMode", ("NewestOnly", "OldestFirst"), writable=self._idle)
        stream.enum("StreamBufferCountMode", ("Auto", "Manual"), writable=self._idle)
        by_hand = lambda: self._idle() and stream.value("StreamBufferCountMode") == "Manual"  # noqa: E731
        stream.integer("StreamBufferCountManual", 10, low=3, high=500, writable=by_hand)
        if older:
            stream.integer("StreamBufferUnderrunCount", self._missed, writable=False)
        else:
            stream.integer("StreamLostFrameCount", self._missed, writable=False)
            stream.integer("StreamOutputBufferCount", self._waiting, writable=False)
        for name, text in (("SerialNumber", self.serial), ("VendorName", "FLIR"), ("ModelName", self.model)):
            self.tl_nodes.text(f"Device{name}", text)
        self.tl_nodes.enum("DeviceType", ("GigEVision" if self.network else "USB3Vision",))

    def _idle(self):
        return not self.streaming

    def _room(self, most, other):
        return most - self.nodes.value(other)

    def _rated(self):
        return (
            self.nodes.value(self.rate_switch) and self.nodes.value_of("TriggerMode", "FrameStart") == "Off"
        )

    def _fastest(self):
        return 1e6 / (self.nodes.value("ExposureTime") + READ_OUT_US)

    def _longest_us(self):
        return 1e6 / self.nodes.value("AcquisitionFrameRate") if self._rated() else 30e6

    def _rate(self):
        return self.nodes.value("AcquisitionFrameRate") if self._rated() else self._fastest()

    def _missed(self):
        self.advanced()
        return self.missed

    def _waiting(self):
        self.advanced()
        return len(self.queue)

    # --- what a test does to it ---

    def pulse(self, line="Line0"):
        """Send a pulse on a line."""
        trigger = [
            self.nodes.value_of(f"Trigger{name}", "FrameStart") for name in ("Mode", "Source", "Activation")
        ]
        if self.streaming and trigger == ["On", line, "RisingEdge"]:
            self.pulses.append(time.monotonic())

    def unplug(self):
        self.advanced()
        self.plugged = False

    # --- what the library does with it ---

    def check(self):
        """Refuse as it does where nothing answers."""
        if self.hangs:
            time.sleep(self.hangs)
        if not self.plugged:
            raise SpinnakerException("Camera has been removed from the list and is no longer valid.", -1002)

    def begin(self):
        self.streaming, self.begun_s, self.made = True, time.monotonic(), 0
        self.pulses, self.queue, self.missed = [], [], 0

    def advanced(self):
        """Do all that happened up to now."""
        modes = [self.nodes.value_of("TriggerMode", trigger) for trigger in TRIGGERS]
        if not (self.streaming and self.plugged) or "On" in modes[:2]:
            return
        now = time.monotonic()
        times = self.pulses
        if modes[2] == "Off":
            rate = self._rate()
            times = [self.begun_s + k / rate for k in range(int((now - self.begun_s) * rate) + 1)]
        if self.nodes.value("AcquisitionMode") != "Continuous":
            times = times[:1]
        ready_s = (self.nodes.value("ExposureTime") + READ_OUT_US) * 1e-6
        while self.made < len(times) and times[self.made] + ready_s <= now:
            self._arrives(self.made, times[self.made])
            self.made += 1

    def _arrives(self, number, began_s):
        stream = self.stream_nodes.value
        if stream("StreamBufferHandlingMode") != "OldestFirst":
            self.queue.clear()
        # The library's later count holds those lost on the way, too.
        if number in self.lost or len(self.queue) + self.unreleased >= stream("StreamBufferCountManual"):
            self.missed += 1
        else:
            self.queue.append((number, began_s))


class Image:
    def __init__(self, device, number, began_s):
        self._device, self._number, self._released = device, number, False
        self._ns = round(began_s * 1e9)
        nodes = device.nodes
        shape = (nodes.value("Height"), nodes.value("Width"))
        deep = nodes.value("PixelFormat") != "Mono8"
        self._buffer = np.full(shape, number % 200 + 1, np.uint16 if deep else np.uint8)
        self._incomplete = number in device.incomplete
        if self._incomplete:
            self._buffer[shape[0] // 2 :] = 0
        self._chunked = bool(device.nodes.has("ChunkModeActive") and nodes.value("ChunkModeActive"))
        device.unreleased += 1

    def _alive(self):
        if self._released:
            self._device.misuse.append("an image was used after Release")
            raise SpinnakerException("Image has been released.", -1013)

    def IsIncomplete(self):
        self._alive()
        return self._incomplete

    def GetFrameID(self):
        self._alive()
        raw = self._number + self._device.first_id
        return raw % 65535 + 1 if self._device.network else raw

    def GetTimeStamp(self):
        self._alive()
        return self._ns

    def GetNDArray(self):
        self._alive()
        return self._buffer

    def GetChunkData(self):
        self._alive()
        nodes = self._device.nodes
        if not self._chunked or self._incomplete:
            raise SpinnakerException("Image does not contain chunk data.", -1018)
        asked = {name: nodes.value_of("ChunkEnable", name) for name in ("FrameID", "Timestamp")}
        chunk = types.SimpleNamespace()
        chunk.GetFrameID = lambda: self._number if asked["FrameID"] else 0
        chunk.GetTimestamp = lambda: self._ns if asked["Timestamp"] else 0
        return chunk

    def Release(self):
        self._alive()
        self._released = True
        self._device.unreleased -= 1
        self._buffer[:] = 0xEE  # the next frame's


class System:
    """The one system, and which pointers are out."""

    pointers = 0
    instances = 0
    lists = 0
    devices = ()
    misuse: list[str]

    @classmethod
    def GetInstance(cls):
        cls.instances += 1
        return cls()

    def GetCameras(self):
        return CameraList([one for one in System.devices if one.plugged])

    def ReleaseInstance(self):
        if System.pointers or System.lists:
            System.misuse.append(f"released with {System.pointers} pointers, {System.lists} lists")
            raise SpinnakerException(
                "Can't clear a camera because something still holds a reference to the camera", -1004
            )
        System.instances = 0


class CameraList:
    def __init__(self, devices):
        self._devices = devices
        System.lists += 1

    def GetSize(self):
        return len(self._devices)

    def GetByIndex(self, index):
        return CameraPtr(self._devices[index])

    def GetBySerial(self, serial):
        return CameraPtr(next(one for one in self._devices if one.serial == serial))

    def Clear(self):
        self._devices = []
        System.lists -= 1


class CameraPtr:
    def __init__(self, device):
        self._device = device
        System.pointers += 1

    def __del__(self):
        System.pointers -= 1

    def GetTLDeviceNodeMap(self):
        return self._device.tl_nodes

    def Init(self):
        self._device.check()
        if self._device.held_by_another:
            raise SpinnakerException("Access denied.", -1005)
        self._device.initialised = True

    def DeInit(self):
        if self._device.streaming:
            self._device.misuse.append("DeInit while streaming")
            raise SpinnakerException("Can't de-initialize camera. Camera is still streaming.", -1004)
        self._device.initialised = False

    def _map(self, nodes):
        if not self._device.initialised:
            raise SpinnakerException("Camera is not initialized.", -1002)
        return nodes

    def GetNodeMap(self):
        return self._map(self._device.nodes)

    def GetTLStreamNodeMap(self):
        return self._map(self._device.stream_nodes)

    def BeginAcquisition(self):
        self._device.check()
        if self._device.streaming:
            raise SpinnakerException("Camera is already streaming.", -1004)
        self._device.begin()

    def EndAcquisition(self):
        device = self._device
        if not device.streaming:
            raise SpinnakerException("Camera is not streaming.", -1010)
        if device.unreleased:
            device.misuse.append("EndAcquisition with images that were not released")
        device.streaming, device.queue = False, []
        device.check()

    def GetNextImage(self, timeout_ms, stream=0):
        if not isinstance(timeout_ms, int):
            raise TypeError("in method 'GetNextImage', argument 2 of type 'uint64_t'")
        device, end = self._device, time.monotonic() + timeout_ms * 1e-3
        while True:
            if not device.streaming:
                raise SpinnakerException("Camera is not streaming", -1010)
            if not device.plugged:
                raise SpinnakerException("Stream has been aborted.", -1012)
            device.advanced()
            if device.queue:
                return Image(device, *device.queue.pop(0))
            if time.monotonic() >= end:
                raise SpinnakerException("Failed waiting for EventData on NEW_BUFFER_DATA event.", -1011)
            time.sleep(0.001)


def stand_in(*devices):
    """Make the module, with these cameras on their cables."""
    module = types.ModuleType("PySpin")
    System.devices, System.pointers, System.instances, System.lists = devices, 0, 0, 0
    System.misuse = []
    module.System, module.CameraPtr, module.SpinnakerException = System, CameraPtr, SpinnakerException
    add_pointers(module)
    return module
