"""The normalised variance of Sun, Duthaler and Nelson (2004), as the compiled refocuser measures it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lee.reconstruction.focus.measure import DeviceKind, FocusSearch, SearchOptions

_DETAIL_PX = 5


class NormalisedVariance:
    """Squared deviation from the local mean over that mean, carried on to the tensor of its gradient.

    ``lee/refocuser.hpp`` defines it. Focus is averaged over windows of four sizes.
    """

    name = "variance"
    devices: tuple[DeviceKind, ...] = ("cpu", "cuda")
    takes_target = True

    def search(self, options: SearchOptions) -> FocusSearch:
        """Start the compiled search."""
        from lee.kernels.refocuser import new_refocuser

        rows, columns = options.window_px
        search: FocusSearch = new_refocuser(
            options.shape,
            on=options.device,
            depth_of_field_um=options.depth_of_field_um,
            window_y_px=rows,
            window_x_px=columns,
            detail_px=_DETAIL_PX,
            threads=options.threads,
        )
        return search
