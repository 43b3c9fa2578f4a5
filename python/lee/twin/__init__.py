"""The digital twin: concentrations, potentials and currents over a measured surface."""

from lee.twin.cell import Cell
from lee.twin.compare import Comparison, compare
from lee.twin.comsol import export_comsol
from lee.twin.growth import grow
from lee.twin.inverse import Explained, efficiency_map, exchange_current_map
from lee.twin.mesh import MeshSize
from lee.twin.solution import Balance, Fields, Solution
from lee.twin.solve import solve
from lee.twin.window import Section, WindowCurrent, window_current

__all__ = [
    "Balance",
    "Cell",
    "Comparison",
    "Explained",
    "Fields",
    "MeshSize",
    "Section",
    "Solution",
    "WindowCurrent",
    "compare",
    "efficiency_map",
    "exchange_current_map",
    "export_comsol",
    "grow",
    "solve",
    "window_current",
]
