"""The truth of a rendered run: its surfaces, rates, drift and nuclei, as ``truth.npz`` holds them."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_BY_SCAN = ("nuclei_seen_s", "nuclei_surface_um", "nuclei_z_um", "nuclei_seen_nm", "nuclei_counts")
Map = NDArray[np.float32]


def _none() -> NDArray[np.float64]:
    return np.zeros(0)


@dataclass(frozen=True, eq=False)
class RunTruth:
    """The truth of a run; ``truth.npz`` holds the same names.

    Maps show the scene where a scan without drift does. ``times_s`` (T,) when scans begin;
    ``phases`` (T,) str; ``height_um``, ``rate_nm_per_s``, ``curvature_per_um`` (T, H, W) float32 at these
    times; ``seen_um`` (T, H, W) float32, the height each pixel has when it is in focus; ``shift_px`` (T, 2)
    and ``axial_um`` (T,) float64, the stage's drift; ``trenches`` and ``protrusions`` (H, W) bool, the most
    hollow and the most bulging tenth at time 0; ``pixel_um``.

    Of nuclei, all of the run, also those beside the frames, (N,): ``nuclei_y_um``, ``nuclei_x_um`` from the
    centre of pixel (0, 0) of the maps, ``nuclei_diameter_nm`` when fully grown, ``nuclei_born_s``,
    ``nuclei_gone_s``, ``nuclei_growth_s``. As each scan shows them in focus, (T, N): ``nuclei_seen_s`` when
    that is, ``nuclei_surface_um`` the surface under them and ``nuclei_z_um`` their centres then,
    ``nuclei_seen_nm`` their diameters then (0 where not there), ``nuclei_counts`` of their spots.
    """

    times_s: NDArray[np.float64]
    phases: NDArray[np.str_]
    height_um: Map
    seen_um: Map
    rate_nm_per_s: Map
    curvature_per_um: Map
    shift_px: NDArray[np.float64]
    axial_um: NDArray[np.float64]
    trenches: NDArray[np.bool_]
    protrusions: NDArray[np.bool_]
    pixel_um: float
    nuclei_y_um: NDArray[np.float64] = field(default_factory=_none)
    nuclei_x_um: NDArray[np.float64] = field(default_factory=_none)
    nuclei_diameter_nm: NDArray[np.float64] = field(default_factory=_none)
    nuclei_born_s: NDArray[np.float64] = field(default_factory=_none)
    nuclei_gone_s: NDArray[np.float64] = field(default_factory=_none)
    nuclei_growth_s: NDArray[np.float64] = field(default_factory=_none)
    nuclei_seen_s: NDArray[np.float64] = field(default_factory=_none)
    nuclei_surface_um: NDArray[np.float64] = field(default_factory=_none)
    nuclei_z_um: NDArray[np.float64] = field(default_factory=_none)
    nuclei_seen_nm: NDArray[np.float64] = field(default_factory=_none)
    nuclei_counts: NDArray[np.float64] = field(default_factory=_none)

    def __post_init__(self) -> None:
        for name in _BY_SCAN:
            values = np.reshape(getattr(self, name), (len(self.times_s), -1 if self.nuclei_y_um.size else 0))
            object.__setattr__(self, name, values)

    @classmethod
    def load(cls, path: str | Path) -> "RunTruth":
        """Read ``truth.npz`` of a run's folder; one from before there were nuclei has none."""
        with np.load(Path(path) / "truth.npz") as held:
            return cls(**{**{name: held[name] for name in held.files}, "pixel_um": float(held["pixel_um"])})
