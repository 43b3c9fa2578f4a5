"""`lee rig live`: the rig watched and steered from a page."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import click

from lee.cli.rig.options import planned, scan_options


@click.command(no_args_is_help=True)
@scan_options
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0: any free.")
@click.option(
    "--token",
    envvar="LEE_LIVE_TOKEN",
    show_envvar=True,
    metavar="TEXT",
    help="Asked of everybody who opens the page; must be given where others can reach --host.",
)
def live(
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
    host: str,
    port: int,
    token: str | None,
) -> None:
    """Serve a page that shows what the rig sees and measures, and starts and stops runs.

    Nothing moves until Start is pressed on the page. It shows the live frame, the last height map, the rate,
    how regions grow, what came of every scan, and how long the disk lasts. Ctrl-C ends it, after the scan in
    progress; pressed again, it stops the stage at once.

    The page is on this computer alone. From another, reach it through a tunnel (ssh -L 8765:localhost:8765
    RIG), or give --host and --token: the connection is then not encrypted.

    \b
    Example:
      lee rig live rig.toml -o run --start-um 950 --end-um 1030 --pixel-um 0.1 --duration-s 1500
    """  # noqa: D301  click wants the character itself
    from lee.devices import open_rig
    from lee.devices.config import load_config
    from lee.rig.live import LiveServer, Session
    from lee.rig.live.session import RunPlan

    asked = load_config(config)
    server = LiveServer(host, port, token)
    try:
        with open_rig(asked) as opened:
            plan = planned(
                opened,
                start_um=start_um,
                end_um=end_um,
                step_um=step_um,
                lead_um=lead_um,
                frames_per_s=asked.camera.frames_per_s,
            )
            session = Session(
                opened,
                RunPlan(
                    folder=output,
                    plan=plan,
                    settings=asked.camera.settings,
                    pixel_um=pixel_um,
                    duration_s=duration_s,
                    interval_s=min(interval_s or plan.seconds, duration_s),
                    reconstruct=not no_surfaces,
                    follow=not fixed_window,
                    notes=asked.to_json(),
                ),
            )
            server.begin(session)
            more = "?token=..." if token else ""
            click.echo(f"open {server.url}{more} ; Ctrl-C ends it")
            _until_interrupted(session)
            told = session.state()
            why = f"; {told['said']}" if told["phase"] in ("fault", "aborted") else ""
            click.echo(f"{output}: {told['scans_complete']} of {told['scans_taken']} scans complete{why}")
    finally:
        server.end()


def _until_interrupted(session: Any) -> None:
    """Wait for Ctrl-C or SIGTERM, then end the session; a second one stops the stage."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        try:
            while True:
                signal.pause()
        except KeyboardInterrupt:
            if session.running:
                click.echo("the scan in progress ends the run; Ctrl-C again stops the stage at once")
        try:
            while not session.close(timeout_s=0.5):
                pass
        except KeyboardInterrupt:
            session.abort()
            session.close()
    finally:
        signal.signal(signal.SIGTERM, before)
