"""What a reaction must give: its current as a function of concentration and overpotential."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, dataclass
from typing import Any, ClassVar, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Operand: TypeAlias = Any
"""A number, an array, a coefficient function of NGSolve, or an expression of COMSOL: all calculate alike."""

Exponential = Callable[[Operand], Operand]


@dataclass(frozen=True)
class Rates:
    """Plating current of a reaction and its derivatives, over the unit of current, by column.

    Attributes
    ----------
    current : (columns,) float64
        Positive where metal is plated.
    by_log_concentration : (columns,) float64
        ∂i/∂ln u at constant overpotential.
    slope : (columns,) float64
        −∂i/∂η, above 0.
    """

    current: NDArray[np.float64]
    by_log_concentration: NDArray[np.float64]
    slope: NDArray[np.float64]


class Kinetics(Protocol):
    """Current of a reaction; a frozen dataclass whose fields are parameters of `lee.twin.Cell`.

    Overpotentials are over RT/F and negative where metal is plated, concentrations u = c/c₀, currents per
    true area and positive where metal is plated. An exchange current may have any unit: that of the result.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def current(self, exchange: Operand, u: Operand, eta: Operand, exp: Exponential) -> Operand:
        """Return the current density i(u, η); `exp` is the operands' own exponential function."""
        ...

    def slope(self, exchange: Operand, u: Operand, eta: Operand, exp: Exponential) -> Operand:
        """Return −∂i/∂η, above 0."""
        ...

    def rates(self, exchange: NDArray[np.float64], u: NDArray[np.float64], eta: NDArray[np.float64]) -> Rates:
        """Return current density and derivatives for Newton's method; finite for any finite η."""
        ...

    def overpotential(self, ratio: float) -> float:
        """Return η at the bulk concentration at which the current is `ratio` times the exchange current."""
        ...


class Parameters(Protocol):
    """Parameters of a cell from which kinetics are made; see `lee.twin.Cell`."""

    @property
    def alpha_c(self) -> float:
        """Cathodic transfer coefficient."""
        ...

    @property
    def alpha_a(self) -> float:
        """Anodic transfer coefficient."""
        ...

    @property
    def gamma(self) -> float:
        """Order of the exchange current in the concentration."""
        ...
