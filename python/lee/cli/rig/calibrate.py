"""`lee rig calibrate`: backlash and scale of the stage, with camera and sample."""

from pathlib import Path

import click

from lee.cli.options import PATH, um


@click.command(no_args_is_help=True)
@click.argument("config", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, metavar="TOML", help="File of the calibration.")
@click.option("--start-um", type=float, required=True, help="Below the sample, by the stage.")
@click.option("--end-um", type=float, required=True, help="Above it.")
@click.option("--step-um", type=um, default=0.2, show_default=True, help="From frame to frame.")
@click.option("--lead-um", type=um, default=2.0, show_default=True, help="Way to reach the speed on.")
@click.option("--pixel-um", type=um, required=True, help="Size of a pixel in the plane of the sample.")
@click.option(
    "--repeats", type=click.IntRange(min=2), default=4, show_default=True,
    help="Falling scans; one rising scan more is made.",
)  # fmt: skip
@click.option("--known-step-um", type=um, help="Height of a step in the field, by its certificate.")
@click.option(
    "--known-sigma-um", type=click.FloatRange(min=0), default=0.0, help="Its standard uncertainty (k = 1)."
)
@click.option("--standard", default="", help="Name or certificate of the step, for the record.")
@click.option(
    "--level-px", type=(int, int, int, int), multiple=True, metavar="T L H W",
    help="Rectangle on a level of the step, twice; by default found by height.",
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
    repeats: int,
    known_step_um: float | None,
    known_sigma_um: float,
    standard: str,
    level_px: tuple[tuple[int, int, int, int], ...],
    precision: float,
) -> None:
    """Measure the stage's backlash and, with a step of known height, its scale.

    The sample is scanned rising and falling by turns. Any sample with structure tells the backlash. A step
    standard in the field tells the scale, too. The result is a file with lines for the section [stage] of
    CONFIG, with their standard errors and where they are from; an existing file is never replaced.

    \b
    Example:
      lee rig calibrate rig.toml -o backlash.toml --start-um 990 --end-um 1010 --pixel-um 0.1
      lee rig calibrate rig.toml -o scale.toml --start-um 980 --end-um 1020 --pixel-um 0.1 --known-step-um 20
    """  # noqa: D301
    from lee.devices import open_rig
    from lee.devices.config import load_config
    from lee.devices.scan_plan import ScanPlan
    from lee.errors import InputError
    from lee.rig.calibration.backlash import Measured, backlash_of, check_way, scan_both_ways
    from lee.rig.calibration.file import refuse_to_replace, write_calibration
    from lee.rig.calibration.scale import scale_of, step_of

    if len(level_px) not in (0, 2) or (level_px and known_step_um is None):
        raise click.UsageError("give --level-px twice, with --known-step-um")
    refuse_to_replace(output)
    asked = load_config(config)
    if start_um >= end_um:
        raise InputError(f"start_um is {start_um:g} and end_um {end_um:g}; the start is below the end")
    output.parent.mkdir(parents=True, exist_ok=True)
    with open_rig(asked) as rig:
        plan = ScanPlan.of_um(
            start_um,
            end_um,
            step_um=step_um,
            counts_per_um=rig.stage.counts_per_um,
            frames_per_s=asked.camera.frames_per_s,
            lead_um=lead_um,
        )
        applied = rig.camera.configure(asked.camera.settings)
        passes = scan_both_ways(
            rig,
            plan,
            settings=applied,
            pixel_um=pixel_um,
            repeats=repeats,
            folder=output.parent,
            told=click.echo,
        )
        stage, (_, highest) = rig.stage.identity, rig.stage.limits_counts
    backlash = backlash_of(passes, plan, applied.exposure_s)
    click.echo(f"backlash {backlash.um.value:.4f} +- {backlash.um.sigma:.4f} um")
    check_way(backlash.um.value, plan, taken_for_um=asked.stage.backlash_um, highest_counts=highest)
    scale = None
    if known_step_um is not None:
        step = step_of(passes, (level_px[0], level_px[1]) if level_px else None)
        click.echo(
            f"step {step.um.value:.4f} +- {step.um.sigma:.4f} um between {step.lower} and {step.higher}, "
            f"known as {known_step_um:g} um"
        )
        scale = scale_of(
            step,
            Measured(known_step_um, known_sigma_um),
            counts_per_um=plan.counts_per_um,
            precision=precision,
        )
        counts = scale.counts_per_um
        click.echo(f"scale {counts.value:.3f} +- {counts.sigma:.3f} counts/um, {scale.before:.10g} until now")
    else:
        click.echo("scale not measured: that takes a step of known height (--known-step-um)")
    for note in (backlash.note, scale.step.note if scale else ""):
        if note:
            click.echo(f"note: {note}")
    write_calibration(output, backlash, scale, stage=stage, standard=standard)
    click.echo(f"{output}: put its lines into [stage] of {config}")
