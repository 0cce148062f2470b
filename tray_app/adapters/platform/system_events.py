"""Resume, network and clock events: all sources that this system has, combined.

Each source is optional: without any the heartbeat of 30 s still finds out. Nothing here polls or has a timer of its own
while nothing happens.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence

from tray_app.adapters.platform.event_source import Source
from tray_app.base.log import LOG
from tray_app.core.ports import SystemEvents


class AllSources:
    """All sources available here."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        self._had: list[Source] = []

    async def watch(self, happened: Callable[[str], Awaitable[None]]) -> None:
        """Calls `happened("resume" | "network" | "clock" | "suspend")`. Returns at once where there is no source."""
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


def make_system_events() -> SystemEvents:
    """The platform's sources."""
    platform: str = sys.platform
    if platform == "linux":
        from tray_app.adapters.platform.linux_kernel_events import ClockSet, Routes
        from tray_app.adapters.platform.linux_logind import Logind

        return AllSources([Routes(), ClockSet(), Logind()])
    if platform == "darwin":
        from tray_app.adapters.platform.macos_events import Notifications

        return AllSources([Notifications()])
    if platform == "win32":
        from tray_app.adapters.platform.windows_events import Addresses, Power

        return AllSources([Power(), Addresses()])
    return AllSources([])
