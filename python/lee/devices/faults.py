"""What can go wrong at the rig, each by its name; messages are one line: what, where, what to do."""


class RigFault(RuntimeError):  # noqa: N818  these are the names the rig's users know
    """Something at the rig failed while it was in use."""


class DeviceLost(RigFault):
    """A camera or stage no longer answers: unplugged, switched off, or its program hangs."""


class StageStalled(RigFault):
    """The stage was told to move and does not, or not to where it should."""


class TriggerMismatch(RigFault):
    """Pulses sent and frames received do not agree."""


class Backpressure(RigFault):
    """Frames arrive faster than they are taken away, and the camera has no buffer left."""


class IncompleteFrame(RigFault):
    """A frame arrived with a part of it missing."""
