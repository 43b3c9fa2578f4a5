"""Jobs done in this process, in processes of this computer, or on a Dask cluster."""

from __future__ import annotations

import multiprocessing
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import connection
from threading import Thread
from typing import Any, TypeVar

from lee.errors import InputError, MissingDependency, install_extra

Job = TypeVar("Job")
Result = TypeVar("Result")

_RETRIES = 3
# Windows waits for no more than about 60 at once.
_MOST_PROCESSES = 60 if sys.platform == "win32" else 1024
_TIMEOUT_S = 10.0


def cores() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_jobs(
    work: Callable[[Job], Result],
    jobs: Sequence[Job],
    *,
    scheduler: str | None = None,
    workers: int = 0,
) -> Iterator[tuple[Job, Result]]:
    """Do jobs and yield each with its result, in the order in which they finish.

    Parameters
    ----------
    work : callable
        A function of a module, so that other processes find it.
    jobs : sequence
    scheduler : str, optional
        None for this computer, "local" for a Dask cluster on it, or the address of a Dask scheduler, such as
        ``tcp://host:8786``, whose workers see the same files.
    workers : int
        Processes on this computer: 0 for one a core, 1 for this process alone. Ignored with an address.

    Raises
    ------
    InputError
        If the scheduler does not answer.
    MissingDependency
        If dask is not installed.

    Notes
    -----
    If a worker dies, its job is tried again, up to three times a job. An exception of `work` ends everything.
    """
    wanted = min(
        workers or cores(), max(len(jobs), 1), _MOST_PROCESSES if sys.platform == "win32" else len(jobs) + 1
    )
    if scheduler is not None:
        yield from _through_dask(work, jobs, scheduler, wanted)
    elif wanted == 1:
        for job in jobs:
            yield job, work(job)
    else:
        yield from _in_processes(work, jobs, wanted)


def end_with_parent() -> None:
    """End this process when the one that started it ends, for whatever reason.

    Otherwise a pool's process would wait for jobs forever, or write results that nobody needs any more.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    Thread(target=watch, name="lee-parent", daemon=True).start()


def _in_processes(
    work: Callable[[Job], Result], jobs: Sequence[Job], workers: int
) -> Iterator[tuple[Job, Result]]:
    left = list(range(len(jobs)))
    # Spawned, not forked: a fork would inherit locks that threads of this process hold.
    context = multiprocessing.get_context("spawn")
    for attempt in range(_RETRIES + 1):
        pool = ProcessPoolExecutor(workers, mp_context=context, initializer=end_with_parent)
        try:
            futures: dict[Future[Result], int] = {pool.submit(work, jobs[k]): k for k in left}
            for future in as_completed(futures):
                result = future.result()
                left.remove(futures[future])
                yield jobs[futures[future]], result
            return
        except BrokenProcessPool:
            if attempt == _RETRIES:
                raise InputError(
                    f"{_RETRIES + 1} times a process ended before its job was done; if memory is short, give "
                    "--workers 1; in a script, call it under if __name__ == '__main__'"
                ) from None
            warnings.warn("a process ended before its job was done; trying again", stacklevel=2)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _through_dask(
    work: Callable[[Job], Result], jobs: Sequence[Job], scheduler: str, workers: int
) -> Iterator[tuple[Job, Result]]:
    try:
        import dask
        import distributed as found
    except ImportError:
        raise MissingDependency(
            f"--scheduler needs dask, which is not installed: {install_extra('cluster')}"
        ) from None
    distributed: Any = found
    # One thread per process: the Python parts of a job would only wait for one another as threads.
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": _RETRIES}),
        _client(distributed, scheduler, workers) as client,
    ):
        futures = {
            client.submit(work, job, pure=False, retries=0, key=f"lee-{k}-{os.getpid()}"): job
            for k, job in enumerate(jobs)
        }
        try:
            for future in distributed.as_completed(list(futures)):
                try:
                    result = future.result()
                except distributed.KilledWorker:
                    raise InputError(
                        f"{_RETRIES + 1} workers died at the same job, perhaps for lack of memory; "
                        "give them more memory, or run fewer at a time"
                    ) from None
                yield futures.pop(future), result
        finally:
            with suppress(Exception):
                client.cancel(list(futures))


def _client(distributed: Any, scheduler: str, workers: int) -> Any:
    if scheduler == "local":
        cluster = distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=40
        )
        return _LocalClient(distributed.Client(cluster), cluster)
    try:
        return distributed.Client(scheduler, timeout=_TIMEOUT_S)
    except (OSError, TimeoutError, ValueError, KeyError) as error:
        raise InputError(
            f"no Dask scheduler answers at {scheduler} ({type(error).__name__}); start one "
            "(dask scheduler), correct --scheduler, or omit it"
        ) from error


class _LocalClient:
    """A client with a cluster of its own, which ends with it."""

    def __init__(self, client: Any, cluster: Any) -> None:
        self._client, self._cluster = client, cluster

    def __enter__(self) -> Any:
        return self._client

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._cluster.close()
