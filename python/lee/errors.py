"""The exceptions that `lee` raises; each message is one line: what is wrong, where, what to do."""

__all__ = [
    "DeviceError",
    "DeviceMemoryError",
    "InputError",
    "LeeError",
    "MissingDependency",
    "RigFault",
    "StorageError",
]


class LeeError(Exception):
    """Anything that `lee` raises on purpose; catch it to catch all of them."""


class InputError(LeeError, ValueError):
    """A file, an array or an option that was given cannot be used."""


class StorageError(LeeError, OSError):
    """The system refuses to read or write: no permission, no space, a disk that fails."""


class MissingDependency(LeeError, ImportError):  # noqa: N818  the name states what is wrong
    """A package or library that only some of `lee` needs is missing, or cannot be loaded."""


class DeviceError(LeeError, RuntimeError):
    """The CUDA device cannot be used, or failed."""


class DeviceMemoryError(DeviceError):
    """The CUDA device has too little free memory."""


class RigFault(LeeError, RuntimeError):  # noqa: N818  these are the names the rig's users know
    """A camera, a stage or a recording failed while it was in use; `lee.devices.faults` names the kinds."""


def install_extra(extra: str) -> str:
    """Return the command that installs an extra of lee, as any shell takes it; lee is on no package index."""
    return f'pip install ".[{extra}]" in the folder of lee'


def reason_of(error: BaseException) -> str:
    """Return the message of another library's error as one line, to be quoted in one of lee's."""
    return " ".join(str(error).split()) or type(error).__name__
