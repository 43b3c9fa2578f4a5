"""`lee rig`: what the rig has, how fast its disk is, a run recorded, and the rig's page."""

from pathlib import Path

import click

from lee.cli.options import PATH
from lee.cli.rig.calibrate import calibrate
from lee.cli.rig.convert import convert
from lee.cli.rig.live import live
from lee.cli.rig.options import planned, scan_options


@click.group(no_args_is_help=True)
def rig() -> None:
    """Run the microscope: camera and stage as a TOML file describes them.

    \b
    Example:
      lee rig doctor rig.toml
      lee rig probe-disk /data
      lee rig record rig.toml -o run --start-um 950 --end-um 1030 --pixel-um 0.1 --duration-s 1500
      lee rig live rig.toml -o run --start-um 950 --end-um 1030 --pixel-um 0.1 --duration-s 1500
    """  # noqa: D301  click wants the character itself


rig.add_command(live)
rig.add_command(calibrate)
rig.add_command(convert)


@rig.command()
@click.argument("config", type=PATH, required=False)
@click.option("-o", "--output", type=PATH, default=".", show_default=True, help="Where a run would go.")
def doctor(config: Path | None, output: Path) -> None:
    """Say what the rig has and what it lacks; nothing moves.

    \b
    Example:
      lee rig doctor
      lee rig doctor rig.toml -o /data
    """  # noqa: D301
    from lee.errors import InputError
    from lee.rig.doctor import examine

    bad = []
    for what, good, said in examine(config, folder=output):
        mark = {True: "ok", False: "BAD", None: "-"}[good]
        click.echo(f"{mark:>4}  {what}: {said}")
        bad += [what] if good is False else []
    if bad:
        raise InputError(f"the rig cannot be used yet: {', '.join(bad)}")


@rig.command("probe-disk", no_args_is_help=True)
@click.argument("folder", type=PATH)
@click.option("--frames-per-s", type=click.FloatRange(min=0, min_open=True), default=80.0, show_default=True)
@click.option(
    "--frame-px", type=(click.IntRange(min=1), click.IntRange(min=1)), default=(2048, 2448),
    show_default=True, metavar="H W", help="Size of a frame.",
)  # fmt: skip
@click.option("--mb", type=click.IntRange(min=16), default=2000, show_default=True, help="Written in all.")
def probe_disk(folder: Path, frames_per_s: float, frame_px: tuple[int, int], mb: int) -> None:
    """Measure how fast frames can be recorded in FOLDER; nothing stays there.

    \b
    Example:
      lee rig probe-disk /data
    """  # noqa: D301
    from lee.recording.disk import probe_disk as probe

    click.echo(probe(folder, bytes_=mb * 10**6, frame_shape=frame_px).said(frames_per_s))


@rig.command(no_args_is_help=True)
@scan_options
def record(
    config: Path,
    output: Path,
    start_um: float,
    end_um: float,
    step_um: float,
    lead_um: float,
    pixel_um: float,
    duration_s: float,
    interval_s: float | None,
    no_surfaces: bool,
    fixed_window: bool,
) -> None:
    """Scan again and again, record every frame, and measure surfaces while scans run.

    The step is rounded to whole counts of the stage. RUN is a folder that `lee series` takes; recorded into
    again, it goes on. Every scan is on the disk and accounted for before the next begins: one line tells what
    came of it.

    \b
    Example:
      lee rig record rig.toml -o run --start-um 950 --end-um 1030 --pixel-um 0.1 --duration-s 1500
    """  # noqa: D301
    from lee.devices import open_rig
    from lee.devices.config import load_config
    from lee.rig.record import record_run

    asked = load_config(config)
    with open_rig(asked) as opened:
        plan = planned(
            opened,
            start_um=start_um,
            end_um=end_um,
            step_um=step_um,
            lead_um=lead_um,
            frames_per_s=asked.camera.frames_per_s,
        )
        scans = whole = 0
        for taken in record_run(
            opened,
            output,
            plan,
            settings=asked.camera.settings,
            pixel_um=pixel_um,
            duration_s=duration_s,
            interval_s=min(interval_s or plan.seconds, duration_s),
            reconstruct=not no_surfaces,
            follow=not fixed_window,
            notes=asked.to_json(),
        ):
            scans, whole = scans + 1, whole + taken.ledger.complete
            moved = "" if taken.plan == plan else f"; window begins at {taken.plan.z_um[0]:.2f} um"
            click.echo(taken.said() + moved)
    click.echo(f"{output}: {whole} of {scans} scans complete")
