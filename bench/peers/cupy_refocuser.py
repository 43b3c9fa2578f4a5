"""The refocuser's measure composed from calls of NumPy and scipy.ndimage, or of their twins in CuPy.

The same grouping of frames, detail, tensor of its gradient, windows, maxima and fit as ours and as the OpenCV
composition; float32 throughout. What is done pixel by pixel is fused into one kernel where the library can,
windows are uniform filters, and only the pixels of a new maximum are gathered and fitted. It keeps less than
ours: neither the width of the fitted curve, nor the counts in focus, nor the brightness over the scan, and it
does not weigh the windows against each other at the end.
"""

from typing import Any

import numpy as np

from bench.cuda_timing import fused

GROUPS_A_DEPTH = 4.4
DARK_SHARE = 0.01
ONE_WAY = np.float32(0.15)
LEVELS = 4
RING = 5
WINDOW_PX = DETAIL_PX = 5
HALF = np.float32(0.5)


class Steps:
    """What is done pixel by pixel."""

    def __init__(self, xp: Any) -> None:
        def tensor(ax: Any, ay: Any, bx: Any, by: Any, cx: Any, cy: Any) -> Any:
            # Twice the mean gradient around the group, halved in the products.
            px, py = (bx + cx) * HALF, (by + cy) * HALF
            return ax * px + ay * py, ax * px - ay * py, ax * py + ay * px

        def focus(trace: Any, difference: Any, shear: Any) -> Any:
            root = xp.sqrt(difference * difference + shear * shear)
            share = (1 + ONE_WAY) * HALF * trace + (ONE_WAY - 1) * HALF * root
            return xp.maximum(share, np.float32(0))

        def offset(a: Any, b: Any, c: Any, d: Any, e: Any, u0: Any, u1: Any, u3: Any, u4: Any) -> Any:
            s0 = s1 = s2 = s3 = s4 = t0 = t1 = t2 = None
            for sample, u in ((c, None), (a, u0), (b, u1), (d, u3), (e, u4)):
                ratio = sample / c
                w = ratio * ratio
                if u is None:  # the middle, whose logarithm is nought
                    s0, s1, s2, s3, s4, t0, t1, t2 = (w, *(w * np.float32(0) for _ in range(7)))
                    continue
                log = xp.log(xp.maximum(ratio, np.float32(1e-12)))
                wu, wuu = w * u, w * u * u
                s0, s1, s2, s3, s4 = s0 + w, s1 + wu, s2 + wuu, s3 + wuu * u, s4 + wuu * u * u
                t0, t1, t2 = t0 + w * log, t1 + wu * log, t2 + wuu * log
            bend = t0 * (s1 * s3 - s2 * s2) - t1 * (s0 * s3 - s1 * s2) + t2 * (s0 * s2 - s1 * s1)
            slope = t1 * (s0 * s4 - s2 * s2) - t0 * (s1 * s4 - s2 * s3) - t2 * (s0 * s3 - s1 * s2)
            found = -HALF * slope / bend
            most = xp.maximum(xp.abs(u1), xp.abs(u3))
            return xp.where((bend < 0) & (xp.abs(found) <= most), found, np.float32(0))

        self.detail = fused(xp, lambda mean, local, dark: (mean - local) / xp.sqrt(local + dark))
        self.tensor = fused(xp, tensor)
        self.quarter = fused(xp, lambda a, b, c, d: (a + b + c + d) * np.float32(0.25))
        self.focus = fused(xp, focus)
        self.is_peak = fused(
            xp,
            lambda a, b, c, d, e, least: (c > xp.maximum(xp.maximum(a, b), least)) & (c >= xp.maximum(d, e)),
        )
        self.offset = fused(xp, offset)


class CupyRefocuser:
    """Push frames (H, W) with their heights, close, then read ``levels[k].z_um`` (2, H, W)."""

    def __init__(self, xp: Any, nd: Any, shape: tuple[int, int], depth_of_field_um: float) -> None:
        self._xp, self._nd = xp, nd
        self._steps = Steps(xp)
        self.levels = [Level(xp, (shape[0] >> k, shape[1] >> k)) for k in range(LEVELS)]
        self._group_um = depth_of_field_um / GROUPS_A_DEPTH
        self._sum = xp.zeros(shape, np.float32)
        self._gradients: list[tuple[Any, Any]] = []
        self._dark = np.float32(1)
        self._in_group = 0
        self._first_z = self._sum_z = 0.0
        self._group_z: list[float] = []

    def push(self, frame: Any, z_um: float) -> None:
        if self._in_group and abs(z_um - self._first_z) > self._group_um * (1 - 1e-6):
            self._end_group()
        if self._in_group == 0:
            self._first_z, self._sum_z = z_um, 0.0
            self._sum[...] = frame
        else:
            self._sum += frame
        self._sum_z += z_um
        self._in_group += 1

    def close(self) -> None:
        self._end_group()
        last = len(self._group_z)
        self._take_tensor(last - 1, last - 2)
        self._group_z.append(2 * self._group_z[-1] - self._group_z[-2])
        for level in self.levels:
            level.ring[last % RING] = self._xp.zeros_like(level.ring[0])
        self._track(last)

    def _end_group(self) -> None:
        nd, group = self._nd, len(self._group_z)
        mean = self._sum * np.float32(1 / self._in_group)
        if group == 0:
            self._dark = np.float32(max(1.0, DARK_SHARE * float(mean.mean())))
        local = nd.uniform_filter(mean, DETAIL_PX, mode="nearest")
        detail = self._steps.detail(mean, local, self._dark)
        detail *= np.float32(1 / 8)  # Sobel's sum of weights
        gradient = tuple(nd.sobel(detail, axis=axis, mode="constant") for axis in (1, 0))
        self._gradients = [*self._gradients[-2:], gradient]
        self._group_z.append(self._sum_z / self._in_group)
        self._in_group = 0
        if group > 0:
            self._take_tensor(group - 1, group)

    def _take_tensor(self, group: int, after: int) -> None:
        newest = len(self._group_z) - 1

        def gradient(k: int) -> tuple[Any, Any]:
            return self._gradients[k - newest - 1]

        before = group - 1 if group > 0 else after
        tensor = self._steps.tensor(*gradient(group), *gradient(before), *gradient(after))
        for level in self.levels:
            rows, columns = level.shape
            if level is not self.levels[0]:
                even = [entry[: 2 * rows, : 2 * columns] for entry in tensor]
                tensor = tuple(
                    self._steps.quarter(e[::2, ::2], e[::2, 1::2], e[1::2, ::2], e[1::2, 1::2]) for e in even
                )
            pooled = [self._nd.uniform_filter(e, WINDOW_PX, mode="constant") for e in tensor]
            level.ring[group % RING] = self._steps.focus(*pooled)
        self._track(group)

    def _track(self, newest: int) -> None:
        if newest < 3:
            return
        at = newest - 2
        z = self._group_z[at]
        u = [np.float32(self._group_z[k] - z if k >= 0 else 0.0) for k in range(at - 2, at + 3)]
        for level in self.levels:
            level.track(self._xp, self._steps, newest, u, np.float32(z))


class Level:
    """Focus at one window size: the last five groups of it, and the two largest maxima so far."""

    def __init__(self, xp: Any, shape: tuple[int, int]) -> None:
        self.shape = shape
        self.ring = [xp.zeros(shape, np.float32) for _ in range(RING)]
        self.peak = xp.zeros((2, *shape), np.float32)
        self.z_um = xp.full((2, *shape), np.nan, np.float32)

    def track(self, xp: Any, steps: Steps, newest: int, u: list[np.float32], z_um: np.float32) -> None:
        planes = [self.ring[(newest + 1 + k) % RING] for k in range(RING)]
        found = xp.flatnonzero(steps.is_peak(*planes, self.peak[1]))
        if found.size == 0:
            return
        samples = [plane.ravel()[found] for plane in planes]
        top = samples[2]
        z = z_um + steps.offset(*samples, u[0], u[1], u[3], u[4])
        (p0, p1), (z0, z1) = self.peak.reshape(2, -1), self.z_um.reshape(2, -1)
        first, first_z = p0[found], z0[found]
        larger = top > first
        p1[found] = xp.where(larger, first, top)
        z1[found] = xp.where(larger, first_z, z)
        p0[found] = xp.where(larger, top, first)
        z0[found] = xp.where(larger, z, first_z)
