"""The objective and the camera of the second renderer."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.scenes.gaussian_gather_specimens import Image


@dataclass(frozen=True)
class Lens:
    """An objective: ``cone`` µm sideways for each µm of height at its rim, ``spot_um`` by diffraction."""

    na: float = 0.5
    refractive_index: float = 1.36
    wavelength_um: float = 0.55

    @property
    def cone(self) -> float:
        return float(np.tan(np.arcsin(self.na / self.refractive_index)))

    @property
    def spot_um(self) -> float:
        return 0.21 * self.wavelength_um / self.na


@dataclass(frozen=True)
class Sensor:
    """A camera: electrons at the highest count, read noise, share of the full well that the scene fills."""

    bits: int = 8
    full_well_e: float = 9000.0
    read_noise_e: float = 4.0
    mean_share: float = 0.33

    @property
    def max_count(self) -> int:
        return int(2**self.bits - 1)

    def record(self, light: Image, rng: np.random.Generator) -> NDArray[np.generic]:
        electrons = rng.poisson(np.maximum(light, 0) * self.mean_share * self.full_well_e)
        counts = electrons + rng.normal(0, self.read_noise_e, light.shape)
        kind = np.uint8 if self.bits == 8 else np.uint16
        rounded = np.round(counts * self.max_count / self.full_well_e)
        return np.asarray(np.clip(rounded, 0, self.max_count), dtype=kind)
