"""`lee rig live`: the rig watched and controlled from a page."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Unpack

import click

from lee.cli.rig.options import RunOptions, run_options, run_plan
from lee.cli.rig.stopping import StopRequests

if TYPE_CHECKING:
    from lee.rig.live import Session

_LOOK_S = 0.1


@click.command(no_args_is_help=True)
@run_options
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0 takes a free port."
)
@click.option(
    "--token",
    envvar="LEE_LIVE_TOKEN",
    show_envvar=True,
    metavar="TEXT",
    help="Required of everybody who opens the page; needed if other computers can reach --host.",
)
def live(host: str, port: int, token: str | None, **options: Unpack[RunOptions]) -> None:
    """Serve a page that shows what the rig sees and measures, and starts and stops runs.

    Nothing moves until Start is pressed on the page. The page shows the live frame, the last height map, the
    growth rate, the growth of regions, the frames of every scan, and how long the disk lasts. Ctrl-C ends the
    run after the scan in progress; a second Ctrl-C stops the stage at once. SIGTERM, a lost terminal, a
    closed output and the end of the program that started it count as Ctrl-C; nohup lets it outlive the
    terminal.

    Only this computer can reach the page. From another one, use a tunnel (ssh -L 8765:localhost:8765 RIG), or
    give --host and --token; that connection is not encrypted.

    \b
    Example:
      lee rig live rig.toml -o run --start-um 950 --end-um 1030 --pixel-um 0.1 --duration-s 1500
    """  # noqa: D301  click wants the character itself
    from lee.devices import open_rig
    from lee.devices.config import load_config
    from lee.rig.live import LiveServer, Session

    config = load_config(options["config"])
    server = LiveServer(host, port, token)
    try:
        with StopRequests() as requests, open_rig(config) as rig:
            session = Session(rig, run_plan(rig, config, options))
            server.begin(session)
            query = "?token=..." if token else ""
            requests.say(f"open {server.url}{query} ; Ctrl-C ends it")
            _until_asked(session, requests)
            state = session.state()
            why = f"; {state['said']}" if state["phase"] in ("fault", "aborted") else ""
            output = options["output"]
            requests.say(f"{output}: {state['scans_complete']} of {state['scans_taken']} scans complete{why}")
    finally:
        server.end()


def _until_asked(session: Session, requests: StopRequests) -> None:
    """Wait for a request to stop, then end the session; a second one stops the stage."""
    with requests.counted():
        while not requests.asked():
            time.sleep(_LOOK_S)
        if session.running:
            requests.say("the run ends after the scan in progress; Ctrl-C again stops the stage at once")
        while not session.close(timeout_s=_LOOK_S):
            if requests.asked_again():
                session.abort()
