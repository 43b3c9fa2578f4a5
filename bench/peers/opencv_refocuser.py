"""The refocuser's measure composed from OpenCV and NumPy calls, as one would write it without C++.

The same grouping of frames, detail, tensor of its gradient, windows, maxima and fit; float32 throughout,
every image-sized array allocated once, OpenCV's own threads. What is linear is done once: a group's gradient
is taken when it ends and averaged with another's later, and the tensor is pooled as its trace, its difference
and its shear, which its eigenvalues are made of. It keeps less than ours: neither the width of the fitted
curve, nor the counts in focus, nor the brightness over the scan, and it does not weigh the windows against
each other at the end.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
GROUPS_A_DEPTH = 4.4
# sepFilter2D takes the means: with two threads it is a quarter faster than boxFilter.
MEAN_OF_5 = np.full(5, 0.2, np.float32)
DARK_SHARE = 0.01
ONE_WAY = 0.15
LEVELS = 4
RING = 5


class Level:
    """Focus at one window size: the last five groups of it, and the two largest maxima so far."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.ring = [np.zeros(shape, np.float32) for _ in range(RING)]
        self.trace, self.difference, self.shear = (np.empty(shape, np.float32) for _ in range(3))
        self.peak = np.zeros((2, *shape), np.float32)
        self.z_um = np.full((2, *shape), np.nan, np.float32)
        self._pooled = [np.empty(shape, np.float32) for _ in range(2)]
        self._least = np.empty(shape, np.float32)
        self._above = np.empty(shape, np.uint8)
        self._not_below = np.empty(shape, np.uint8)

    def halve(self, finer: "Level") -> None:
        rows, columns = self.trace.shape
        for to, whole in zip(self.tensor(), finer.tensor(), strict=True):
            even = whole[: 2 * rows, : 2 * columns]
            cv2.resize(even, (columns, rows), dst=to, interpolation=cv2.INTER_AREA)

    def tensor(self) -> tuple[Plane, Plane, Plane]:
        return self.trace, self.difference, self.shear

    def pool(self, group: int) -> None:
        """Focus: the smaller eigenvalue of the pooled tensor, and a share of the larger."""
        focus = self.ring[group % RING]
        for to, entry in zip((focus, *self._pooled), self.tensor(), strict=True):
            mean_of_window(entry, to, cv2.BORDER_CONSTANT)
        root = self._pooled[0]
        cv2.magnitude(root, self._pooled[1], magnitude=root)
        cv2.addWeighted(focus, (1 + ONE_WAY) / 2, root, (ONE_WAY - 1) / 2, 0, dst=focus)
        cv2.threshold(focus, 0, 0, cv2.THRESH_TOZERO, dst=focus)

    def track(self, newest: int, u_um: Plane, z_um: float) -> None:
        a, b, c, d, e = (self.ring[(newest + 1 + k) % RING] for k in range(RING))
        cv2.max(a, b, dst=self._least)
        cv2.max(self._least, self.peak[1], dst=self._least)
        cv2.compare(c, self._least, cv2.CMP_GT, dst=self._above)
        cv2.max(d, e, dst=self._least)
        cv2.compare(c, self._least, cv2.CMP_GE, dst=self._not_below)
        cv2.bitwise_and(self._above, self._not_below, dst=self._above)
        found = np.flatnonzero(self._above)
        if found.size == 0:
            return
        top = c.ravel()[found]
        z = z_um + fitted_offset([plane.ravel()[found] for plane in (a, b, c, d, e)], u_um)
        (p0, p1), (z0, z1) = self.peak.reshape(2, -1), self.z_um.reshape(2, -1)
        first = p0[found]
        larger = top > first
        p1[found] = np.where(larger, first, top)
        z1[found] = np.where(larger, z0[found], z)
        new = found[larger]
        p0[new] = top[larger]
        z0[new] = z[larger]


class OpenCvRefocuser:
    """Push frames (H, W) with their heights, close, then read ``levels[k].z_um``."""

    def __init__(self, shape: tuple[int, int], depth_of_field_um: float) -> None:
        self.levels = [Level((shape[0] >> k, shape[1] >> k)) for k in range(LEVELS)]
        self._group_um = depth_of_field_um / GROUPS_A_DEPTH
        self._mean = np.empty(shape, np.float32)
        self._local = np.empty(shape, np.float32)
        self._detail = np.empty(shape, np.float32)
        self._gradients = [(np.empty(shape, np.float32), np.empty(shape, np.float32)) for _ in range(3)]
        self._around = (np.empty(shape, np.float32), np.empty(shape, np.float32))
        self._dark = 1.0
        self._in_group = 0
        self._first_z = self._sum_z = 0.0
        self._group_z: list[float] = []

    def push(self, frame: NDArray[np.uint8], z_um: float) -> None:
        if self._in_group and abs(z_um - self._first_z) > self._group_um * (1 - 1e-6):
            self._end_group()
        if self._in_group == 0:
            self._first_z, self._sum_z = z_um, 0.0
            np.copyto(self._mean, frame)
        else:
            cv2.accumulate(frame, self._mean)
        self._sum_z += z_um
        self._in_group += 1

    def close(self) -> None:
        self._end_group()
        last = len(self._group_z)
        self._take_tensor(last - 1, last - 2)
        self._group_z.append(2 * self._group_z[-1] - self._group_z[-2])
        for level in self.levels:
            level.ring[last % RING].fill(0)
        self._track(last)

    def _end_group(self) -> None:
        group = len(self._group_z)
        np.multiply(self._mean, 1 / self._in_group, out=self._mean)
        if group == 0:
            self._dark = max(1.0, DARK_SHARE * cv2.mean(self._mean)[0])
        mean_of_window(self._mean, self._local, cv2.BORDER_REPLICATE)
        cv2.subtract(self._mean, self._local, dst=self._detail)
        np.add(self._local, self._dark, out=self._local)
        cv2.sqrt(self._local, dst=self._local)
        cv2.divide(self._detail, self._local, dst=self._detail)
        for to, (dx, dy) in zip(self._gradients[group % 3], ((1, 0), (0, 1)), strict=True):
            cv2.Sobel(self._detail, -1, dx, dy, dst=to, scale=1 / 8, borderType=cv2.BORDER_CONSTANT)
        self._group_z.append(self._sum_z / self._in_group)
        self._in_group = 0
        if group > 0:
            self._take_tensor(group - 1, group)

    def _take_tensor(self, group: int, after: int) -> None:
        ax, ay = self._gradients[group % 3]
        before = group - 1 if group > 0 else after
        # Twice the mean gradient around the group; the products' scale halves it.
        px, py = self._around
        for to, one, other in zip(
            self._around, self._gradients[before % 3], self._gradients[after % 3], strict=True
        ):
            cv2.add(one, other, dst=to)
        trace, difference, shear = self.levels[0].tensor()
        xx, yy = self._detail, self._local
        cv2.multiply(ax, px, dst=xx, scale=0.5)
        cv2.multiply(ay, py, dst=yy, scale=0.5)
        cv2.add(xx, yy, dst=trace)
        cv2.subtract(xx, yy, dst=difference)
        cv2.multiply(ax, py, dst=xx, scale=0.5)
        cv2.multiply(ay, px, dst=yy, scale=0.5)
        cv2.add(xx, yy, dst=shear)
        for level, finer in zip(self.levels[1:], self.levels, strict=False):
            level.halve(finer)
        for level in self.levels:
            level.pool(group)
        self._track(group)

    def _track(self, newest: int) -> None:
        if newest < 3:
            return
        at = newest - 2
        z = self._group_z[at]
        u = [self._group_z[k] - z if k >= 0 else 0.0 for k in range(at - 2, at + 3)]
        for level in self.levels:
            level.track(newest, np.array(u, np.float32), z)


def mean_of_window(plane: Plane, to: Plane, border: int) -> None:
    cv2.sepFilter2D(plane, -1, MEAN_OF_5, MEAN_OF_5, dst=to, borderType=border)


def fitted_offset(focus: list[Plane], u_um: Plane) -> Plane:
    """Return where a Gaussian through five samples of focus (N,) has its centre, um from the middle one."""
    scale = 1 / focus[2]
    power = np.zeros((5, focus[2].size), np.float32)
    moment = np.zeros((3, focus[2].size), np.float32)
    for k, u in enumerate(u_um):
        ratio = focus[k] * scale
        term = ratio * ratio
        log = np.log(np.maximum(ratio, 1e-12))
        for p in range(5):
            power[p] += term
            if p < 3:
                moment[p] += term * log
            term *= u
    s0, s1, s2, s3, s4 = power
    t0, t1, t2 = moment
    bend = t0 * (s1 * s3 - s2 * s2) - t1 * (s0 * s3 - s1 * s2) + t2 * (s0 * s2 - s1 * s1)
    slope = t1 * (s0 * s4 - s2 * s2) - t0 * (s1 * s4 - s2 * s3) - t2 * (s0 * s3 - s1 * s2)
    with np.errstate(divide="ignore", invalid="ignore"):
        offset = -0.5 * slope / bend
    fits = (bend < 0) & (np.abs(offset) <= max(abs(u_um[1]), abs(u_um[3])))
    return np.asarray(np.where(fits, offset, 0), dtype=np.float32)
