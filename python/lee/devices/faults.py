"""The faults of a rig while it is in use, each by its name; all are `lee.errors.RigFault`."""

from lee.errors import RigFault


class DeviceLost(RigFault):
    """A camera or stage no longer answers: unplugged, switched off, or its program hangs."""


class StageStalled(RigFault):
    """The stage was sent somewhere and does not move, or does not arrive there."""


class ReferenceUnknown(RigFault):
    """The stage's counter may be wrong: it was not homed, or switched off since; nothing moves."""


class TriggerMismatch(RigFault):
    """Pulses sent and frames received do not agree."""


class Backpressure(RigFault):
    """Frames arrive faster than they are read, and the camera has no buffer left."""


class IncompleteFrame(RigFault):
    """A frame arrived with a part of its image missing."""
