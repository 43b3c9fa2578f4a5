"""One frame of a film of a run: a map in its axes, drawn fast because only what changes is drawn anew."""

import io
from collections.abc import Sequence
from functools import cache

import matplotlib
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from lee.figures.maps import ColourScale, Map, Times, not_measured_patch, round_length, time_text
from lee.figures.phases import PHASE_COLOURS, phase_spans
from lee.surfaces.block_mean import block_mean

Rgb = NDArray[np.uint8]

_LONGEST_PX, _SHORTEST_PX = 720, 480
_MIN_AREA_PX = (240, 440)  # colour bar and title over a narrow map need this much room
# Players show their buttons over the lowest part, so nothing essential is there.
_TOP, _BOTTOM, _LEFT, _RIGHT = 98, 64, 16, 132
_STRIP_TOP, _STRIP_PX = 40, 16
_DPI = 100
_STRIPES = np.array([[217, 217, 217], [154, 154, 154]], np.uint8)
_SHADE_PX = 1.5  # without it a shaded surface shows nothing but the noise of single pixels


class FilmFrame:
    """Draw maps of one kind into frames of one size.

    Parameters
    ----------
    shape : (int, int)
        Of the maps.
    pixel_um : float, µm
    title, label : str
        Above the map, and beside the colour bar (with the unit).
    scale : ColourScale
    times_s : sequence of float
        Of all frames, for the time strip.
    phases : sequence of str, optional
    relief : float
        Shade the map as a surface lit from the top left, its slopes multiplied by this; 0 for none.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        *,
        pixel_um: float,
        title: str,
        label: str,
        scale: ColourScale,
        times_s: Times,
        phases: Sequence[str] | None = None,
        relief: float = 0.0,
    ) -> None:
        self._scale, self._relief, self._pixel_um = scale, relief, pixel_um
        longest = max(shape)
        self._block = -(-longest // _LONGEST_PX)
        self._enlarged = max(1, _SHORTEST_PX // longest) if longest < _SHORTEST_PX else 1
        rows, columns = (-(-n // self._block) * self._enlarged for n in shape)
        area = (max(rows, _MIN_AREA_PX[0]), max(columns, _MIN_AREA_PX[1]))
        # H.264 with colours at half the resolution takes even sizes only.
        height, width = (n + n % 2 for n in (area[0] + _TOP + _BOTTOM, area[1] + _LEFT + _RIGHT))
        self.size_px = (width, height)
        top, left = _TOP + (area[0] - rows) // 2, _LEFT + (area[1] - columns) // 2
        self._place = (slice(top, top + rows), slice(left, left + columns))
        self._table = (colormaps[scale.colours](np.linspace(0, 1, 256))[:, :3] * 255).round().astype(np.uint8)
        y, x = np.indices((rows, columns))
        self._missing = _STRIPES[(((x + y) % 12) < 2).astype(np.uint8)]
        self._bar = _bar_overlay(columns, pixel_um * self._block / self._enlarged)
        self._times = np.asarray(times_s, np.float64)
        self._phases = phases
        self._background = self._draw_background(*area, title, label)

    def draw(self, values: Map, frame: int) -> Rgb:
        """Draw a frame.

        Parameters
        ----------
        values : (H, W) float
            NaN where not measured.
        frame : int
            Its place in `times_s`.

        Returns
        -------
        (height, width, 3) uint8
        """
        picture = self._background.copy()
        shown = np.asarray(values, np.float32)
        if self._block > 1:
            shown = block_mean(shown, self._block)[0]
        known = np.isfinite(shown)
        low, high = self._scale.limits
        level = np.clip((np.where(known, shown, low) - low) * (255 / (high - low)), 0, 255)
        coloured = self._table[np.rint(level).astype(np.uint8)]
        if self._relief:
            coloured = (coloured * self._shade(shown, known)[..., None]).astype(np.uint8)
        if self._enlarged > 1:
            coloured, known = (
                a.repeat(self._enlarged, 0).repeat(self._enlarged, 1) for a in (coloured, known)
            )
        area = picture[self._place]
        area[...] = np.where(known[..., None], coloured, self._missing)
        corner = area[-self._bar.shape[0] :, : self._bar.shape[1]]
        bar = self._bar[-corner.shape[0] :, : corner.shape[1]]
        alpha = bar[..., 3:] / 255.0
        corner[...] = (corner * (1 - alpha) + bar[..., :3] * alpha).astype(np.uint8)
        caption = f"t = {time_text(self._times[frame])}"
        if self._phases is not None and self._phases[frame]:
            caption += f", {self._phases[frame]}"
        canvas = Image.fromarray(picture)
        pen = ImageDraw.Draw(canvas)
        pen.text((_LEFT, 10), caption, font=_font(20), fill=(20, 20, 20))
        if not known.any():
            middle = tuple((side.start + side.stop) / 2 for side in reversed(self._place))
            pen.text(middle, "not measured", font=_font(20), fill=(20, 20, 20), anchor="mm", stroke_width=4,
                     stroke_fill=(255, 255, 255))  # fmt: skip
        self._mark_time(pen, frame)
        return np.asarray(canvas)

    def _shade(self, shown: Map, known: NDArray[np.bool_]) -> NDArray[np.float32]:
        weight = ndimage.gaussian_filter(known.astype(np.float32), _SHADE_PX)
        smooth = ndimage.gaussian_filter(np.where(known, shown, 0).astype(np.float32), _SHADE_PX)
        height = smooth / np.maximum(weight, 1e-6)
        down, right = np.gradient(height * (self._relief / (self._pixel_um * self._block)))
        lit = (down + right + np.sqrt(2)) / (2 * np.sqrt(1 + down**2 + right**2))
        shade: NDArray[np.float32] = np.clip(0.4 + 0.85 * lit, 0.35, 1).astype(np.float32)
        return shade

    def _mark_time(self, pen: ImageDraw.ImageDraw, frame: int) -> None:
        first, last = self._times[0], self._times[-1]
        share = (self._times[frame] - first) / (last - first) if last > first else 0.0
        x = self._strip[0] + share * (self._strip[1] - self._strip[0])
        top = _STRIP_TOP - 4
        pen.rectangle((x - 1.5, top, x + 1.5, top + _STRIP_PX + 8), fill=(20, 20, 20))

    def _draw_background(self, rows: int, columns: int, title: str, label: str) -> Rgb:
        width, height = self.size_px
        figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)

        def axes(left: float, top: float, wide: float, high: float) -> Axes:
            return figure.add_axes((left / width, 1 - (top + high) / height, wide / width, high / height))

        bar = axes(_LEFT + columns + 16, _TOP + 2, 16, rows - 4)
        mapped = ScalarMappable(Normalize(*self._scale.limits), colormaps[self._scale.colours])
        figure.colorbar(mapped, cax=bar, label=label, extend=self._scale.extend)
        bar.tick_params(labelsize=10)
        figure.text((_LEFT + columns) / width, 1 - 20 / height, title, ha="right", va="center", fontsize=12)
        patch = axes(_LEFT, _TOP + rows + 14, 16, 16)
        patch.add_patch(not_measured_patch((0, 0), 1, 1))
        patch.set_axis_off()
        words = 1 - (_TOP + rows + 22) / height
        figure.text((_LEFT + 22) / width, words, "not measured", fontsize=9, va="center")
        self._strip = (_LEFT, _LEFT + columns)
        strip = axes(_LEFT, _STRIP_TOP, columns, _STRIP_PX)
        strip.set_yticks([])
        strip.set_xlim(self._times[0], max(self._times[-1], self._times[0] + 1e-6))
        figure.text((_LEFT + columns + 8) / width, 1 - (_STRIP_TOP + _STRIP_PX / 2) / height, "time (s)",
                    va="center", fontsize=9)  # fmt: skip
        strip.tick_params(labelsize=9)
        for start, end, phase in phase_spans(self._times, self._phases):
            strip.axvspan(start, end, color=PHASE_COLOURS.get(phase, "#eeeeee"), linewidth=0)
            if phase and end - start > 0.15 * (self._times[-1] - self._times[0]):
                strip.text((start + end) / 2, 0.45, phase, ha="center", va="center", fontsize=9,
                           transform=strip.get_xaxis_transform())  # fmt: skip
        drawn = io.BytesIO()
        figure.savefig(drawn, format="rgba", dpi=_DPI)
        return np.frombuffer(drawn.getvalue(), np.uint8).reshape(height, width, 4)[..., :3].copy()


def _bar_overlay(columns: int, pixel_um: float) -> Rgb:
    length = round_length(0.25 * columns * pixel_um)
    bar_px, text = round(length / pixel_um), f"{length:g} µm"
    wide = max(bar_px, round(_font(16).getlength(text))) + 16
    overlay = Image.new("RGBA", (wide + 20, 50), (0, 0, 0, 0))
    pen = ImageDraw.Draw(overlay)
    middle = 10 + wide / 2
    pen.rectangle((10, 4, 9 + wide, 42), fill=(0, 0, 0, 140))
    pen.rectangle((middle - bar_px / 2, 34, middle + bar_px / 2 - 1, 37), fill=(255, 255, 255, 255))
    pen.text((middle, 30), text, font=_font(16), fill=(255, 255, 255, 255), anchor="ms")
    return np.asarray(overlay)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf", size)
