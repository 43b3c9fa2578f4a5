"""One acquisition through Aravis: a bounded pool of buffers, and frames copied out of it."""

from __future__ import annotations

import ctypes
import os
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from math import nan

import numpy as np

from lee.devices.aravis.library import INCOMPLETE, PACKET_SOCKET_DISABLED, SUCCESS, Library
from lee.devices.frame_ids import IdCounter
from lee.devices.protocols import CameraFrame, Counts


@dataclass(frozen=True)
class GigeOptions:
    """How frames come over a network.

    Parameters
    ----------
    packet_socket : bool, optional
        Take packets from below the network stack, which needs permission; by default Aravis tries, but not
        for cameras on this computer itself, from which it sees none.
    socket_buffer_bytes : int
        Size of the network stack's buffer; the system limits it (``net.core.rmem_max``).
    packet_resend : bool
        Ask again for packets that did not come.
    packet_timeout_s, frame_retention_s : float
        After which a packet is asked for again, and a frame given up.
    """

    packet_socket: bool | None = None
    socket_buffer_bytes: int = 16 << 20
    packet_resend: bool = True
    packet_timeout_s: float = 0.02
    frame_retention_s: float = 0.1


class AravisStream:
    """The stream of one acquisition.

    Parameters
    ----------
    library : Library
    camera : int
        Set up.
    shape : (height, width), px
    pixel_bytes : int
    buffers : int
        Frames it may hold, those not yet read included.
    ids : IdCounter
    gige : GigeOptions, optional
        None for a camera that is on no network.
    loopback : bool
        The camera is a program on this computer.
    """

    def __init__(
        self,
        library: Library,
        camera: int,
        *,
        shape: tuple[int, int],
        pixel_bytes: int,
        buffers: int,
        ids: IdCounter,
        gige: GigeOptions | None = None,
        loopback: bool = False,
    ) -> None:
        self._call, self._shape, self._ids = library, shape, ids
        self._dtype = np.dtype(np.uint8 if pixel_bytes == 1 else "<u2")
        self._clear, self._underruns = gige is not None, 0
        self._left: int | None = None  # of a stream that is finished
        if gige is not None:
            below = not loopback if gige.packet_socket is None else gige.packet_socket
            library("arv_camera_gv_set_stream_options", camera, 0 if below else PACKET_SOCKET_DISABLED)
        self._payload: int = library("arv_camera_get_payload", camera)
        self._stream: int | None = library("arv_camera_create_stream", camera, None, None)
        if gige is not None:
            for name, value in (
                ("socket-buffer", 0),
                ("socket-buffer-size", gige.socket_buffer_bytes),
                ("packet-resend", int(gige.packet_resend)),
                ("packet-timeout", round(gige.packet_timeout_s * 1e6)),
                ("frame-retention", round(gige.frame_retention_s * 1e6)),
            ):
                library.set_property(self._held, name, value)
            _widen_socket(library("arv_gv_stream_get_port", self._held), gige.socket_buffer_bytes)
        for _ in range(buffers):
            self._give(library("arv_buffer_new_allocate", self._payload))

    @property
    def _held(self) -> int:
        assert self._stream is not None
        return self._stream

    def next_frame(self, timeout_s: float) -> CameraFrame | None:
        """Wait for the oldest frame; None where none came."""
        deadline = time.monotonic() + timeout_s
        while True:
            left = deadline - time.monotonic()
            if self._left == 0:
                return None
            if left > 0:
                buffer = self._call("arv_stream_timeout_pop_buffer", self._held, round(left * 1e6))
            else:
                buffer = self._call("arv_stream_try_pop_buffer", self._held)
            if not buffer:
                return None
            if self._left is not None:
                self._left -= 1
            try:
                status = self._call("arv_buffer_get_status", buffer)
                if status == SUCCESS or status in INCOMPLETE:
                    return self._frame(buffer, status == SUCCESS)
            finally:
                self._give(buffer)

    def overrun(self) -> bool:
        """Whether frames found no buffer since this was last asked."""
        before, self._underruns = self._underruns, self._statistics()[2]
        return self._underruns > before

    def settle(self, quiet_s: float, *, max_s: float) -> None:
        """Wait for frames that are on their way when the camera has stopped."""
        now = time.monotonic()
        end, quiet_since, seen = now + max_s, now, self._statistics()
        while now < end and now - quiet_since < quiet_s:
            time.sleep(0.005)
            now, counts = time.monotonic(), self._statistics()
            if counts != seen:
                seen, quiet_since = counts, now

    def finish(self) -> None:
        """Take no more frames than have arrived."""
        self._left = self._call.ints("arv_stream_get_n_buffers", self._held, 2)[1]

    def close(self) -> None:
        """Release the stream and its buffers."""
        stream, self._stream = self._stream, None
        if stream is not None:
            self._call("g_object_unref", stream)

    def _statistics(self) -> tuple[int, int, int]:
        """Count buffers completed, buffers failed, and frames for which there was none."""
        counts = [ctypes.c_uint64() for _ in range(3)]
        self._call("arv_stream_get_statistics", self._held, *map(ctypes.byref, counts))
        return counts[0].value, counts[1].value, counts[2].value

    def _give(self, buffer: int) -> None:
        # Where packets are missing, a frame would show the id, time and image of an earlier one.
        self._call("arv_buffer_set_frame_id", buffer, 0)
        self._call("arv_buffer_set_timestamp", buffer, 0)
        if self._clear:
            ctypes.memset(self._data("arv_buffer_get_data", buffer)[0], 0, self._payload)
        self._call("arv_stream_push_buffer", self._held, buffer)

    def _data(self, name: str, buffer: int) -> tuple[int, int]:
        """Return the address of data, and how many bytes arrived."""
        size = ctypes.c_size_t()
        data = self._call(name, buffer, ctypes.byref(size))
        return data or 0, size.value

    def _frame(self, buffer: int, complete: bool) -> CameraFrame:
        frame_id = self._ids(self._call("arv_buffer_get_frame_id", buffer))
        nanoseconds = self._call("arv_buffer_get_timestamp", buffer)
        image = self._whole(buffer) if complete else None
        complete = image is not None
        if image is None:
            image = self._part(buffer)
        return CameraFrame(image, frame_id, nanoseconds * 1e-9 if nanoseconds else nan, complete)

    def _whole(self, buffer: int) -> Counts | None:
        """Copy the image out of its buffer; None where it is not of the shape asked for."""
        pads = (ctypes.c_int(), ctypes.c_int())
        self._call("arv_buffer_get_image_padding", buffer, *map(ctypes.byref, pads))
        data, size = self._data("arv_buffer_get_image_data", buffer)
        tall, wide = shape = (
            self._call("arv_buffer_get_image_height", buffer),
            self._call("arv_buffer_get_image_width", buffer),
        )
        row_bytes = wide * self._dtype.itemsize + pads[0].value
        if shape != self._shape or not data or size < tall * row_bytes - pads[0].value:
            return None
        held = memoryview((ctypes.c_uint8 * size).from_address(data))
        strides = (row_bytes, self._dtype.itemsize)
        seen: Counts = np.ndarray(shape, self._dtype, buffer=held, strides=strides)
        return seen.copy()

    def _part(self, buffer: int) -> Counts:
        """Copy the part of an image that arrived; Aravis reports neither its place nor its size."""
        image = np.zeros(self._shape, self._dtype)
        data, _ = self._data("arv_buffer_get_data", buffer)
        ctypes.memmove(image.ctypes.data, data, min(self._payload, image.nbytes))
        return image


def _widen_socket(port: int, size: int) -> None:
    """Set the buffer size of the socket at a port; Aravis does so only when the first frame is half lost."""
    with suppress(OSError):  # where there is no /proc
        for name in os.listdir("/proc/self/fd"):
            # One that is no socket would stay open twice.
            with suppress(OSError):
                if not os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                    continue
            with suppress(OSError), socket.fromfd(int(name), socket.AF_INET, socket.SOCK_DGRAM) as held:
                if held.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) != socket.SOCK_DGRAM:
                    continue
                where = held.getsockname()
                if isinstance(where, tuple) and where[1:2] == (port,):
                    held.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
