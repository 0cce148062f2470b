"""Looks after every account, or after none while nothing can have become due.

So a heartbeat costs a thousand accounts no more than one.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from datetime import datetime
from typing import Any

from tray_app.adapters.claude_code.account import WatchedAccount
from tray_app.core.ports import Clock
from tray_app.core.schedule import health_changes_at
from tray_app.engine.managed_account import ManagedAccount
from tray_app.engine.system_state import SystemState


class Lookout:
    """Belongs to the event loop's thread."""

    def __init__(
        self,
        clock: Clock,
        refreshers: Callable[[], Iterable[ManagedAccount]],
        system_state: SystemState,
        start: Callable[[Coroutine[Any, Any, None]], None],
        tell: Callable[[ManagedAccount], None],
    ) -> None:
        """`start` begins what is due; `tell` is called with each account that is looked at."""
        self._clock = clock
        self._managed = refreshers
        self._system_state = system_state
        self._start = start
        self._tell = tell
        self._calm: tuple[datetime, datetime | None] | None = None
        """From when to when no account has to be looked at, if it is calm; the second None: until one changes."""

    def disturb(self) -> None:
        """Something has changed: the next look is at every account."""
        self._calm = None

    def look(self) -> datetime | None:
        """Starts what is due and returns the next moment at which something will be."""
        self._system_state.notice_clock()
        now = self._clock.now()
        if self._calm is not None:
            since, until = self._calm
            if since <= now and (until is None or now < until):
                return until
        moments: list[datetime | None] = []
        is_calm = True
        for refresher in self._managed():
            due = refresher.due()
            if due is not None and due <= max(now, self._clock.now()):  # "now" is a moment later
                is_calm = False
                if isinstance(refresher, WatchedAccount) or self._system_state.may_ask(refresher.account):
                    self._start(refresher.attend())
            elif due is not None:
                moments.append(due)
            if isinstance(refresher, WatchedAccount) or refresher.busy:  # only another look finds out about these
                is_calm = False
            moments.append(health_changes_at(refresher.record, now))
            self._tell(refresher)  # time alone may have changed its health
        next_moment = min((moment for moment in moments if moment is not None), default=None)
        self._calm = (now, next_moment) if is_calm else None
        return next_moment
