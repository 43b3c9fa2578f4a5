"""The surfaces of a run as the page shows them, drawn on a thread of its own."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lee.errors import reason_of
from lee.figures.maps import ColourScale
from lee.rig.live.growth_so_far import GrowthSoFar
from lee.rig.live.pictures import bar_colours, map_png, map_scale, relief
from lee.runs.run import SURFACES
from lee.runs.surface_store import WRITTEN, SurfaceStore
from lee.surfaces.surface import Surface

# Surfaces of an earlier run that are loaded when it continues, and surfaces that may wait to be drawn.
_MAX_RELOADED, _MAX_WAITING = 30, 4
# Smallest limit of the colours of rates, nm/s: lower rates are noise.
_MIN_RATE_LIMIT = 1.0


class _Shown(NamedTuple):
    """Pictures by their names, and the facts shown with them; replaced as a whole."""

    pictures: dict[str, bytes]
    state: dict[str, object]


class SurfaceWatch:
    """Draws the height map, the relief, the rate map and the curves after every scan.

    Parameters
    ----------
    folder : Path
        Folder of the run; surfaces that it holds already are shown first.
    """

    def __init__(self, folder: Path) -> None:
        self._store = folder / SURFACES
        self._growth = GrowthSoFar()
        self._shown = _Shown({}, {})
        self._version = 0
        self.skipped = 0
        self._waiting: queue.Queue[tuple[str, Surface] | None] = queue.Queue(_MAX_WAITING)
        self._thread = threading.Thread(target=self._work, name="lee-surface-pictures", daemon=True)
        self._thread.start()

    def take(self, scan: str, surface: Surface) -> None:
        """Hand over the surface of a scan that is in the store; returns at once."""
        try:
            self._waiting.put_nowait((scan, surface))
        except queue.Full:
            self.skipped += 1

    def picture(self, name: str) -> bytes | None:
        """Return ``height``, ``rate``, ``relief`` or ``curves``; None where there is none yet."""
        return self._shown.pictures.get(name)

    def state(self) -> dict[str, object]:
        """Return the facts shown with the pictures, by the pictures' names."""
        return self._shown.state

    def close(self) -> None:
        """End the thread after it has drawn what it was given."""
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        self._attempt(self._reload)
        while (item := self._waiting.get()) is not None:
            scan, surface = item
            grown = self._attempt(partial(self._grow, scan, surface))
            drawn = self._attempt(partial(self._draw, scan, surface))
            if grown or drawn:
                self._shown = self._shown._replace(
                    state={**self._shown.state, "problem": f"{scan}: {grown or drawn}"}
                )

    def _attempt(self, step: Callable[[], None]) -> str:
        """Run a step; return what went wrong with it, or an empty text."""
        try:
            step()
        except Exception as error:  # whatever it is, the run continues, and the next surface is tried
            return f"cannot be shown completely: {type(error).__name__}: {reason_of(error)}"
        return ""

    def _reload(self) -> None:
        if not self._store.exists():
            return
        store = SurfaceStore.open(self._store)
        written = np.flatnonzero(store.state == WRITTEN)[-_MAX_RELOADED:].tolist()
        for k in written:
            surface = store.surface(k)
            self._growth.add(store.scans[k], float(store.times_s[k]), surface)
        if written:
            self._draw(store.scans[written[-1]], surface)

    def _grow(self, scan: str, surface: Surface) -> None:
        store = SurfaceStore.open(self._store)
        self._growth.add(scan, float(store.times_s[store.scans.index(scan)]), surface)

    def _draw(self, scan: str, surface: Surface) -> None:
        self._version += 1
        height = surface.height_um
        scale = map_scale("height", height)
        field = relief(surface.height_filled_um, surface.valid, surface.pixel_um, scale)
        pictures = {"height": map_png(height, scale), "relief": field.body}
        state: dict[str, object] = {
            "height": {
                **self._map_state(height, scale, surface.pixel_um),
                "scan": scan,
                "coverage": surface.coverage,
                "sigma_um": _median(surface.height_sigma_um),
                "relief": {"rows": field.rows, "columns": field.columns, "step_um": field.step_um},
            }
        }
        rate = self._growth.rate
        if rate is not None:
            scale = map_scale("rate", rate.rate_nm_per_s, min_limit=_MIN_RATE_LIMIT)
            pictures["rate"] = map_png(rate.rate_nm_per_s, scale)
            state["rate"] = {
                **self._map_state(rate.rate_nm_per_s, scale, rate.pixel_um),
                "at": rate.at,
                "first": rate.first,
                "last": rate.last,
                "mean_nm_per_s": _mean(rate.rate_nm_per_s),
                "sigma_nm_per_s": _median(rate.sigma_nm_per_s),
            }
        pictures["curves"] = json.dumps(self._growth.curves(), allow_nan=False).encode()
        state["curves"] = {"version": self._version, "surfaces": len(self._growth.scans)}
        self._shown = _Shown(pictures, state)

    def _map_state(
        self, values: NDArray[np.float32], scale: ColourScale, pixel_um: float
    ) -> dict[str, object]:
        rows, columns = values.shape
        return {
            "version": self._version,
            "low": scale.low,
            "high": scale.high,
            "extend": scale.extend,
            "colours": bar_colours(scale),
            "size_um": [rows * pixel_um, columns * pixel_um],
        }


def _median(values: NDArray[np.float32]) -> float | None:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else None


def _mean(values: NDArray[np.float32]) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else None
