"""The twin beyond one machine: the same equations on strips of the mesh, over MPI and PETSc.

A room of its own: only it needs mpi4py and petsc4py, and nothing else in the twin imports it.
"""

from lee.twin.mpi.solve import solve_parallel

__all__ = ["solve_parallel"]
