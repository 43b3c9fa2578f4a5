"""How a surface is reconstructed: the parameters that users may set, and the values assumed without them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lee.errors import InputError
from lee.reconstruction.focus.registry import DEFAULT_FOCUS, focus_measure

# Depth of field of a 20×, NA 0.5 water objective: assumed where there is no stack to measure it on.
RIG_DEPTH_OF_FIELD_UM = 3.5
# Drift is not estimated on smaller frames: they show too little.
MIN_DRIFT_PX = 64


@dataclass(frozen=True)
class ReconstructParams:
    """How a surface is reconstructed; the defaults serve any scan.

    Parameters
    ----------
    focus : str
        Focus measure: "variance", the normalised variance (Sun, Duthaler, Nelson 2004) extended to the tensor
        of the gradient, as ``lee/refocuser.hpp`` defines it; "wavelet", complex wavelets (Forster et al.
        2004); or one added to `lee.reconstruction.focus.registry`.
    drift : bool
        Correct the lateral drift inside the scan.
    reject_frames : bool
        Reject frames that debris or flashes spoil or that were delivered twice, and divide the lamp's flicker
        out of the others.
    depth_of_field_um : float, µm, optional
        Full width at half maximum of the focus curve; measured on the stack when not given.
    threads : int
        0 = all available cores. The result does not depend on it.
    drift_every : int, optional
        The drift is estimated at every so many frames; by default `lee.reconstruct` compares up to 160 frames
        of a scan, and `Refocuser` every sixth.
    second_look : bool
        Read the frames again and match each pixel with the texture that the first look found: less noise, and
        about as much time again, on the processor. `Refocuser`, which sees each frame once, ignores it.
    """

    focus: str = DEFAULT_FOCUS
    drift: bool = True
    reject_frames: bool = True
    depth_of_field_um: float | None = None
    threads: int = 0
    drift_every: int | None = None
    second_look: bool = True

    def __post_init__(self) -> None:
        if self.drift_every is not None and self.drift_every < 1:
            raise InputError(f"drift_every is {self.drift_every}; give a number of frames, 1 or more")
        focus_measure(self.focus)
        depth = self.depth_of_field_um
        if depth is not None and not (np.isfinite(depth) and depth > 0):
            raise InputError(f"depth_of_field_um is {depth}; give a length above 0, or None to measure it")
        if self.threads < 0:
            raise InputError(f"threads is {self.threads}; give 0 for all cores, or a count")
