"""`lee rig calibrate`: backlash and scale of the stage, measured with camera and sample."""

from pathlib import Path

import click

from lee.cli.options import PATH, um
from lee.cli.rig.options import (
    config_argument,
    confirm_reference,
    lead_option,
    pixel_option,
    reference_option,
    scan_plan,
    step_option,
)
from lee.cli.rig.stopping import StopRequests


@click.command(no_args_is_help=True)
@config_argument
@click.option("-o", "--output", type=PATH, required=True, metavar="TOML", help="Calibration file to write.")
@click.option(
    "--start-um", type=float, required=True, help="Height below the sample, in the stage's coordinate."
)
@click.option("--end-um", type=float, required=True, help="Height above the sample.")
@step_option
@lead_option
@pixel_option
@reference_option
@click.option(
    "--repeats", type=click.IntRange(min=2), default=4, show_default=True,
    help="Falling scans; there is one rising scan more.",
)  # fmt: skip
@click.option("--known-step-um", type=um, help="Height of a step in the field, from its certificate.")
@click.option(
    "--known-sigma-um",
    type=click.FloatRange(min=0),
    default=0.0,
    help="Standard uncertainty of --known-step-um (k = 1).",
)
@click.option("--standard", default="", help="Name or certificate of the step, to be recorded.")
@click.option(
    "--level-px", type=(int, int, int, int), multiple=True, metavar="T L H W",
    help="Rectangle (top, left, height, width) on one level of the step; give it twice. By default levels "
    "are found by height.",
)  # fmt: skip
@click.option(
    "--precision", type=click.FloatRange(min=0, min_open=True), default=0.005, show_default=True,
    help="Largest relative standard error of the scale that is accepted.",
)  # fmt: skip
def calibrate(
    config: Path,
    output: Path,
    start_um: float,
    end_um: float,
    step_um: float,
    lead_um: float,
    pixel_um: float,
    reference_um: float | None,
    repeats: int,
    known_step_um: float | None,
    known_sigma_um: float,
    standard: str,
    level_px: tuple[tuple[int, int, int, int], ...],
    precision: float,
) -> None:
    """Measure the stage's backlash and, with a step of known height, its scale.

    The sample is scanned rising and falling in turn. The backlash needs any sample with structure; the scale
    needs a step standard in the field. The result is a file with lines for the section [stage] of CONFIG,
    with standard errors and their origin. An existing file is never replaced.

    \b
    Example:
      lee rig calibrate rig.toml -o backlash.toml --start-um 990 --end-um 1010 --pixel-um 0.1
      lee rig calibrate rig.toml -o scale.toml --start-um 980 --end-um 1020 --pixel-um 0.1 --known-step-um 20
    """  # noqa: D301
    from lee.devices import open_rig
    from lee.devices.config import load_config
    from lee.errors import InputError
    from lee.rig.calibration.backlash import Measured, check_approach, fit_backlash, scan_both_ways
    from lee.rig.calibration.file import refuse_to_replace, write_calibration
    from lee.rig.calibration.scale import measure_step, stage_scale
    from lee.rig.halting import haltable

    if len(level_px) not in (0, 2) or (level_px and known_step_um is None):
        raise click.UsageError("give --level-px twice, with --known-step-um")
    refuse_to_replace(output)
    loaded = load_config(config)
    if start_um >= end_um:
        raise InputError(f"start_um is {start_um:g} and end_um {end_um:g}; give a start below the end")
    output.parent.mkdir(parents=True, exist_ok=True)
    with StopRequests() as requests, open_rig(loaded) as rig:
        confirm_reference(rig.stage, reference_um)
        plan = scan_plan(rig, loaded, start_um=start_um, end_um=end_um, step_um=step_um, lead_um=lead_um)
        applied = rig.camera.configure(loaded.camera.settings)
        with requests.halting(rig.stage) as halted:
            passes = scan_both_ways(
                haltable(rig, halted),
                plan,
                settings=applied,
                pixel_um=pixel_um,
                repeats=repeats,
                folder=output.parent,
                report=requests.say,
            )
        stage, (_, highest) = rig.stage.identity, rig.stage.limits_counts
    backlash = fit_backlash(passes, plan, applied.exposure_s)
    click.echo(f"backlash {backlash.um.value:.4f} ± {backlash.um.sigma:.4f} µm")
    check_approach(
        backlash.um.value, plan, assumed_backlash_um=loaded.stage.backlash_um, highest_counts=highest
    )
    scale = None
    if known_step_um is not None:
        step = measure_step(passes, (level_px[0], level_px[1]) if level_px else None)
        click.echo(
            f"step {step.um.value:.4f} ± {step.um.sigma:.4f} µm between {step.lower} and {step.higher}, "
            f"known height {known_step_um:g} µm"
        )
        scale = stage_scale(
            step,
            Measured(known_step_um, known_sigma_um),
            counts_per_um=plan.counts_per_um,
            precision=precision,
        )
        counts = scale.counts_per_um
        click.echo(f"scale {counts.value:.3f} ± {counts.sigma:.3f} counts/µm, before {scale.before:.10g}")
    else:
        click.echo("scale not measured: this needs a step of known height (--known-step-um)")
    for note in (backlash.note, scale.step.note if scale else ""):
        if note:
            click.echo(f"note: {note}")
    write_calibration(output, backlash, scale, stage=stage, standard=standard)
    click.echo(f"{output}: put its lines into the section [stage] of {config}")
