"""The twin past one machine: the same equations on strips of the mesh, over MPI and PETSc."""

from lee.twin.parallel.solve import solve_parallel

__all__ = ["solve_parallel"]
