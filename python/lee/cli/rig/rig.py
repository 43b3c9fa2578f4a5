"""`lee rig`: check the rig and its disk, record runs, and serve the rig's page."""

from pathlib import Path
from typing import Unpack

import click

from lee.cli.options import PATH
from lee.cli.rig.calibrate import calibrate
from lee.cli.rig.convert import convert
from lee.cli.rig.home import home
from lee.cli.rig.live import live
from lee.cli.rig.options import RunOptions, run_options, run_plan
from lee.cli.rig.stopping import StopRequests
from lee.cli.rig.times import times


@click.group(no_args_is_help=True)
def rig() -> None:
    """Run the microscope: a TOML file describes its camera and stage.

    \b
    Example:
      lee rig doctor rig.toml
      lee rig home rig.toml --objective-is-clear
      lee rig probe-disk /data
      lee rig record rig.toml -o run --start-um 950 --end-um 1030 --pixel-um 0.1 --duration-s 1500
      lee rig live rig.toml -o run --start-um 950 --end-um 1030 --pixel-um 0.1 --duration-s 1500
    """  # noqa: D301  click wants the character itself


rig.add_command(live)
rig.add_command(home)
rig.add_command(calibrate)
rig.add_command(convert)
rig.add_command(times)


@rig.command()
@click.argument("config", type=PATH, required=False)
@click.option(
    "-o",
    "--output",
    type=PATH,
    default=".",
    show_default=True,
    help="Folder in which a run would be recorded.",
)
def doctor(config: Path | None, output: Path) -> None:
    """Report what the rig has and what it lacks; nothing moves.

    \b
    Example:
      lee rig doctor
      lee rig doctor rig.toml -o /data
    """  # noqa: D301
    from lee.errors import InputError
    from lee.rig.doctor import examine

    bad = []
    for what, good, text in examine(config, folder=output):
        mark = {True: "ok", False: "BAD", None: "-"}[good]
        click.echo(f"{mark:>4}  {what}: {text}")
        bad += [what] if good is False else []
    if bad:
        raise InputError(f"the rig cannot be used yet: {', '.join(bad)}")


@rig.command("probe-disk", no_args_is_help=True)
@click.argument("folder", type=PATH)
@click.option(
    "--frames-per-s", type=click.FloatRange(min=0, min_open=True), default=80.0, show_default=True,
    help="Frame rate that the disk must keep up with.",
)  # fmt: skip
@click.option(
    "--frame-px", type=(click.IntRange(min=1), click.IntRange(min=1)), default=(2048, 2448),
    show_default=True, metavar="H W", help="Size of a frame.",
)  # fmt: skip
@click.option(
    "--mb", type=click.IntRange(min=16), default=2000, show_default=True, help="Megabytes to write."
)
def probe_disk(folder: Path, frames_per_s: float, frame_px: tuple[int, int], mb: int) -> None:
    """Measure how fast frames can be recorded in FOLDER; the files are removed again.

    \b
    Example:
      lee rig probe-disk /data
    """  # noqa: D301
    from lee.recording.disk import probe_disk as probe

    click.echo(probe(folder, bytes_=mb * 10**6, frame_shape=frame_px).summary(frames_per_s))


@rig.command(no_args_is_help=True)
@run_options
def record(**options: Unpack[RunOptions]) -> None:
    """Scan again and again, record every frame, and measure surfaces meanwhile.

    The step is rounded to whole counts of the stage. RUN is a folder that `lee series` reads; a run that is
    recorded into it again continues after the last scan. Every scan is on the disk and accounted for before
    the next begins. One line per scan reports frames written, lost and missed. Ctrl-C, SIGTERM, a lost
    terminal, a closed output and the end of the program that started it stop the stage; start it with nohup
    to let it outlive the terminal.

    \b
    Example:
      lee rig record rig.toml -o run --start-um 950 --end-um 1030 --pixel-um 0.1 --duration-s 1500
    """  # noqa: D301
    from lee.devices import open_rig
    from lee.devices.config import load_config
    from lee.rig.halting import haltable
    from lee.rig.record import catching_up, record_run

    config = load_config(options["config"])
    scans = complete = late = 0
    with StopRequests() as requests, open_rig(config) as opened:
        plan = run_plan(opened, config, options)
        try:
            with requests.halting(opened.stage) as halted:
                rig = haltable(opened, halted)
                results = record_run(
                    rig,
                    plan,
                    enough=requests.asked,
                    hurried=requests.asked_again,
                    on_catch_up=lambda *scan: requests.say(catching_up(*scan)),
                )
                for result in results:
                    scans, complete = scans + 1, complete + result.ledger.complete
                    late += result.late_s > 0
                    moved = result.plan != plan.scan
                    window = f"; scan window begins at {result.plan.z_um[0]:.2f} µm" if moved else ""
                    requests.say(result.summary() + window)
        finally:
            overrun = f"; {late} began late, the interval is too short for them" if late else ""
            requests.say(f"{options['output']}: {complete} of {scans} scans complete{overrun}")
