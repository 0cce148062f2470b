"""The event loop of one simulated process: the real coroutines run unchanged, and time is the machine's.

No selector, no threads, no contexts: what is ready runs, and whoever drives the world tells when a timer is due. A
process that is killed takes its loop with it: nothing of it runs on.
"""

from __future__ import annotations

import asyncio
import heapq
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

HOT = 50_000
"""So many callbacks at one moment are a loop that never rests: a bug to be found, not to be waited for."""


class HotLoopError(Exception):
    """Something calls itself again and again without letting time pass."""


class Handle:
    """A callback that is to run. What asyncio asks of a handle, and no more."""

    __slots__ = ("args", "callback", "moment")

    def __init__(self, callback: Callable[..., object] | None, args: tuple[Any, ...], moment: float = 0.0) -> None:
        self.callback = callback
        self.args = args
        self.moment = moment

    def cancel(self) -> None:
        self.callback, self.args = None, ()

    def cancelled(self) -> bool:
        return self.callback is None

    def when(self) -> float:
        return self.moment


class Loop(asyncio.AbstractEventLoop):
    """`time` is the machine's monotonic clock in seconds: it stands still while the machine sleeps."""

    def __init__(self, time: Callable[[], float]) -> None:
        self.time = time  # type: ignore[method-assign]  # the clock itself: one call less, millions of times
        self.dead = False
        self.unforeseen: list[str] = []
        """What asyncio had to complain of: an exception that nobody has fetched."""
        self._ready: deque[Handle] = deque()
        self._timers: list[tuple[float, int, Handle]] = []
        self._count = 0

    # -- what asyncio asks for

    def call_soon(self, callback, *args, context=None):
        handle = Handle(callback, args)
        if not self.dead:
            self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_later(self, delay, callback, *args, context=None):
        return self.call_at(self.time() + delay, callback, *args)

    def call_at(self, when, callback, *args, context=None):
        handle = Handle(callback, args, when)
        if not self.dead:
            self._count += 1
            heapq.heappush(self._timers, (when, self._count, handle))
        return handle

    def create_future(self):
        return asyncio.Future(loop=self)

    def create_task(self, coro: Coroutine[Any, Any, Any], *, name=None, context=None):
        return asyncio.Task(coro, loop=self, name=name)

    def get_debug(self):
        return False

    def is_running(self):
        return not self.dead

    def is_closed(self):
        return self.dead

    def call_exception_handler(self, context):
        if not self.dead:  # of the dead nothing is waited for
            self.unforeseen.append(f"{context.get('message')}: {context.get('exception')!r}")

    # -- what the world does with it

    def begin(self, coro: Coroutine[Any, Any, Any]) -> None:
        """Runs it to its first wait before anything else (as Python 3.12's eager tasks do)."""
        self.create_task(coro)
        first = self._ready.pop()
        events._set_running_loop(self)
        try:
            first.callback(*first.args)
        finally:
            events._set_running_loop(None)

    def next_at(self) -> float | None:
        """When the next timer is due, by the machine's monotonic clock."""
        timers = self._timers
        while timers and timers[0][2].callback is None:
            heapq.heappop(timers)
        return timers[0][0] if timers else None

    def run(self) -> None:
        """Runs what is due and all that comes of it at this moment."""
        ready, timers, now = self._ready, self._timers, self.time()
        while timers and timers[0][0] <= now:
            ready.append(heapq.heappop(timers)[2])
        if not ready:
            return
        events._set_running_loop(self)
        try:
            self._work_off(ready)
        except BaseException:
            if not self.dead:  # else it is its death, which came in the middle of something
                raise
        finally:
            events._set_running_loop(None)

    def _work_off(self, ready: deque[Handle]) -> None:
        turns = 0
        while ready:
            handle = ready.popleft()
            if handle.callback is not None:
                handle.callback(*handle.args)
            turns += 1
            if turns > HOT:
                raise HotLoopError(f"at {self.time()}: {handle.callback}")

    def kill(self) -> None:
        """The process is gone: nothing of it runs any more, not even what would clean up."""
        self.dead = True
        self._ready.clear()
        self._timers.clear()
