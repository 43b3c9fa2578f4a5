"""The target: shape and size of the structure of interest, such as a particle, a grain, a texture."""

import math
import re
from dataclasses import dataclass
from typing import Literal, Self, cast, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, ndimage, optimize

from lee.errors import InputError
from lee.kernels.footprint import Footprint, ellipse, rectangle

Shape = Literal["disk", "ellipse", "rectangle"]

_FORMS = "give disk:25, ellipse:20x40 or rectangle:20x40 (height x width in px), turned: ellipse:20x40@30"
_WINDOW_PX = (3, 63)
_MIN_PX = 32  # the target must appear more than once
_MAX_PX = 1024  # more pixels cost time and add nothing
_MAX_DISK_RATIO = 1.3  # the axes of a disk may differ by this much by chance
_MIN_CORNERED_PX = 8.0  # smaller ones show no corners


@dataclass(frozen=True)
class Target:
    """Shape and size of the structure of interest.

    Parameters
    ----------
    shape : {"disk", "ellipse", "rectangle"}
        A disk has equal height and width and no angle.
    size_px : (float, float), px
        Height and width: full extents along y and x before turning, at least 1.
    angle_deg : float, degrees
        Turn of the width from +x towards +y (down the image).

    Raises
    ------
    InputError
        If the shape is unknown, the size is not finite or below 1 pixel, or a disk is not round.
    """

    shape: Shape
    size_px: tuple[float, float]
    angle_deg: float = 0.0

    def __post_init__(self) -> None:
        if self.shape not in get_args(Shape):
            raise InputError(f"target: the shape is {self.shape!r}; give disk, ellipse or rectangle")
        size = tuple(float(extent) for extent in self.size_px)
        if len(size) != 2 or not all(1 <= extent < math.inf for extent in size):
            raise InputError(
                f"target: the size is {self.size_px} px; give (height, width), at least 1 px each"
            )
        if self.shape == "disk" and size[0] != size[1]:
            raise InputError(
                f"target: a disk is {size[0]} by {size[1]} px; give equal extents, or an ellipse"
            )
        if not math.isfinite(self.angle_deg):
            raise InputError(f"target: the angle is {self.angle_deg} degrees; give a finite one")
        object.__setattr__(self, "size_px", size)

    def footprint(self) -> Footprint:
        """Return the pixels that belong to the target, around its centre."""
        height, width = self.size_px
        angle = math.radians(self.angle_deg)
        if self.shape != "rectangle":
            return ellipse(height / 2, width / 2, angle_rad=angle)
        if self.angle_deg == 0:
            return rectangle(round(height), round(width))
        reach = math.ceil(math.hypot(height, width) / 2)
        y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float64)
        along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
        mask = (np.abs(along) <= width / 2) & (np.abs(across) <= height / 2)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return Footprint(mask[box], (reach - int(rows[0]), reach - int(columns[0])))

    def window_px(self) -> tuple[int, int]:
        """Return (rows, columns) of the odd box with the footprint's second moments, 3 to 63 pixels each."""
        offsets = np.argwhere(self.footprint().mask).astype(np.float64)
        low, high = _WINDOW_PX
        # n pixels in a row have a variance of (n^2 - 1) / 12.
        rows, columns = (math.sqrt(12 * variance + 1) for variance in offsets.var(axis=0))
        odd = [min(max(2 * round((side - 1) / 2) + 1, low), high) for side in (rows, columns)]
        return odd[0], odd[1]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Make a target from text: ``disk:25``, ``ellipse:20x40``, ``rectangle:10x30@15``.

        Height x width in pixels, then the angle in degrees.

        Raises
        ------
        InputError
            If the text has another form or its size cannot be used.
        """
        number = r"(\d+(?:\.\d+)?)"
        form = rf"(disk|ellipse|rectangle):{number}(?:x{number})?(?:@(-?\d+(?:\.\d+)?))?"
        found = re.fullmatch(form, text.strip().lower())
        if found is None:
            raise InputError(f"target: {text!r} is not a target; {_FORMS}")
        shape, height, width, angle = found.groups()
        if (shape == "disk") != (width is None) or (shape == "disk" and angle is not None):
            raise InputError(f"target: {text!r} has the wrong number of extents; {_FORMS}")
        return cls(cast(Shape, shape), (float(height), float(width or height)), float(angle or 0))

    @classmethod
    def estimate(cls, image: ArrayLike) -> Self:
        """Estimate shape and size of what an image shows repeatedly, from its autocorrelation.

        The autocorrelation of equal particles scattered at random is the overlap of one with its own
        copy. Where it has fallen to half, the copy of an ellipse has moved by 0.404 of its diameter, in
        every direction; so the second moments of that region give size, ratio of the axes and angle.
        Objects may be brighter or darker than their surroundings. White noise correlates with nothing but
        itself: the value at no shift is taken from those one and two pixels away. Shading is removed as a
        quadratic surface. Whether corners are there is decided by which overlap, an ellipse's or a
        rectangle's, fits better. Texture without separate objects gives the size of an object that would
        look as coarse.

        Parameters
        ----------
        image : (H, W) real, counts
            An image in focus, at least 32 pixels high and wide; of larger ones than 1024 pixels the
            middle is used.

        Returns
        -------
        Target
            A disk unless one axis is 1.3 times the other or corners are seen; the width is the axis nearer
            to x, angles are in (-45, 45] degrees.

        Raises
        ------
        InputError
            If the image is constant, too small, not finite, shows nothing but noise, or what it shows is
            larger than a third of it.
        """
        grey = _flattened(image)
        return cls(*_shape_of(*_autocorrelation(grey)))


def _flattened(image: ArrayLike) -> NDArray[np.float64]:
    """Take the middle of an image, checked, without its mean and shading."""
    raw = np.asarray(image)
    if raw.ndim != 2 or raw.dtype.kind not in "fiub":
        raise InputError(f"target: an image of {raw.dtype} with shape {raw.shape}; give a grey one, (H, W)")
    if min(raw.shape) < _MIN_PX:
        raise InputError(f"target: the image is {raw.shape[0]} by {raw.shape[1]} px; give at least {_MIN_PX}")
    cut = tuple(slice(max(0, (n - _MAX_PX) // 2), max(0, (n - _MAX_PX) // 2) + _MAX_PX) for n in raw.shape)
    grey = raw[cut].astype(np.float64)
    if not np.isfinite(grey).all():
        raise InputError("target: the image holds NaN or infinite pixels; give one without them")
    if grey.min() == grey.max():
        raise InputError(f"target: the image is constant, {grey[0, 0]:g} everywhere; give one in focus")
    y = np.linspace(-1, 1, grey.shape[0])[:, None] + np.zeros(grey.shape)
    x = np.linspace(-1, 1, grey.shape[1])[None, :] + np.zeros(grey.shape)
    terms = np.stack([term.ravel() for term in (np.ones_like(x), x, y, x * x, x * y, y * y)])
    shading = np.linalg.solve(terms @ terms.T, terms @ grey.ravel()) @ terms
    return np.asarray(grey - shading.reshape(grey.shape))


def _autocorrelation(grey: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """Correlate with copies shifted up to a reach both ways; 1 is the structure, unshifted, without noise."""
    reach = min(grey.shape) // 2
    padded = [fft.next_fast_len(n + reach, real=True) for n in grey.shape]

    def correlate(values: NDArray[np.float64]) -> NDArray[np.float64]:
        spectrum = fft.rfft2(values, padded)
        around = fft.irfft2(np.abs(spectrum) ** 2, padded)
        shifts = np.arange(-reach, reach + 1)
        return np.asarray(around[np.ix_(shifts, shifts)])

    curve = correlate(grey) / correlate(np.ones_like(grey))
    near, far = (
        np.mean([curve[reach + n, reach], curve[reach, reach + n]]) for n in (1, 2)
    )  # the curve is symmetric
    structure = float(2 * near - far)
    # Six standard deviations of what white noise shows at a shift.
    if not structure > 6 * float(grey.var()) / math.sqrt(grey.size):
        raise InputError("target: the image shows nothing but noise; give one in focus")
    return curve / structure, reach


def _shape_of(curve: NDArray[np.float64], reach: int) -> tuple[Shape, tuple[float, float], float]:
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float64)
    half = _around_centre(curve > 0.5, reach)
    if half[0].any() or half[:, 0].any():
        raise InputError("target: the target is larger than a third of the image; give a larger image")
    moments = np.array([[np.mean(x[half] ** 2), np.mean(x[half] * y[half])], [0, np.mean(y[half] ** 2)]])
    variances, axes = np.linalg.eigh(moments, UPLO="U")
    # An ellipse of semi-axes 0.404 D has variances of a quarter of their squares; 3 px is what is resolved.
    short, long = np.maximum(2 / 0.404 * np.sqrt(variances), 3.0)
    if long > 2 * reach / 3:
        raise InputError("target: the target is larger than a third of the image; give a larger image")
    angle = math.atan2(axes[1, 1], axes[0, 1])
    shape: Shape = "ellipse" if long > _MAX_DISK_RATIO * short else "disk"
    if short >= _MIN_CORNERED_PX and _has_corners(curve, x, y, (long, short, angle)):
        # The region of a rectangle's overlap is a little larger: variance 0.0495 of its extents squared.
        shape, long, short = "rectangle", long * 0.202 / 0.2225, short * 0.202 / 0.2225
    if shape == "disk":
        return shape, (float(math.sqrt(short * long)),) * 2, 0.0
    degrees = (math.degrees(angle) + 90) % 180 - 90
    if -45 < degrees <= 45:
        return shape, (float(short), float(long)), degrees
    return shape, (float(long), float(short)), degrees - 90 if degrees > 45 else degrees + 90


def _around_centre(mask: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    labels, _ = ndimage.label(mask)
    middle = labels[reach, reach]
    return np.asarray((labels == middle) & (middle > 0), dtype=np.bool_)


def _has_corners(
    curve: NDArray[np.float64],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    start: tuple[float, float, float],
) -> bool:
    """Whether a rectangle's overlap fits distinctly better than an ellipse's."""
    reach = len(x) // 2
    near = _around_centre(curve > 0.25, reach) & (np.hypot(x, y) < 0.75 * start[0]) & (np.hypot(x, y) > 0)
    seen, x, y = curve[near], x[near], y[near]

    def misfit(of_rectangle: bool) -> float:
        def residual(p: NDArray[np.float64]) -> NDArray[np.float64]:
            width, height, angle, scale, level = p
            u = (x * math.cos(angle) + y * math.sin(angle)) / width
            v = (y * math.cos(angle) - x * math.sin(angle)) / height
            if of_rectangle:
                overlap = np.clip(1 - np.abs(u), 0, 1) * np.clip(1 - np.abs(v), 0, 1)
            else:
                r = np.clip(np.hypot(u, v), 0, 1)
                overlap = 2 / np.pi * (np.arccos(r) - r * np.sqrt(1 - r * r))
            return np.asarray(scale * overlap + level - seen)

        turns = (start[2], start[2] + math.pi / 4) if of_rectangle else (start[2],)
        fits = (optimize.least_squares(residual, [*start[:2], turn, 1.0, 0.0]) for turn in turns)
        return float(min(fit.cost for fit in fits))

    return 1.15 * misfit(True) < misfit(False)
