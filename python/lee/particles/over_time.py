"""Particles of several times: pair after pair, with the surface and the curvature each was found on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lee.errors import InputError
from lee.particles.evaluation import ParticleResults
from lee.particles.finding.detection import Found
from lee.particles.finding.find import search
from lee.particles.finding.pair_registration import match
from lee.particles.finding.scan_pairs import Pair, is_stack, opened
from lee.particles.table import empty_table
from lee.surfaces.curvature import curvature

if TYPE_CHECKING:
    from lee.particles.calibration.size_calibration import Calibration
    from lee.surfaces.surface import Surface

# Less of a surface measured than this tells nothing of its curvature.
_LEAST_COVERAGE = 0.05


def find_over_time(
    pairs: Sequence[Pair],
    *,
    name: str = "",
    surface: Surface | None = None,
    calibration: Calibration | None = None,
    scale_um: float | Literal["auto"] = "auto",
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> tuple[ParticleResults, dict[float, dict[str, Any]]]:
    """Find the particles of every pair.

    Parameters
    ----------
    pairs : sequence of Pair
        In order of time.
    name : str
        Of the experiment.
    surface : Surface, optional
        Of the later scan, where there is one pair.
    calibration : Calibration, optional
    scale_um : float, um, or "auto"
        Of the curvature; an automatic one is the first time's, for all times.
    progress : callable, optional
        Called with (steps done, steps in all), a hundred a pair.
    **options
        ``false_alarms``, ``spot_sigma_px``, ``disappearing``, ``threads``, as in `lee.find_particles`.

    Returns
    -------
    ParticleResults
    dict of time in s to dict
        Facts of each pair; ``shift_from_first_px`` (dy, dx) is how far its later scan shows things from where
        that of the first pair does.

    Raises
    ------
    InputError
        As `lee.find_particles`; or if one surface is given for several pairs, or their pixels differ.
    """
    if surface is not None and len(pairs) > 1:
        raise InputError(
            f"one surface for {len(pairs)} pairs of scans; leave it away, and each is reconstructed"
        )
    found: dict[float, Found] = {}
    for k, pair in enumerate(pairs):

        def moved(done: int, total: int, k: int = k) -> None:
            if progress is not None:
                progress(100 * k + 100 * done // max(total, 1), 100 * len(pairs))

        found[pair.after.time_s] = _of_pair(
            pair, surface=surface, calibration=calibration, progress=moved, **options
        )
    facts = {time: dict(one.facts) for time, one in found.items()}
    first = next(iter(found.values()))
    for time, one in found.items():
        if not np.isclose(one.facts["pixel_um"], first.facts["pixel_um"], rtol=1e-3):
            raise InputError("pixels differ in size from pair to pair; give scans of one scale")
        same = one is first or one.image.shape != first.image.shape
        facts[time]["shift_from_first_px"] = (
            [0.0, 0.0] if same else list(match(first.image, one.image).shift_px)
        )
    bent, scale = _curvatures(found, scale_um, int(options.get("threads", 0)))
    tables = [one.particles for one in found.values() if len(one.particles)]
    for table in tables:
        table.attrs = {}
    told = dict.fromkeys(note for one in facts.values() for note in one.get("notes", ()))
    notes = [f"Take care: {note}." for note in told]
    notes += (
        [] if calibration is not None else ["No calibration was given: sizes are intensities, in counts."]
    )
    return ParticleResults(
        particles=pd.concat(tables, ignore_index=True) if tables else empty_table(),
        image={time: one.image for time, one in found.items()},
        pixel_um=float(first.facts["pixel_um"]),
        name=name,
        times_s=list(found),
        surface=None
        if first.surface is None
        else {t: one.surface for t, one in found.items() if one.surface},
        curvature_per_um=bent,
        curvature_scale_um=scale,
        seen={time: one.seen for time, one in found.items()},
        summaries=_summaries(facts, bool(options.get("disappearing", False))),
        notes=notes,
    ), facts


def _of_pair(pair: Pair, *, surface: Surface | None, progress: Any, **options: Any) -> Found:
    with opened(pair.before) as before, opened(pair.after) as after:
        pixel = None if is_stack(after) else pair.after.pixel_um
        if not (is_stack(before) or is_stack(after)) and pixel is None:
            raise InputError(f"{pair.after.path}: a single image; give the size of its pixels (--pixel-um)")
        try:
            return search(
                before,
                after,
                pixel_um=pixel,
                surface=surface,
                time_s=pair.after.time_s,
                progress=progress,
                **options,
            )
        except InputError as error:
            raise InputError(f"{pair.before.path.name} and {pair.after.path.name}: {error}") from error


def _curvatures(
    found: Mapping[float, Found], scale_um: float | Literal["auto"], threads: int
) -> tuple[dict[float, NDArray[np.float32]] | None, float | None]:
    bent: dict[float, NDArray[np.float32]] = {}
    scale: float | Literal["auto"] = scale_um
    for time, one in found.items():
        if one.surface is None or one.surface.coverage < _LEAST_COVERAGE:
            return None, None
        known = np.isfinite(one.surface.height_sigma_um).any()
        made = curvature(
            one.surface.height_um,
            pixel_um=one.surface.pixel_um,
            scale_um=scale,
            height_sigma_um=one.surface.height_sigma_um if known else None,
            threads=threads,
        )
        bent[time], scale = made.mean_per_um, made.scale_um
    return bent, float(scale) if bent else None


def _summaries(facts: Mapping[float, Mapping[str, Any]], disappearing: bool) -> dict[str, Any]:
    def each(name: str, digits: int) -> dict[float, str]:
        return {time: f"{one[name]:.{digits}f}" for time, one in facts.items()}

    first = next(iter(facts.values()))
    told: dict[str, Any] = {
        "looked for": "what disappears" if disappearing else "what appears",
        "false particles expected in each pair": f"{first['false_alarms']:g}",
        "least signal to noise": each("threshold_snr", 2),
        "spot width, standard deviation (px)": each("spot_sigma_px", 2),
        "noise of a pixel (counts)": each("noise_counts", 2),
        "shift taken out (px)": {t: _px(one["shift_px"]) for t, one in facts.items()},
        "pixels saturated": {t: one["saturated_px"] for t, one in facts.items()},
        "pixels not measured": {t: one["not_measured_px"] for t, one in facts.items()},
    }
    if "halos" in first:
        told["rings of bright spots left out"] = {t: one["halos"] for t, one in facts.items()}
    return told


def _px(shift: Sequence[float]) -> str:
    # Adding 0 turns a rounded -0 into 0.
    return ", ".join(f"{round(part, 2) + 0.0:.2f}" for part in shift)
