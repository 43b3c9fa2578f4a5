"""Height maps that a made instrument measures: a known surface, and noise of known size and correlation."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

Map = NDArray[np.float64]
PIXEL_UM = 0.5


def noise(rng: np.random.Generator, shape: tuple[int, int], sigma_um: float, correlation_px: float) -> Map:
    """Return errors (H, W), µm: white noise smoothed by a Gaussian, of that standard deviation."""
    return sigma_um * rough(rng, shape, correlation_px)


def rough(rng: np.random.Generator, shape: tuple[int, int], width_px: float) -> Map:
    """Return a random field (H, W) whose ensemble has unit variance."""
    margin = int(4 * width_px) + 1
    white = rng.normal(size=(shape[0] + 2 * margin, shape[1] + 2 * margin))
    if width_px == 0:
        return np.asarray(white[1:-1, 1:-1])
    one = np.zeros(2 * margin + 1)
    one[margin] = 1
    gain = float(np.sum(ndimage.gaussian_filter1d(one, width_px) ** 2))
    field = ndimage.gaussian_filter(white, width_px) / gain
    return np.asarray(field[margin:-margin, margin:-margin])


def tilted(rng: np.random.Generator, shape: tuple[int, int], slope_um: float = 0.1) -> Map:
    """Return how a sample lies that was laid down anew: a height and a tilt, µm over the field."""
    y, x = np.meshgrid(*(np.linspace(-0.5, 0.5, n) for n in shape), indexing="ij")
    level, down, along = slope_um * rng.normal(size=3)
    return np.asarray(level + down * y + along * x)


def repeated(
    rng: np.random.Generator, count: int, sigma_um: float, correlation_px: float, shape: tuple[int, int]
) -> Map:
    """Return maps (T, H, W), µm, of one place 1 µm rough, each laid down anew; a hole in all of them."""
    truth = rough(rng, shape, 8.0)
    maps = np.stack(
        [truth + noise(rng, shape, sigma_um, correlation_px) + tilted(rng, shape) for _ in range(count)]
    )
    maps[:, 10:18, 20:32] = np.nan
    return maps


def bow(shape: tuple[int, int], sag_um: float = 0.3) -> Map:
    """Return what an instrument makes of a flat, µm: a saddle, so that its plane is 0; reaches 2 `sag_um`."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    return np.asarray(sag_um * (x**2 - y**2))


def groove(
    rng: np.random.Generator,
    depth_um: float,
    sigma_um: float,
    correlation_px: float,
    shape: tuple[int, int] = (96, 160),
) -> Map:
    """Return a groove along y, a quarter of the field wide, somewhere in the middle; µm."""
    x = np.arange(shape[1])
    start = shape[1] * 3 / 8 + rng.uniform(-4, 4)
    inside = (x >= start) & (x < start + shape[1] / 4)
    return (
        -depth_um * inside * np.ones((shape[0], 1))
        + noise(rng, shape, sigma_um, correlation_px)
        + tilted(rng, shape)
    )


def edge(
    rng: np.random.Generator,
    sharp_um: float,
    sigma_um: float,
    correlation_px: float,
    shape: tuple[int, int] = (96, 160),
) -> Map:
    """Return a step of 2 µm across x, under a Gaussian of that standard deviation, turned by up to 3°."""
    y, x = np.mgrid[: shape[0], : shape[1]] * PIXEL_UM
    slope = float(np.tan(np.radians(rng.uniform(-3, 3))))
    middle = shape[1] * PIXEL_UM / 2 + rng.uniform(-2, 2)
    distance = (x - middle - slope * (y - y.mean())) / np.hypot(1, slope)
    step = 1 + special.erf(distance / (np.sqrt(2) * sharp_um))
    return np.asarray(step + noise(rng, shape, sigma_um, correlation_px) + tilted(rng, shape))
