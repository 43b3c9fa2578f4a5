"""The header of a segment: facts known before its first frame, as JSON that any program can read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from lee.devices.protocols import CameraSettings, Identity
from lee.devices.scan_plan import ScanPlan
from lee.errors import InputError
from lee.recording.moment import Moment

DTYPES = ("uint8", "uint16")


def _now() -> str:
    return datetime.now(UTC).isoformat()


@dataclass(frozen=True)
class SegmentHeader:
    """Facts of one scan that are known when it begins.

    Parameters
    ----------
    shape : (H, W)
        Of a frame.
    dtype : str
        uint8 or uint16, stored little-endian.
    frames : int
        Frames expected; space is reserved for them.
    plan : ScanPlan, optional
        Positions of the pulses.
    settings : CameraSettings, optional
        Those that the camera applied.
    camera, stage : Identity, optional
    first_id : int
        Id that the camera gives the frame of the first pulse.
    pixel_um : float, optional
        Size of a pixel in the plane of the sample.
    started : str
        When the scan began, ISO 8601 with a time zone; now by default.
    monotonic_s : float, optional
        When it began by a clock that nobody sets, s.
    session : str
        Names that clock's own beginning: within one session differences come from it.
    notes : mapping
        Further facts to keep with the scan; must fit into JSON.

    Raises
    ------
    InputError
        If a value cannot be used.
    """

    shape: tuple[int, int]
    dtype: str
    frames: int
    plan: ScanPlan | None = None
    settings: CameraSettings | None = None
    camera: Identity | None = None
    stage: Identity | None = None
    first_id: int = 0
    pixel_um: float | None = None
    started: str = field(default_factory=_now)
    monotonic_s: float | None = None
    session: str = ""
    notes: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        whole = {"height": self.shape[0], "width": self.shape[1]} if len(self.shape) == 2 else {}
        for name, number in {**whole, "frames": self.frames, "first_id": self.first_id}.items():
            if not isinstance(number, int | np.integer):
                raise InputError(f"segment: {name} is {number!r}; give a whole number")
        if len(self.shape) != 2 or min(self.shape) < 1:
            raise InputError(f"segment: shape is {tuple(self.shape)}; give a frame's (height, width)")
        if self.dtype not in DTYPES:
            raise InputError(f"segment: dtype is {self.dtype}; cameras give {' or '.join(DTYPES)}")
        if self.frames < 1:
            raise InputError(f"segment: frames is {self.frames}; give the frames expected, 1 or more")
        if self.pixel_um is not None and not (np.isfinite(self.pixel_um) and self.pixel_um > 0):
            raise InputError(f"segment: pixel_um is {self.pixel_um}; give µm above 0")
        try:
            begun = datetime.fromisoformat(self.started)
        except ValueError:
            raise InputError(f"segment: started is {self.started!r}; give ISO 8601") from None
        steady = self.monotonic_s
        if steady is not None and not np.isfinite(steady):
            raise InputError(f"segment: monotonic_s is {steady}; give seconds")
        if begun.tzinfo is None:
            raise InputError(f"segment: started is {self.started!r}; give it with a time zone")

    @property
    def begun(self) -> Moment:
        """When the scan began."""
        return Moment(datetime.fromisoformat(self.started), self.monotonic_s, self.session)

    @property
    def image_bytes(self) -> int:
        """Bytes of one image."""
        return self.shape[0] * self.shape[1] * np.dtype(self.dtype).itemsize

    def to_json(self) -> dict[str, object]:
        """Return what `from_json` takes."""
        return {**asdict(self), "shape": list(self.shape), "notes": dict(self.notes)}

    @classmethod
    def from_json(cls, held: Mapping[str, Any]) -> SegmentHeader:
        """Build from `to_json`; unknown names are ignored."""
        known = {name: held[name] for name in cls.__dataclass_fields__ if name in held}
        for name, kind in (
            ("plan", ScanPlan),
            ("settings", CameraSettings),
            ("camera", Identity),
            ("stage", Identity),
        ):
            if known.get(name) is not None:
                known[name] = kind(**known[name])
        settings = known.get("settings")
        if settings is not None and settings.region is not None:
            known["settings"] = CameraSettings(
                **{**asdict(settings), "region": tuple(settings.region)}  # JSON has lists only
            )
        return cls(**{**known, "shape": tuple(known["shape"])})
