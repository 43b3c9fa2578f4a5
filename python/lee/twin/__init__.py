"""The digital twin: concentrations, potentials and currents over a measured surface."""

from lee.twin.cell import Cell
from lee.twin.solution import Balance, Fields, Solution

__all__ = ["Balance", "Cell", "Fields", "Solution"]
