"""Frame ids counted on from 0, whatever a camera's own counter does."""

from __future__ import annotations

_SHORT = 2**16 - 1
# More frames than this are not lost before the first: such a camera does not begin anew at every start.
_MOST_LOST_FIRST = 1000


class IdCounter:
    """Frame ids from 0 on, beyond the camera's own bits.

    Parameters
    ----------
    short : bool
        16 bits, 65535 followed by 1; where an id is beyond them, it is taken as it is. Else 64 bits.
    lowest : int
        The camera's own id of the first frame.
    last_raw : int, optional
        The last id of the acquisition before: a camera that counts on from there does not begin anew.
    """

    def __init__(self, *, short: bool, lowest: int, last_raw: int | None = None) -> None:
        self._short, self._lowest = short, lowest
        self._before, self.last_raw = last_raw, last_raw
        self._last_told: int | None = None
        self._last = -1

    def __call__(self, raw: int) -> int:
        """Return the id of a frame, given in order of arrival; one that comes late gets its own id.

        One below the lowest is none, where the packet that tells it was lost: such a frame comes right after
        the one before, and what was lost between shows at the next.
        """
        if raw < self._lowest:
            self._last += 1
            return self._last
        if self._last_told is None or self.last_raw is None:
            lost = raw - self._lowest
            anew = (self._before is None or raw <= self._before) and lost <= _MOST_LOST_FIRST
            told = max(lost, self._last + 1) if anew else self._last + 1
        else:
            step = raw - self.last_raw
            if self._short and max(raw, self.last_raw) <= _SHORT:
                step %= _SHORT
                step -= _SHORT if step > _SHORT // 2 else 0
            told = self._last_told + step
        self._last = self._last_told = told
        self.last_raw = raw
        return told
