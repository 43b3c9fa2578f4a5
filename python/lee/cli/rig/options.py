"""Options of a run at the rig, shared by the commands that record one."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, TypeVar

import click

from lee.cli.options import PATH, seconds, um
from lee.errors import InputError

if TYPE_CHECKING:
    from lee.devices.config import RigConfig
    from lee.devices.protocols import Rig, Stage
    from lee.devices.scan_plan import ScanPlan
    from lee.rig.record import RunPlan

Command = TypeVar("Command", bound=Callable[..., object])

config_argument = click.argument("config", type=PATH)
step_option = click.option(
    "--step-um", type=um, default=0.2, show_default=True, help="Height from one frame to the next."
)
lead_option = click.option(
    "--lead-um", type=um, default=2.0, show_default=True, help="Distance over which the stage accelerates."
)
pixel_option = click.option(
    "--pixel-um", type=um, required=True, help="Size of a pixel in the plane of the sample."
)
reference_option = click.option(
    "--reference-um",
    type=float,
    metavar="UM",
    help="Height at which the stage stands now, where it is not homed: nothing moves before you state it.",
)

_OPTIONS = (
    config_argument,
    click.option("-o", "--output", type=PATH, required=True, metavar="RUN", help="Folder of the run."),
    click.option(
        "--start-um", type=float, required=True, help="Height of the first frame, in the stage's coordinate."
    ),
    click.option("--end-um", type=float, required=True, help="Height at which a scan ends."),
    step_option,
    lead_option,
    pixel_option,
    reference_option,
    click.option("--duration-s", type=seconds, required=True, help="Duration of the run."),
    click.option(
        "--interval-s",
        type=seconds,
        help="Time from the start of one scan to the next; by default each scan follows at once.",
    ),
    click.option(
        "--no-surfaces", is_flag=True, help="Record only; `lee series` can make the surfaces later."
    ),
    click.option(
        "--no-tracking",
        is_flag=True,
        help="Scan the same heights every time; by default the scan window tracks the surface.",
    ),
)


class RunOptions(TypedDict):
    """Values of the options of a run."""

    config: Path
    output: Path
    start_um: float
    end_um: float
    step_um: float
    lead_um: float
    pixel_um: float
    reference_um: float | None
    duration_s: float
    interval_s: float | None
    no_surfaces: bool
    no_tracking: bool


def run_options(command: Command) -> Command:
    """Give a command the options of a run."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def run_plan(rig: Rig, config: RigConfig, options: RunOptions) -> RunPlan:
    """Plan a run in the counts of the stage, and print its scan."""
    from lee.rig.record import RunPlan

    confirm_reference(rig.stage, options["reference_um"])
    scan = scan_plan(
        rig,
        config,
        start_um=options["start_um"],
        end_um=options["end_um"],
        step_um=options["step_um"],
        lead_um=options["lead_um"],
    )
    click.echo(
        f"{scan.pulses} frames per scan, {scan.step_um:.6f} µm apart, at {scan.speed_um_per_s:.2f} µm/s: "
        f"{scan.seconds:.1f} s"
    )
    if scan.step_counts < 0:
        click.echo(
            f"--start-um {options['start_um']:g} is above --end-um {options['end_um']:g}: it scans downwards"
        )
    return RunPlan(
        folder=options["output"],
        scan=scan,
        settings=config.camera.settings,
        pixel_um=options["pixel_um"],
        duration_s=options["duration_s"],
        interval_s=min(options["interval_s"] or scan.seconds, options["duration_s"]),
        reconstruct=not options["no_surfaces"],
        track_surface=not options["no_tracking"],
        notes=config.to_json(),
    )


def confirm_reference(stage: Stage, reference_um: float | None) -> None:
    """Take the operator's word for where the stage stands, where it is given, and print what came of it."""
    if reference_um is None:
        return
    if not isfinite(reference_um):
        raise InputError(f"--reference-um is {reference_um}; give the height at which the stage stands, µm")
    known = stage.confirm_reference(round(reference_um * stage.counts_per_um))
    if known.source == "homed":
        click.echo("the stage is homed; its counter agrees with --reference-um")
    elif known.counter_set:
        click.echo(
            f"the stage's counter showed {known.counter_um:.2f} µm and is set to {reference_um:.2f} µm, "
            "as stated"
        )
    else:
        click.echo(
            f"the stage is not homed; its counter, {known.counter_um:.2f} µm, is confirmed by --reference-um"
        )


def scan_plan(
    rig: Rig, config: RigConfig, *, start_um: float, end_um: float, step_um: float, lead_um: float
) -> ScanPlan:
    """Plan a scan in the counts of the stage."""
    from lee.devices.scan_plan import ScanPlan

    return ScanPlan.of_um(
        start_um,
        end_um,
        step_um=step_um,
        counts_per_um=rig.stage.counts_per_um,
        frames_per_s=config.camera.frames_per_s,
        lead_um=lead_um,
    )
