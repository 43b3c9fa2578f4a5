"""The virtual objective against optical theory."""

import numpy as np
import pytest

from lee.devices.virtual import Optics
from lee.devices.virtual.imaging.optics import OtfTable
from lee.errors import InputError

OPTICS = Optics()


def pupil_otf(
    optics: Optics, defocus_um: float, side: int = 512, radius: int = 96
) -> tuple[np.ndarray, np.ndarray]:
    """Return frequency (per um) and OTF along one axis by the other road: |FT of the pupil|^2 and back."""
    axis = np.arange(side) - side // 2
    rho2 = (axis[:, None] ** 2 + axis[None, :] ** 2) / radius**2
    sine2 = rho2 * (optics.na / optics.refractive_index) ** 2
    phase = (
        2
        * np.pi
        * optics.refractive_index
        / optics.wavelength_um
        * defocus_um
        * np.sqrt(1 - np.clip(sine2, 0, 1))
    )
    pupil = np.where(rho2 <= 1, np.exp(1j * phase), 0)
    otf = np.fft.fft2(np.abs(np.fft.fft2(pupil)) ** 2)
    row = (otf[0, : 2 * radius] / otf[0, 0]).real
    return np.arange(2 * radius) / radius * optics.na / optics.wavelength_um, row


def test_in_focus_it_is_the_diffraction_limited_otf() -> None:
    share = np.linspace(0, 1, 101)
    known = 2 / np.pi * (np.arccos(share) - share * np.sqrt(1 - share**2))
    found = OPTICS.otf(np.array([0.0]), share * OPTICS.cutoff_per_um)[0]
    np.testing.assert_allclose(found, known, atol=1e-5)


@pytest.mark.parametrize("defocus_um", [0.5, 2.0, 6.0, 15.0])
def test_out_of_focus_it_is_the_spectrum_of_the_spread_function(defocus_um: float) -> None:
    frequency, expected = pupil_otf(OPTICS, defocus_um)
    found = OPTICS.otf(np.array([defocus_um]), frequency)[0]
    # The pupil drawn on pixels has a rough edge: a percent is what it can be held to.
    np.testing.assert_allclose(found, expected, atol=0.012)


def test_limits() -> None:
    frequency = np.array([0.0, OPTICS.cutoff_per_um, 2 * OPTICS.cutoff_per_um])
    found = OPTICS.otf(np.array([-7.0, 0.0, 7.0]), frequency)
    np.testing.assert_allclose(found[:, 0], 1, atol=1e-6)
    np.testing.assert_allclose(found[:, 1:], 0, atol=1e-9)
    assert OPTICS.cutoff_per_um == pytest.approx(2 * 0.5 / 0.55)


def test_contrast_falls_with_defocus_on_either_side() -> None:
    frequency = np.array([0.3, 0.6])
    away = OPTICS.otf(np.arange(0, 1.6, 0.2), frequency)
    assert (np.diff(away, axis=0) < 0).all()
    np.testing.assert_array_equal(
        OPTICS.otf(np.array([-1.3]), frequency), OPTICS.otf(np.array([1.3]), frequency)
    )


def test_table_agrees_with_the_integral() -> None:
    frequency = np.array([0.0, 0.013, 0.21, 0.9, 1.7, 1.9])
    defocus = np.array([-11.111, -0.37, 0.0, 0.013, 3.1, 14.97])
    table = OtfTable(OPTICS, frequency, 15.0)
    np.testing.assert_allclose(table(defocus), OPTICS.otf(defocus, frequency).T, atol=1e-3)
    np.testing.assert_array_equal(table(defocus, slice(2, 4)), table(defocus)[2:4])


def test_impossible_optics_are_refused() -> None:
    with pytest.raises(InputError, match=r"na 1\.4 must be between 0 and the refractive index 1\.36"):
        Optics(na=1.4)
    with pytest.raises(InputError, match="wavelength_um 0 must be above 0"):
        Optics(wavelength_um=0)
