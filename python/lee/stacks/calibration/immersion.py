"""How far the focus moves in a medium for which the objective is not made."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lee.errors import InputError


@dataclass(frozen=True)
class Immersion:
    """Refractive indices on the way from the objective to the sample.

    Between an objective made for one medium and a sample in another lies an interface, at which the rays
    bend: the focus in the sample moves by another distance than the stage.

    Attributes
    ----------
    medium : float
        Refractive index of what the sample lies in: 1.333 for water, 1.36 to 1.40 for salt solutions.
    objective : float
        Refractive index for which the objective is made: 1 for a dry one, 1.333 for water immersion.
    na : float
        Numerical aperture; 0 for the limit of a narrow one.
    """

    medium: float
    objective: float = 1.0
    na: float = 0.0

    def __post_init__(self) -> None:
        for name, index in (("index_medium", self.medium), ("index_objective", self.objective)):
            if not 1 <= index <= 4:
                raise InputError(f"{name}: {index:g} is not a refractive index; give one from 1 (air) to 4")
        if not 0 <= self.na < min(self.medium, self.objective):
            raise InputError(
                f"na: {self.na:g} is not a numerical aperture between 0 and the smaller refractive index, "
                f"{min(self.medium, self.objective):g}"
            )

    @property
    def scale(self) -> float:
        """Movement of the focus per movement of the stage.

        The optical path that a movement Δ adds to a ray at the relative pupil radius ρ is Δ √(n² − (NA ρ)²).
        The focus lies where the paths in the sample and in the objective's medium agree best over the pupil,
        in least squares up to a constant. For a narrow aperture this is n_medium / n_objective.
        """
        if self.na == 0:
            return self.medium / self.objective
        squared_radius = (np.arange(512) + 0.5) / 512  # equal areas of the pupil
        sample = np.sqrt(self.medium**2 - self.na**2 * squared_radius)
        stage = np.sqrt(self.objective**2 - self.na**2 * squared_radius)
        sample, stage = sample - sample.mean(), stage - stage.mean()
        return float(sample @ stage / (sample @ sample))

    def describe(self) -> str:
        """Say what was corrected, for the provenance."""
        aperture = f", NA {self.na:g}" if self.na else ""
        return (
            f"scaled by {self.scale:.4g} (refractive index {self.medium:g}, objective made for "
            f"{self.objective:g}{aperture})"
        )

    @staticmethod
    def of(medium: float | None, objective: float | None, na: float | None) -> Immersion | None:
        """Return the immersion of the options given; None where none is.

        Raises
        ------
        InputError
            If the index of the medium is missing, or a value is no index or aperture.
        """
        if medium is None:
            if objective is None and na is None:
                return None
            raise InputError("index_medium is missing; give the refractive index of what the sample lies in")
        values = [math.nan if value is None else float(value) for value in (medium, objective, na)]
        return Immersion(values[0], 1.0 if objective is None else values[1], 0.0 if na is None else values[2])
