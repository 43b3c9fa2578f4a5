"""A surface as a mesh: triangles with normals and texture, from which every 3D format is written."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lee.errors import InputError
from lee.surfaces.block_mean import block_mean

if TYPE_CHECKING:
    from lee.surfaces.surface import Surface

MAX_VERTICES = 500_000
_FILLED_RGB = np.array([255, 140, 0], np.float32)


@dataclass(eq=False)
class Mesh:
    """Triangles of a surface in µm: x to the right, y up the image, z toward the objective (right-handed).

    The origin is the centre of the image's bottom left pixel, so that seen from +z the model looks like the
    picture. Triangles turn counter-clockwise seen from +z.

    Attributes
    ----------
    position_um : (V, 3) float32
    normal : (V, 3) float32
        Unit normals.
    uv : (V, 2) float32
        Texture coordinates, 0 to 1; v runs down from the image's top, as in glTF.
    rgb : (V, 3) uint8
        Colour of the texture there.
    triangles : (F, 3) uint32
    texture : (H, W, 3) uint8
        The image that covers it.
    """

    position_um: npt.NDArray[np.float32]
    normal: npt.NDArray[np.float32]
    uv: npt.NDArray[np.float32]
    rgb: npt.NDArray[np.uint8]
    triangles: npt.NDArray[np.uint32]
    texture: npt.NDArray[np.uint8]


def build_mesh(surface: "Surface", *, filled: bool = True, max_vertices: int = MAX_VERTICES) -> Mesh:
    """Turn a surface into triangles, one vertex per pixel or, if that is too many, per block of pixels.

    Parameters
    ----------
    surface : Surface
    filled : bool
        Model the filled height where nothing was measured, tinted orange in the texture; with False
        these places stay holes.
    max_vertices : int
        Square blocks of pixels are averaged until the model has no more vertices than this.

    Raises
    ------
    InputError
        If `max_vertices` is below 4, the surface is a single row or column, or no triangle is left.
    """
    if max_vertices < 4:
        raise InputError(f"max_vertices is {max_vertices}: a model needs at least 4")
    block = _block_px(surface.shape, max_vertices)
    source = surface.height_filled_um if filled else surface.height_um
    height, share = block_mean(source, block)
    if min(height.shape) < 2:
        raise InputError(
            f"a surface of {surface.shape} pixels cannot be meshed with max_vertices={max_vertices}"
        )
    height[share < 0.5] = np.nan  # a block counts as measured where most of it was
    known = np.isfinite(height)

    rows, columns = surface.shape
    row_px, column_px = _block_centres_px(rows, block), _block_centres_px(columns, block)
    x_um, y_um = np.meshgrid(column_px * surface.pixel_um, (rows - 1 - row_px) * surface.pixel_um)
    u, v = np.meshgrid((column_px + 0.5) / columns, (row_px + 0.5) / rows)
    position = np.stack([x_um, y_um, height], axis=-1).reshape(-1, 3).astype(np.float32)
    uv = np.stack([u, v], axis=-1).reshape(-1, 2).astype(np.float32)
    normal = _normals(height, row_px * surface.pixel_um, column_px * surface.pixel_um).reshape(-1, 3)
    texture = texture_rgb(surface, tint_filled=filled)
    colour = np.stack([block_mean(texture[..., k], block)[0] for k in range(3)], axis=-1)
    rgb = np.rint(colour).astype(np.uint8).reshape(-1, 3)

    triangles = _triangles(known)
    if len(triangles) == 0:
        raise InputError(
            "nothing was measured densely enough for a model: export with filled heights instead"
        )
    if not known.all():
        used = np.zeros(known.size, np.bool_)
        used[triangles.ravel()] = True
        triangles = (np.cumsum(used, dtype=np.uint32) - np.uint32(1))[triangles]
        position, normal, uv, rgb = position[used], normal[used], uv[used], rgb[used]
    return Mesh(position, normal, uv, rgb, triangles, texture)


def texture_rgb(surface: "Surface", *, tint_filled: bool = False) -> npt.NDArray[np.uint8]:
    """Give the image that covers the surface: the refocused one, stretched to 8 bit, or colours of height.

    The refocused image is in colour if the surface has one.

    Parameters
    ----------
    surface : Surface
    tint_filled : bool
        Tint pixels orange that were not measured.

    Returns
    -------
    (H, W, 3) uint8
    """
    seen = np.isfinite(surface.refocused)
    if seen.any():
        image = surface.refocused[..., None] if surface.colour is None else surface.colour
        grey = _stretched(np.where(seen[..., None], image, np.float32(0.0)), surface.refocused[seen])
        rgb = np.broadcast_to(255 * grey, (*surface.shape, 3)).copy()
    else:
        from matplotlib import colormaps

        height = surface.height_filled_um
        rgb = np.asarray(colormaps["viridis"](_stretched(height, height)))[..., :3] * 255
    if tint_filled:
        rgb[~surface.valid] = 0.5 * rgb[~surface.valid] + 0.5 * _FILLED_RGB
    return np.rint(rgb).astype(np.uint8)


def _block_px(shape: tuple[int, int], max_vertices: int) -> int:
    block = 1
    while -(-shape[0] // block) * -(-shape[1] // block) > max_vertices:
        block += 1
    return block


def _block_centres_px(count: int, block: int) -> npt.NDArray[np.float64]:
    first = np.arange(0, count, block)
    last = np.minimum(first + block, count) - 1
    centres: npt.NDArray[np.float64] = (first + last) / 2.0
    return centres


def _normals(
    height: npt.NDArray[np.float32], down_um: npt.NDArray[np.float64], right_um: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    per_row, per_column = np.gradient(height.astype(np.float64), down_um, right_um)
    # y points up the image, rows run down it: dz/dy = -dz/drow, and the normal is (-dz/dx, -dz/dy, 1).
    normal = np.stack([-per_column, per_row, np.ones_like(per_row)], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    normal[~np.isfinite(normal).all(axis=-1)] = (0.0, 0.0, 1.0)
    return normal.astype(np.float32)


def _triangles(known: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint32]:
    index = np.arange(known.size, dtype=np.uint32).reshape(known.shape)
    top_left, top_right = index[:-1, :-1].ravel(), index[:-1, 1:].ravel()
    bottom_left, bottom_right = index[1:, :-1].ravel(), index[1:, 1:].ravel()
    lower = np.stack([top_left, bottom_left, bottom_right], axis=-1)
    upper = np.stack([top_left, bottom_right, top_right], axis=-1)
    both = np.stack([lower, upper], axis=1).reshape(-1, 3)
    kept: npt.NDArray[np.uint32] = both[known.ravel()[both].all(axis=1)]
    return kept


def _stretched(values: npt.NDArray[np.float32], sample: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    low, high = np.percentile(sample, (0.2, 99.8))
    if not high > low:
        return np.full(values.shape, 0.5, np.float32)
    share: npt.NDArray[np.float32] = np.clip((values - low) / (high - low), 0, 1).astype(np.float32)
    return share
