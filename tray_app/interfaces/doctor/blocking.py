"""Runs blocking calls in a thread that is abandoned on timeout, so that it cannot delay the command's exit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from tray_app.adapters.store.worker import Worker

T = TypeVar("T")


async def in_thread(job: Callable[[], T]) -> T:
    """The job's result; the caller may be cancelled at any time."""
    worker = Worker()
    try:
        return await asyncio.wrap_future(worker.submit(job))
    finally:
        worker.leave()
