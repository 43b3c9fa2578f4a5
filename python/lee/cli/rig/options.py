"""What a run at the rig is told on the command line, by whichever command takes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lee.cli.options import PATH, seconds, um

if TYPE_CHECKING:
    from lee.devices.protocols import Rig
    from lee.devices.scan_plan import ScanPlan

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.argument("config", type=PATH),
    click.option("-o", "--output", type=PATH, required=True, metavar="RUN", help="Folder of the run."),
    click.option("--start-um", type=float, required=True, help="Height of the first frame, by the stage."),
    click.option("--end-um", type=float, required=True, help="Height that scans end at."),
    click.option("--step-um", type=um, default=0.2, show_default=True, help="From frame to frame."),
    click.option("--lead-um", type=um, default=2.0, show_default=True, help="Way to reach the speed on."),
    click.option("--pixel-um", type=um, required=True, help="Size of a pixel in the plane of the sample."),
    click.option("--duration-s", type=seconds, required=True, help="How long the run lasts."),
    click.option(
        "--interval-s", type=seconds, help="From scan to scan; by default one right after the other."
    ),
    click.option(
        "--no-surfaces", is_flag=True, help="Record only; surfaces can be had later by `lee series`."
    ),
    click.option(
        "--fixed-window", is_flag=True, help="Scan the same heights always; else scans follow the surface."
    ),
)


def scan_options(command: Command) -> Command:
    """Give a command the options of a run."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def planned(
    rig: Rig, *, start_um: float, end_um: float, step_um: float, lead_um: float, frames_per_s: float
) -> ScanPlan:
    """Plan the scans of a run in the stage's counts, and say what came of it."""
    from lee.devices.scan_plan import ScanPlan

    plan = ScanPlan.of_um(
        start_um,
        end_um,
        step_um=step_um,
        counts_per_um=rig.stage.counts_per_um,
        frames_per_s=frames_per_s,
        lead_um=lead_um,
    )
    click.echo(
        f"{plan.pulses} frames a scan, {plan.step_um:.6f} um apart, at {plan.speed_um_per_s:.2f} um/s: "
        f"{plan.seconds:.1f} s"
    )
    return plan
