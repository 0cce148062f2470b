"""The event bus: tray, notifications, history, `status --watch` and other programs subscribe to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tray_app.core.events import Event

_BACKLOG = 256
"""Events. A subscriber that is this far behind has stopped reading; it is dropped."""


class Events:
    """Delivers each event to every subscriber, in order. Belongs to the event loop's thread."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[Event | None]] = set()
        self._calls: list[Callable[[Event], None]] = []

    def call(self, listener: Callable[[Event], None]) -> None:
        """Calls `listener` with each event from now on."""
        self._calls.append(listener)

    def subscribe(self) -> asyncio.Queue[Event | None]:
        """A queue of the events from now on; None is its end."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue(_BACKLOG + 1)
        self._queues.add(queue)
        return queue

    def unsubscribe(self, queue: asyncio.Queue[Event | None]) -> None:
        """Ends a subscription."""
        self._queues.discard(queue)

    def publish(self, event: Event) -> None:
        """Delivers the event to every subscriber."""
        for listener in self._calls:
            listener(event)
        for queue in list(self._queues):
            if queue.qsize() >= _BACKLOG:
                self._end(queue)
            else:
                queue.put_nowait(event)

    def close(self) -> None:
        """Ends every subscription."""
        for queue in list(self._queues):
            self._end(queue)

    def _end(self, queue: asyncio.Queue[Event | None]) -> None:
        self._queues.discard(queue)
        queue.put_nowait(None)
