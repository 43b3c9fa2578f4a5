"""Speed of the curvature kernel beside the same fits composed from SciPy's filters, in the same run.

Both give mean, Gaussian and principal curvatures of the same float32 map over the same
windows. SciPy convolves along one axis and then the other with one-dimensional filters, as many as the fit
needs, in float32 and on one core. Its Gaussian is truncated at the same radius, but its sampled second
derivative does not vanish on a constant, hence the difference. Pixels that were not measured are handled by
normalised filtering, as is usual with SciPy; unlike the least-squares fit of the kernel it leaves false
curvature beside them on a slope.
"""

import argparse

import numpy as np
from scipy.ndimage import correlate1d, gaussian_filter

import lee
from bench.timing import medians_ms
from lee import _core

SHAPE = (2048, 2048)
PIXEL_UM = 0.5


def quartic_taps(radius: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Projections on the orthogonal polynomials of the window, and their derivatives at its centre."""
    s = np.arange(-radius, radius + 1) / radius
    triangle = np.linalg.qr(np.vander(s, 5, increasing=True))[1]
    powers = np.linalg.inv(triangle)  # column i holds the i-th polynomial
    taps = [np.polynomial.polynomial.polyval(s, powers[:, i]) for i in range(5)]
    unit = radius * PIXEL_UM
    return taps, np.stack([powers[0], powers[1] / unit, 2 * powers[2] / unit**2])


def quartic(height: np.ndarray, radius: int) -> list[np.ndarray]:
    taps, d = quartic_taps(radius)
    maps = [correlate1d(height, tap, axis=1, mode="nearest") for tap in taps]

    def term(a: int, b: int) -> np.ndarray:
        total = np.zeros_like(height)
        for i, along in enumerate(maps):
            across = sum(d[a, i] * d[b, j] * taps[j] for j in range(5 - i))
            if np.abs(across).max() > 1e-12:
                total += correlate1d(along, across, axis=0, mode="nearest")
        return total

    return [term(*order) for order in ((1, 0), (0, 1), (2, 0), (1, 1), (0, 2))]


def gaussian(height: np.ndarray, scale_px: float) -> list[np.ndarray]:
    return [
        gaussian_filter(height, scale_px, order=(b, a), mode="nearest") / PIXEL_UM ** (a + b)
        for a, b in ((1, 0), (0, 1), (2, 0), (1, 1), (0, 2))
    ]


def gaussian_with_gaps(height: np.ndarray, scale_px: float) -> list[np.ndarray]:
    seen = np.isfinite(height)
    share = gaussian_filter(seen.astype(np.float32), scale_px, mode="nearest")
    smooth = gaussian_filter(np.where(seen, height, 0), scale_px, mode="nearest") / share
    y, x = np.gradient(smooth, PIXEL_UM)
    xy, xx = np.gradient(x, PIXEL_UM)
    return [np.where(seen, part, np.nan) for part in (x, y, xx, xy, np.gradient(y, PIXEL_UM, axis=0))]


def curvatures(derivatives: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    x, y, xx, xy, yy = derivatives
    q = 1 + x * x + y * y
    mean = ((1 + y * y) * xx - 2 * x * y * xy + (1 + x * x) * yy) / (2 * q * np.sqrt(q))
    gauss = (xx * yy - xy * xy) / (q * q)
    spread = np.sqrt(np.maximum(mean * mean - gauss, 0))
    return mean, gauss, mean + spread, mean - spread


def row(family: str, scale_px: float, height: np.ndarray, gaps: np.ndarray, runs: int) -> str:
    options = {"pixel_um": PIXEL_UM, "scale_um": scale_px * PIXEL_UM, "family": family}
    curved = lee.curvature(height, **options)
    radius = curved.radius_px

    def theirs() -> tuple[np.ndarray, ...]:
        return curvatures(quartic(height, radius) if family == "savgol" else gaussian(height, scale_px))

    inner = np.s_[radius:-radius, radius:-radius]
    differ = np.abs(curved.mean_per_um - theirs()[0])[inner].max() / np.abs(curved.mean_per_um).max()
    ours, with_gaps, with_sigma = medians_ms(
        runs,
        lambda: lee.curvature(height, **options),
        lambda: lee.curvature(gaps, **options),
        lambda: lee.curvature(height, height_sigma_um=0.1, **options),
    )
    peer, peer_with_gaps = medians_ms(
        max(1, runs // 5), theirs, lambda: curvatures(gaussian_with_gaps(gaps, scale_px))
    )
    gap_ratio = f"{peer_with_gaps:10.0f}" if family == "gaussian" else f"{'-':>10}"
    return (
        f"{family:9}{scale_px:6.1f}{radius:7}{ours:9.1f}{peer:10.0f}{peer / ours:8.1f}{differ:9.1e}"
        f"{with_gaps:12.1f}{gap_ratio}{with_sigma:12.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9, help="timed calls each; the median counts")
    runs = parser.parse_args().runs
    rng = np.random.default_rng(0)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    height = (3 * np.sin(x / 60) * np.cos(y / 80) + 0.05 * rng.normal(size=SHAPE)).astype(np.float32)
    gaps = height.copy()
    gaps[rng.random(SHAPE) < 0.05] = np.nan
    cores = f"{_core.available_cores()} cores, {_core.instruction_set()}"
    print(f"curvature, float32 {SHAPE[1]}x{SHAPE[0]}, {cores}")
    print(
        f"{'family':9}{'scale':>6}{'radius':>7}{'ours ms':>9}{'SciPy ms':>10}{'ratio':>8}{'differ':>9}"
        f"{'5 % gaps ms':>12}{'SciPy':>10}{'sigmas ms':>12}"
    )
    for family, scale_px in (("savgol", 2.0), ("savgol", 5.0), ("savgol", 10.0), ("savgol", 20.0),
                             ("gaussian", 2.0), ("gaussian", 5.0), ("gaussian", 10.0)):  # fmt: skip
        print(row(family, scale_px, height, gaps, runs), flush=True)


if __name__ == "__main__":
    main()
