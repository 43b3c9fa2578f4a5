"""A solution made by hand: a uniform current over a relief, so that every number in it is known."""

import numpy as np

from lee.twin import Balance, Cell, Fields, Solution

PIXEL_UM = 2.0
SHAPE = (12, 16)
CURRENT_MA_PER_CM2 = 80.0


def relief(x_um, y_um):
    return 6 * np.sin(x_um / 6) + 0.2 * y_um


def made_solution(times_s=(1.0, 100.0), cell=None, kind="tertiary", grown_um=0.0):
    """Current straight down everywhere, psi linear in height, concentration falling with time.

    The maps of heights rise by `grown_um` from time to time.
    """
    cell = cell or Cell()
    times = np.asarray(times_s, float)
    rows, columns = SHAPE
    x, y = (np.linspace(0, n * PIXEL_UM, n // 2 + 1) for n in (columns, rows))
    bottom = relief(*np.meshgrid(x, y))
    plane = bottom.max() + 100
    share = np.array([0, 0.05, 0.15, 0.4, 1.0])
    z = np.repeat((bottom[..., None] * (1 - share) + plane * share)[None], len(times), axis=0)
    drop = CURRENT_MA_PER_CM2 * 10 / cell.conductivity_s_per_m * 1e-6
    depth = (plane - z) / 100
    c = 2.0 - 0.3 * depth * (times / (times + 10))[:, None, None, None]
    psi = -drop * (plane - z)
    phi = psi + cell.thermal_voltage_v * cell.diffusion_potential * np.log(c / cell.concentration_mol_per_l)
    at_pixels = relief(*np.meshgrid(*((np.arange(n) + 0.5) * PIXEL_UM for n in (columns, rows))))
    height = np.repeat(at_pixels[None], len(times), axis=0).astype(np.float32)
    height = height + np.float32(grown_um) * np.arange(len(times), dtype=np.float32)[:, None, None]
    maps = {
        "concentration_mol_per_l": 1.7 + 0.002 * height,
        "potential_v": -0.02 + 1e-4 * height,
        "overpotential_v": -0.17 - 1e-4 * height,
        "current_density_ma_per_cm2": 80 + 0.2 * height,
        "height_rate_nm_per_s": 42 + 0.1 * height,
        "normal_rate_nm_per_s": 38 + 0.1 * height,
    }
    growing = 1 + 0.01 * np.arange(len(times), dtype=np.float32)[:, None, None]
    maps = {name: (values * growing).astype(np.float32) for name, values in maps.items()}
    maps["area_ratio"] = maps["height_rate_nm_per_s"] / maps["normal_rate_nm_per_s"]
    filled = np.zeros(SHAPE, bool)
    filled[2:4, 3:6] = True
    electrode = {
        name: np.full(z.shape[:3], value) for name, value in (("i", 80.0), ("eta", -0.17), ("r", 38.0))
    }
    return Solution(
        times_s=times, **maps, electrode_v=np.full(len(times), -0.19), height_um=height, filled=filled,
        pixel_um=PIXEL_UM, kind=kind, cell=cell,
        fields=Fields(x, y, z, c, phi, electrode["i"], electrode["eta"],
                      42 / 38 * electrode["r"], electrode["r"]),
        balances=tuple(
            Balance(float(t), 1.0, 1e-9, 2e-9, (1e-3, 1e-9), 12, -0.19) for t in times
        ),
        timings_s={"all": 1.5}, notes=("made by hand",),
    )  # fmt: skip
