"""What the instrument itself can do: noise, repeatability, flatness, linearity, resolution; and roughness.

The properties are those of ISO 25178-600 and -700, from repeated maps, a flat, steps of known height, an edge
or a known surface. `roughness` measures the sample, `compare` one map against another.
"""

from lee.metrology.comparison import MapComparison, compare
from lee.metrology.edge import EdgeResolution, edge_resolution
from lee.metrology.flatness import Flatness, flatness
from lee.metrology.linearity import Linearity, linearity
from lee.metrology.noise import RepeatedMeasurement, noise, repeatability
from lee.metrology.quantity import MeasuredQuantity
from lee.metrology.repeated_maps import RepeatedMaps, read_maps
from lee.surfaces.roughness.line import LineOptions
from lee.surfaces.roughness.measure import roughness
from lee.surfaces.roughness.result import Roughness

__all__ = [
    "EdgeResolution",
    "Flatness",
    "LineOptions",
    "MapComparison",
    "Linearity",
    "MeasuredQuantity",
    "RepeatedMaps",
    "RepeatedMeasurement",
    "Roughness",
    "compare",
    "edge_resolution",
    "flatness",
    "linearity",
    "noise",
    "read_maps",
    "repeatability",
    "roughness",
]
