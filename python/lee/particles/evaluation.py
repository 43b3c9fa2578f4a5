"""Evaluation of particles at one or several times: densities, sizes, relation to curvature, tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from lee.particles.density.curvature_relation import DensityRelation, relate_density
from lee.particles.density.density_map import Density, density_map
from lee.particles.sizes import Sizes, is_calibrated, sizes_of
from lee.particles.times import by_time, of_time
from lee.surfaces.surface import Surface


@dataclass
class ParticleResults:
    """Results of a detection at one or several times: the input of evaluation, figures and report.

    Attributes
    ----------
    particles : DataFrame
        With the columns of `lee.particles.table`, of one time or several, distinguished by ``time_s``.
    image : (H, W), or mapping of time in s to (H, W)
        Background of the drawn particles: the refocused image, or the later frame, counts.
    pixel_um : float, µm
    name : str
        Of the experiment.
    times_s : sequence of float, s
        All times that were searched, also those without particles; by default those of the particles.
    surface : Surface, or mapping of time in s to Surface, optional
        On the grid of the particles.
    curvature_per_um : (H, W) float32, 1/µm, or mapping of time in s to (H, W), optional
        Mean curvature of the surface, a trench positive.
    curvature_scale_um : float, µm, optional
        Scale of the curvature.
    searched : (H, W) bool, or mapping of time in s to (H, W), optional
        Where a particle could have been found.
    density_scale_um : float, µm, or "auto"
        As in `density_map`; an automatic scale is chosen at the time with most particles
        and used for all.
    slope_scale_um : float, µm, optional
        As in `lee.particles.density.field.field_of`.
    summaries : mapping of str to value
        Summary of the detection, named with units: threshold, expected false alarms, detection limit, spot
        width, registration, ignored pixels. A mapping of time in s to value becomes a column of the table
        over time, anything else a row of the table of the whole detection.
    notes : sequence of str
        Warnings and remarks for the reader, a sentence each.
    """

    particles: pd.DataFrame
    image: ArrayLike | Mapping[float, ArrayLike]
    pixel_um: float
    name: str = ""
    times_s: Sequence[float] = ()
    surface: Surface | Mapping[float, Surface] | None = None
    curvature_per_um: ArrayLike | Mapping[float, ArrayLike] | None = None
    curvature_scale_um: float | None = None
    searched: ArrayLike | Mapping[float, ArrayLike] | None = None
    density_scale_um: float | Literal["auto"] = "auto"
    slope_scale_um: float | None = None
    summaries: Mapping[str, object] = field(default_factory=dict)
    notes: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Densities, sizes and relations of every time.

    Parameters
    ----------
    particles : mapping of time in s to DataFrame
    densities : mapping of time in s to Density
    sizes : mapping of time in s to Sizes
    relations : mapping of time in s to DensityRelation
        Empty without curvature.
    """

    particles: Mapping[float, pd.DataFrame]
    densities: Mapping[float, Density]
    sizes: Mapping[float, Sizes]
    relations: Mapping[float, DensityRelation]

    @property
    def fullest(self) -> float:
        """The time with most particles."""
        return max(self.particles, key=lambda time: len(self.particles[time]))

    def over_time(self) -> pd.DataFrame:
        """Tabulate counts, densities, sizes and relations, one row per time, units in the names."""
        rows = []
        for time, density in self.densities.items():
            size, relation = self.sizes[time], self.relations.get(time)
            row: dict[str, object] = {
                "time_s": time,
                "particles": size.count,
                "outside_measured": density.left_out,
                "area_um2": density.area_um2,
                "area_is_true": density.field.is_true_area,
                "density_per_um2": density.mean_per_um2,
                "density_low_per_um2": density.mean_interval[0],
                "density_high_per_um2": density.mean_interval[1],
                "density_scale_um": density.scale_um,
                "fainter_than_calibration": size.below,
                "brighter_than_calibration": size.above,
                "without_size": size.without if size.is_calibrated else size.count,
            }
            unit = size.unit
            row |= {
                f"median_{unit}": size.median,
                f"median_low_{unit}": size.median_interval[0],
                f"median_high_{unit}": size.median_interval[1],
            }
            if relation is not None:
                row |= {
                    "trench_to_peak": relation.trench_to_peak,
                    "trench_to_peak_low": relation.trench_to_peak_interval[0],
                    "trench_to_peak_high": relation.trench_to_peak_interval[1],
                    "chance_curvature_larger": relation.chance,
                    "chance_low": relation.chance_interval[0],
                    "chance_high": relation.chance_interval[1],
                    "map_spearman": relation.relation.spearman,
                    "map_spearman_low": relation.relation.spearman_interval[0],
                    "map_spearman_high": relation.relation.spearman_interval[1],
                    "map_pearson": relation.relation.pearson,
                    "map_pearson_low": relation.relation.pearson_interval[0],
                    "map_pearson_high": relation.relation.pearson_interval[1],
                }
            rows.append(row | {"confidence": density.confidence})
        return pd.DataFrame(rows)

    def by_curvature(self) -> pd.DataFrame:
        """Tabulate the density in bins of curvature, one row per bin and time, units in the names."""
        tables = [
            pd.DataFrame(
                {
                    "time_s": time,
                    "mean_curvature_per_um": one.centres_per_um,
                    "from_per_um": one.edges_per_um[:-1],
                    "to_per_um": one.edges_per_um[1:],
                    "particles": one.count,
                    "area_um2": one.area_um2,
                    "density_per_um2": one.per_um2,
                    "low_per_um2": one.low,
                    "high_per_um2": one.high,
                }
            )
            for time, one in self.relations.items()
        ]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def evaluate(results: ParticleResults, *, confidence: float = 0.95, seed: int = 0) -> Evaluation:
    """Measure densities, sizes and relations of all times.

    Parameters
    ----------
    results : ParticleResults
    confidence : float
        Of all intervals.
    seed : int
        Of the resampling.

    Raises
    ------
    InputError
        As `density_map`, `relate_density` and `by_time`.
    """
    parts = by_time(results.particles, results.times_s)
    shape = np.asarray(of_time(results.image, next(iter(parts)), "image")).shape
    scale: float | Literal["auto"] = results.density_scale_um
    densities: dict[float, Density] = {}
    for time in sorted(parts, key=lambda t: -len(parts[t])):
        densities[time] = density_map(
            parts[time],
            pixel_um=results.pixel_um,
            surface=of_time(results.surface, time, "surface"),
            shape=shape,
            searched=of_time(results.searched, time, "mask of the searched area"),
            scale_um=scale,
            slope_scale_um=results.slope_scale_um,
            confidence=confidence,
        )
        scale = densities[time].scale_um
    calibrated = is_calibrated(results.particles) or not len(results.particles)
    relations = {}
    if results.curvature_per_um is not None:
        for time in parts:
            relations[time] = relate_density(
                densities[time],
                np.asarray(of_time(results.curvature_per_um, time, "curvature")),
                confidence=confidence,
                seed=seed,
            )
    return Evaluation(
        particles=parts,
        densities={time: densities[time] for time in parts},
        sizes={t: sizes_of(one, calibrated=calibrated, confidence=confidence) for t, one in parts.items()},
        relations=relations,
    )
