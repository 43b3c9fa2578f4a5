"""A scene cut into layers of equal height, and the image of all of them at any focus.

The frame at focus z is the sum over layers b of OTF(z - h_b) times the layer's spectrum. Frequencies are
sorted by radius: all of one ring share the OTF, which makes the sum over layers a small matrix product a
ring.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.special import j1

from lee.devices.virtual.imaging.optics import Optics, OtfTable
from lee.devices.virtual.scene.bodies import Spike
from lee.devices.virtual.scene.nuclei import PointLights

_RINGS_PER_FREQUENCY = 8
_RINGS_AT_ONCE = 128
_POINTS_AT_ONCE = 1024


@dataclass(frozen=True)
class Grid:
    """The frequencies of a padded image that pass the objective, sorted by radius.

    ``at`` (M,) is their place in the flattened half spectrum, ``rings`` (R + 1,) where each ring starts,
    ``radius`` (R,) the rings' mean frequency in cycles per µm, ``ring_of`` (M,) the ring, ``row`` and
    ``column`` (M,) the place in the half spectrum of each frequency.
    """

    shape: tuple[int, int]
    pad: tuple[int, int]
    pixel_um: float
    at: NDArray[np.intp]
    rings: NDArray[np.intp]
    radius: NDArray[np.float64]
    ring_of: NDArray[np.intp]
    row: NDArray[np.intp]
    column: NDArray[np.intp]

    @classmethod
    def around(cls, shape: tuple[int, int], pixel_um: float, margin_um: float, optics: Optics) -> "Grid":
        """Return the grid of an image with a margin around it, of a size that transforms fast."""
        margin = int(np.ceil(margin_um / pixel_um))
        full = tuple(int(fft.next_fast_len(n + 2 * margin, real=True)) for n in shape)
        pad = ((full[0] - shape[0]) // 2, (full[1] - shape[1]) // 2)
        fy = fft.fftfreq(full[0], pixel_um)
        fx = fft.rfftfreq(full[1], pixel_um)
        radius = np.hypot(fy[:, None], fx[None, :]).ravel()
        # The Nyquist rows have no conjugate partner and cannot be shifted by a fraction of a pixel.
        usable = (np.abs(fy) < 0.4999 / pixel_um)[:, None] & (fx < 0.4999 / pixel_um)[None, :]
        kept = np.flatnonzero((radius < optics.cutoff_per_um) & usable.ravel())
        width = 1 / (max(full) * pixel_um * _RINGS_PER_FREQUENCY)
        ring = (radius[kept] / width + 0.5).astype(np.intp)
        order = np.argsort(ring, kind="stable")
        at, ring = kept[order], ring[order]
        starts = np.flatnonzero(np.diff(ring, prepend=-1))
        rings = np.append(starts, len(at))
        sizes = np.diff(rings)
        mean = np.add.reduceat(radius[at], starts) / sizes
        ring_of = np.repeat(np.arange(len(sizes)), sizes)
        iy, ix = np.unravel_index(at, (full[0], len(fx)))
        return cls((full[0], full[1]), pad, pixel_um, at, rings, mean, ring_of, iy, ix)

    def forward(self, image: NDArray[np.float32]) -> NDArray[np.complex64]:
        """Return the sorted spectrum (M,) of a padded image."""
        return np.asarray(fft.rfft2(image).ravel()[self.at], dtype=np.complex64)

    def backward(self, spectrum: NDArray[np.complex64], shape: tuple[int, int]) -> NDArray[np.float32]:
        """Return the image (H, W) of a sorted spectrum, its margin cut off."""
        half = np.zeros(self.shape[0] * (self.shape[1] // 2 + 1), dtype=np.complex64)
        half[self.at] = spectrum
        image = fft.irfft2(half.reshape(self.shape[0], -1), self.shape, overwrite_x=True)
        return np.asarray(image[self.pad[0] : self.pad[0] + shape[0], self.pad[1] : self.pad[1] + shape[1]])

    def padded(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return an image with its mirror image in the margin."""
        after = [full - n - before for full, n, before in zip(self.shape, image.shape, self.pad, strict=True)]
        return np.pad(image, ((self.pad[0], after[0]), (self.pad[1], after[1])), mode="symmetric")

    def shift(self, dy_px: float, dx_px: float) -> NDArray[np.complex64]:
        """Return the factor (M,) on a spectrum that moves its image by (dy, dx) pixels."""
        fy, fx = fft.fftfreq(self.shape[0]), fft.rfftfreq(self.shape[1])
        along_y = np.exp(-2j * np.pi * dy_px * fy).astype(np.complex64)
        along_x = np.exp(-2j * np.pi * dx_px * fx).astype(np.complex64)
        return np.asarray(along_y[self.row] * along_x[self.column])

    def pixel_aperture(self) -> NDArray[np.float32]:
        """Return what square pixels without gaps pass of each frequency, (M,)."""
        along_y = np.sinc(fft.fftfreq(self.shape[0])).astype(np.float32)
        along_x = np.sinc(fft.rfftfreq(self.shape[1])).astype(np.float32)
        return np.asarray(along_y[self.row] * along_x[self.column])

    def disk(self, y_um: float, x_um: float, radius_um: float) -> NDArray[np.complex64]:
        """Return the spectrum (M,) of a disk of brightness 1, placed in the image without its margin."""
        rho = 2 * np.pi * self.radius * radius_um
        small = rho < 1e-6
        ring = np.where(small, 0.5, j1(rho) / np.where(small, 1, rho))
        ring *= 2 * np.pi * (radius_um / self.pixel_um) ** 2
        spectrum = self.shift(y_um / self.pixel_um + self.pad[0], x_um / self.pixel_um + self.pad[1])
        spectrum *= ring.astype(np.float32)[self.ring_of]
        return spectrum

    def holds(self, y_um: NDArray[np.float64], x_um: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which places (N,) are in the image or its margin."""
        inside = np.ones(len(y_um), dtype=np.bool_)
        for at, pad, full in zip((y_um, x_um), self.pad, self.shape, strict=True):
            inside &= np.abs(at / self.pixel_um + pad - 0.5 * (full - 1)) <= 0.5 * full
        return inside

    def points(
        self,
        y_um: NDArray[np.float64],
        x_um: NDArray[np.float64],
        light: NDArray[np.float64],
        sigma_um: NDArray[np.float64],
    ) -> NDArray[np.complex64]:
        """Return spectra (K, M) of points of light, placed in the image without its margin.

        Parameters
        ----------
        y_um, x_um : (N,) float64
            Where they are, between pixels too.
        light : (K, N) float64
            Light of each in each of K images, in that of a pixel of brightness 1.
        sigma_um : (N,) float64
            Standard deviation of the Gaussian that each is.

        Notes
        -----
        The sum of exp(-2 pi i f r), exact: it parts into a factor along y and one along x, so that all
        frequencies together are the product of two matrices.
        """
        frequencies = fft.fftfreq(self.shape[0]), fft.rfftfreq(self.shape[1])
        total = np.zeros((len(light), *(len(f) for f in frequencies)), dtype=np.complex64)
        for first in range(0, len(y_um), _POINTS_AT_ONCE):
            some = slice(first, first + _POINTS_AT_ONCE)
            wide = 2 * (np.pi * sigma_um[some] / self.pixel_um) ** 2
            along_y, along_x = (
                np.exp(-2j * np.pi * np.outer(at[some] / self.pixel_um + pad, f) - np.outer(wide, f**2))
                for at, pad, f in zip((y_um, x_um), self.pad, frequencies, strict=True)
            )
            along_x = along_x.astype(np.complex64)
            for k, share in enumerate(light[:, some]):
                total[k] += (along_y * share[:, None]).astype(np.complex64).T @ along_x
        return np.asarray(total.reshape(len(light), -1)[:, self.at])


class LayeredScene:
    """The spectra of a surface cut into layers.

    Each point is shared between the two layers that enclose it, in proportion to its distance from them, so
    that the mean height of what is drawn is exact.

    Parameters
    ----------
    grid : Grid
    height_um, reflectance : (H, W) float32
    spikes : sequence of Spike
        Facets that are there during the whole scan.
    layer_um : float
        Distance between layers.
    points : PointLights
        Small things on the surface. They share its layers and get more of the same distance only where they
        are above or below all of it, so that the surface is drawn alike with and without them.
    """

    def __init__(
        self,
        grid: Grid,
        height_um: NDArray[np.float32],
        reflectance: NDArray[np.float32],
        spikes: list[Spike],
        layer_um: float,
        points: PointLights,
    ) -> None:
        low, high = float(height_um.min()), float(height_um.max())
        count = max(int(np.ceil((high - low) / layer_um)), 1) + 1
        self.z_um: NDArray[np.float64] = np.linspace(low, high, count) if high > low else np.array([low])
        self._grid = grid
        position = np.zeros(grid.shape, dtype=np.float32)
        if high > low:
            position = (grid.padded(height_um) - np.float32(low)) * np.float32((count - 1) / (high - low))
        light = grid.padded(reflectance)
        layers = len(self.z_um)
        step = (high - low) / (count - 1) if high > low else layer_um
        level, inside = (points.z_um - low) / step, grid.holds(points.y_um, points.x_um)
        below = np.floor(level)
        beyond = np.setdiff1d(np.stack([below, below + 1])[:, inside], np.arange(layers))
        spectra = np.empty((layers + len(spikes) + len(beyond), len(grid.at)), dtype=np.complex64)
        for b in range(layers):
            spectra[b] = grid.forward(light * np.maximum(1 - np.abs(position - b), 0))
        for b, spike in enumerate(spikes, start=layers):
            spectra[b] = grid.disk(spike.y_um, spike.x_um, spike.radius_um) * np.float32(spike.brightness)
        heights = [spike_height(spike, height_um, grid.pixel_um) for spike in spikes]
        self.z_um = np.concatenate([self.z_um, heights, low + step * beyond])
        spectra[layers + len(spikes) :] = 0
        level_of = np.concatenate([np.arange(layers), np.full(len(spikes), np.nan), beyond])
        strength = points.light_um2 / grid.pixel_um**2
        for lower in np.unique(below[inside]):
            here = inside & (below == lower)
            upward = level[here] - lower
            shares = strength[here] * np.stack([1 - upward, upward])
            both = grid.points(points.y_um[here], points.x_um[here], shares, points.sigma_um[here])
            spectra[level_of == lower] += both[0]
            spectra[level_of == lower + 1] += both[1]
        self._parts = spectra.view(np.float32)

    def spectra(self, z_um: NDArray[np.float64], table: OtfTable) -> NDArray[np.complex64]:
        """Return the sorted spectra (Z, M) of the images focused on each z."""
        out = np.empty((len(z_um), self._parts.shape[1]), dtype=np.float32)
        rings = self._grid.rings
        defocus = z_um[:, None] - self.z_um[None, :]
        for first in range(0, len(rings) - 1, _RINGS_AT_ONCE):
            last = min(first + _RINGS_AT_ONCE, len(rings) - 1)
            otf = table(defocus, slice(first, last))
            for ring in range(first, last):
                here = slice(2 * rings[ring], 2 * rings[ring + 1])
                out[:, here] = otf[ring - first] @ self._parts[:, here]
        return out.view(np.complex64)


def spike_height(spike: Spike, height_um: NDArray[np.float32], pixel_um: float) -> float:
    """Return the height at which a spike's glint is in focus."""
    y = int(np.clip(round(spike.y_um / pixel_um), 0, height_um.shape[0] - 1))
    x = int(np.clip(round(spike.x_um / pixel_um), 0, height_um.shape[1] - 1))
    return float(height_um[y, x]) + spike.offset_um
