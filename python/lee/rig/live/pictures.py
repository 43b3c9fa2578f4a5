"""Frames and maps as pictures for a browser, with the colours and limits of the figures of `lee series`."""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image

from lee.figures.maps import ColourScale, colour_scale
from lee.surfaces.block_mean import block_mean

FRAME_PX, MAP_PX, RELIEF_PX = 640, 600, 240
_JPEG_QUALITY = 80
_BINS, _HISTOGRAM_PX = 64, 250_000
# Shares of the pixels below black and white where a picture is stretched.
_STRETCHED = (0.001, 0.999)
_SATURATED_RGB = (255, 40, 40)
# A palette of 256: 254 colours, then the ground and the lines of the hatching where nothing was measured.
_COLOURS, _UNMEASURED, _HATCH_LINE = 254, 254, 255
_UNMEASURED_RGB, _HATCH_LINE_RGB = (217, 217, 217), (154, 154, 154)
_HATCH_PX = 9
_STOPS = 33


class FramePicture(NamedTuple):
    """A frame as JPEG with saturated pixels in red, and their share of all pixels."""

    jpeg: bytes
    saturated: float


class Histogram(NamedTuple):
    """Shares of the pixels in bins from 0 to the full scale, and the counts between which nearly all lie."""

    shares: list[float]
    limits: tuple[float, float]


def histogram_of(image: NDArray[np.integer], full_scale: int) -> Histogram:
    """Count the pixels of a frame, (H, W) counts, one in four where it is large."""
    step = 2 if image.size > _HISTOGRAM_PX else 1
    seen = image[::step, ::step]
    counts = np.bincount(seen.ravel(), minlength=full_scale + 1)[: full_scale + 1]
    total = np.cumsum(counts)
    low, high = (int(np.searchsorted(total, share * total[-1])) for share in _STRETCHED)
    bins = counts.reshape(_BINS, -1).sum(axis=1) / max(int(total[-1]), 1)
    return Histogram([round(share, 5) for share in bins.tolist()], (low, max(high, low + 1)))


def frame_picture(
    image: NDArray[np.integer],
    full_scale: int,
    saturated_from: float,
    limits: tuple[float, float] | None = None,
) -> FramePicture:
    """Draw a frame in grey, from 0 to the full scale, or between limits.

    Parameters
    ----------
    image : (H, W) uint8 or uint16, counts
    full_scale : int, counts
        Drawn white.
    saturated_from : float, counts
        Smallest count of a saturated pixel.
    limits : (low, high), counts, optional
        Drawn black and white instead.
    """
    low, high = limits or (0, full_scale)
    hot = image >= saturated_from
    block = max(1, -(-max(image.shape) // FRAME_PX))
    scale = np.float32(255 / (high - low))
    grey = image if (low, high) == (0, 255) else ((image - np.float32(low)) * scale).clip(0, 255)
    drawn = Image.fromarray(np.asarray(grey, np.uint8)).reduce(block).convert("RGB")
    share = float(hot.mean())
    if share:
        # A single saturated pixel must show, however many pixels are drawn as one.
        marked = (
            Image.fromarray(hot.astype(np.uint8) * 255).reduce(block).point(lambda value: 255 * (value > 0))
        )
        drawn.paste(_SATURATED_RGB, mask=marked)
    return FramePicture(_written(drawn, "JPEG", quality=_JPEG_QUALITY, subsampling=0), share)


def map_scale(kind: str, values: NDArray[np.float32], *, min_limit: float = 0.0) -> ColourScale:
    """Choose colours and limits of a map of a kind that `lee.figures.maps.MAP_STYLES` knows.

    Limits about zero are never smaller than `min_limit`.
    """
    found = colour_scale(kind, values[None])
    return (
        colour_scale(kind, values[None], limits=(-min_limit, min_limit)) if found.high < min_limit else found
    )


def map_png(values: NDArray[np.float32], scale: ColourScale) -> bytes:
    """Draw a map, (H, W), row 0 at the top; pixels that were not measured are hatched grey."""
    block = max(1, -(-max(values.shape) // MAP_PX))
    shown = block_mean(values, block)[0]
    indices = _indices(shown, scale)
    y, x = np.ogrid[: shown.shape[0], : shown.shape[1]]
    hatch = np.where((x + y) % _HATCH_PX < 2, _HATCH_LINE, _UNMEASURED).astype(np.uint8)
    drawn = Image.fromarray(np.where(np.isfinite(shown), indices, hatch), mode="P")
    drawn.putpalette([*_rgb(scale).ravel().tolist(), *_UNMEASURED_RGB, *_HATCH_LINE_RGB])
    return _written(drawn, "PNG", compress_level=3)


def bar_colours(scale: ColourScale) -> list[str]:
    """Return colours of the colour bar, evenly from low to high, as ``#rrggbb``."""
    at = np.linspace(0, _COLOURS - 1, _STOPS).round().astype(int)
    return ["#{:02x}{:02x}{:02x}".format(*rgb) for rgb in _rgb(scale)[at].tolist()]


class Relief(NamedTuple):
    """A height map to draw in 3D.

    ``body`` holds filled heights, (rows, columns) float32 µm, little-endian, clipped to the limits of the
    colours. After them come the colours, (rows, columns, 3) uint8; what was not measured is grey.
    """

    body: bytes
    rows: int
    columns: int
    step_um: float


def relief(
    height_filled_um: NDArray[np.float32], measured: NDArray[np.bool_], pixel_um: float, scale: ColourScale
) -> Relief:
    """Average a surface over blocks so that a browser turns it smoothly."""
    block = max(1, -(-max(height_filled_um.shape) // RELIEF_PX))
    height = block_mean(height_filled_um, block)[0]
    known = block_mean(measured, block)[0] >= 0.5
    rgb = np.where(
        known[..., None], _rgb(scale)[_indices(height, scale)], np.array(_HATCH_LINE_RGB, np.uint8)
    )
    body = np.clip(height, scale.low, scale.high).astype("<f4").tobytes() + rgb.astype(np.uint8).tobytes()
    rows, columns = height.shape
    return Relief(body, rows, columns, block * pixel_um)


def _indices(values: NDArray[np.float32], scale: ColourScale) -> NDArray[np.uint8]:
    share = (np.nan_to_num(values, nan=scale.low) - scale.low) / (scale.high - scale.low)
    return np.asarray(np.clip(np.rint(share * (_COLOURS - 1)), 0, _COLOURS - 1), np.uint8)


def _rgb(scale: ColourScale) -> NDArray[np.uint8]:
    return np.asarray(colormaps[scale.colours](np.linspace(0, 1, _COLOURS))[:, :3] * 255 + 0.5, np.uint8)


def _written(drawn: Image.Image, kind: str, **options: int) -> bytes:
    file = io.BytesIO()
    drawn.save(file, format=kind, **options)
    return file.getvalue()
