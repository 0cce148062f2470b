"""Resume, network and clock as this system signals them: everything that can be had here, told as one.

Each source is optional: without any the heartbeat of 30 s still finds out. Nothing here polls or has a timer of its own
while nothing happens.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final, Protocol

from tray_app.log import LOG
from tray_app.ports import SystemEvents

SETTLED: Final = 0.3
"""Seconds without a change after which a network counts as settled: coming up is a dozen changes."""
LONGEST: Final = 1.0
"""Seconds after the first change when it is told all the same: what is due has two of them (contract, section 5)."""


class Source(Protocol):
    """One part of the system that signals something."""

    async def start(self, happened: Callable[[str], Awaitable[None]]) -> None:
        """Tells from now on. Raises OSError, with the reason, where this system has no such part."""

    async def close(self) -> None:
        """Tells nothing more."""


class AllSources:
    """Every source that can be had here."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        self._had: list[Source] = []

    async def watch(self, happened: Callable[[str], Awaitable[None]]) -> None:
        """Calls `happened("resume" | "network" | "clock" | "suspend")`. Returns at once where nothing can be had."""
        for source in self._sources:
            try:
                await source.start(happened)
            except OSError as error:
                LOG.info("%s is not watched: %s", type(source).__name__, error)
            else:
                self._had.append(source)

    async def close(self) -> None:
        """Stops watching."""
        for source in self._had:
            await source.close()
        self._had.clear()


class Later:
    """Tells of what came in several pieces once, when it has settled."""

    def __init__(self, tell: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._tell = tell
        self._timer: asyncio.TimerHandle | None = None
        self._first = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    def again(self) -> None:
        """Another piece of it. Called in the loop."""
        loop = asyncio.get_running_loop()
        if self._timer is None:
            self._first = loop.time()
        else:
            self._timer.cancel()
        self._timer = loop.call_at(min(loop.time() + SETTLED, self._first + LONGEST), self._now)

    def cancel(self) -> None:
        """What has not been told is not."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _now(self) -> None:
        self._timer = None
        task = asyncio.get_running_loop().create_task(self._tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def make_system_events() -> SystemEvents:
    """What this platform has."""
    platform: str = sys.platform
    if platform == "linux":
        from tray_app.desktop.kernel_events import ClockSet, Routes
        from tray_app.desktop.logind import Logind

        return AllSources([Routes(), ClockSet(), Logind()])
    if platform == "darwin":
        from tray_app.desktop.macos_events import Notifications

        return AllSources([Notifications()])
    if platform == "win32":
        from tray_app.desktop.windows_events import Addresses, Power

        return AllSources([Power(), Addresses()])
    return AllSources([])
