"""Expressions in COMSOL's syntax, written by calculating with their parameters' names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from lee.errors import InputError
from lee.twin.electrode.kinetics import Kinetics

_SUM, _PRODUCT, _ATOM = range(3)


@dataclass(frozen=True)
class Expression:
    """A piece of text that calculates like a number, with as few brackets as the syntax allows."""

    text: str
    rank: int = _ATOM

    def __str__(self) -> str:
        return self.text

    def __neg__(self) -> Expression:
        return Expression(f"-{self._within(_PRODUCT)}", _PRODUCT)

    def __mul__(self, other: Expression) -> Expression:
        return Expression(f"{self._within(_PRODUCT)}*{other._after()}", _PRODUCT)

    def __sub__(self, other: Expression) -> Expression:
        return Expression(f"{self._within(_SUM)}-{other._after()}", _SUM)

    def __add__(self, other: Expression) -> Expression:
        return Expression(f"{self._within(_SUM)}+{other._after()}", _SUM)

    def __pow__(self, other: Expression) -> Expression:
        return Expression(f"{self._within(_ATOM)}^{other._within(_ATOM)}", _PRODUCT)

    def _after(self) -> str:
        """Write it behind an operator, where a sign needs brackets."""
        return f"({self.text})" if self.text.startswith("-") else self._within(_PRODUCT)

    def _within(self, rank: int) -> str:
        return self.text if self.rank >= rank else f"({self.text})"


def quotient(numerator: str, denominator: str) -> Expression:
    """Divide two names; written last in a product, it needs no brackets."""
    return Expression(f"{numerator}/{denominator}", _PRODUCT)


def exponential(exponent: Expression) -> Expression:
    """E to the power of an expression."""
    return Expression(f"exp({exponent})")


def current_expression(
    kinetics: Kinetics, names: Mapping[str, str], *, exchange: str, concentration: str, eta: Expression
) -> str:
    """Write a reaction's current density.

    Parameters
    ----------
    kinetics : Kinetics
        Only what it calculates is used; its parameters stay symbols.
    names : mapping of str to str
        COMSOL's name of each of the cell's parameters.
    exchange, concentration : str
        Exchange current density, and c/c₀.
    eta : Expression
        Overpotential over RT/F.

    Raises
    ------
    InputError
        If the reaction has a parameter that the model does not hold.
    """
    missing = [field.name for field in fields(kinetics) if field.name not in names]
    if missing:
        raise InputError(
            f"export_comsol: the reaction's parameter {missing[0]} has no name in the model; add it to the "
            "parameters of lee.twin.comsol.model"
        )
    symbols = {field.name: Expression(names[field.name]) for field in fields(kinetics)}
    symbolic = replace(kinetics, **symbols)
    return str(symbolic.current(Expression(exchange), Expression(concentration), eta, exponential))
