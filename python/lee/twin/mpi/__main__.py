"""`mpirun -n N python -m lee.twin.mpi SURFACE -o DIR`: `lee twin solve` on several ranks."""

from __future__ import annotations

import argparse
import sys
import warnings
from typing import Any

from lee.errors import LeeError
from lee.storage.atomic import try_new_folder
from lee.surfaces.surface import Surface
from lee.twin.cell import Cell
from lee.twin.mesh.columns import MeshSize
from lee.twin.mpi.solve import KINDS, Together, agreed, solve_parallel
from lee.twin.mpi.strip import import_mpi
from lee.twin.results.folder import FILES, save_solution
from lee.twin.results.solution import Balance


def main() -> int:
    """Solve and write; the first rank reads, tells and writes."""
    given = _parser().parse_args()
    try:
        comm = import_mpi()[0].COMM_WORLD
    except LeeError as error:
        print(f"lee: {error}", file=sys.stderr)
        return 2
    try:
        with Together(comm):
            return _solve(given, comm)
    except LeeError as error:
        # A rank that leaves with a code of its own could end the first before it has spoken.
        if comm.rank != 0:
            return 0
        print(f"lee: {error}", file=sys.stderr)
        return 2


def _solve(given: argparse.Namespace, comm: Any) -> int:
    first = comm.rank == 0
    surface, cell = comm.bcast(agreed(comm, lambda: _read(given) if first else None))
    size = MeshSize(layers=given.layers)
    if given.columns is not None:
        rows, columns = (max(1, round(n * given.columns / max(surface.shape))) for n in surface.shape)
        size = MeshSize(layers=given.layers, columns=(rows, columns))
    # Told at the end, in one line.
    warnings.filterwarnings("ignore", message="stopped at")
    found = solve_parallel(
        surface.height_um,
        pixel_um=surface.pixel_um,
        cell=cell,
        times_s=given.times_s,
        kind=given.kind,
        mesh=size,
        comm=comm,
        tell=_tell,
        progress=_tell_step,
    )
    if found is None:
        return 0
    save_solution(found, given.output, overwrite=given.overwrite, metadata=vars(given))
    _tell(f"{given.output}: {len(found.balances)} steps in {found.timings_s['all']:.1f} s")
    if found.stopped:
        print(f"lee: {found.stopped}; {given.output} holds what was reached", file=sys.stderr)
    return 1 if found.stopped else 0


def _read(given: argparse.Namespace) -> tuple[Surface, Cell]:
    try_new_folder(given.output, overwrite=given.overwrite, known=FILES)
    surface = Surface.load(given.surface, pixel_um=given.pixel_um)
    return surface, Cell() if given.cell is None else Cell.load(given.cell)


def _tell(line: str) -> None:
    print(line, flush=True)


def _tell_step(balance: Balance) -> None:
    books = max(balance.charge_error, balance.mass_error)
    _tell(
        f"t = {balance.time_s:.4g} s, step {balance.step_s:.3g} s, {balance.linear_iterations} iterations, "
        f"books within {books:.1e}"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lee.twin.mpi",
        description="Compute the environment of SURFACE on all ranks that MPI started.",
        epilog="example: mpirun -n 16 python -m lee.twin.mpi surface -o environment --columns 512",
    )
    parser.add_argument("surface", metavar="SURFACE", help="folder of lee reconstruct, or a TIFF in um")
    parser.add_argument("-o", "--output", metavar="DIR", required=True, help="folder to write")
    parser.add_argument("--cell", metavar="TOML", help="as lee twin cell writes it; else its defaults")
    parser.add_argument("--times-s", metavar="S,S,...", type=_seconds, default=[1.0, 10.0, 100.0])
    parser.add_argument("--kind", choices=KINDS, default="tertiary")
    parser.add_argument("--columns", type=int, metavar="N", help="cells along the longer side")
    parser.add_argument("--layers", type=int, default=20, metavar="N", help="cells along z")
    parser.add_argument("--pixel-um", type=float, metavar="UM", help="for a TIFF that does not tell it")
    parser.add_argument("--overwrite", action="store_true", help="replace an older folder of this kind")
    return parser


def _seconds(text: str) -> list[float]:
    return [float(word) for word in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
