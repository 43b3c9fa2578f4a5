"""The definition of the streaming refocuser over whole images: every group is kept, nothing is tiled.

Up to the focus codes the arithmetic is float32 in the stated order, so that codes are equal bit for bit; the
fit of a maximum is done in float64 with the library's logarithm.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

F = np.float32
Plane = NDArray[np.float32]
GROUPS_A_DEPTH, SPACING_A_DEPTH, MAX_FRAMES = 4.4, 0.75, 256
# Of the normal equations, relative to the product of their diagonal.
MIN_DETERMINANT = 1e-3
# Of the kernel's logarithm, absolute; a tenth of the height it may cost, µm.
LOG_ERROR, LOG_COST_UM = 3e-6, 1e-4
ONE_WAY = F(0.15)
TILE, NOISE_ROWS, CELL, LEVELS = (64, 256), 16, 8, 4
# Groups of which cells are recorded, at most.
ROWS = 128


@dataclass
class Group:
    """Frames averaged together, their drift taken back but for a part of a pixel."""

    total: Plane
    shift: tuple[int, int]
    first_z: float
    z: list[float] = field(default_factory=list)
    rest: list[tuple[float, float]] = field(default_factory=list)

    @property
    def z_um(self) -> float:
        return sum(self.z) / len(self.z)

    @property
    def mean(self) -> Plane:
        return self.total * (F(1) / F(len(self.z)))


@dataclass
class Level:
    """The two largest maxima of each pixel's focus curve, and the codes of the curve."""

    z_um: NDArray[np.float64]
    peak: NDArray[np.uint16]
    curvature: NDArray[np.float64]
    certain: NDArray[np.bool_]  # the five samples settle the fit well enough for float32
    counts: Plane
    curve: list[NDArray[np.uint16]] = field(default_factory=list)


@dataclass
class Refocused:
    groups: list[Group]
    levels: list[Level]
    recorded: list[int]
    brightness: Plane
    focus: Plane
    saturated: Plane
    tile_noise: NDArray[np.float64]


def encode(values: Plane) -> NDArray[np.uint16]:
    bits = np.ascontiguousarray(values, F).view(np.uint32)
    return ((bits + np.uint32(0x8000)) >> np.uint32(16)).astype(np.uint16)


def decode(codes: NDArray[np.uint16]) -> Plane:
    return (codes.astype(np.uint32) << np.uint32(16)).view(F)


def refocus(
    frames, z_um, drift_px=None, *, depth_um, window=(5, 5), detail_px=5, saturation=math.inf
) -> Refocused:
    groups = group_frames(frames, z_um, drift_px, depth_um)
    dark = dark_level(groups[0].mean, whole=frames[0].dtype != F)
    wide = [undrifted(group, detail_px // 2) for group in groups]
    details = [decode(encode(detail(image, detail_px, dark))) for image in wide]
    inner = [image[detail_px // 2 :, detail_px // 2 :] for image in wide]
    energies = [energy_of(k, details, groups, depth_um) for k in range(len(groups))]
    noise = np.inf
    for k in range(len(groups)):
        bend = bend_of(k, details, groups, depth_um)
        noise = np.minimum(noise, noise_of(bend, window[0] // 2 + 1, window[1] // 2 + 1))
    levels = []
    focus = []
    for k in range(LEVELS):
        if k > 0:
            if min(np.array(energies[0][0].shape) // 2 - window) < 0:
                break
            energies = [tuple(halve(entry) for entry in energy) for energy in energies]
            if k == LEVELS - 1:
                focus = [decode(encode(eigenvalues(*energy))) for energy in energies]
        levels.append(track([pool(energy, window) for energy in energies], groups, finest=k == 0))
    H, W = frames[0].shape
    cells = focus[0].shape if focus else (0, 0)
    seen = [cells_of(image[:H, :W], saturation, cells) for image in inner]
    recorded = recorded_groups(len(groups))
    return Refocused(
        groups,
        levels,
        recorded,
        np.array([decode(encode(seen[g][0])) for g in recorded], F),
        np.array([focus[g] if focus else np.zeros(cells) for g in recorded], F),
        np.fmax.reduce([share for _, share in seen]),
        noise,
    )


def recorded_groups(count: int) -> list[int]:
    """All groups, or every second, fourth ..., so that no more than ROWS are kept."""
    stride = 1
    while (count - 1) // stride >= ROWS:
        stride *= 2
    return list(range(0, count, stride))


def group_frames(frames, z_um, drift_px, depth_um) -> list[Group]:
    groups: list[Group] = []
    limit = depth_um / GROUPS_A_DEPTH * (1 - 1e-6)
    for k, (frame, z) in enumerate(zip(frames, z_um, strict=True)):
        dy, dx = (0.0, 0.0) if drift_px is None else drift_px[k]
        if not groups or abs(z - groups[-1].first_z) > limit or len(groups[-1].z) == MAX_FRAMES:
            groups.append(Group(np.zeros(frame.shape, F), (_round(dy), _round(dx)), z))
        group = groups[-1]
        y = np.clip(np.arange(frame.shape[0]) + group.shift[0], 0, frame.shape[0] - 1)
        x = np.clip(np.arange(frame.shape[1]) + group.shift[1], 0, frame.shape[1] - 1)
        group.total = group.total + frame[y][:, x].astype(F)
        group.z.append(z)
        group.rest.append((dy - group.shift[0], dx - group.shift[1]))
    return groups


def _round(value: float) -> int:
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def dark_level(mean: Plane, *, whole: bool) -> np.float32:
    brightness = np.abs(mean[np.isfinite(mean)].astype(np.float64)).sum() / mean.size
    return F(max(0.01 * brightness, 1.0 if whole else 1e-12))


def undrifted(group: Group, reach: int) -> Plane:
    """Mean image, edges repeated for `reach` pixels, resampled by what is left of the drift."""
    y, x = np.mean(group.rest, axis=0)
    if max(abs(y), abs(x)) <= 0.02:
        return np.pad(group.mean, reach, mode="edge")
    image = np.pad(group.mean, ((reach + 2, reach + 3), (reach + 2, reach + 3)), mode="edge")
    return resample(resample(image, x).T, y).T


def resample(image: Plane, shift: float) -> Plane:
    """Lanczos with three lobes along x; five columns fewer."""
    place = np.arange(6) - 2 - shift
    exact = np.sinc(place) * np.sinc(place / 3) * (np.abs(place) < 3)
    weights = (exact / exact.sum()).astype(F)
    width = image.shape[1] - 5
    out = weights[0] * image[:, :width]
    for k in range(1, 6):
        out = out + weights[k] * image[:, k : k + width]
    return out


def box(image: Plane, rows: int, columns: int) -> Plane:
    """Sums over windows that lie inside the image: along x, then along y."""
    width = image.shape[1] - columns + 1
    along = image[:, :width]
    for k in range(1, columns):
        along = along + image[:, k : k + width]
    height = image.shape[0] - rows + 1
    out = along[:height]
    for k in range(1, rows):
        out = out + along[k : k + height]
    return out


def detail(wide: Plane, size: int, dark: np.float32) -> Plane:
    reach = size // 2
    with np.errstate(invalid="ignore", over="ignore"):
        local = box(wide, size, size) * (F(1) / F(size * size))
        mean = wide[reach : wide.shape[0] - reach, reach : wide.shape[1] - reach]
        value = (mean - local) / np.sqrt(np.where(local > 0, local, F(0)) + dark)
        return np.where(value * value < F(1e30), value, F(0))


def neighbours(k: int, details, groups, depth_um) -> list[Plane]:
    """Details of the groups before and after, as far as they are near enough to show the same."""
    return [
        details[other]
        for other in (k - 1, k + 1)
        if 0 <= other < len(groups) and abs(groups[k].z_um - groups[other].z_um) < SPACING_A_DEPTH * depth_um
    ]


def energy_of(k: int, details, groups, depth_um) -> tuple[Plane, Plane, Plane]:
    """Gradient of a group's detail times that of its neighbours' mean: the tensor's entries xx, yy, xy."""
    sides = neighbours(k, details, groups, depth_um) or [details[k]]
    ax, ay = gradient(details[k])
    bx, by = gradient(F(0.5) * (sides[0] + sides[-1]))
    return ax * bx, ay * by, F(0.5) * (ax * by + ay * bx)


def gradient(image: Plane) -> tuple[Plane, Plane]:
    """Sobel's gradient over 8, along x and along y; beyond the edge there is nothing."""
    p = np.pad(image, 1)
    down = p[:-2] + F(2) * p[1:-1] + p[2:]
    along = p[:, :-2] + F(2) * p[:, 1:-1] + p[:, 2:]
    return F(0.125) * (down[:, 2:] - down[:, :-2]), F(0.125) * (along[2:] - along[:-2])


def bend_of(k: int, details, groups, depth_um) -> NDArray[np.float64]:
    """What a group's neighbours do not explain of its detail, scaled so that noise keeps its variance."""
    sides = [side.astype(np.float64) for side in neighbours(k, details, groups, depth_um)]
    if not sides:
        return details[k].astype(np.float64)
    if len(sides) == 1:
        return (sides[0] - details[k]) / np.sqrt(2)
    return (sides[0] - 2.0 * details[k] + sides[1]) / np.sqrt(6)


def pool(energy: tuple[Plane, Plane, Plane], window: tuple[int, int]) -> NDArray[np.uint16]:
    """Focus of the tensor pooled over the window."""
    h, w = window
    xx, yy, xy = (box(np.pad(entry, ((h // 2,) * 2, (w // 2,) * 2)), h, w) for entry in energy)
    return encode(F(1) / F(h * w) * eigenvalues(xx, yy, xy))


def eigenvalues(xx: Plane, yy: Plane, xy: Plane) -> Plane:
    """Smaller eigenvalue of the tensor, and a share of the larger."""
    root = np.sqrt((xx - yy) * (xx - yy) + F(4) * xy * xy)
    focus = F(0.5) * (xx + yy - root) + ONE_WAY * (F(0.5) * (xx + yy + root))
    return np.where(focus > 0, focus, F(0))


def halve(energy: Plane) -> Plane:
    e = energy[: energy.shape[0] // 2 * 2, : energy.shape[1] // 2 * 2]
    return F(0.25) * (e[::2, ::2] + e[::2, 1::2] + e[1::2, ::2] + e[1::2, 1::2])


def track(curve: list[NDArray[np.uint16]], groups: list[Group], *, finest: bool) -> Level:
    shape = curve[0].shape
    out = Level(
        np.full((2, *shape), np.nan),
        np.zeros((2, *shape), np.uint16),
        np.zeros((2, *shape)),
        np.ones((2, *shape), bool),
        np.stack([groups[0].mean] * 2) if finest else np.zeros((2, *shape), F),
        curve,
    )
    last = len(groups) - 1
    for k in range(1, last):  # the first and the last group are no maxima
        none = np.zeros(shape, np.uint16)
        five = [curve[k + j] if 0 <= k + j <= last else none for j in range(-2, 3)]
        z = groups[k].z_um
        u = [groups[k + j].z_um - z if 0 <= k + j <= last else 0.0 for j in range(-2, 3)]
        c = five[2]
        found = (c > five[0]) & (c > five[1]) & (c >= five[3]) & (c >= five[4]) & (c > out.peak[1])
        offset, curvature, certain = fit([decode(code) for code in five], u)
        larger = found & (c > out.peak[0])
        image = groups[k].mean if finest else np.zeros(shape, F)
        of_peak = (out.z_um, z + offset), (out.curvature, curvature), (out.certain, certain)
        for kept, new in (*of_peak, (out.counts, image)):
            kept[1] = np.where(larger, kept[0], np.where(found, new, kept[1]))
            kept[0] = np.where(larger, new, kept[0])
        out.peak[1] = np.where(larger, out.peak[0], np.where(found, c, out.peak[1]))
        out.peak[0] = np.where(larger, c, out.peak[0])
    return out


def fit(
    five: list[Plane], u: list[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Vertex and curvature of the parabola through log focus, weighted by focus squared; 0 where none fits.

    The third map marks where neither near singularity nor nearness to the limits leaves it to rounding.
    """
    with np.errstate(all="ignore"):
        ratio = np.stack(five).astype(np.float64) / five[2]
    ratio = np.where(np.isfinite(ratio), ratio, 0)
    design = np.stack([np.ones(5), u, np.square(u)])
    weight = ratio**2
    normal = np.einsum("ik,jk,k...->...ij", design, design, weight)
    right = np.einsum("ik,k...->...i", design, weight * np.log(np.maximum(ratio, 1e-12)))
    scale = np.prod(np.diagonal(normal, axis1=-2, axis2=-1), axis=-1)
    determinant = np.linalg.det(normal)
    solvable, settled = determinant > 1e-12 * scale, determinant > MIN_DETERMINANT * scale
    normal[~solvable] = np.eye(3)
    _, b, c = np.moveaxis(np.linalg.solve(normal, right[..., None])[..., 0], -1, 0)
    limit = max(abs(u[1]), abs(u[3]))
    with np.errstate(all="ignore"):
        offset = -0.5 * b / c
        fits = solvable & (c < 0) & (np.abs(offset) <= limit)
        clear = (np.abs(np.abs(offset) / limit - 1) > 1e-3) & (np.abs(c) * limit > LOG_ERROR / LOG_COST_UM)
    return np.where(fits, offset, 0.0), np.where(fits, -2 * c, 0.0), settled & clear


def noise_of(bend: NDArray[np.float64], up: int, left: int) -> NDArray[np.float64]:
    """Mean square over every sixteenth row in and around each tile."""
    H, W = bend.shape
    out = []
    for y in range(0, H, TILE[0]):
        end = min(H, y + TILE[0])
        first = y + min(NOISE_ROWS, end - y) // 2
        rows = [r for r in range(max(0, y - up), min(H, end + up)) if (r - first) % NOISE_ROWS == 0]
        for x in range(0, W, TILE[1]):
            part = bend[rows, max(0, x - left) : min(W, x + TILE[1] + left)]
            out.append((part**2).mean() if part.size else np.inf)
    return np.array(out)


def cells_of(image: Plane, saturation: float, shape: tuple[int, ...]) -> tuple[Plane, Plane]:
    mean, share = np.zeros(shape, F), np.zeros(shape, F)
    for i, j in np.ndindex(shape):
        cell = image[i * CELL : (i + 1) * CELL, j * CELL : (j + 1) * CELL]
        mean[i, j] = _in_order(_in_order(cell)) / F(cell.size)
        share[i, j] = F((cell >= F(saturation)).sum()) / F(cell.size)
    return mean, share


def _in_order(values: Plane) -> Plane:
    """Sum over the first axis, one after the other."""
    total = F(0) + values[0]
    for value in values[1:]:
        total = total + value
    return total
