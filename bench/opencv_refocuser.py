"""The refocuser's measure composed from OpenCV and NumPy calls, as one would write it without C++.

The same grouping of frames, detail, energy, windows, maxima and fit; float32 throughout, every image-sized
array allocated once, OpenCV's own threads. It keeps less than ours: neither the width of the fitted curve,
nor the counts in focus, nor the brightness over the scan, and it does not weigh the windows against each
other at the end.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
GROUPS_A_DEPTH = 4.4
WINDOW_PX = (5, 5)
LEVELS = 4
RING = 5


class Level:
    """Focus at one window size: the last five groups of it, and the two largest maxima so far."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.ring = [np.zeros(shape, np.float32) for _ in range(RING)]
        self.energy = np.empty(shape, np.float32)
        self.peak = np.zeros((2, *shape), np.float32)
        self.z_um = np.full((2, *shape), np.nan, np.float32)
        self._least = np.empty(shape, np.float32)
        self._above = np.empty(shape, np.uint8)
        self._not_below = np.empty(shape, np.uint8)

    def pool(self, group: int) -> None:
        focus = self.ring[group % RING]
        cv2.boxFilter(self.energy, -1, WINDOW_PX, dst=focus, borderType=cv2.BORDER_CONSTANT)
        np.maximum(focus, 0, out=focus)

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
        self._detail = [np.empty(shape, np.float32) for _ in range(3)]
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
        self._take_energy(last - 1, self._detail[(last - 2) % 3])
        self._group_z.append(2 * self._group_z[-1] - self._group_z[-2])
        for level in self.levels:
            level.ring[last % RING].fill(0)
        self._track(last)

    def _end_group(self) -> None:
        group = len(self._group_z)
        detail = self._detail[group % 3]
        np.multiply(self._mean, 1 / self._in_group, out=self._mean)
        cv2.boxFilter(self._mean, -1, WINDOW_PX, dst=self._local, borderType=cv2.BORDER_REPLICATE)
        cv2.subtract(self._mean, self._local, dst=detail)
        np.maximum(self._local, 1e-6, out=self._local)
        cv2.sqrt(self._local, dst=self._local)
        cv2.divide(detail, self._local, dst=detail)
        self._group_z.append(self._sum_z / self._in_group)
        self._in_group = 0
        if group > 0:
            self._take_energy(group - 1, detail)

    def _take_energy(self, group: int, after: Plane) -> None:
        before = self._detail[(group - 1) % 3] if group > 0 else after
        energy = self.levels[0].energy
        cv2.add(before, after, dst=energy)
        cv2.multiply(energy, self._detail[group % 3], dst=energy, scale=0.5)
        for level, finer in zip(self.levels[1:], self.levels, strict=False):
            rows, columns = level.energy.shape
            even = finer.energy[: 2 * rows, : 2 * columns]
            cv2.resize(even, (columns, rows), dst=level.energy, interpolation=cv2.INTER_AREA)
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
