"""One implicit step of the twin: processor time, iterations and peak memory against the number of unknowns.

Each row runs in a process of its own. A step is two implicit stages, each solved by Newton's method; its time
holds the multigrid's set-up, but not the matrices, which stand beside it. With ``--grow`` an electrode of
64 x 64 columns is plated for 1460 s as well.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from bench.table import lines, machine
from lee.twin import Cell, MeshSize, grow
from lee.twin.model import make_model
from lee.twin.solver.newton import SubstepSolver
from lee.twin.solver.stepping import Stepper

FIELD_UM = 200.0
# (cells along x and along y, layers, gap in µm or None for the stirred layer)
CASES = ((32, 24, None), (64, 24, None), (96, 24, None), (140, 24, None), (64, 24, 2000.0))


def relief(side: int) -> np.ndarray:
    """Return trenches 30 µm deep across each other over a field of 200 µm, with finer bumps."""
    x = (np.arange(side) + 0.5) / side
    trench = -15 * (1 + np.cos(4 * np.pi * x))
    bumps = 2 * np.cos(18 * np.pi * x)
    return np.minimum(trench[None], trench[:, None]) + bumps[None] * bumps[:, None] / 2


def one_step(cells: int, layers: int, gap_um: float | None) -> dict[str, float]:
    """Make a short step and then one of 5 s; measure the second."""
    side = 2 * cells
    begin = time.process_time()
    model = make_model(
        relief(side),
        pixel_um=FIELD_UM / side,
        cell=Cell(gap_um=gap_um),
        kind="tertiary",
        exchange_current=None,
        efficiency=None,
        mesh=MeshSize(columns=(cells, cells), layers=layers),
    )
    columns = model.columns
    volume = model.volume(columns.z_um(columns.height_um, columns.plane_um))
    made = time.process_time()
    start = model.start(volume)
    solver = SubstepSolver(model.problem, columns.shape)
    stepper = Stepper(solver, lambda *_: lambda _: volume, start, step_s=5.0)
    stepper.step(0.05)
    solver.forget()
    before, clock = time.process_time(), time.perf_counter()
    balance = stepper.step(5.05)
    newton = len(balance.residuals) - 2
    return {
        "unknowns": 2 * int(np.prod(columns.shape)),
        "matrices cpu s": made - begin,
        "step cpu s": time.process_time() - before,
        "step s": time.perf_counter() - clock,
        "newton": newton,
        "gmres a newton": balance.linear_iterations / newton,
        "peak GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
        "charge error": balance.charge_error,
        "mass error": balance.mass_error,
    }


def in_a_process(case: tuple[int, int, float | None]) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.bench_twin", "--case", json.dumps(case)]
    child = subprocess.run(
        command, cwd=Path(__file__).parents[1], check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(child.stdout.splitlines()[-1])


def growth() -> None:
    """Plate 64 x 64 columns for 1460 s and print the time it takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    solution = grow(
        relief(128),
        pixel_um=FIELD_UM / 128,
        cell=Cell(),
        times_s=[100.0, 1460.0],
        mesh=MeshSize(columns=(64, 64)),
        report=None,
    )
    worst = max(max(b.charge_error, b.mass_error) for b in solution.balances)
    print(
        f"growth over {solution.times_s[-1]:.0f} s, 64 x 64 columns, 20 layers, "
        f"{len(solution.balances)} steps: {time.perf_counter() - wall:.0f} s, "
        f"{time.process_time() - cpu:.0f} s processor time, "
        f"worst balance {worst:.1e}"
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=1_000_000, help="largest number of unknowns")
    parser.add_argument("--grow", action="store_true", help="time a growth as well; some ten minutes")
    parser.add_argument("--case", type=json.loads, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.case:
        print(json.dumps(one_step(*given.case)))
        return
    print(f"one implicit step of the twin; {machine()}")
    rows = []
    for case in CASES:
        cells, layers, gap_um = case
        if 2 * (cells + 1) ** 2 * (layers + 1) <= given.most:
            place = "stirred, 100 um" if gap_um is None else f"closed, {gap_um:g} um"
            rows.append({"cell": place, "mesh": f"{cells} x {cells} x {layers}", **in_a_process(case)})
    errors = {name: lambda value: f"{value:.0e}" for name in ("charge error", "mass error")}
    print("\n".join(lines(rows, errors)))
    if given.grow:
        growth()


if __name__ == "__main__":
    main()
