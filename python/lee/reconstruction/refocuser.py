"""A scan becomes a measured surface while its frames arrive."""

from __future__ import annotations

import warnings
from collections import deque
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import DeviceMemoryError, InputError
from lee.kernels import cuda_arrays
from lee.kernels.backend import Device, instruction_set, resolve_device
from lee.reconstruction.focus.measure import FocusSearch, SearchOptions
from lee.reconstruction.focus.registry import focus_measure
from lee.reconstruction.lamp_flicker import without_flicker
from lee.reconstruction.parameters import MIN_DRIFT_PX, RIG_DEPTH_OF_FIELD_UM, ReconstructParams
from lee.reconstruction.saturation import SATURATED_SHARE, full_scale
from lee.surfaces.provenance import ComputeDevice, DepthOfField, Provenance, RejectedFrame

if TYPE_CHECKING:
    from lee.reconstruction.frame_rejection import Verdict
    from lee.reconstruction.occlusion.candidates import Candidates
    from lee.reconstruction.target import Target
    from lee.stacks.grey import Frame
    from lee.surfaces.surface import Surface

# Finest window where no target is given.
_WINDOW_PX = (5, 5)
# Frames between two estimates of the drift while a scan runs.
_DRIFT_EVERY = 6
# Numbers of frames in a warning; provenance has them all.
_SHOWN_FRAMES = 10


class Refocuser:
    """Reconstruct a scan while its frames arrive; memory does not grow with their number.

    Parameters
    ----------
    shape : (H, W)
        Of the frames.
    pixel_um : float
        Edge of a pixel in the plane of the sample, µm.
    params : ReconstructParams, optional
        Without `depth_of_field_um`, that of a 20×, NA 0.5 water objective is assumed: 3.5 µm.
    device : {"cpu", "cuda", "auto"}
        Where the kernels run. "auto" takes a CUDA device where one is usable, and the processor, with a
        warning, if the device's memory does not suffice for the first frame.
    target : Target, optional
        Shape and size of the structure of interest; sets the finest window.

    Attributes
    ----------
    near_occlusions : Candidates or None
        After `finish`: what a second look may find near occlusions; None where there were none.
    lamp_factors : list of float
        By how much the lamp made each frame that was judged brighter than usual.

    Raises
    ------
    InputError
        If an argument cannot be used.
    DeviceError
        If `device` is "cuda" and no CUDA device is usable, or it fails.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        *,
        pixel_um: float,
        params: ReconstructParams | None = None,
        device: str = "cpu",
        target: Target | None = None,
    ) -> None:
        from lee.reconstruction.frame_rejection import FrameRejection
        from lee.reconstruction.motion.robust_drift import RobustDriftTracker

        if len(shape) != 2 or min(shape) < 1:
            raise InputError(f"refocuser: shape is {tuple(shape)}; give the frames' (height, width)")
        if not (np.isfinite(pixel_um) and pixel_um > 0):
            raise InputError(f"refocuser: pixel_um is {pixel_um}; give the size of a pixel in µm, above 0")
        self._params = params or ReconstructParams()
        self._measure = focus_measure(self._params.focus)
        self._device = device_for(self._params.focus, device)
        self._may_fall_back = device == "auto"
        self._shape = (int(shape[0]), int(shape[1]))
        self._pixel_um = float(pixel_um)
        self._depth_um = self._params.depth_of_field_um or RIG_DEPTH_OF_FIELD_UM
        if target is not None and not self._measure.takes_target:
            raise InputError(
                f"target: the focus measure {self._measure.name!r} takes none; give no target, or use "
                "focus='variance'"
            )
        self._window = _window(target, self._shape)
        self._search = self._new_search()
        self._rejection = FrameRejection() if self._params.reject_frames else None
        track = self._params.drift and min(self._shape) >= MIN_DRIFT_PX
        self._tracker = RobustDriftTracker(self._shape) if track else None
        self._drift_every = self._params.drift_every or _DRIFT_EVERY
        self._waiting: deque[tuple[Frame, float, tuple[float, float] | None]] = deque()
        self._judged = 0
        self._used_z: list[float] = []
        self._used_drift: list[tuple[float, float]] = []
        self._drift = (0.0, 0.0)
        self._drift_of_frames: list[tuple[float, float]] = []
        self._rejected: list[RejectedFrame] = []
        self._dtype: np.dtype[np.generic] | None = None
        self._full_scale = 0
        self._finished = False
        self.near_occlusions: Candidates | None = None
        self.lamp_factors: list[float] = []

    def push(self, frame: ArrayLike, z_um: float, *, drift_px: tuple[float, float] | None = None) -> None:
        """Take the next frame.

        Parameters
        ----------
        frame : (H, W) uint8, uint16 or float32, counts
            Copied, so the camera may reuse its buffer. With ``device="cuda"`` also a CUDA array, which stays
            on the device; since frames are judged, and drift is estimated, on the processor, `params` must
            then have ``reject_frames=False``, and ``drift=False`` unless `drift_px` is given.
        z_um : float, µm
            Height of the plane the frame focuses on: rises or falls strictly throughout the scan, in steps
            of any size.
        drift_px : (dy, dx), pixels, optional
            Displacement of the scene in this frame, if it is known better than from the frames themselves.

        Raises
        ------
        InputError
            If shape or type differ from the frames before, or `z_um` is not finite or reverses.
        """
        if self._finished:
            raise InputError("refocuser: the scan is finished; start a new Refocuser for the next one")
        image = self._checked(frame, drift_px)
        z = float(z_um)
        if not np.isfinite(z):
            frame_number = self._judged + len(self._waiting)
            raise InputError(f"refocuser: z_um of frame {frame_number} is {z}; give a height")
        if self._rejection is None:
            self._use(image, z, drift_px)
            return
        kept = image.copy()
        self._waiting.append((kept, z, drift_px))
        self._settle(self._rejection.push(kept))

    def preview(self) -> NDArray[np.float32]:
        """Return the heights so far, (H, W) float32 µm; NaN where nothing has come into focus yet."""
        return np.asarray(self._search.preview())

    def finish(self) -> Surface:
        """End the scan and return its surface.

        Raises
        ------
        InputError
            If fewer than three frames were usable.
        """
        if self._rejection is not None and not self._finished:
            self._settle(self._rejection.finish())
            self._warn_of_repeated(self._rejection.repeated_frames)
        self._finished = True
        used = len(self._used_z)
        if used < 3:
            first = self._rejected[0] if self._rejected else None
            reason = f"; frame {first.frame}: {first.reason}" if first else ""
            raise InputError(
                f"{used} of {self._judged} frames can be used, but a focus needs at least 3{reason}; "
                "look at the frames, or keep them all (reject_frames=False)"
            )
        from lee.reconstruction.assembly import assemble_surface
        from lee.reconstruction.motion.vibration import vibration_warning

        vibration = None if self._tracker is None else self._tracker.vibration_px()
        if vibration:
            warnings.warn(vibration_warning(vibration), stacklevel=2)

        depth_source = "assumed" if self._params.depth_of_field_um is None else "given"
        provenance = Provenance(
            parameters=asdict(self._params),
            depth_of_field=DepthOfField(self._depth_um, depth_source),
            device=ComputeDevice(**asdict(self._device)),
            window_px=self._window if self._measure.takes_target else None,
            frame_dtype=str(self._dtype),
            frames=self._judged,
            frames_used=used,
            z_range_um=(min(self._used_z), max(self._used_z)),
            rejected_frames=self._rejected,
            drift_px=np.array(self._drift_of_frames),
            instruction_set=instruction_set(),
            vibration_px=None if vibration is None else round(vibration, 3),
            flicker_percent=None if self._rejection is None else round(self._rejection.flicker_percent, 2),
        )
        surface, self.near_occlusions = assemble_surface(
            self._search,
            z_um=np.array(self._used_z),
            drift_px=np.array(self._used_drift),
            depth_um=self._depth_um,
            pixel_um=self._pixel_um,
            provenance=provenance,
        )
        return surface

    @property
    def state_bytes_per_pixel(self) -> float:
        """Memory held for each pixel, bytes, whatever the number of frames."""
        return float(self._search.state_bytes_per_pixel)

    def _new_search(self) -> FocusSearch:
        options = SearchOptions(
            shape=self._shape,
            depth_of_field_um=self._depth_um,
            window_px=self._window,
            threads=self._params.threads,
            device=self._device.kind,
        )
        try:
            return self._measure.search(options)
        except DeviceMemoryError as error:
            self._fall_back(error)
            return self._measure.search(replace(options, device=self._device.kind))

    def _fall_back(self, error: DeviceMemoryError) -> None:
        if not self._may_fall_back:
            raise error
        self._device = fall_back_to_the_processor(error)

    def _on_device(self, frame: ArrayLike, drift: tuple[float, float] | None) -> Frame:
        if self._device.kind != "cuda":
            raise InputError(
                "refocuser: frame is on a CUDA device, this refocuser works on the processor; make it with "
                "device='cuda', or copy the frame"
            )
        if self._rejection is not None or (self._tracker is not None and drift is None):
            raise InputError(
                "refocuser: frames on a CUDA device are not judged, nor is their drift estimated; give "
                "ReconstructParams(reject_frames=False, drift=False), or copy the frame"
            )
        # An array of CuPy, which behaves like NumPy's here.
        image: Frame = cuda_arrays.as_cuda(
            frame, "refocuser", "frame", dtypes=("uint8", "uint16", "float32"), dimensions=(2,)
        )
        return image

    def _checked(self, frame: ArrayLike, drift: tuple[float, float] | None) -> Frame:
        on_device = cuda_arrays.is_cuda(frame)
        image = self._on_device(frame, drift) if on_device else np.asarray(frame)
        if image.shape in ((*self._shape, 3), (*self._shape, 4)):
            raise InputError(
                f"refocuser: frame is {image.shape}, in colour; give its luminance, or the whole stack to "
                "lee.reconstruct, which keeps the colour"
            )
        if image.shape != self._shape:
            raise InputError(f"refocuser: frame is {image.shape}, expected {self._shape}")
        if image.dtype not in (np.uint8, np.uint16):
            if image.dtype.kind not in "fiub":
                raise InputError(f"refocuser: frame holds {image.dtype}; give uint8, uint16 or float32")
            image = image.astype(np.float32)
        if self._dtype is None:
            self._dtype = image.dtype
        if image.dtype != self._dtype:
            raise InputError(f"refocuser: frame is {image.dtype}, the scan began with {self._dtype}")
        return image if on_device else np.ascontiguousarray(image)

    def _settle(self, verdicts: list[Verdict]) -> None:
        for verdict in verdicts:
            image, z, drift = self._waiting.popleft()
            self.lamp_factors.append(verdict.factor)
            if verdict.reason is None:
                self._use(without_flicker(image, verdict.factor, full=self._full_scale), z, drift)
            else:
                self._rejected.append(RejectedFrame(self._judged, z, verdict.reason))
                self._drift_of_frames.append(self._drift if drift is None else drift)
                self._judged += 1

    def _warn_of_repeated(self, frames: list[int]) -> None:
        if frames:
            numbers = ", ".join(map(str, frames[:_SHOWN_FRAMES])) + (", …" if frames[_SHOWN_FRAMES:] else "")
            plural = "s" if frames[1:] else ""
            warnings.warn(
                f"{len(frames)} frame{plural} ({numbers}) bit-equal to the one before: delivered twice, left "
                "out; check camera and recording for lost frames",
                stacklevel=3,
            )

    def _use(self, image: Frame, z: float, drift: tuple[float, float] | None) -> None:
        if drift is not None:
            self._drift = drift
        elif self._tracker is not None and len(self._used_z) % self._drift_every == 0:
            self._drift = self._tracker.update(image, z)
        if len(self._used_z) % _DRIFT_EVERY == 0:
            self._watch_saturation(image)
        try:
            self._search.push(image, z, *self._drift)
        except DeviceMemoryError as error:
            if self._used_z or cuda_arrays.is_cuda(image):
                raise
            self._fall_back(error)
            self._search = self._new_search()
            if self._full_scale:
                self._search.saturate_at(SATURATED_SHARE * self._full_scale)
            self._search.push(image, z, *self._drift)
        except ValueError as error:
            raise InputError(str(error)) from None
        self._used_z.append(z)
        self._used_drift.append(self._drift)
        self._drift_of_frames.append(self._drift)
        self._judged += 1

    def _watch_saturation(self, image: Frame) -> None:
        """Set the count at which pixels saturate: full scale of the fewest bits that hold all counts."""
        if image.dtype.kind != "u":
            return
        # Reading a frame on the device would wait for it.
        highest = 2 ** (8 * image.itemsize) - 1 if cuda_arrays.is_cuda(image) else int(image.max())
        if full_scale(highest) > self._full_scale:
            self._full_scale = full_scale(highest)
            self._search.saturate_at(SATURATED_SHARE * self._full_scale)


def device_for(focus: str, device: str) -> Device:
    """Resolve the device for a focus measure; "auto" is the processor for one that runs nowhere else.

    Raises
    ------
    InputError
        If the focus measure does not run there.
    DeviceError
        If `device` is "cuda" and no CUDA device is usable.
    """
    kinds = focus_measure(focus).devices
    if device == "auto" and "cuda" not in kinds:
        return replace(resolve_device("cpu"), reason=f"focus measure {focus!r} runs on the processor only")
    where = resolve_device(device)
    if where.kind not in kinds:
        raise InputError(f"focus is {focus!r}, which runs on the processor; give device='cpu' or 'auto'")
    return where


def fall_back_to_the_processor(error: DeviceMemoryError) -> Device:
    """Choose the processor after the CUDA device had too little memory, with a warning."""
    reason = f"the CUDA device's memory did not suffice: {error}"
    warnings.warn(f"{reason}; working on the processor", stacklevel=3)
    return replace(resolve_device("cpu"), reason=reason)


def _window(target: Target | None, shape: tuple[int, int]) -> tuple[int, int]:
    if target is None:
        return _WINDOW_PX
    if max(target.size_px[0] - shape[0], target.size_px[1] - shape[1]) > 0:
        raise InputError(
            f"target: {target.size_px[0]:g}×{target.size_px[1]:g} pixels do not fit into the frame, "
            f"{shape[0]}×{shape[1]}; give a smaller one"
        )
    return target.window_px()
