"""Form of a height map: the least-squares polynomial through what was measured."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.polynomial.legendre import legvander
from numpy.typing import NDArray

from lee.errors import InputError

MAX_ORDER = 10
# Normal equations of a mask of few or aligned pixels are nearly singular: the smallest polynomial is taken.
_CUT = 1e-10

Heights = NDArray[np.float64]


def form(height_um: Heights, order: int) -> Heights:
    """Return the polynomial of total degree `order` that is closest to what was measured.

    Parameters
    ----------
    height_um : (H, W) float64, µm
        NaN where not measured.
    order : int
        0 is the mean, 1 the plane, 2 bowls and saddles; at most 10.

    Returns
    -------
    (H, W) float64, µm
        Everywhere, also where nothing was measured.

    Raises
    ------
    InputError
        If the order is out of range, or fewer pixels were measured than the polynomial has coefficients.
    """
    if not 0 <= order <= MAX_ORDER:
        raise InputError(f"form: the order is {order}; give 0 (mean), 1 (plane) up to {MAX_ORDER}")
    terms = [(i, j) for i, j in product(range(order + 1), repeat=2) if i + j <= order]
    known = np.isfinite(height_um)
    count = int(known.sum())
    if count < len(terms):
        raise InputError(
            f"form: a polynomial of order {order} has {len(terms)} coefficients, and {count} pixels were "
            "measured: give a lower order"
        )
    # Heights far from 0 would cost digits.
    middle = float(height_um[known].mean())
    off = np.where(known, height_um - middle, 0.0)
    down, along = (_polynomials(n, order) for n in height_um.shape)
    first, second = (np.array(index) for index in zip(*terms, strict=True))
    # Sums over the map of products of two terms separate into one sum along each axis.
    pairs_down, pairs_along = (
        np.einsum("na,nb->nab", p, p).reshape(len(p), (order + 1) ** 2) for p in (down, along)
    )
    sums = pairs_down.T @ known.astype(np.float64) @ pairs_along
    sums = sums.reshape(order + 1, order + 1, order + 1, order + 1)
    normal = sums[first[:, None], first[None, :], second[:, None], second[None, :]]
    target = (down.T @ off @ along)[first, second]
    fitted = np.zeros((order + 1, order + 1))
    fitted[first, second] = np.linalg.lstsq(normal, target, rcond=_CUT)[0]
    return np.asarray(down @ fitted @ along.T + middle, np.float64)


def _polynomials(count: int, order: int) -> Heights:
    """Legendre polynomials over the pixels of one axis, (count, order + 1)."""
    at = np.linspace(-1, 1, count) if count > 1 else np.zeros(1)
    return np.asarray(legvander(at, order), np.float64)
