"""Times of calls that take turns."""

import statistics
import time
from collections.abc import Callable


def medians_ms(runs: int, *calls: Callable[[], object]) -> list[float]:
    """Median time of each call; they take turns, so that a disturbance meets all of them."""
    times: list[list[float]] = [[] for _ in calls]
    for call in calls:
        call()
    for _ in range(runs):
        for call, taken in zip(calls, times, strict=True):
            begin = time.perf_counter()
            call()
            taken.append(1e3 * (time.perf_counter() - begin))
    return [statistics.median(taken) for taken in times]
