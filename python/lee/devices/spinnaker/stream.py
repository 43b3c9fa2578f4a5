"""One acquisition through PySpin: frames copied out of the driver's buffers, in their order."""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from math import nan

import numpy as np

from lee.devices.faults import DeviceLost
from lee.devices.frame_ids import IdCounter
from lee.devices.protocols import CameraFrame, Counts
from lee.devices.spinnaker.library import Nodes, message_of, raise_meaning, timed_out
from lee.devices.spinnaker.pyspin import CameraPtr, ImagePtr, PySpin

# By the library's version; the later one also counts frames lost in transfer.
_LOST, _UNDERRUN, _WAITING = "StreamLostFrameCount", "StreamBufferUnderrunCount", "StreamOutputBufferCount"


class SpinnakerStream:
    """The frames of one acquisition.

    Parameters
    ----------
    module : module
        The vendor's.
    camera : CameraPtr
        Set up. The stream begins its acquisition and ends it.
    stream_nodes : Nodes
        Of its stream.
    shape : (height, width), px
    dtype : dtype
    buffers : int
        Frames that the driver holds.
    ids : IdCounter
    chunks : bool
        Frames carry the camera's own id and time with them.
    """

    def __init__(
        self,
        module: PySpin,
        camera: CameraPtr,
        stream_nodes: Nodes,
        *,
        shape: tuple[int, int],
        dtype: np.dtype[np.uint8] | np.dtype[np.uint16],
        buffers: int,
        ids: IdCounter,
        chunks: bool,
    ) -> None:
        self._error: type[Exception] = module.SpinnakerException
        self._camera: CameraPtr | None = camera
        self._nodes = stream_nodes
        del camera  # which this frame would keep as long as an error
        self._shape, self._dtype, self._buffers = shape, dtype, buffers
        self._ids, self._chunks = ids, chunks
        self._behind = 0  # how far the camera's own ids are ahead of those of the transport
        self._kept: deque[CameraFrame] = deque()
        self._streams = True
        try:
            self._camera.BeginAcquisition()
        except self._error as error:
            self._camera = None
            raise_meaning(error, "BeginAcquisition")
        self._missed = self._counted()

    def next_frame(self, timeout_s: float) -> CameraFrame | None:
        """Wait for the oldest frame; None where none came."""
        if self._kept:
            return self._kept.popleft()
        return self._taken(timeout_s) if self._streams else None

    def overrun(self) -> bool:
        """Whether frames found no buffer since this was last asked."""
        if not self._streams:
            return False
        missed, before = self._counted(), self._missed
        self._missed = missed
        waiting = self._nodes.number(_WAITING)
        # Frames lost in transfer count too, and show in the ids; only a full queue lacks buffers.
        full = waiting is None or waiting >= self._buffers // 2
        return missed > before and full

    def settle(self, quiet_s: float, *, max_s: float) -> None:
        """Take frames that wait or are on their way, before `finish`: ending an acquisition drops them."""
        waiting = self._nodes.number(_WAITING)
        for _ in range(self._buffers if waiting is None else int(waiting)):
            if not self._keep(0.0):
                break
        end = time.monotonic() + max_s
        while time.monotonic() < end and self._keep(quiet_s):
            pass

    def finish(self) -> None:
        """End the acquisition; frames that were settled can still be had."""
        self._streams = False
        camera, self._camera = self._camera, None
        if camera is not None:
            with suppress(self._error):  # of a camera that is lost
                camera.EndAcquisition()

    def close(self) -> None:
        """End the acquisition; its buffers are the driver's."""
        self.finish()

    def _counted(self) -> float:
        for name in (_LOST, _UNDERRUN):
            count = self._nodes.number(name)
            if count is not None:
                return count
        return 0.0

    def _keep(self, timeout_s: float) -> bool:
        frame = self._taken(timeout_s)
        if frame is not None:
            self._kept.append(frame)
        return frame is not None

    def _taken(self, timeout_s: float) -> CameraFrame | None:
        assert self._camera is not None
        try:
            image = self._camera.GetNextImage(max(round(timeout_s * 1e3), 0))
        except self._error as error:
            if timed_out(error):
                return None
            raise DeviceLost(
                f"camera: it sends no more frames ({message_of(error)}); check its cable and open it again"
            ) from error
        try:
            return self._frame(image)
        finally:
            image.Release()

    def _frame(self, image: ImagePtr) -> CameraFrame:
        raw, nanoseconds = int(image.GetFrameID()), int(image.GetTimeStamp())
        complete = not image.IsIncomplete()
        try:
            if self._chunks and complete:
                chunk = image.GetChunkData()
                own, nanoseconds = int(chunk.GetFrameID()), int(chunk.GetTimestamp())
                self._behind = own - raw
            seen = np.array(image.GetNDArray())
        except self._error:  # parts of it did not come
            complete, seen = False, np.zeros(self._shape, self._dtype)
        if seen.shape != self._shape or seen.dtype != self._dtype:
            complete, seen = False, self._fitted(seen)
        frame_id = self._ids(raw + self._behind)
        return CameraFrame(seen, frame_id, nanoseconds * 1e-9 if nanoseconds else nan, complete)

    def _fitted(self, seen: Counts) -> Counts:
        """Give an image of another shape the one that was asked for."""
        image = np.zeros(self._shape, self._dtype)
        if seen.ndim == 2:
            tall, wide = np.minimum(seen.shape, self._shape)
            image[:tall, :wide] = seen[:tall, :wide]
        return image
