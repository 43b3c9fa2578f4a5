"""Pictures of a random texture, displaced by a known amount."""

import numpy as np
from scipy import ndimage

SHAPE = (160, 192)
MARGIN = 24


def world(seed=0, shape=SHAPE, width=1.5):
    """A texture with a margin, of deviation 1."""
    field = np.random.default_rng(seed).normal(size=(shape[0] + 2 * MARGIN, shape[1] + 2 * MARGIN))
    field = ndimage.gaussian_filter(field, width)
    return field / field.std()


def seen(field, shift=(0.0, 0.0), *, counts=10.0, noise=2.0, seed=1):
    """Return what a camera shows of a texture moved by (dy, dx), made otherwise than the code moves it."""
    spectrum = ndimage.fourier_shift(np.fft.fft2(field), shift)
    moved = np.fft.ifft2(spectrum).real[MARGIN:-MARGIN, MARGIN:-MARGIN]
    picture = 90 + counts * moved + np.random.default_rng(seed).normal(0, noise, moved.shape)
    return picture.astype(np.float32)
