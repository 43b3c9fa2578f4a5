"""The demonstration's charge: a record of the run, made from its truth and read as a user's would be."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lee.devices.virtual import RunTruth
from lee.electrochemistry import CellData
from lee.electrochemistry.faraday import METALS
from lee.electrochemistry.write import write_cell_data
from lee.figures.report import Section
from lee.series.charge.balance import ChargeBalance
from lee.series.charge.options import ChargeOptions
from lee.twin.cell import Cell

EFFICIENCY = {"plating": 0.93, "stripping": 1.0}
AREA_CM2, AREA_SIGMA_CM2 = 1.0, 0.005
OFFSET_S = 37.3
CONTACT_OHM_CM2 = 0.5
RECORD = "cell.bdf.csv"
_REST_S, _SAMPLE_S, _NOISE_SHARE = 20.0, 0.25, 1e-3


def demo_record(truth: RunTruth, seed: int = 0) -> CellData:
    """Return the record of the cell that grew this run: the current that its mean thickness needs.

    The electrode rests first. The potential is the overpotential of the twin's zinc cell at that current,
    less what drops in its layer of electrolyte and over `CONTACT_OHM_CM2`.

    Parameters
    ----------
    truth : RunTruth
    seed : int
        Of the current's noise.
    """
    gained_um = np.diff(truth.height_um.mean(axis=(1, 2), dtype=np.float64))
    efficiency = np.where(gained_um > 0, EFFICIENCY["plating"], EFFICIENCY["stripping"])
    density = gained_um / np.diff(truth.times_s) / (efficiency * METALS["zinc"].um_per_c_per_cm2)
    times = np.arange(0, OFFSET_S + truth.times_s[-1] + 40, _SAMPLE_S)
    scan = np.searchsorted(truth.times_s, times - OFFSET_S, side="right") - 1
    applied = np.where(times < _REST_S, 0.0, density[np.clip(scan, 0, density.size - 1)])
    noise = np.random.default_rng(seed).normal(0, _NOISE_SHARE * np.abs(density).max(), times.size)
    levels = np.concatenate([[0.0], density])
    cells = [replace(Cell(), current_density_ma_per_cm2=1e3 * one) for one in levels]
    layer_ohm_cm2 = 1e-2 * Cell().distance_um / Cell().conductivity_s_per_m
    drop = levels * (layer_ohm_cm2 + CONTACT_OHM_CM2)
    potential = np.array([cell.overpotential_v for cell in cells]) - drop
    at = np.where(times < _REST_S, 0, 1 + np.clip(scan, 0, density.size - 1))
    return CellData(times, -(applied + noise) * AREA_CM2, potential[at])


def demo_charge(folder: Path, truth: RunTruth, seed: int = 0) -> ChargeOptions:
    """Write the record into the run's folder, read it, and return what the analysis takes."""
    from lee.electrochemistry.read import read_cell_data

    write_cell_data(folder / RECORD, demo_record(truth, seed))
    return ChargeOptions(read_cell_data(folder / RECORD), AREA_CM2, AREA_SIGMA_CM2)


@dataclass(frozen=True, eq=False)
class ChargeDemo:
    """The balance that was read from the record, and the truth of the run."""

    balance: ChargeBalance
    truth: RunTruth

    def true_offset_s(self) -> float:
        """Return the offset of the clocks to the moment at which the surface is in focus."""
        rate = self.truth.rate_nm_per_s.mean(axis=(1, 2)) * 1e-3
        later = (self.truth.seen_um - self.truth.height_um).mean(axis=(1, 2)) / rate
        return OFFSET_S + float(np.median(later))

    def rows(self) -> list[dict[str, str]]:
        """Return true and measured efficiency of each phase, and the clocks' offset."""
        clock = self.balance.clock
        rows = [
            {
                "charge": f"efficiency, {one.phase}",
                "true": f"{100 * EFFICIENCY[one.phase]:.1f} %",
                "measured": f"{100 * one.efficiency:.1f} %",
                "stated error": f"{100 * one.sigma:.1f} %",
            }
            for one in self.balance.by_phase
        ]
        rows.append(
            {
                "charge": "clock offset",
                "true": f"{self.true_offset_s():.1f} s",
                "measured": f"{clock.offset_s:.1f} s",
                "stated error": f"{clock.sigma_s:.1f} s",
            }
        )
        return rows

    def section(self, run: Path) -> Section:
        """Return the section of the demo's report."""
        return Section(
            "Charge and deposit",
            f"The same run, plated and stripped by a cell whose record a potentiostat would have written "
            f"({run.name}/{RECORD}): an electrode of {AREA_CM2:g} ± {AREA_SIGMA_CM2:g} cm², of whose plating "
            f"current {100 * EFFICIENCY['plating']:g} % make metal. The clocks differ; their offset is "
            "found from "
            "the edges of the current, and includes the time from the start of a scan to the moment at "
            "which the "
            "surface is in focus.",
            table=self.rows(),
            pictures={"Record, and measured thickness against the charge": run / "series" / "charge.png"},
        )
