"""The twin over MPI: as many ranks as there are, the same answer."""

import importlib.util
import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lee.errors import InputError, MissingDependency
from lee.storage.map_tiff import write_map
from lee.twin import solve
from lee.twin.mpi.schwarz import _sparse_columns
from lee.twin.mpi.strip import OVERLAP, Rows, import_mpi
from tests.support.mpi_twin_ranks import CASES, COMMON, PIXEL_UM, numbers, trench

SCRIPT = Path(__file__).parents[1] / "support/mpi_twin_ranks.py"
# For Open MPI as root, and on fewer cores than ranks; other MPIs do not look at it.
ENVIRONMENT = {
    **os.environ,
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_mpi_yield_when_idle": "1",
    "OMP_NUM_THREADS": "1",
}
NEEDED = "import mpi4py.MPI, petsc4py.PETSc, ngsolve, lee.twin.mpi"


@pytest.fixture(scope="module")
def mpi_python():
    """Return an interpreter that has all that is needed: the running one, or LEE_MPI_PYTHON's."""
    if shutil.which("mpirun") is None:
        pytest.skip("no mpirun: MPI is not installed")
    here = importlib.util.find_spec("mpi4py") and importlib.util.find_spec("petsc4py")
    python = sys.executable if here else os.environ.get("LEE_MPI_PYTHON")
    if python is None:
        pytest.skip("no mpi4py and petsc4py here, and LEE_MPI_PYTHON names no interpreter that has them")
    tried = subprocess.run([python, "-c", NEEDED], capture_output=True, text=True, env=ENVIRONMENT)
    if tried.returncode:
        pytest.skip(f"{python} cannot run the twin over MPI: {tried.stderr.strip().splitlines()[-1]}")
    return python


def on_ranks(ranks, *command):
    return subprocess.run(
        ["mpirun", "-n", str(ranks), *map(str, command)],
        capture_output=True, text=True, env=ENVIRONMENT, timeout=300,
    )  # fmt: skip


@pytest.fixture(scope="module")
def found(mpi_python, tmp_path_factory):
    """Return what one and two ranks got."""
    folder = tmp_path_factory.mktemp("ranks")
    for ranks in (1, 2):
        run = on_ranks(ranks, mpi_python, SCRIPT, folder / f"{ranks}.npz")
        assert run.returncode == 0, run.stderr
    return {ranks: dict(np.load(folder / f"{ranks}.npz")) for ranks in (1, 2)}


@pytest.mark.parametrize("case", CASES)
def test_two_ranks_one_rank_and_one_machine_give_the_same(found, case):
    serial = numbers(solve(trench(), **COMMON, **CASES[case]))
    for ranks in (1, 2):
        got = {name: found[ranks][f"{case} {name}"] for name in serial}
        for name in ("concentration", "potential", "current", "electrode_v"):
            scale = np.abs(serial[name]).max()
            np.testing.assert_allclose(got[name], serial[name], rtol=0, atol=1e-7 * scale)
        np.testing.assert_allclose(got["steps"], serial["steps"], rtol=1e-5)
        assert got["balances"].size == 0 or got["balances"].max() <= 1e-6
        # The strips' preconditioner is about as good as that of one machine.
        assert got["iterations"].sum() <= 1.3 * serial["iterations"].sum()


def test_a_rank_that_fails_ends_all(mpi_python):
    run = on_ranks(2, mpi_python, SCRIPT, "fail")
    assert run.returncode != 0
    assert "lee: rank 0 failed, which ends all: ValueError at mpi_twin_ranks.py:" in run.stderr


@pytest.mark.parametrize(
    ("options", "code", "line"),
    [
        (
            ("--columns", "4"),
            1,
            "lee: mesh: 4 cells along y are too few for 2 ranks; give at most 1 ranks, or at least 5 cells",
        ),
        (("--kind", "primary"), 1, "lee: kind is 'primary'; kinds on several ranks are secondary, tertiary"),
        (("--layers", "1"), 2, "lee: invalid value for '--layers': 1 is not in the range"),
    ],
)
def test_what_cannot_be_used_is_reported_once_and_ends_all_ranks(mpi_python, tmp_path, options, code, line):
    write_map(tmp_path / "height.tif", trench().astype(np.float32), PIXEL_UM)
    command = (mpi_python, "-m", "lee", "twin", "solve", tmp_path / "height.tif", "-o", tmp_path / "out")
    run = on_ranks(2, *command, *options, "--mpi")
    assert run.returncode == code
    assert run.stderr.count(line) == 1
    assert run.stderr.count("lee: ") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_command_writes_what_lee_twin_solve_writes(mpi_python, tmp_path):
    from lee.twin.results.folder import load_maps

    write_map(tmp_path / "height.tif", trench().astype(np.float32), PIXEL_UM)
    run = on_ranks(
        2, mpi_python, "-m", "lee", "twin", "solve", tmp_path / "height.tif", "-o", tmp_path / "out",
        "--times-s", "1", "--layers", "8", "--no-films", "--mpi",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "charge and salt balanced within" in run.stdout
    assert run.stdout.count("t = 1 s: c") == 1
    assert load_maps(tmp_path / "out").times_s == pytest.approx([1.0])


def test_without_mpi_the_error_names_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(MissingDependency, match=r"needs mpi4py and petsc4py .*\[twin,mpi\]"):
        import_mpi()


@pytest.mark.parametrize(("count", "size"), [(6, 2), (65, 4), (129, 7), (9, 1)])
def test_each_row_belongs_to_one_rank_and_its_neighbours_hold_what_they_look_at(count, size):
    rows = [Rows.of(count, rank, size) for rank in range(size)]
    owned = np.concatenate([np.arange(count)[r.own] for r in rows])
    np.testing.assert_array_equal(owned, np.arange(count))
    for before, after in itertools.pairwise(rows):
        assert after.wide.start == before.own.stop - OVERLAP >= before.own.start
        assert before.wide.stop == after.own.start + OVERLAP <= after.own.stop
        assert before.all.stop >= min(before.wide.stop + 1, count)


def test_too_many_ranks_for_a_mesh_are_refused():
    with pytest.raises(InputError, match="7 cells along y are too few for 3 ranks; give at most 2 ranks"):
        Rows.of(8, 0, 3)


@pytest.mark.parametrize("shape", [(2, 3), (33, 64), (300, 260)])
def test_sparse_columns_carry_constants_and_are_few(shape):
    along_y, along_x = _sparse_columns(*shape)
    for matrix in (along_y, along_x):
        np.testing.assert_allclose(matrix.sum(axis=1), 1.0, rtol=1e-14)
    assert along_y.shape[1] * along_x.shape[1] <= 4096
