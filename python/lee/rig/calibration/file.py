"""A calibration as lines for a rig's file, with standard errors and their origin."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from lee.devices.protocols import Identity
from lee.errors import InputError
from lee.rig.calibration.backlash import Backlash
from lee.rig.calibration.scale import StageScale
from lee.storage.atomic import new_file


def refuse_to_replace(path: str | Path) -> None:
    """Raise ``InputError`` if the file exists: a calibration is never overwritten."""
    if Path(path).exists():
        raise InputError(f"{path} exists already; choose another name for the calibration")


def write_calibration(
    path: str | Path, backlash: Backlash, scale: StageScale | None, *, stage: Identity, standard: str = ""
) -> None:
    """Write ``backlash_um`` and, if measured, ``counts_per_um`` and ``calibrated_by``, as TOML.

    Parameters
    ----------
    path : path
        Never overwritten.
    backlash : Backlash
    scale : StageScale, optional
    stage : Identity
    standard : str
        Name or certificate of the step standard.
    """
    refuse_to_replace(path)
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    of = f"{stage.vendor} {stage.model} {stage.serial}"
    # The backlash was measured with the former scale.
    true = 1.0 if scale is None else scale.before / scale.counts_per_um.value
    play, sigma = max(backlash.um.value * true, 0.0), backlash.um.sigma * true
    lines = [
        f"# Measured by lee rig calibrate on {day} with the stage {of}.",
        "# Put the lines below into the section [stage] of the rig's file.",
        "",
        "[stage]",
        f"# {play:.4f} ± {sigma:.4f} µm (standard error), {backlash.scans} scans, rising and falling;",
        f"# heights drifted by {backlash.drift_um_per_s * 1e3:.2f} nm/s meanwhile.",
        *([f"# {backlash.note}"] if backlash.note else []),
        f"backlash_um = {play:.4f}",
    ]
    if scale is None:
        lines += ["# counts_per_um was not measured: this needs a step of known height (--known-step-um)."]
    else:
        counts, step, known = scale.counts_per_um, scale.step, scale.known_um
        method = [
            f"lee rig calibrate, {day}: a step of {known.value:g} ± {known.sigma:g} µm",
            f" ({standard})" if standard else "",
            f" measured as {step.um.value:.5g} ± {step.um.sigma:.2g} µm at {scale.before:.10g} counts/µm",
            f" in {step.scans} scans; standard error {counts.sigma:.2g} counts/µm; stage {of}",
        ]
        lines += [
            f"# Levels: {step.lower} and {step.higher}.",
            *([f"# {step.note}"] if step.note else []),
            f"counts_per_um = {counts.value:.10g}",
            f"calibrated_by = {json.dumps(''.join(method), ensure_ascii=False)}",
        ]
    with new_file(path) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
