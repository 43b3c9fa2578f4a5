"""Results of the analysis of a run: the input of figures, films and report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lee.errors import InputError
from lee.figures.maps import Maps, Times

if TYPE_CHECKING:
    import pandas as pd

    from lee.series.alignment.scan_alignment import Alignment
    from lee.series.charge.balance import ChargeBalance
    from lee.series.relation import Relation
    from lee.surfaces.profile import Line, Profile
    from lee.surfaces.regions import Region


@dataclass
class SeriesResults:
    """Results of the analysis of a run; optional ones may be missing.

    Attributes
    ----------
    name : str
        Of the run.
    times_s : (T,) float, s
        From the first scan, ascending.
    phases : (T,) str
        ``plating``, ``stripping``, ``rest`` or empty.
    pixel_um : float, µm
    heights, delta : (T, H, W) float32, µm
        Aligned heights and growth since the first scan; anything indexed by scan, read one map at a time.
    rate : (T, H, W) float32, nm/s
        From the fit over a window of scans.
    rate_sigma : (T, H, W) float32, nm/s, optional
        Its standard deviation.
    curvature : (H, W) float32, 1/µm, optional
        Mean curvature of the first measured scan, on which the regions are drawn.
    scale_um : float, µm, optional
        Of the curvature.
    regions : sequence of Region
    region_table : DataFrame, optional
        From `lee.series.region_curves.region_curves`.
    areal_table : DataFrame, optional
        From `lee.surfaces.areal.areal_over_time`.
    relations : mapping of str to Relation
        For example one for each phase.
    profiles : mapping of str to Profile
        For example ``t = 0 s`` and ``t = 120 s``, in order of time.
    line_um : ((y0, x0), (y1, x1)), µm, optional
        Line of the profiles.
    alignment : Alignment, optional
    charge : ChargeBalance, optional
        Where the potentiostat's record was given.
    failed : mapping of str to str
        Scans without a surface, and the reasons.
    notes : sequence of str
        Warnings and remarks on the results, a sentence or two each.
    settings : mapping of str to object
        Settings of the analysis.

    Raises
    ------
    InputError
        If there is no scan, or the numbers of times, phases and maps differ.
    """

    name: str
    times_s: Times
    phases: Sequence[str]
    pixel_um: float
    heights: Maps
    delta: Maps
    rate: Maps
    rate_sigma: Maps | None = None
    curvature: NDArray[np.float32] | None = None
    scale_um: float | None = None
    regions: "Sequence[Region]" = ()
    region_table: "pd.DataFrame | None" = None
    areal_table: "pd.DataFrame | None" = None
    relations: "Mapping[str, Relation]" = field(default_factory=dict)
    profiles: "Mapping[str, Profile]" = field(default_factory=dict)
    line_um: "Line | None" = None
    alignment: "Alignment | None" = None
    charge: "ChargeBalance | None" = None
    failed: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    settings: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = len(self.times_s)
        if count == 0:
            raise InputError(f"{self.name} has no scans")
        for what in ("phases", "heights", "delta", "rate", "rate_sigma"):
            values = getattr(self, what)
            if values is not None and len(values) != count:
                raise InputError(
                    f"{self.name}: {len(values)} {what} for {count} times: give one for each time"
                )
