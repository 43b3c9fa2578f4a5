"""What was applied to the cell: records of potentiostats, protocols, and the charge against the deposit.

A room of its own because it needs neither surfaces nor kernels: a run and the twin both use it.
"""

from lee.electrochemistry.cell_data import CellData
from lee.electrochemistry.protocol import Limit, Protocol, Step
from lee.electrochemistry.read import read_cell_data

__all__ = ["CellData", "Limit", "Protocol", "Step", "read_cell_data"]
