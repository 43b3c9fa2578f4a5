"""When the scans of a run began by the camera's clock, for a run whose computer's clock was set."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from lee.errors import InputError
from lee.recording.segment_reader import SegmentReader

# Steps from scan to scan that the computer's clock states too agree within this, in s or as a share.
_AGREE_S, _AGREE_SHARE = 1.0, 0.02


def camera_times(scans: Sequence[Path]) -> list[float]:
    """Return when each recording began, s after the first, by the timestamps of its frames.

    Parameters
    ----------
    scans : sequence of Path
        Recordings in their order.

    Raises
    ------
    InputError
        If a recording has no frame with a timestamp, the camera's clock began anew between two of them, or it
        disagrees with the computer's between most of them.
    """
    began, stated = [], []
    for scan in scans:
        with SegmentReader(scan) as reader:
            known = np.flatnonzero(np.isfinite(reader.timestamp_s))
            if not known.size:
                raise InputError(f"{scan}: none of its frames has a timestamp; give --interval-s instead")
            settings, first = reader.header.settings, int(known[0])
            period_s = 1 / settings.frames_per_s if settings is not None else 0.0
            began.append(float(reader.timestamp_s[first]) - float(reader.frame_id[first]) * period_s)
            stated.append(reader.header.begun)
    steps = np.diff(began)
    back = np.flatnonzero(steps <= 0)
    if back.size:
        raise InputError(
            f"{scans[back[0] + 1]}: the camera's clock began anew before it; give --interval-s instead"
        )
    by_computer = np.array([after.since(before) for before, after in pairwise(stated)])
    agree = np.abs(by_computer - steps) <= np.maximum(_AGREE_S, _AGREE_SHARE * steps)
    if 2 * np.count_nonzero(agree) < len(steps):
        raise InputError(
            f"{scans[0].parent}: the camera's clock disagrees with the computer's between "
            f"{np.count_nonzero(~agree)} of {len(steps)} scans, so that neither is believed; give "
            "--interval-s instead"
        )
    return [time_s - began[0] for time_s in began]
