"""What a run's charge is judged by: the record, the electrode's area, the metal, the clocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lee.electrochemistry.cell_data import CellData
from lee.electrochemistry.faraday import checked_with_error, metal_named

PlatingCurrent = Literal["auto", "positive", "negative"]


@dataclass(frozen=True)
class ChargeOptions:
    """The record of the potentiostat that belongs to a run, and what turns its current into thickness.

    Parameters
    ----------
    record : CellData
    electrode_area_cm2, electrode_area_sigma_cm2 : float, cm²
        Area of the electrode as seen from its counter electrode, and its standard error; None takes the area
        that the record states, and without one there is no balance.
    window_share, window_share_sigma : float
        Current density in the microscope's field over the electrode's mean, and its standard error.
    clock_offset_s : float, s, optional
        Time of the record at the start of the first scan; by default found from the edges of the current.
    plating_current : {"auto", "positive", "negative"}
        Sign of the record's current that plates; by default the one under which the surface grows.
    metal : str
        Name of one of `lee.electrochemistry.faraday.METALS`.

    Raises
    ------
    InputError
        If a number is out of bounds, or there is no such metal.
    """

    record: CellData
    electrode_area_cm2: float | None = None
    electrode_area_sigma_cm2: float = 0.0
    window_share: float = 1.0
    window_share_sigma: float = 0.0
    clock_offset_s: float | None = None
    plating_current: PlatingCurrent = "auto"
    metal: str = "zinc"

    def __post_init__(self) -> None:
        metal_named(self.metal)
        if self.electrode_area_cm2 is not None:
            checked_with_error(
                self.electrode_area_cm2, self.electrode_area_sigma_cm2, "the electrode's area", "cm²"
            )
        checked_with_error(self.window_share, self.window_share_sigma, "the window's share", "a ratio")
