"""Films of a run: one map per scan, drawn and encoded frame by frame."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from lee.errors import InputError
from lee.figures.film_file import new_film, watchable_rate
from lee.figures.film_frame import FilmFrame
from lee.figures.maps import Maps, Times, colour_scale, evenly, map_style


def write_film(
    path: str | Path,
    maps: Maps,
    *,
    kind: str,
    times_s: Times,
    pixel_um: float,
    phases: Sequence[str] | None = None,
    limits: tuple[float, float] | None = None,
    frames_per_s: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a film (MP4, H.264) of the maps of a run, with time, scale bar and colour bar in every frame.

    Maps are read one at a time, so memory does not grow with the run. Colours mean the same in all frames.

    Parameters
    ----------
    path : str or Path
        The file, ending in ``.mp4``; an older film is replaced once the new one is complete.
    maps : (T, H, W) float32
        An array, a Zarr array, or any sequence of maps. NaN where not measured, drawn as striped grey; a scan
        that failed is a map of NaN.
    kind : {"height", "delta", "rate", "rate_sigma", "curvature"}
        Heights (µm) are drawn as a lit surface; growth since the first scan (µm), rates and their standard
        deviation (nm/s) and mean curvature (1/µm) by colour alone.
    times_s : (T,) float, s
    pixel_um : float, µm
    phases : (T,) str, optional
        ``plating``, ``stripping``, ``rest`` or empty.
    limits : (float, float), optional
        Limits of the colours; by default from the 0.5 and 99.5 percentiles over the run.
    frames_per_s : float, optional
        By default 4 to 12, so that a long run takes about 15 s to watch.
    progress : callable, optional
        Called with frames done and frames in all.

    Returns
    -------
    Path
        The film.

    Raises
    ------
    InputError
        If there is nothing to film, the lengths differ, the name does not end in ``.mp4``, ffmpeg is missing
        or fails, or the file cannot be written.
    """
    path = Path(path)
    shape = checked(path, maps, times_s, phases, pixel_um, frames_per_s)
    scale = colour_scale(kind, maps, limits=limits)
    style = map_style(kind)
    frame = FilmFrame(
        shape,
        pixel_um=pixel_um,
        title=style.title,
        label=style.label,
        scale=scale,
        times_s=times_s,
        phases=phases,
        relief=_relief(maps, pixel_um) if kind == "height" else 0.0,
    )
    rate = frames_per_s or watchable_rate(len(maps))
    with new_film(path, frame.size_px, frames=len(maps), frames_per_s=rate) as write:
        for k in range(len(maps)):
            write(frame.draw(np.asarray(maps[k], np.float32), k))
            if progress is not None:
                progress(k + 1, len(maps))
    return path


def checked(
    path: Path,
    maps: Maps,
    times_s: Times,
    phases: Sequence[str] | None,
    pixel_um: float,
    frames_per_s: float | None,
) -> tuple[int, int]:
    """Return the shape of the maps of a film, or raise an InputError that states what does not fit."""
    if path.suffix.lower() != ".mp4":
        raise InputError(f"{path.name!r}: a film's name ends in .mp4")
    if len(maps) == 0:
        raise InputError(f"no maps to film for {path.name}")
    for name, values in (("times_s", times_s), ("phases", phases)):
        if values is not None and len(values) != len(maps):
            raise InputError(f"{name} has {len(values)} entries for {len(maps)} maps: they must agree")
    if not (np.isfinite(pixel_um) and pixel_um > 0):
        raise InputError(f"pixel_um is {pixel_um:g}: give µm above 0")
    if frames_per_s is not None and not (np.isfinite(frames_per_s) and frames_per_s > 0):
        raise InputError(f"frames_per_s is {frames_per_s:g}: give frames per second above 0")
    shape = np.shape(maps[0])
    if len(shape) != 2 or 0 in shape:
        raise InputError(f"a map has shape {shape}: maps are (H, W)")
    return shape[0], shape[1]


def _relief(maps: Maps, pixel_um: float) -> float:
    """Choose one exaggeration of the slopes for the whole film, so that gentle ones are visible."""
    slopes = []
    for k in evenly(len(maps), 5):
        values = np.asarray(maps[k], np.float32)
        step = 4  # slopes of the relief, not of single pixels' noise
        slopes.append(np.abs(np.diff(values[::step], axis=0)).ravel() / (step * pixel_um))
    known = np.concatenate(slopes)
    known = known[np.isfinite(known)]
    steep = float(np.percentile(known, 90)) if known.size else 0.0
    return float(np.clip(0.6 / steep, 0.05, 20)) if steep > 0 else 1.0
