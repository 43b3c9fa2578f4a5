"""The path of a scan's drift from comparisons of frames: while they arrive, and smooth afterwards."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu, spsolve

from lee.reconstruction.motion.registration import Displacement
from lee.reconstruction.motion.vibration import Steps

# Expected change of the drift, and of its velocity, from one compared frame to the next.
_STEP_PX = 1.0
_STEP_CHANGE_PX = 0.01

# With vibration, the drift may be so many times as fast; the likeliest is taken.
_SLOWER = (1.0, 0.1, 0.01, 0.001)

# Comparisons less certain than this are ignored.
_MAX_SIGMA_PX = 3.0


class _Link(NamedTuple):
    first: int
    second: int
    shift_px: NDArray[np.float64]
    information: NDArray[np.float64]


class ShakenPath(NamedTuple):
    """A smooth path, 0 at the first update, and the displacement of every update beside it, (N, 2) pixels."""

    smooth_px: NDArray[np.float64]
    beside_px: NDArray[np.float64]


class DriftPath:
    """Drift of the updates so far, and the comparisons that give it."""

    def __init__(self) -> None:
        self._links: list[_Link] = []
        self.points: list[NDArray[np.float64]] = []

    def extend(self, lags: list[int], found: list[Displacement | None]) -> NDArray[np.float64]:
        """Take the comparisons of a new update with those `lags` before; return its drift."""
        now = len(self.points)
        predicted = self._predicted()
        total: NDArray[np.float64] = np.eye(2) / _STEP_PX**2
        pulled: NDArray[np.float64] = predicted / _STEP_PX**2
        for lag, one in zip(lags, found, strict=True):
            if one is None or np.sqrt(np.trace(one.covariance_px2)) > _MAX_SIGMA_PX:
                continue
            information = np.linalg.inv(one.covariance_px2).astype(np.float64)
            self._links.append(_Link(now - lag, now, one.shift_px, information))
            target = self.points[now - lag] + one.shift_px
            off = target - predicted
            weight = 1 / (1 + float(off @ off) / (4 * _STEP_PX**2))
            total = total + weight * information
            pulled = pulled + weight * information @ target
        solved = np.linalg.solve(total, pulled) if self.points else np.zeros(2)
        self.points.append(solved.astype(np.float64))
        return self.points[-1]

    def _predicted(self) -> NDArray[np.float64]:
        if not self.points:
            return np.zeros(2)
        back = min(len(self.points) - 1, 4)
        step = (self.points[-1] - self.points[-1 - back]) / max(back, 1)
        return self.points[-1] + step

    def smooth(self) -> NDArray[np.float64]:
        """Return the smooth path that fits all comparisons, (N, 2) pixels."""
        return self._fitted(None).smooth_px

    def shaken(self, vibration_px: float) -> ShakenPath:
        """Return the path that fits all comparisons if every update is displaced beside it, at random."""
        return self._fitted(vibration_px)

    def steps(self) -> Steps:
        """Return the displacement of each update against the one before."""
        shift, variance = np.full((len(self.points), 2), np.nan), np.full(len(self.points), np.nan)
        for link in self._links:
            if link.second == link.first + 1:
                shift[link.second] = link.shift_px
                variance[link.second] = np.trace(np.linalg.inv(link.information)) / 2
        return Steps(shift, variance)

    def _fitted(self, vibration_px: float | None) -> ShakenPath:
        count = len(self.points)
        if count < 2 or not self._links:
            return ShakenPath(np.zeros((count, 2)), np.zeros((count, 2)))
        fit = _Fit(count, self._links)
        if vibration_px is None:
            return fit.path(fit.prior())
        # A drift not told from none would, extrapolated from the frames in focus, displace the first frame.
        likely = max(_SLOWER, key=lambda slower: fit.log_likelihood(fit.prior(slower, vibration_px)))
        return fit.path(fit.prior(likely, vibration_px))


class _Fit:
    """Fit of a smooth path, and of displacements beside it, to links; links that contradict it lose weight.

    Parameters
    ----------
    count : int
        Updates.
    links : list of _Link
    """

    def __init__(self, count: int, links: list[_Link]) -> None:
        self._count = count
        size = 2 * count
        first = np.array([link.first for link in links])
        second = np.array([link.second for link in links])
        self._shifts = np.array([link.shift_px for link in links])
        self._information = np.array([link.information for link in links])
        rows = np.arange(2 * len(links))
        signs = np.repeat([-1.0, 1.0], 2 * len(links))
        columns = np.concatenate(
            [(2 * first[:, None] + [0, 1]).ravel(), (2 * second[:, None] + [0, 1]).ravel()]
        )
        self._differ = sparse.csr_array((signs, (np.r_[rows, rows], columns)), shape=(2 * len(links), size))

    def prior(self, slower: float = 1.0, vibration_px: float | None = None) -> sparse.csr_array:
        """Return the information on the path before any link, drift `slower` times less than usual."""
        size = 2 * self._count
        rough = _differences(self._count, 2) / (_STEP_CHANGE_PX * slower)
        still = _differences(self._count, 1) / (_STEP_PX * slower)
        anchor = sparse.csr_array(([1e6, 1e6], ([0, 1], [0, 1])), shape=(size, size))
        smooth = rough.T @ rough + still.T @ still + anchor
        if vibration_px is None:
            return sparse.csr_array(smooth)
        beside = sparse.eye_array(size) / vibration_px**2
        return sparse.csr_array(sparse.block_diag([smooth, beside]))

    def path(self, prior: sparse.csr_array) -> ShakenPath:
        solved, _ = self._solve(prior)
        smooth, *beside = solved.reshape(-1, self._count, 2)
        return ShakenPath(smooth - smooth[0], beside[0] if beside else np.zeros_like(smooth))

    def log_likelihood(self, prior: sparse.csr_array) -> float:
        """Return the logarithm of the density of the links under the prior, up to a constant."""
        solved, weight = self._solve(prior)
        differ = self._both(prior)
        blocks = sparse.block_diag(list(weight[:, None, None] * self._information), format="csr")
        shifts = self._shifts.ravel()
        explained = shifts @ (blocks @ (differ @ solved))
        posterior = differ.T @ blocks @ differ + prior
        total = shifts @ (blocks @ shifts)
        own = float(np.linalg.slogdet(weight[:, None, None] * self._information)[1].sum())
        return float(explained - total + own + _log_determinant(prior) - _log_determinant(posterior)) / 2

    def _both(self, prior: sparse.csr_array) -> sparse.csr_array:
        shaken = prior.shape[0] > 2 * self._count
        return sparse.csr_array(sparse.hstack([self._differ] * 2)) if shaken else self._differ

    def _solve(self, prior: sparse.csr_array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        differ, shifts = self._both(prior), self._shifts.ravel()
        weight = np.ones(len(self._shifts))
        solved = np.zeros(prior.shape[0])
        shaken = len(solved) > 2 * self._count
        for _ in range(6):
            blocks = sparse.block_diag(list(weight[:, None, None] * self._information), format="csr")
            solved = spsolve((differ.T @ blocks @ differ + prior).tocsc(), differ.T @ blocks @ shifts)
            residual = (differ @ solved - shifts).reshape(-1, 2)
            distance = np.einsum("ni,nij,nj->n", residual, self._information, residual)
            # A smooth path alone contradicts links more than their errors do.
            scale = 1.0 if shaken else max(float(np.median(distance)) / 1.4, 1.0)
            weight = 1 / (scale * (1 + distance / (6 * scale)))
        return np.asarray(solved), weight


def _log_determinant(matrix: sparse.csr_array) -> float:
    return float(np.log(np.abs(splu(matrix.tocsc()).U.diagonal())).sum())


def _differences(count: int, order: int) -> sparse.csr_array:
    steps = np.diff(np.eye(count), order, axis=0) if count > order else np.zeros((1, count))
    return sparse.csr_array(np.kron(steps, np.eye(2)))
