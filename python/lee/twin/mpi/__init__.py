"""The twin past one machine: the same equations on strips of the mesh, over MPI and PETSc."""

from lee.twin.mpi.solve import solve_parallel

__all__ = ["solve_parallel"]
