"""What may block, on a thread that is left behind when its time is over: it must not hold up the end of the command."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from tray_app.adapters.store.worker import Worker

T = TypeVar("T")


async def in_thread(job: Callable[[], T]) -> T:
    """The job's result; whoever waits may give up at any time."""
    worker = Worker()
    try:
        return await asyncio.wrap_future(worker.submit(job))
    finally:
        worker.leave()
