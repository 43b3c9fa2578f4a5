"""Frame ids that count from 0 and never wrap around, whatever a camera's own counter does."""

from __future__ import annotations

_SHORT = 2**16 - 1
# No more frames than this are lost before the first: beyond it, the camera's counter was not reset.
_MAX_LOST_FIRST = 1000


class IdCounter:
    """Frame ids from 0 on, beyond the camera's own bits.

    Parameters
    ----------
    short : bool
        16 bits, 65535 followed by 1; an id beyond them is used as it is. Else 64 bits.
    lowest : int
        The camera's own id of the first frame.
    last_raw : int, optional
        The last id of the acquisition before: a camera that continues from it was not reset.
    """

    def __init__(self, *, short: bool, lowest: int, last_raw: int | None = None) -> None:
        self._short, self._lowest = short, lowest
        self._before, self.last_raw = last_raw, last_raw
        self._last_known: int | None = None
        self._last = -1

    def __call__(self, raw: int) -> int:
        """Return the id of a frame, given in order of arrival; one that comes late gets its own id.

        One below the lowest is no id: the packet that carries it was lost. Such a frame is taken to follow
        the one before; frames lost between them show as a gap at the next.
        """
        if raw < self._lowest:
            self._last += 1
            return self._last
        if self._last_known is None or self.last_raw is None:
            lost = raw - self._lowest
            reset = (self._before is None or raw <= self._before) and lost <= _MAX_LOST_FIRST
            found = max(lost, self._last + 1) if reset else self._last + 1
        else:
            step = raw - self.last_raw
            if self._short and max(raw, self.last_raw) <= _SHORT:
                step %= _SHORT
                step -= _SHORT if step > _SHORT // 2 else 0
            found = self._last_known + step
        self._last = self._last_known = found
        self.last_raw = raw
        return found
