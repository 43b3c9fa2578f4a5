"""Particles over time: every pair of scans of a run, with the surface and curvature each was found on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lee.errors import InputError
from lee.particles.evaluation import ParticleResults
from lee.particles.finding.find import detect_between
from lee.particles.finding.options import DetectionOptions
from lee.particles.finding.pair_registration import register
from lee.particles.finding.scan_pairs import ScanPair, SingleImage, open_scan
from lee.particles.table import empty_table
from lee.surfaces.curvature import curvature

if TYPE_CHECKING:
    from lee.particles.finding.detection import Details, Detection
    from lee.surfaces.surface import Surface

# A surface of which less was measured has no curvature worth relating particles to.
_MIN_COVERAGE = 0.05


def find_over_time(
    pairs: Sequence[ScanPair],
    options: DetectionOptions | None = None,
    *,
    name: str = "",
    surface: Surface | None = None,
    scale_um: float | Literal["auto"] = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> tuple[ParticleResults, dict[float, Details]]:
    """Find the particles of every pair of scans.

    Parameters
    ----------
    pairs : sequence of ScanPair
        In order of time.
    options : DetectionOptions, optional
    name : str
        Of the experiment.
    surface : Surface, optional
        Of the later scan, if there is only one pair.
    scale_um : float, µm, or "auto"
        Of the curvature; an automatic scale is chosen at the first time and used for all.
    progress : callable, optional
        Called with (steps done, steps in all), a hundred per pair.

    Returns
    -------
    ParticleResults
    dict of time in s to dict
        Details of each detection; ``shift_from_first_px`` (dy, dx) is the displacement of its later scan
        against the later scan of the first pair.

    Raises
    ------
    InputError
        As `lee.find_particles`; or if one surface is given for several pairs, or pixel sizes differ.
    """
    options = options or DetectionOptions()
    if surface is not None and len(pairs) > 1:
        raise InputError(
            f"one surface was given for {len(pairs)} pairs of scans; give none, and each is reconstructed"
        )
    detections: dict[float, Detection] = {}
    for k, pair in enumerate(pairs):

        def step(done: int, total: int, k: int = k) -> None:
            if progress is not None:
                progress(100 * k + 100 * done // max(total, 1), 100 * len(pairs))

        detections[pair.after.time_s] = _detect_in(pair, options, surface, step)
    details = {time: dict(one.details) for time, one in detections.items()}
    first = next(iter(detections.values()))
    for time, one in detections.items():
        if not np.isclose(one.details["pixel_um"], first.details["pixel_um"], rtol=1e-3):
            raise InputError("pixel sizes differ from pair to pair; give scans of one pixel size")
        same = one is first or one.image.shape != first.image.shape
        details[time]["shift_from_first_px"] = (
            [0.0, 0.0] if same else list(register(first.image, one.image).shift_px)
        )
    mean_curvature, scale = _curvatures(detections, scale_um, options.threads)
    tables = [one.particles for one in detections.values() if len(one.particles)]
    for table in tables:
        table.attrs = {}
    warned = dict.fromkeys(note for one in details.values() for note in one.get("notes", ()))
    notes = [f"Warning: {note}." for note in warned]
    if options.calibration is None:
        notes.append("No calibration was given: sizes are intensities in counts.")
    return ParticleResults(
        particles=pd.concat(tables, ignore_index=True) if tables else empty_table(),
        image={time: one.image for time, one in detections.items()},
        pixel_um=float(first.details["pixel_um"]),
        name=name,
        times_s=list(detections),
        surface=None
        if first.surface is None
        else {t: one.surface for t, one in detections.items() if one.surface},
        curvature_per_um=mean_curvature,
        curvature_scale_um=scale,
        searched={time: one.searched for time, one in detections.items()},
        summaries=_summaries(details, options.disappearing),
        notes=notes,
    ), details


def _detect_in(
    pair: ScanPair, options: DetectionOptions, surface: Surface | None, progress: Callable[[int, int], None]
) -> Detection:
    with open_scan(pair.before) as before, open_scan(pair.after) as after:
        pixel = None
        if isinstance(before, SingleImage) and isinstance(after, SingleImage):
            pixel = _common_pixel(pair, before, after)
        try:
            return detect_between(
                before.counts if isinstance(before, SingleImage) else before,
                after.counts if isinstance(after, SingleImage) else after,
                options,
                pixel_um=pixel,
                surface=surface,
                time_s=pair.after.time_s,
                progress=progress,
            )
        except InputError as error:
            raise InputError(f"{pair.before.path.name} and {pair.after.path.name}: {error}") from error


def _common_pixel(pair: ScanPair, before: SingleImage, after: SingleImage) -> float:
    stated = [image.pixel_um for image in (before, after) if image.pixel_um is not None]
    if not stated:
        raise InputError(
            f"{pair.after.path}: the pixel size of a single image is unknown; give the size of its pixels "
            "(--pixel-um)"
        )
    if not np.isclose(stated[0], stated[-1], rtol=1e-3):
        raise InputError(
            f"{pair.before.path} has pixels of {stated[0]:g} µm but {pair.after.path} of {stated[-1]:g} µm; "
            "give images of one pixel size, or the right size (--pixel-um)"
        )
    return stated[-1]


def _curvatures(
    detections: Mapping[float, Detection], scale_um: float | Literal["auto"], threads: int
) -> tuple[dict[float, NDArray[np.float32]] | None, float | None]:
    """Measure the mean curvature at every time; none if one time has too little of a surface."""
    maps: dict[float, NDArray[np.float32]] = {}
    scale: float | Literal["auto"] = scale_um
    for time, one in detections.items():
        if one.surface is None or one.surface.coverage < _MIN_COVERAGE:
            return None, None
        has_sigma = np.isfinite(one.surface.height_sigma_um).any()
        measured = curvature(
            one.surface.height_um,
            pixel_um=one.surface.pixel_um,
            scale_um=scale,
            height_sigma_um=one.surface.height_sigma_um if has_sigma else None,
            threads=threads,
        )
        maps[time], scale = measured.mean_per_um, measured.scale_um
    return maps, float(scale) if maps else None


def _summaries(details: Mapping[float, Details], disappearing: bool) -> dict[str, object]:
    def each(name: str, digits: int) -> dict[float, str]:
        return {time: f"{one[name]:.{digits}f}" for time, one in details.items()}

    first = next(iter(details.values()))
    summaries: dict[str, object] = {
        "particles that": "disappear" if disappearing else "appear",
        "false particles expected per pair of scans": f"{first['false_alarms']:g}",
        "detection threshold (signal to noise)": each("threshold_snr", 2),
        "spot width, standard deviation (px)": each("spot_sigma_px", 2),
        "noise of a pixel (counts)": each("noise_counts", 2),
        "shift corrected (px)": {t: _px(one["shift_px"]) for t, one in details.items()},
        "saturated pixels": {t: one["saturated_px"] for t, one in details.items()},
        "pixels not measured": {t: one["not_measured_px"] for t, one in details.items()},
    }
    if "halos" in first:
        summaries["discarded rings of bright spots"] = {t: one["halos"] for t, one in details.items()}
    return summaries


def _px(shift: Sequence[float]) -> str:
    # Adding 0 turns a rounded -0 into 0.
    return ", ".join(f"{round(part, 2) + 0.0:.2f}" for part in shift)
