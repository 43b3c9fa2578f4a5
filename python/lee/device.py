"""Where kernels run: on the processor, or on a CUDA device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lee.errors import DeviceError, InputError
from lee.kernels import cuda_device, instruction_set


@dataclass(frozen=True)
class Device:
    """What was chosen, and why.

    Parameters
    ----------
    kind : {"cpu", "cuda"}
    name : str
        Instruction set, or name of the card.
    reason : str
        One line for a person.
    """

    kind: Literal["cpu", "cuda"]
    name: str
    reason: str


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
