"""The protocol of system event sources, and a debouncer that reports several changes in a row as one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Protocol

SETTLED: Final = 0.3
"""Seconds without a change after which a network counts as settled: coming up is a dozen changes."""
LONGEST: Final = 1.0
"""Seconds after the first change when it is reported anyway; .github/CONTRACT.md, section 5, allows two in all."""


class Source(Protocol):
    """One part of the system that signals something."""

    async def start(self, happened: Callable[[str], Awaitable[None]]) -> None:
        """Starts reporting. Raises OSError, with the reason, where this system lacks the facility."""

    async def close(self) -> None:
        """Stops reporting."""


class Later:
    """Reports a burst of changes once, when it has settled."""

    def __init__(self, tell: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._tell = tell
        self._timer: asyncio.TimerHandle | None = None
        self._first = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    def again(self) -> None:
        """Notes one more change. Called in the loop."""
        loop = asyncio.get_running_loop()
        if self._timer is None:
            self._first = loop.time()
        else:
            self._timer.cancel()
        self._timer = loop.call_at(min(loop.time() + SETTLED, self._first + LONGEST), self._now)

    def cancel(self) -> None:
        """Cancels a pending report."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _now(self) -> None:
        self._timer = None
        task = asyncio.get_running_loop().create_task(self._tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
