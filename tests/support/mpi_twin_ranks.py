"""Run by each rank of `tests/twin/test_mpi.py`: solves small cases together; rank 0 writes the results.

mpirun -n N python mpi_twin_ranks.py FILE.npz     or     ... mpi_twin_ranks.py fail
"""

import sys

import numpy as np

from lee.electrochemistry import Protocol
from lee.twin import Cell, MeshSize

PIXEL_UM = 16.0


def trench():
    """Deep along y, and not the same at every y."""
    x, y = ((np.arange(n) + 0.5) * PIXEL_UM for n in (12, 14))
    return -40 * np.exp(-(((x - 90) / 30) ** 4))[None] + 5 * np.cos(np.pi * y / 224)[:, None]


COMMON = {
    "pixel_um": PIXEL_UM,
    "mesh": MeshSize(columns=(14, 12), layers=8),
    "report": None,
}
CASES = {
    "stirred": {
        "cell": Cell(),
        "times_s": [0.5, 1.0],
        "step_s": 0.5,
        "exchange_current": np.where(trench() < -20, 45.0, 30.0),
    },
    "gap": {"cell": Cell(gap_um=200.0), "times_s": [0.005], "tolerance": 1e-2},
    "held": {
        "cell": Cell(
            contact_ohm_cm2=0.5,
            protocol=Protocol.cc_cv(80.0, -0.215, until_ma_per_cm2=60.0, duration_s=1.0),
        ),
        "times_s": [0.01],
        "tolerance": 1e-2,
    },
    "secondary": {"cell": Cell(current_density_ma_per_cm2=-20.0), "kind": "secondary"},
}


def numbers(solution):
    """Give what is compared, as arrays."""
    fields, balances = solution.fields, solution.balances
    return {
        "concentration": fields.concentration_mol_per_l,
        "potential": fields.potential_v,
        "current": fields.current_density_ma_per_cm2,
        "electrode_v": solution.electrode_v,
        "steps": np.array([b.step_s for b in balances]),
        "balances": np.array([max(b.charge_error, b.mass_error) for b in balances]),
        "iterations": np.array([b.linear_iterations for b in balances]),
    }


def failing(_):
    raise ValueError("a rank that fails")


if __name__ == "__main__":
    from lee.twin.mpi import solve_parallel

    if sys.argv[1] == "fail":
        solve_parallel(trench(), **COMMON, **CASES["stirred"], progress=failing)
        sys.exit("no rank was ended")
    held = {}
    for name, case in CASES.items():
        found = solve_parallel(trench(), **COMMON, **case)
        if found is not None:
            held |= {f"{name} {what}": values for what, values in numbers(found).items()}
    if held:
        np.savez(sys.argv[1], **held)
