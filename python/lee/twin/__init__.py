"""The digital twin: concentrations, potentials and currents over a measured surface."""

from lee.twin.cell import Cell
from lee.twin.mesh import MeshSize
from lee.twin.solution import Balance, Fields, Solution
from lee.twin.solve import solve

__all__ = ["Balance", "Cell", "Fields", "MeshSize", "Solution", "solve"]
