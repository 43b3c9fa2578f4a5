"""Maps that would explain measured rates, recovered from rates made with known ones."""

import numpy as np
import pytest
from scipy import fft

from lee.errors import InputError
from lee.twin import Cell
from lee.twin.comparison.inversion import efficiency_map, exchange_current_map
from lee.twin.comparison.smooth_fit import SmoothFit, laplacian

SHAPE = (56, 64)
PIXEL_UM = 2.0


def smooth(seed, waves=5):
    """A smooth random map of zero mean and unit standard deviation."""
    spectrum = np.zeros(SHAPE)
    spectrum[:waves, :waves] = np.random.default_rng(seed).standard_normal((waves, waves))
    spectrum[0, 0] = 0
    made = fft.idctn(spectrum)
    return made / made.std()


def noise(seed, sigma):
    return sigma * np.random.default_rng(seed).standard_normal(SHAPE)


class FlatElectrode:
    """Secondary distribution over a flat electrode under a layer of 100 µm, by cosine transforms.

    Another discretisation than the twin's: the potential drop of each mode is its current times
    tanh(k L) / (kappa k).
    """

    def __init__(self, cell, pixel_um):
        self.cell = cell
        rows, columns = (np.pi * np.arange(n) / (n * pixel_um * 1e-6) for n in SHAPE)
        k = np.hypot(rows[:, None], columns[None, :])
        layer = 100e-6
        with np.errstate(invalid="ignore", divide="ignore"):
            self.resistance = np.where(k > 0, np.tanh(k * layer) / k, layer) / cell.conductivity_s_per_m
        self.calls = 0

    def current(self, exchange):
        """A/m² at a mean of the cell's current."""
        cell, wanted = self.cell, 10 * self.cell.current_density_ma_per_cm2
        current = np.full(SHAPE, wanted)
        for _ in range(400):
            drop = fft.idctn(self.resistance * fft.dctn(current))
            # Tafel, with the level that gives the total; damped, since the drop follows the current.
            raw = exchange * np.exp(-cell.alpha_c * drop / cell.thermal_voltage_v)
            new = raw * wanted / raw.mean()
            if np.abs(new - current).max() < 1e-9 * wanted:
                return new
            current = current + 0.5 * (new - current)
        raise AssertionError("the electrode of the test did not converge")

    def rate(self, exchange):
        self.calls += 1
        return (
            self.current(exchange) * self.cell.growth_nm_per_s / (10 * self.cell.current_density_ma_per_cm2)
        )


def test_a_known_efficiency_is_recovered_within_its_stated_error():
    truth = 0.75 * np.exp(0.15 * smooth(1))
    full, sigma = 38.0 * (1 + 0.08 * smooth(2)), 2.0
    measured = full * truth + noise(3, sigma)
    measured[10:16, 20:30] = np.nan
    found = efficiency_map(full, measured, sigma, pixel_um=PIXEL_UM)
    known = np.isfinite(measured)
    error = (found.value - truth)[known]
    raw = (measured / full - truth)[known]
    assert np.sqrt(np.mean(error**2)) < 0.45 * np.sqrt(np.mean(raw**2))
    assert np.mean(np.abs(error) < 2 * found.sigma[known]) > 0.90
    assert np.isnan(found.sigma[~known]).all()
    assert found.chi2_per_pixel == pytest.approx(found.expected_chi2_per_pixel, rel=0.05)
    assert 2 * PIXEL_UM < found.resolution_um < 40 * PIXEL_UM
    assert np.corrcoef(found.value[known], truth[known])[0, 1] > 0.95
    # Nothing was measured there: the smoothest continuation.
    assert np.abs(found.value / truth - 1)[~known].max() < 0.2


def test_less_noise_resolves_more():
    truth, full = 0.75 * np.exp(0.15 * smooth(1)), np.full(SHAPE, 38.0)
    good, poor = (
        efficiency_map(full, full * truth + noise(3, sigma), sigma, pixel_um=PIXEL_UM) for sigma in (0.5, 4.0)
    )
    assert good.resolution_um < 0.6 * poor.resolution_um
    assert np.nanmedian(good.sigma) < 0.5 * np.nanmedian(poor.sigma)


def test_one_value_is_given_where_the_noise_explains_the_rest():
    full = np.full(SHAPE, 38.0)
    found = efficiency_map(full, 0.8 * full + noise(4, 3.0), 3.2, pixel_um=PIXEL_UM)
    assert np.ptp(found.value) < 0.01
    assert found.value.mean() == pytest.approx(0.8, abs=3 * 3.0 / 38 / np.sqrt(full.size))
    assert any("one value explains" in message for message in found.notes)


def test_too_small_standard_deviations_are_reported():
    full = np.full(SHAPE, 38.0)
    measured = 0.8 * full + noise(4, 3.0)
    measured[::2, ::2] = -40.0  # no efficiency makes it negative
    found = efficiency_map(full, measured, 0.01, pixel_um=PIXEL_UM, draws=0)
    assert found.chi2_per_pixel > 100
    assert np.isnan(found.sigma).all()


def test_efficiencies_beyond_what_is_likely_are_reported():
    full = np.full(SHAPE, 10.0)
    found = efficiency_map(full, 2 * full + noise(4, 0.1), 0.1, pixel_um=PIXEL_UM, draws=0)
    assert any("100.0 % of the measured field would need an efficiency above 1.5" in n for n in found.notes)


def test_a_known_exchange_current_is_recovered():
    cell = Cell(current_density_ma_per_cm2=80.0)
    electrode = FlatElectrode(cell, PIXEL_UM)
    truth = 30 * np.exp(0.3 * smooth(5))
    clean, sigma = electrode.rate(truth), 1.0
    measured = 0.8 * clean + noise(6, sigma)
    seen = []
    found = exchange_current_map(
        electrode.rate, measured, sigma, pixel_um=PIXEL_UM, start_a_per_m2=30.0,
        progress=lambda done, chi2: seen.append((done, chi2)),
    )  # fmt: skip
    assert electrode.calls - 1 == found.evaluations == len(seen) <= 6
    assert seen[0][1] > 5 > seen[-1][1]
    assert found.chi2_per_pixel == pytest.approx(found.expected_chi2_per_pixel, rel=0.05)
    assert not any("does not explain" in message for message in found.notes)
    assert found.efficiency == pytest.approx(0.8, rel=0.01)
    ratio = np.log(found.value / truth)
    assert ratio.std() < 0.045  # of a map that varies by 0.3
    assert np.exp(np.log(found.value).mean()) == pytest.approx(30.0)
    assert any("geometric mean is set to 30 A/m²" in message for message in found.notes)


def test_rates_that_no_exchange_current_explains_are_reported():
    cell = Cell()
    electrode = FlatElectrode(cell, PIXEL_UM)
    measured = np.full(SHAPE, 30.0)
    measured[::2, ::2] = -30.0
    found = exchange_current_map(
        electrode.rate, measured, 0.5, pixel_um=PIXEL_UM, start_a_per_m2=30.0, max_solves=3
    )
    assert found.chi2_per_pixel > 10
    assert any("does not explain the rates" in message for message in found.notes)


def test_the_linear_solver_solves_its_equation():
    rng = np.random.default_rng(7)
    weight = rng.uniform(0, 4, SHAPE) * (rng.random(SHAPE) > 0.3)
    fit = SmoothFit(weight, rng.standard_normal(SHAPE))
    m = fit.at(3.0)
    assert np.abs(weight * m + 3.0 * laplacian(m) - weight * fit.data).max() < 1e-6
    # The transform's eigenvalues are those of the differences.
    wave = np.cos(np.pi * 3 * (np.arange(SHAPE[1]) + 0.5) / SHAPE[1]) * np.ones(SHAPE)
    assert np.allclose(laplacian(wave), (2 - 2 * np.cos(np.pi * 3 / SHAPE[1])) * wave)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"full_rate_nm_per_s": np.zeros(SHAPE)}, "not above 0 everywhere, as while stripping"),
        ({"measured_nm_per_s": np.ones((3, 3))}, r"measured rates are \(3, 3\)"),
        ({"measured_nm_per_s": np.full(SHAPE, np.nan)}, "no pixel has a measured rate"),
        ({"measured_nm_per_s": np.full(SHAPE, -1.0)}, "for stripping change the sign"),
        ({"sigma_nm_per_s": 0.0}, "a standard deviation is not above 0"),
        ({"sigma_nm_per_s": np.ones(3)}, r"sigma is \(3,\)"),
        ({"pixel_um": 0.0}, "pixel_um is 0.0; give µm above 0"),
        ({"regularisation": -1.0}, "regularisation is -1.0; give a number above 0"),
    ],
)
def test_what_cannot_be_used_is_refused(changed, message):
    given = {
        "full_rate_nm_per_s": np.full(SHAPE, 38.0),
        "measured_nm_per_s": np.full(SHAPE, 30.0),
        "sigma_nm_per_s": 1.0,
        "pixel_um": 1.0,
    } | changed
    with pytest.raises(InputError, match=message):
        efficiency_map(**given)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"start_a_per_m2": 0.0}, "start_a_per_m2 is 0.0; give A/m² above 0"),
        ({"max_solves": 1}, "max_solves is 1; give 2 or more"),
        ({"solve": lambda exchange: np.ones((2, 2))}, r"solve returned \(2, 2\)"),
        ({"solve": lambda exchange: -exchange}, "not finite and above 0"),
    ],
)
def test_a_search_that_cannot_be_is_refused(changed, message):
    given = {"solve": lambda exchange: exchange, "start_a_per_m2": 30.0, "max_solves": 4} | changed
    with pytest.raises(InputError, match=message):
        exchange_current_map(given.pop("solve"), np.full(SHAPE, 30.0), 1.0, pixel_um=1.0, **given)
