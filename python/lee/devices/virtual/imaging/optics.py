"""Defocus blur of an incoherent microscope: the optical transfer function by the phase of the pupil."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from lee.errors import InputError

_NODES_ALONG = 96  # along the pupil's shift, where the phase turns fast
_NODES_ACROSS = 10  # across it the phase difference is nearly constant
_RADII = 385
_COARSE_UM = 0.2
_FINE_UM = 0.04


@dataclass(frozen=True)
class Optics:
    """An objective seen through a homogeneous liquid, with incoherent illumination.

    Parameters
    ----------
    na : float
        Numerical aperture.
    refractive_index : float
        Of the liquid between objective and sample; 1.36 is 2 M ZnSO4.
    wavelength_um : float
        Vacuum wavelength of the light.
    """

    na: float = 0.5
    refractive_index: float = 1.36
    wavelength_um: float = 0.55

    def __post_init__(self) -> None:
        if not 0 < self.na < self.refractive_index:
            raise InputError(
                f"optics: na {self.na} must be between 0 and the refractive index {self.refractive_index}"
            )
        if not self.wavelength_um > 0:
            raise InputError(f"optics: wavelength_um {self.wavelength_um} must be above 0")

    @property
    def cutoff_per_um(self) -> float:
        """The highest spatial frequency that passes, cycles per µm: 2 NA / wavelength."""
        return 2 * self.na / self.wavelength_um

    @property
    def depth_of_field_um(self) -> float:
        """The diffraction part of the depth of field: n wavelength / NA^2."""
        return self.refractive_index * self.wavelength_um / self.na**2

    def blur_radius_um(self, defocus_um: float) -> float:
        """Return the radius of the geometric cone of light at a distance from focus."""
        sine = self.na / self.refractive_index
        return abs(defocus_um) * sine / float(np.sqrt(1 - sine**2))

    def otf(
        self, defocus_um: NDArray[np.float64], frequency_per_um: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the optical transfer function, computed straight from the pupil.

        Parameters
        ----------
        defocus_um : (D,) float64, µm
            Distance between the object and the plane in focus; the sign does not matter.
        frequency_per_um : (F,) float64, cycles per µm
            Spatial frequency, 0 and up.

        Returns
        -------
        (D, F) float64
            Real, because the pupil is round; 1 at frequency 0 and 0 from the cut-off on.

        Notes
        -----
        The autocorrelation of the pupil exp(i k n dz cos(theta)), sin(theta) = NA rho / n, as an integral
        over the lens where the pupil overlaps itself (Hopkins 1955), with the exact, not the parabolic,
        phase.
        """
        shift = 2 * np.asarray(frequency_per_um, dtype=np.float64) / self.cutoff_per_um
        # x = X (1 - u^2) takes the square-root singularity at the tip of the lens out of the integrand.
        u, wu = _gauss_0_1(_NODES_ALONG)
        v, wv = _gauss_0_1(_NODES_ACROSS)
        half = np.clip(shift / 2, 0, 1)[:, None]
        span = 1 - half
        x = span * (1 - u**2)
        top = np.sqrt(np.clip(1 - (x + half) ** 2, 0, None))
        y2 = (top[:, :, None] * v) ** 2
        weight = (4 / np.pi) * (2 * span * u * wu * top)[:, :, None] * wv
        turn = self._phase_per_um((x - half)[:, :, None] ** 2 + y2)
        turn -= self._phase_per_um((x + half)[:, :, None] ** 2 + y2)
        turn = turn.reshape(len(shift), -1)
        weight = weight.reshape(len(shift), -1)
        rows = [
            np.einsum("fk,fk->f", weight, np.cos(turn * abs(dz))) for dz in np.asarray(defocus_um).ravel()
        ]
        return np.asarray(rows, dtype=np.float64).reshape(-1, len(shift))

    def _phase_per_um(self, rho2: NDArray[np.float64]) -> NDArray[np.float64]:
        sine2 = np.clip(rho2, 0, 1) * (self.na / self.refractive_index) ** 2
        wavenumber = 2 * np.pi * self.refractive_index / self.wavelength_um
        return np.asarray(wavenumber * (np.sqrt(1 - sine2) - 1))


class OtfTable:
    """The OTF at chosen frequencies, looked up over defocus.

    Parameters
    ----------
    optics : Optics
    frequency_per_um : (F,) float64
        Frequencies at which it will be asked.
    max_defocus_um : float
        The largest distance from focus that will be asked.
    """

    def __init__(self, optics: Optics, frequency_per_um: NDArray[np.float64], max_defocus_um: float) -> None:
        coarse, radii, values = _coarse_table(optics, 10.0 * np.ceil((max_defocus_um + 0.5) / 10.0))
        inside = frequency_per_um < optics.cutoff_per_um
        along = np.zeros((len(coarse), len(frequency_per_um)))
        along[:, inside] = CubicSpline(radii, values, axis=1)(frequency_per_um[inside])
        fine = np.arange(0, coarse[-1] + _FINE_UM / 2, _FINE_UM)
        # Even in defocus: a flat start; the far end hardly matters.
        spline = CubicSpline(coarse, along, axis=0, bc_type=("clamped", "natural"))
        self._rows: NDArray[np.float32] = np.ascontiguousarray(spline(fine).T, dtype=np.float32)

    def __call__(self, defocus_um: NDArray[np.float64], of: slice = slice(None)) -> NDArray[np.float32]:
        """Return the OTF of frequencies `of` at each defocus: (F', *defocus.shape) float32."""
        at = np.abs(defocus_um) / _FINE_UM
        low = np.minimum(at.astype(np.intp), self._rows.shape[1] - 2)
        share = np.minimum(at - low, 1.0).astype(np.float32)
        rows = self._rows[of]
        below = np.take(rows, low, axis=1)
        above = np.take(rows, low + 1, axis=1)
        above -= below
        above *= share
        above += below
        return np.asarray(above, dtype=np.float32)


def _gauss_0_1(count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return (nodes + 1) / 2, weights / 2


@lru_cache(maxsize=8)
def _coarse_table(
    optics: Optics, max_defocus_um: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    defocus = np.arange(0, max_defocus_um + _COARSE_UM / 2, _COARSE_UM)
    radii = np.linspace(0, optics.cutoff_per_um, _RADII)
    return defocus, radii, optics.otf(defocus, radii)
