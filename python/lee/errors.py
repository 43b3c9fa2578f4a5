"""The exceptions `lee` raises."""


class InputError(ValueError):
    """What was given cannot be used; the message is one line: what, where, what to do."""


class DeviceError(RuntimeError):
    """The CUDA device cannot be used, or failed; the message is one line: what, where, what to do."""


class DeviceMemoryError(DeviceError):
    """The CUDA device has too little free memory."""
