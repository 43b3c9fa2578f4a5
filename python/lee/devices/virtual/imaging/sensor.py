"""The sensor of the virtual camera: light to counts, with its noise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lee.devices.protocols import Counts
from lee.errors import InputError

_FEW_ELECTRONS = 60.0


@dataclass(frozen=True)
class Sensor:
    """A CMOS sensor behind a slightly uneven lamp.

    Parameters
    ----------
    full_well_e : float
        Electrons that give the highest count.
    read_noise_e : float
        Standard deviation of the read noise, electrons.
    mean_share : float
        Share of the full well that the scene reaches on average; 90 of 255 counts by default.
    bit_depth : int
        8 gives uint8 frames, 9 to 16 give uint16.
    shading : float
        Share of light lost in the corners of the field.
    black_counts : float
        Offset in counts of an 8-bit frame (scaled with the bit depth).
    noise : bool
        False leaves shot and read noise out; rounding and saturation stay.
    """

    full_well_e: float = 10500.0
    read_noise_e: float = 2.5
    mean_share: float = 90 / 255
    bit_depth: int = 8
    shading: float = 0.2
    black_counts: float = 0.0
    noise: bool = True

    def __post_init__(self) -> None:
        if not 8 <= self.bit_depth <= 16:
            raise InputError(f"sensor: bit_depth {self.bit_depth} must be between 8 and 16")
        if not self.full_well_e > 0 or not 0 < self.mean_share < 1:
            raise InputError("sensor: full_well_e must be above 0 and mean_share between 0 and 1")

    @property
    def max_count(self) -> int:
        """The count at which a pixel saturates."""
        return (1 << self.bit_depth) - 1

    def lamp(self, shape: tuple[int, int]) -> NDArray[np.float32]:
        """Return the lamp's brightness over the field, (H, W), 1 at the centre."""
        y = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None] if shape[0] > 1 else np.zeros((1, 1))
        x = np.linspace(-1, 1, shape[1], dtype=np.float32)[None, :] if shape[1] > 1 else np.zeros((1, 1))
        return np.asarray(1 - self.shading * (y**2 + x**2) / 2, dtype=np.float32)

    def expose(self, light: NDArray[np.float32], rng: np.random.Generator) -> Counts:
        """Turn light into counts.

        Parameters
        ----------
        light : (H, W) float32
            Expected share of the full well, 0 and up.
        rng : numpy.random.Generator
            Source of the noise.

        Returns
        -------
        (H, W) uint8 or uint16, counts
            Shot noise follows Poisson's law where electrons are few and its normal limit elsewhere.
        """
        electrons = np.maximum(light, 0) * np.float32(self.full_well_e)
        if self.noise:
            read = np.float32(self.read_noise_e)
            few = electrons < _FEW_ELECTRONS
            dark = rng.poisson(electrons[few]) + read * rng.standard_normal(int(few.sum()), dtype=np.float32)
            electrons += np.sqrt(electrons + read**2) * rng.standard_normal(light.shape, dtype=np.float32)
            electrons[few] = dark
        black = self.black_counts * self.max_count / 255
        counts = np.rint(electrons * np.float32(self.max_count / self.full_well_e) + np.float32(black))
        dtype = np.uint8 if self.bit_depth == 8 else np.uint16
        exposed: Counts = np.clip(counts, 0, self.max_count).astype(dtype)
        return exposed
