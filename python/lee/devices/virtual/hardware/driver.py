"""The drivers ``virtual`` of a rig's file: a camera, and a stage whose pulses reach it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from lee.devices.driver_keys import allowed
from lee.devices.drivers import CameraDriver, StageDriver
from lee.devices.protocols import Camera, Stage
from lee.devices.virtual.hardware.camera import VirtualCamera
from lee.devices.virtual.hardware.carriage import Mechanics
from lee.devices.virtual.hardware.frame_bank import FrameBank, quick_bank
from lee.devices.virtual.hardware.stage import VirtualStage
from lee.devices.virtual.scene.demo import demo_scene
from lee.errors import InputError

_NOISE_COUNTS = 1.0  # of the quick scene


@dataclass(frozen=True)
class VirtualCameraDriver(CameraDriver):
    """A virtual camera.

    It sees ``scene``: ``quick`` grains without optics on ``sensor_px`` (height, width), or the scene of
    ``lee demo`` by wave ``optics``; ``seed`` chooses among such scenes. ``exposure_s`` lights it well; set to
    another at the page, it is brighter or darker.
    """

    driver: str = "virtual"
    scene: str = field(default="quick", metadata=allowed(among=("quick", "optics")))
    sensor_px: tuple[int, ...] = field(
        default=(400, 400), metadata=allowed(minimum=16, maximum=10000, length=2)
    )
    seed: int = field(default=0, metadata=allowed(minimum=0))

    def open(self, stage: Stage | None = None) -> Camera:
        """Open it; on a virtual stage it sees the stage's true height and takes its pulses."""
        if isinstance(stage, VirtualStage):
            return VirtualCamera(self._bank(), line=stage, z_um=stage.focus_um, lit_for_s=self.exposure_s)
        return VirtualCamera(self._bank(), lit_for_s=self.exposure_s)

    def _bank(self) -> FrameBank:
        if self.scene == "optics":
            return FrameBank.of_scene(demo_scene(self.seed), seed=self.seed)
        return quick_bank((self.sensor_px[0], self.sensor_px[1]), noise_counts=_NOISE_COUNTS, seed=self.seed)


@dataclass(frozen=True)
class VirtualStageDriver(StageDriver):
    """A virtual stage.

    It is at ``position_um`` when it is opened; at ``scene_at_um`` height 0 of what the virtual camera sees is
    in focus. Where it is not ``homed``, it begins to count from 0 there. The stand rises by
    ``drift_nm_per_s``, which heights cannot tell from a sample that dissolves.
    """

    driver: str = "virtual"
    scene_at_um: float = field(default=1000.0, metadata=allowed(minimum=0, maximum=25000))
    position_um: float = field(default=1000.0, metadata=allowed(minimum=0, maximum=25000))
    homed: bool = field(default=True, metadata=allowed())
    drift_nm_per_s: float = field(default=0.0, metadata=allowed(minimum=-1000, maximum=1000))

    def open(self) -> Stage:
        """Open it; a default position beyond the limits is moved onto them."""
        low, high = self.lowest_um, self.highest_um
        return VirtualStage(
            counts_per_um=self.counts_per_um,
            limits_um=(low, high),
            position_um=min(max(self.position_um, low), high),
            scene_at_um=min(max(self.scene_at_um, low), high),
            homed=self.homed,
            backlash_um=self.backlash_um,
            mechanics=Mechanics(drift_um_per_s=self.drift_nm_per_s / 1000),
        )

    def check(self, where: str, given: Collection[str]) -> None:
        """Raise ``InputError`` where a position in the file lies beyond the limits."""
        super().check(where, given)
        for key, value in (("position_um", self.position_um), ("scene_at_um", self.scene_at_um)):
            if key in given and not self.lowest_um <= value <= self.highest_um:
                raise InputError(
                    f"{where} {key} is {value:g}; it must be within the limits, "
                    f"{self.lowest_um:g} to {self.highest_um:g}"
                )
