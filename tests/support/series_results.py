"""A small run with everything that figures and report of a series are made from."""

import numpy as np

from lee.electrochemistry import CellData
from lee.series.alignment.scan_alignment import Alignment
from lee.series.charge.balance import ChargeBalance, charge_balance
from lee.series.charge.options import ChargeOptions
from lee.series.region_curves import region_curves
from lee.series.relation import Relation
from lee.series.report.results import SeriesResults
from lee.surfaces.areal import areal_over_time
from lee.surfaces.profile import Profile
from lee.surfaces.regions import Region

PIXEL_UM = 0.5
SHAPE = (48, 64)
TIMES = np.arange(6) * 10.0
PHASES = ["plating"] * 4 + ["stripping"] * 2
LOST = 2


def disc(y: float, x: float, radius: float = 7) -> np.ndarray:
    rows, columns = np.indices(SHAPE)
    return np.hypot(rows - y, columns - x) <= radius


def regions() -> list[Region]:
    return [Region("T1", "trench", disc(15, 15)), Region("P1", "protrusion", disc(30, 45))]


def relation(sign: float = 1.0) -> Relation:
    curvature, rate = np.linspace(-0.1, 0.1, 11), np.linspace(0, 100, 21)
    density = np.zeros((10, 20))
    density[np.arange(10), np.arange(10) * 2] = 1.0
    centres = np.linspace(-0.08, 0.08, 5)
    median = 50 + sign * 400 * centres
    return Relation(
        curvature, rate, density, centres, median, median - 5, median + 5, 0.8 * sign, (0.7, 0.9),
        0.75 * sign, (0.6, 0.8), 40.0, 3072, 5.0, 42, 0.95, "",
    )  # fmt: skip


def profile(level: float) -> Profile:
    distance = np.linspace(0, 20, 41)
    return Profile(distance, level + np.sin(distance), np.cos(distance) / 10, 40 + 10 * np.cos(distance))


def charge(heights: np.ndarray) -> ChargeBalance:
    seconds = np.arange(0, 80, 0.5)
    record = CellData(seconds, np.where(seconds < 45, -0.08, 0.08), np.where(seconds < 45, -0.1, 0.1))
    options = ChargeOptions(record, electrode_area_cm2=1.0, clock_offset_s=10.0)
    return charge_balance(options, TIMES, heights, np.full_like(heights, 0.02), pixel_um=PIXEL_UM)


def results() -> SeriesResults:
    rng = np.random.default_rng(1)
    rate = np.full(SHAPE, 40, np.float32)
    rate[disc(15, 15)], rate[disc(30, 45)] = 60, 30
    rates = np.stack([rate * (1 if phase == "plating" else -1) for phase in PHASES]).astype(np.float32)
    rates[:, :5, -8:] = np.nan
    steps = np.concatenate([np.zeros((1, *SHAPE)), np.cumsum(rates[:-1] * 0.01, axis=0)])
    heights = (np.linspace(0, 2, SHAPE[1]) + steps + rng.normal(0, 0.02, (6, *SHAPE))).astype(np.float32)
    heights[LOST] = np.nan
    sigma = np.where(np.isfinite(rates), np.float32(3), np.float32(np.nan))
    found = regions()
    return SeriesResults(
        name="a <run>",
        times_s=TIMES,
        phases=PHASES,
        pixel_um=PIXEL_UM,
        heights=heights,
        delta=heights - heights[0],
        rate=rates,
        rate_sigma=sigma,
        curvature=((rate - 40) / 200).astype(np.float32),
        scale_um=3.0,
        regions=found,
        region_table=region_curves(found, heights, rates, sigma, TIMES, pixel_um=PIXEL_UM),
        areal_table=areal_over_time(heights, TIMES, pixel_um=PIXEL_UM, scale_um=3.0),
        relations={"plating": relation(), "stripping": relation(-1)},
        profiles={"t = 0 s": profile(0), "t = 50 s": profile(2)},
        line_um=((5.0, 5.0), (20.0, 28.0)),
        alignment=Alignment(
            rng.normal(0, 0.3, (6, 2)), np.full((6, 2), 0.02), np.zeros(6), np.full(6, np.nan), "none",
            "drift of the stage along the axis reads as growth",
        ),
        charge=charge(heights),
        failed={"scan_2.tif": "the file ends early"},
        notes=["only six scans were taken"],
        settings={"window (scans)": 5, "reference": "none"},
    )  # fmt: skip
