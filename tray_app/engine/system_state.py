"""Sleep, network and clock as the system reports them, and what that means for the accounts.

No refresh begins just before the machine sleeps, or after it before there is a network: an answer that is lost on the
way may have been a rotated token. Loopback is always there. Where nothing is signalled, the heartbeat finds out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from tray_app.base.log import LOG
from tray_app.core.account import Account
from tray_app.core.ports import AnchoredClock, Clock
from tray_app.core.urls import is_loopback
from tray_app.engine.managed_account import ManagedAccount

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
STEP: Final = timedelta(seconds=1)
"""A slewed clock runs at another pace; a clock that is set jumps further than this between two looks."""
SLEEP_BEGINS: Final = 60.0
"""Seconds after which a sleep that was announced and never came is no longer waited for."""
NETWORK_COMES: Final = 15.0
"""The same for the network after a sleep: nothing may signal it."""


class SystemState:
    """Whether refreshes may begin, and what the accounts do when that changes. Belongs to the event loop's thread."""

    def __init__(
        self, clock: Clock, accounts: Callable[[], Iterable[ManagedAccount]], replan: Callable[[], None]
    ) -> None:
        """`replan` looks at every account, since something has changed."""
        self._clock = clock if isinstance(clock, AnchoredClock) else None  # asked once: it is slow to ask
        self._accounts = accounts
        self._replan = replan
        self._holding: asyncio.TimerHandle | None = None
        self._falls_asleep = False
        self._apart = self._wall_and_anchor()

    def may_ask(self, account: Account) -> bool:
        """Whether a refresh may begin now: not while the machine falls asleep, or wakes up and has no network yet."""
        if self._holding is None or self._falls_asleep:
            return self._holding is None
        endpoint = account.endpoints.token if account.endpoints else account.issuer
        return is_loopback(urlsplit(endpoint or "").hostname or "")

    async def happened(self, kind: str) -> None:
        """The system has reported "suspend", "resume", "network" or "clock". After a "suspend" it returns when the
        machine may sleep: every refresh under way has ended and is stored.
        """
        LOG.info("the system says: %s", kind)
        match kind:
            case "suspend":
                self._hold(SLEEP_BEGINS)
                self._falls_asleep = True
                await asyncio.gather(*(managed.settle() for managed in self._accounts()))
            case "resume":
                self._hold(NETWORK_COMES)
                self.notice_clock()
                self._replan()
            case _:
                self.notice_clock()
                if kind == "network":
                    self.close()
                for managed in self._accounts():
                    managed.hurry()
                self._replan()

    def notice_clock(self) -> None:
        """Where the clock has gone back since the last call, corrects all dates by it: no token may live longer."""
        before, self._apart = self._apart, self._wall_and_anchor()
        if before is None or self._apart is None:
            return
        ahead = self._apart - before
        if abs(ahead) <= STEP:
            self._apart = before  # small steps may add up
        elif ahead < timedelta(0):
            LOG.warning("the clock has gone back by %d s", -ahead.total_seconds())
            for managed in self._accounts():
                managed.set_back(-ahead)
        else:
            LOG.info("the clock has gone ahead by %d s", ahead.total_seconds())

    def close(self) -> None:
        """Ends the wait for a sleep or a network."""
        if self._holding is not None:
            self._holding.cancel()
            self._holding = None

    def _hold(self, seconds: float) -> None:
        self.close()
        self._falls_asleep = False
        self._holding = asyncio.get_running_loop().call_later(seconds, self._waited_long_enough)

    def _waited_long_enough(self) -> None:
        self._holding = None
        self._replan()

    def _wall_and_anchor(self) -> timedelta | None:
        """How far the wall clock is from one that nobody can set; None where there is none."""
        if self._clock is None:
            return None
        return self._clock.now() - EPOCH - timedelta(seconds=self._clock.since_boot())
