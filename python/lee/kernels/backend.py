"""Where kernels run: on the processor, or on a CUDA device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from lee import _core
from lee.errors import DeviceError, InputError


@dataclass(frozen=True)
class Device:
    """What was chosen, and why.

    Parameters
    ----------
    kind : {"cpu", "cuda"}
    name : str
        Instruction set, or name of the card.
    reason : str
        Why it was chosen, in one line.
    """

    kind: Literal["cpu", "cuda"]
    name: str
    reason: str


def instruction_set() -> str:
    """Return the name of the instruction set the kernels use on the processor."""
    return _core.instruction_set()


def cuda_device() -> dict[str, Any]:
    """Describe the current CUDA device.

    Returns
    -------
    dict
        ``name``, ``compute_capability``, ``multiprocessors``, ``memory_bytes``, ``free_bytes``, ``clock_hz``,
        ``memory_bytes_per_s``, ``shared_slice`` (a part of a card, whose figures are not the card's),
        ``driver_version``, ``runtime_version``.

    Raises
    ------
    DeviceError
        If none is usable; the message states why.
    """
    return _core.cuda_device()


def resolve_device(device: str) -> Device:
    """Choose where kernels will run.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda"}
        "auto" takes the CUDA device where one is usable.

    Raises
    ------
    InputError
        If `device` is something else.
    DeviceError
        If it is "cuda" and there is none that this build can use.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise InputError(f"device is {device!r}; give 'auto', 'cpu' or 'cuda'")
    if device == "cpu":
        return Device("cpu", instruction_set(), "as asked")
    try:
        found = cuda_device()
    except DeviceError as error:
        if device == "cuda":
            raise
        return Device("cpu", instruction_set(), f"no CUDA device is usable: {error}")
    name = found["name"] + (" (a shared slice of the card)" if found["shared_slice"] else "")
    return Device("cuda", name, "as asked" if device == "cuda" else "a CUDA device is usable")
