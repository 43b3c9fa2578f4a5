"""What the page may ask of the rig, and the numbers that each request brings after its ``?``."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from urllib.parse import parse_qs

from lee.errors import InputError
from lee.rig.live.session import Session

# Numbers whose names end with ? may be left out.
ACTIONS: dict[str, tuple[str, ...]] = {
    "/start": (),
    "/stop": (),
    "/abort": (),
    "/goto": ("um",),
    "/jog": ("um",),
    "/sweep": ("from_um", "to_um", "step_um"),
    "/window": ("start_um", "end_um"),
    "/camera": ("exposure_s", "gain_db?"),
}


def act(session: Session, path: str, query: str) -> None:
    """Do what a path of `ACTIONS` asks for.

    Raises
    ------
    InputError
        If a number is missing, unknown or no number, or the session refuses.
    RigFault
        If a device does not answer.
    """
    does: dict[str, Callable[..., None]] = {
        "/start": session.start,
        "/stop": session.stop,
        "/abort": session.abort,
        "/goto": session.moves.go_to,
        "/jog": session.moves.jog,
        "/sweep": session.moves.sweep,
        "/window": session.set_window,
        "/camera": session.set_camera,
    }
    does[path](**_numbers(query, ACTIONS[path]))


def _numbers(query: str, names: tuple[str, ...]) -> dict[str, float]:
    optional = {name.removesuffix("?"): name.endswith("?") for name in names}
    given = parse_qs(query, keep_blank_values=True)
    for name in given:
        if name not in optional:
            taken = ", ".join(optional) or "nothing"
            raise InputError(f"live: {name[:40]!r} is not asked for; what may be given is {taken}")
    numbers = {}
    for name, may_lack in optional.items():
        text = given.get(name, [""])[0]
        if not text and may_lack:
            continue
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        if not isfinite(number):
            raise InputError(f"live: {name} is {text[:40]!r}; give a number")
        numbers[name] = number
    return numbers
