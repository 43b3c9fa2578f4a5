"""How a surface was measured: its scan, frames, parameters, drift and device, and what was not measured.

`to_json` and `from_json` give and take what ``surface.json`` holds under ``"metadata"``. Its keys are a
contract with those who read such files: they stay as they are, also where the attribute has a better name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

Json = Mapping[str, object]


@dataclass(frozen=True)
class ScanSource:
    """The scan that a surface was measured from, and where its calibration came from.

    Parameters
    ----------
    path, format, dtype : str
        File or folder, kind of file, and type of the counts in it; empty where not known.
    z_source, pixel_source : str
        Where the heights of the frames and the size of a pixel came from, such as ``"OME PositionZ"``.
    notes : mapping
        What else the reader recorded, such as the records it skipped.
    """

    path: str = ""
    format: str = ""
    dtype: str = ""
    z_source: str = ""
    pixel_source: str = ""
    notes: Json = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Return what ``surface.json`` holds under ``"stack"``."""
        known = {key: getattr(self, name) for name, key in _SCAN_KEYS.items()}
        return {key: value for key, value in known.items() if value} | dict(self.notes)

    @classmethod
    def from_json(cls, found: Json) -> Self:
        """Return the source that `to_json` describes; also takes the metadata of a `ZStack`."""
        known = {name: str(found.get(key, "")) for name, key in _SCAN_KEYS.items()}
        notes = {key: value for key, value in found.items() if key not in _SCAN_KEYS.values()}
        return cls(**known, notes=notes)


_SCAN_KEYS = {
    "path": "path",
    "format": "format",
    "dtype": "source_dtype",
    "z_source": "z_um_source",
    "pixel_source": "pixel_um_source",
}


@dataclass(frozen=True)
class RejectedFrame:
    """A frame that took no part: its number in the scan, its height in µm, and why."""

    frame: int
    z_um: float
    reason: str


@dataclass(frozen=True)
class DepthOfField:
    """Full width at half maximum of the focus curve, µm, and its source: measured, given or assumed."""

    um: float
    source: str = ""


@dataclass(frozen=True)
class ComputeDevice:
    """Where the kernels ran: ``"cpu"`` or ``"cuda"``, its name, and why it was chosen."""

    kind: str
    name: str = ""
    reason: str = ""


def _no_drift() -> NDArray[np.float64]:
    return np.zeros((0, 2))


@dataclass(frozen=True, eq=False)
class Provenance:
    """How a surface was measured; None or empty where it is not known.

    Parameters
    ----------
    scan : ScanSource, optional
    frames, frames_used : int, optional
        Frames of the scan, and those that took part.
    rejected_frames : sequence of RejectedFrame
    frame_dtype : str
        Type of the camera's counts; lets `Surface.save` keep their bit depth.
    z_range_um : (low, high), µm, optional
        Heights of the lowest and the highest frame used.
    parameters : mapping
        As the reconstruction was asked for, the focus measure under ``"focus"``.
    window_px : (y, x), optional
        The finest window of the focus measure.
    depth_of_field : DepthOfField, optional
    drift_px : (Z, 2) float64, pixels
        Displacement (dy, dx) of the sample in each frame of the scan; (0, 2) where not recorded.
    drift_agreement : float, optional
        Share of the drift that the parts of the field agree on.
    vibration_px : float, optional
        Root mean square of what frames are displaced by beside the slow drift, of each axis; 0 where no
        vibration was significant.
    magnification : sequence of float
        Of each frame of the scan against the first, where it changes (focus breathing); otherwise empty.
    flicker_percent : float, optional
        Root mean square of the lamp's flicker that was divided out; 0 where none was significant.
    second_look : bool
        Whether the frames were read again and matched with the known texture.
    not_measured_px : mapping
        Reason to the number of pixels that were not measured for it.
    occluded_px : mapping
        How much of their focus occlusions hid, to the number of pixels; empty where there was none.
    device : ComputeDevice, optional
    instruction_set : str
        Vector instructions of the processor.
    synchronisation : mapping, optional
        How frames and stage positions of a recording were brought together.
    versions : mapping
        Versions of Python, lee and the libraries its numbers depend on; empty for those of this process.
    notes : mapping
        Anything else.
    """

    scan: ScanSource | None = None
    frames: int | None = None
    frames_used: int | None = None
    rejected_frames: Sequence[RejectedFrame] = ()
    frame_dtype: str = ""
    z_range_um: tuple[float, float] | None = None
    parameters: Json = field(default_factory=dict)
    window_px: tuple[int, int] | None = None
    depth_of_field: DepthOfField | None = None
    drift_px: NDArray[np.float64] = field(default_factory=_no_drift, repr=False)
    drift_agreement: float | None = None
    vibration_px: float | None = None
    magnification: Sequence[float] = ()
    flicker_percent: float | None = None
    second_look: bool = False
    not_measured_px: Mapping[str, int] = field(default_factory=dict)
    occluded_px: Mapping[str, int] = field(default_factory=dict)
    device: ComputeDevice | None = None
    instruction_set: str = ""
    synchronisation: Json | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: Json = field(default_factory=dict)

    def __post_init__(self) -> None:
        drift = np.array(self.drift_px, dtype=np.float64)
        if drift.ndim != 2 or drift.shape[1] != 2:
            raise ValueError(f"drift_px has shape {drift.shape}; give (frames, 2)")
        drift.flags.writeable = False
        object.__setattr__(self, "drift_px", drift)
        object.__setattr__(self, "rejected_frames", tuple(self.rejected_frames))
        object.__setattr__(self, "magnification", tuple(self.magnification))

    def __eq__(self, other: object) -> bool:
        """Whether both are known alike; versions aside."""
        return isinstance(other, Provenance) and self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]

    @property
    def focus_measure(self) -> str:
        """Name of the focus measure; empty where not known."""
        return str(self.parameters.get("focus", ""))

    def to_json(self) -> dict[str, object]:
        """Return what ``surface.json`` holds under ``"metadata"``; what is not known has no key."""
        found: dict[str, object] = {}
        if parameters := self._parameters():
            found["parameters"] = parameters
        if self.device is not None:
            found["device"] = asdict(self.device)
        if self.window_px is not None:
            found["window_px"] = list(self.window_px)
        if self.frame_dtype:
            found["frame_dtype"] = self.frame_dtype
        if self.frames is not None:
            found["frames"] = self.frames
        if self.frames_used is not None:
            found["frames_used"] = self.frames_used
        if self.z_range_um is not None:
            found["z_range_um"] = list(self.z_range_um)
        if self.rejected_frames or self.frames_used is not None:
            found["rejected_frames"] = [asdict(frame) for frame in self.rejected_frames]
        if self.drift_px.size:
            found["drift_px"] = self.drift_px.tolist()
        if self.instruction_set:
            found["instruction_set"] = self.instruction_set
        if self.not_measured_px:
            found["not_measured_px"] = dict(self.not_measured_px)
        if self.occluded_px:
            found["occluded_px"] = dict(self.occluded_px)
        if self.scan is not None:
            found["stack"] = self.scan.to_json()
        if self.depth_of_field is not None and self.depth_of_field.source:
            found["depth_of_field_source"] = self.depth_of_field.source
        if self.drift_agreement is not None:
            found["drift_trust"] = self.drift_agreement
        if self.vibration_px is not None:
            found["vibration_px"] = self.vibration_px
        if self.magnification:
            found["magnification"] = list(self.magnification)
        if self.flicker_percent is not None:
            found["flicker_percent"] = self.flicker_percent
        if self.second_look:
            found["second_look"] = True
        if self.synchronisation is not None:
            found["synchronisation"] = dict(self.synchronisation)
        return found | dict(self.notes)

    @classmethod
    def from_json(cls, found: Json) -> Self:
        """Return what `to_json` described, whichever version of lee wrote it; unknown keys become notes.

        Raises
        ------
        TypeError, ValueError
            If a value is not of the type that its key has.
        """
        left = dict(found)
        parameters = _mapping(left.pop("parameters", {}))
        source = str(left.pop("depth_of_field_source", ""))
        depth = parameters.get("depth_of_field_um")
        drift = left.pop("drift_px", [])
        if np.shape(_array(drift)) == (2,):  # as surfaces of a running scan were once described
            left["drift_at_end_px"], drift = drift, []
        z_range, window = left.pop("z_range_um", None), left.pop("window_px", None)
        device, stack = left.pop("device", None), left.pop("stack", None)
        synchronisation, agreement = left.pop("synchronisation", None), left.pop("drift_trust", None)
        vibration, flicker = left.pop("vibration_px", None), left.pop("flicker_percent", None)
        return cls(
            scan=None if stack is None else ScanSource.from_json(_mapping(stack)),
            frames=_count(left.pop("frames", None)),
            frames_used=_count(left.pop("frames_used", None)),
            rejected_frames=[_rejected(frame) for frame in _sequence(left.pop("rejected_frames", []))],
            frame_dtype=str(left.pop("frame_dtype", "")),
            z_range_um=None if z_range is None else _pair(z_range),
            parameters=parameters,
            window_px=None if window is None else (int(_pair(window)[0]), int(_pair(window)[1])),
            depth_of_field=None if depth is None else DepthOfField(_number(depth), source),
            drift_px=_array(drift).reshape(-1, 2),
            drift_agreement=None if agreement is None else _number(agreement),
            vibration_px=None if vibration is None else _number(vibration),
            magnification=[_number(one) for one in _sequence(left.pop("magnification", []))],
            flicker_percent=None if flicker is None else _number(flicker),
            second_look=left.pop("second_look", False) is True,
            not_measured_px=_counts(left.pop("not_measured_px", {})),
            occluded_px=_counts(left.pop("occluded_px", {})),
            device=None
            if device is None
            else ComputeDevice(**{key: str(value) for key, value in _mapping(device).items()}),
            instruction_set=str(left.pop("instruction_set", "")),
            synchronisation=None if synchronisation is None else _mapping(synchronisation),
            notes=left,
        )

    def _parameters(self) -> dict[str, object]:
        """Return the parameters with the depth of field and the device that were used."""
        found = dict(self.parameters)
        if self.depth_of_field is not None:
            found["depth_of_field_um"] = self.depth_of_field.um
        if found and self.device is not None:
            found["device"] = self.device.kind
        return found


def _counts(value: object) -> dict[str, int]:
    return {key: int(_number(count)) for key, count in _mapping(value).items()}


def _array(value: object) -> NDArray[np.float64]:
    return np.asarray(value, dtype=np.float64)


def _mapping(value: object) -> dict[str, object]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{value!r} is not a JSON object")
    return {str(key): entry for key, entry in value.items()}


def _sequence(value: object) -> Sequence[object]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise TypeError(f"{value!r} is not a list")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    return float(value)


def _count(value: object) -> int | None:
    return None if value is None else int(_number(value))


def _pair(value: object) -> tuple[float, float]:
    first, second = _sequence(value)
    return _number(first), _number(second)


def _rejected(value: object) -> RejectedFrame:
    found = _mapping(value)
    z_um = found.get("z_um")
    return RejectedFrame(
        int(_number(found["frame"])),
        float("nan") if z_um is None else _number(z_um),
        str(found.get("reason", "")),
    )
