"""What can fail at the rig while it is in use, each by its name; all are `lee.errors.RigFault`."""

from lee.errors import RigFault


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
