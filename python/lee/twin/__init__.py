"""The digital twin: concentrations, potentials and currents over a measured surface."""

from lee.twin.cell import Cell
from lee.twin.comparison.compare import Comparison, compare
from lee.twin.comparison.inversion import Inversion, efficiency_map, exchange_current_map
from lee.twin.comparison.window import CellSection, WindowCurrent, window_current
from lee.twin.comsol.export import export_comsol
from lee.twin.fitting.fit import Fit, fit
from lee.twin.following.follow import Followed, follow
from lee.twin.growth import grow
from lee.twin.mesh.columns import MeshSize
from lee.twin.results.solution import Balance, Fields, Solution
from lee.twin.solve import solve

__all__ = [
    "Balance",
    "Cell",
    "Comparison",
    "Inversion",
    "Fields",
    "Fit",
    "Followed",
    "MeshSize",
    "CellSection",
    "Solution",
    "WindowCurrent",
    "compare",
    "efficiency_map",
    "exchange_current_map",
    "export_comsol",
    "fit",
    "follow",
    "grow",
    "solve",
    "window_current",
]
