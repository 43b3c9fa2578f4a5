"""Errors over ranks: a rank that fails ends all, since the others would wait for it without end."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from lee.errors import LeeError
from lee.twin.mpi.strip import Communicator

Made = TypeVar("Made")


@contextmanager
def failing_together(comm: Communicator) -> Iterator[None]:
    """Within it an error of one rank ends all of them (``MPI_Abort``), with one line on stderr.

    A `LeeError` is raised as it is: all ranks must have agreed on it, see `agreed`.
    """
    try:
        yield
    except LeeError:
        raise
    except BaseException as error:
        if comm.size > 1:
            where = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{os.path.basename(where.filename)}:{where.lineno}"
            line = " ".join(f"{type(error).__name__} at {place}: {error}".split())
            print(f"lee: rank {comm.rank} failed, which ends all: {line}", file=sys.stderr, flush=True)
            comm.Abort(1)
        raise


def agreed(comm: Communicator, make: Callable[[], Made]) -> Made:
    """Make something on each rank; where one cannot, all raise.

    Raises
    ------
    LeeError
        That of the first rank that cannot.
    """
    made, failure = None, None
    try:
        made = make()
    except LeeError as error:
        failure = error
    failures = [f for f in comm.allgather(failure) if f is not None]
    if failures:
        raise failures[0]
    return made  # type: ignore[return-value]
