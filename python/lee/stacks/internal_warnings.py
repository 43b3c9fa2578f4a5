"""Warnings and log lines of the libraries that read files: lee itself says what the user needs to know."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_LOGGERS = ("tifffile", "PIL", "zarr", "imageio_ffmpeg", "bioio.bio_image", "bioio.plugins")
_hidden: ContextVar[bool] = ContextVar("hidden", default=False)


class _UnlessHidden(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not _hidden.get()


_FILTER = _UnlessHidden()


@contextmanager
def log_hidden() -> Iterator[None]:
    """Hide what the libraries log within the block, in this thread only."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_FILTER)  # adds it once
    token = _hidden.set(True)
    try:
        yield
    finally:
        _hidden.reset(token)


@contextmanager
def internal_warnings_hidden() -> Iterator[None]:
    """Hide also what the libraries warn of; not for threads, as filters of warnings hold for all of them."""
    with log_hidden(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
