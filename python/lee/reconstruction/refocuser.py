"""A scan becomes a measured surface while its frames arrive."""

from __future__ import annotations

import warnings
from collections import deque
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import DeviceMemoryError, InputError
from lee.kernels import cuda_arrays
from lee.kernels.backend import Device, instruction_set, resolve_device
from lee.kernels.refocuser import new_refocuser
from lee.reconstruction.full_scale import SATURATED_SHARE, full_scale

if TYPE_CHECKING:
    from lee.reconstruction.target import Target
    from lee.surfaces.surface import Surface

# Focus curve of a 20x, NA 0.5 objective in water: used where a stack is not there to be measured.
RIG_DEPTH_OF_FIELD_UM = 3.5
_DETAIL_PX = 5
_WINDOW_PX = (5, 5)
# Frames between two looks at the drift while a scan runs.
_DRIFT_EVERY = 6
# Smaller frames hold too little to find drift in.
LEAST_DRIFT_PX = 64


@dataclass(frozen=True)
class ReconstructParams:
    """How a surface is reconstructed; the defaults serve any scan.

    Parameters
    ----------
    focus : {"variance", "wavelet"}
        Focus measure: the normalised variance (Sun, Duthaler, Nelson 2004) carried on to the gradient's
        tensor, as ``lee/refocuser.hpp`` defines it, or complex wavelets (Forster et al. 2004).
    drift : bool
        Take out the lateral drift inside the scan.
    reject_frames : bool
        Drop frames ruined by debris or flashes.
    depth_of_field_um : float, um, optional
        Full width at half maximum of the focus curve; measured on the stack when not given.
    threads : int
        0 = all available cores. The result does not depend on it.
    drift_every : int, optional
        Frames from one look at the drift to the next; by default `lee.reconstruct` compares up to 160 frames
        of a scan, and `Refocuser` every sixth.
    """

    focus: Literal["variance", "wavelet"] = "variance"
    drift: bool = True
    reject_frames: bool = True
    depth_of_field_um: float | None = None
    threads: int = 0
    drift_every: int | None = None

    def __post_init__(self) -> None:
        if self.drift_every is not None and self.drift_every < 1:
            raise InputError(f"drift_every is {self.drift_every}; give a number of frames, 1 or more")
        if self.focus not in ("variance", "wavelet"):
            raise InputError(f"focus is {self.focus!r}; give 'variance' or 'wavelet'")
        depth = self.depth_of_field_um
        if depth is not None and not (np.isfinite(depth) and depth > 0):
            raise InputError(f"depth_of_field_um is {depth}; give a length above 0, or None to measure it")
        if self.threads < 0:
            raise InputError(f"threads is {self.threads}; give 0 for all cores, or a count")


class Refocuser:
    """Reconstruct a scan while its frames arrive; memory does not grow with their number.

    Parameters
    ----------
    shape : (H, W)
        Of the frames.
    pixel_um : float
        Edge of a pixel in the plane of the sample, um.
    params : ReconstructParams, optional
        Without `depth_of_field_um`, that of a 20x, NA 0.5 water objective is assumed: 3.5 um.
    device : {"cpu", "cuda", "auto"}
        Where the kernels run. "auto" takes a CUDA device where one is usable, and the processor where it
        turns out at the first frame that the device's memory does not suffice; a warning then says so.
    target : Target, optional
        Shape and size of what is looked at; sets the finest window.

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
        from lee.reconstruction.drift_against_relief import TrustedDrift
        from lee.reconstruction.frame_rejection import FrameGuard

        if len(shape) != 2 or min(shape) < 1:
            raise InputError(f"refocuser: shape is {tuple(shape)}; give the frames' (height, width)")
        if not (np.isfinite(pixel_um) and pixel_um > 0):
            raise InputError(f"refocuser: pixel_um is {pixel_um}; give the size of a pixel in um, above 0")
        self._device = resolve_device(device)
        self._may_fall_back = device == "auto"
        self._params = params or ReconstructParams()
        if self._params.focus != "variance":
            raise InputError("refocuser: only focus='variance' streams; use lee.reconstruct for wavelets")
        self._shape = (int(shape[0]), int(shape[1]))
        self._pixel_um = float(pixel_um)
        self._depth_um = self._params.depth_of_field_um or RIG_DEPTH_OF_FIELD_UM
        self._window = _window(target, self._shape)
        self._core = self._new_core()
        self._guard = FrameGuard() if self._params.reject_frames else None
        follow = self._params.drift and min(self._shape) >= LEAST_DRIFT_PX
        self._tracker = TrustedDrift(self._shape) if follow else None
        self._drift_every = self._params.drift_every or _DRIFT_EVERY
        self._waiting: deque[tuple[NDArray[Any], float, tuple[float, float] | None]] = deque()
        self._judged = 0
        self._used = 0
        self._used_z: list[float] = []
        self._used_drift: list[tuple[float, float]] = []
        self._drift = (0.0, 0.0)
        self._rejected: list[dict[str, Any]] = []
        self._dtype: np.dtype[Any] | None = None
        self._full_scale = 0
        self._finished = False

    def push(self, frame: ArrayLike, z_um: float, *, drift_px: tuple[float, float] | None = None) -> None:
        """Take the next frame.

        Parameters
        ----------
        frame : (H, W) uint8, uint16 or float32, counts
            Copied, so the camera may have its buffer back. With ``device="cuda"`` also a CUDA array, taken
            where it lies; what judges and follows frames works on the processor, so `params` must then have
            ``reject_frames=False``, and ``drift=False`` unless `drift_px` is given.
        z_um : float, um
            Height of the plane the frame focuses on: rises or falls strictly throughout the scan, in steps
            of any size.
        drift_px : (dy, dx), pixels, optional
            Where the frame shows the scene displaced by, if known better than from the frames themselves.

        Raises
        ------
        InputError
            If shape or type differ from the frames before, or `z_um` is not finite or turns back.
        """
        if self._finished:
            raise InputError("refocuser: the scan is finished; start a new Refocuser for the next one")
        image = self._checked(frame, drift_px)
        z = float(z_um)
        if not np.isfinite(z):
            frame_number = self._judged + len(self._waiting)
            raise InputError(f"refocuser: z_um of frame {frame_number} is {z}; give a height")
        if self._guard is None:
            self._use(image, z, drift_px)
            return
        self._waiting.append((image.copy(), z, drift_px))
        self._settle(self._guard.push(image))

    def preview(self) -> NDArray[np.float32]:
        """Return the heights so far, (H, W) float32 um; NaN where nothing has come into focus yet."""
        return np.asarray(self._core.preview())

    def finish(self) -> Surface:
        """End the scan and return its surface.

        Raises
        ------
        InputError
            If fewer than three frames were usable.
        """
        if self._guard is not None and not self._finished:
            self._settle(self._guard.finish())
        self._finished = True
        if self._used < 3:
            first = self._rejected[0] if self._rejected else None
            reason = f"; frame {first['frame']}: {first['reason']}" if first else ""
            raise InputError(
                f"{self._used} usable frames of {self._judged}, but a focus needs at least 3{reason}; "
                "look at the frames, or keep them all (reject_frames=False)"
            )
        height, sigma, sharp = self._core.finish()
        from lee.reconstruction.completion import complete

        return complete(
            height,
            sigma,
            sharp,
            brightness=self._core.brightness(),
            drift=(np.array(self._used_z), np.array(self._used_drift)),
            rests=np.array(self._core.rests),
            maxima=lambda: [self._core.peaks(level) for level in range(min(2, self._core.levels))],
            noise=self._core.noise,
            depth_um=self._depth_um,
            pixel_um=self._pixel_um,
            metadata={
                "parameters": {
                    **asdict(self._params),
                    "depth_of_field_um": self._depth_um,
                    "device": self._device.kind,
                },
                "device": asdict(self._device),
                "window_px": list(self._window),
                "frame_dtype": str(self._dtype),
                "frames": self._judged,
                "frames_used": self._used,
                "z_range_um": [min(self._used_z), max(self._used_z)],
                "rejected_frames": self._rejected,
                "drift_px": list(self._drift),
                "instruction_set": instruction_set(),
            },
        )

    @property
    def state_bytes_per_pixel(self) -> float:
        """Memory held for each pixel, bytes, whatever the number of frames."""
        return float(self._core.state_bytes_per_pixel)

    def _new_core(self) -> Any:
        options: dict[str, Any] = {
            "depth_of_field_um": self._depth_um,
            "window_y_px": self._window[0],
            "window_x_px": self._window[1],
            "detail_px": _DETAIL_PX,
            "threads": self._params.threads,
        }
        try:
            return new_refocuser(self._shape, on=self._device.kind, **options)
        except DeviceMemoryError as error:
            self._fall_back(error)
            return new_refocuser(self._shape, on="cpu", **options)

    def _fall_back(self, error: DeviceMemoryError) -> None:
        if not self._may_fall_back:
            raise error
        self._device = on_the_processor(error)

    def _on_device(self, frame: Any, drift: tuple[float, float] | None) -> Any:
        if self._device.kind != "cuda":
            raise InputError(
                "refocuser: frame lies on a CUDA device, this refocuser works on the processor; make it with "
                "device='cuda', or copy the frame"
            )
        if self._guard is not None or (self._tracker is not None and drift is None):
            raise InputError(
                "refocuser: frames on a CUDA device are not judged or followed; give "
                "ReconstructParams(reject_frames=False, drift=False), or copy the frame"
            )
        return cuda_arrays.as_cuda(
            frame, "refocuser", "frame", dtypes=("uint8", "uint16", "float32"), dimensions=(2,)
        )

    def _checked(self, frame: Any, drift: tuple[float, float] | None) -> Any:
        on_device = cuda_arrays.is_cuda(frame)
        image = self._on_device(frame, drift) if on_device else np.asarray(frame)
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

    def _settle(self, verdicts: list[Any]) -> None:
        for verdict in verdicts:
            image, z, drift = self._waiting.popleft()
            if verdict.reason is None:
                self._use(image, z, drift)
            else:
                self._rejected.append({"frame": self._judged, "z_um": z, "reason": verdict.reason})
                self._judged += 1

    def _use(self, image: NDArray[Any], z: float, drift: tuple[float, float] | None) -> None:
        if drift is not None:
            self._drift = drift
        elif self._tracker is not None and self._used % self._drift_every == 0:
            self._drift = self._tracker.update(image, z)
        if self._used % _DRIFT_EVERY == 0:
            self._watch_saturation(image)
        try:
            self._core.push(image, z, *self._drift)
        except DeviceMemoryError as error:
            if self._used > 0 or cuda_arrays.is_cuda(image):
                raise
            self._fall_back(error)
            self._core = self._new_core()
            self._core.push(image, z, *self._drift)
        except ValueError as error:
            raise InputError(str(error)) from None
        self._used_z.append(z)
        self._used_drift.append(self._drift)
        self._used += 1
        self._judged += 1

    def _watch_saturation(self, image: NDArray[Any]) -> None:
        """Tell the kernel where pixels saturate: at full scale of the fewest bits that hold all counts."""
        if image.dtype.kind != "u":
            return
        # To look at a frame on the device would be to wait for it.
        most = 2 ** (8 * image.itemsize) - 1 if cuda_arrays.is_cuda(image) else int(image.max())
        if full_scale(most) > self._full_scale:
            self._full_scale = full_scale(most)
            self._core.saturate_at(SATURATED_SHARE * self._full_scale)


def on_the_processor(error: DeviceMemoryError) -> Device:
    """Turn to the processor after the CUDA device's memory did not suffice, and say so."""
    reason = f"the CUDA device's memory did not suffice: {error}"
    warnings.warn(f"{reason}; working on the processor", stacklevel=3)
    return replace(resolve_device("cpu"), reason=reason)


def _window(target: Target | None, shape: tuple[int, int]) -> tuple[int, int]:
    if target is None:
        return _WINDOW_PX
    if max(target.size_px[0] - shape[0], target.size_px[1] - shape[1]) > 0:
        raise InputError(
            f"target: {target.size_px[0]:g}x{target.size_px[1]:g} pixels do not fit into the frame, "
            f"{shape[0]}x{shape[1]}; give a smaller one"
        )
    return target.window_px()
