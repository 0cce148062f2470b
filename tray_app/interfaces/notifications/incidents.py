"""When to notify whom: one notification per incident.

In "do not disturb" nothing is shown; what happened meanwhile comes as one notification when it ends.

An incident of an account begins when only a sign-in helps and ends when the account is well again or signed out.
Being `expired` in between does not end it: the provider is merely out of reach for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from tray_app.base.log import LOG
from tray_app.core.failure import plain
from tray_app.core.health import Health
from tray_app.core.message import joined, msg
from tray_app.core.ports import Clock, Notification, Notifier, Quiet

TOGETHER: Final = timedelta(seconds=5)
MANY: Final = 3
"""This many incidents within `TOGETHER` become one notification."""
COLLECT: Final = 0.3
"""Seconds before the first of several is shown, so that what is found together at the start comes as one."""
LATER: Final = timedelta(hours=1)
SIGN_IN: Final = "sign-in"
PUT_OFF: Final = "later"
ACTIONS: Final = ((SIGN_IN, msg("Sign In")), (PUT_OFF, msg("Later")))
JOINT: Final = "sign-in"
"""The key of the joint notification; a single one's has the account's name after a colon."""


class NeverQuiet:
    """Never holds notifications back."""

    async def because(self, changed: Callable[[], None]) -> None:
        """Never."""

    def close(self) -> None:
        """Nothing to release."""


@dataclass(slots=True)
class _Incident:
    began: datetime
    reason: str
    is_told: bool = False
    key: str = ""
    """The notification that shows it."""


class Incidents:
    """The open incidents and their notifications. Belongs to one asyncio loop."""

    def __init__(
        self,
        notifier: Notifier,
        quiet: Quiet,
        clock: Clock,
        *,
        sign_in: Callable[[str], None],
        later_until: Callable[[str], datetime | None],
        set_later: Callable[[str, datetime | None], None],
        call_later: Callable[[float, Callable[[], None]], asyncio.TimerHandle],
    ) -> None:
        """`sign_in` starts an account's browser flow. `set_later` keeps until when an account's notification is put
        off, over a restart; `later_until` gives that back.
        """
        self._notifier = notifier
        self._quiet = quiet
        self._quiet_because: str | None = None
        self._clock = clock
        self._sign_in = sign_in
        self._later_until = later_until
        self._set_later = set_later
        self._call_later = call_later
        self._incidents: dict[str, _Incident] = {}
        self._in_turn: list[str] = []
        self._collecting: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Lock()  # first come, first served: what is withdrawn stays so

    def health_changed(self, account: str, health: Health, reason: str) -> None:
        """Takes note of an account's health: once at the start, then at each change."""
        if health is Health.SIGN_IN_NEEDED:
            self.begin(account, reason)
        elif health is not Health.EXPIRED:
            self.forget(account)

    def begin(self, account: str, reason: str) -> None:
        """Opens an incident: only the person can help this account. Notifies once, unless they postponed it."""
        incident = self._incidents.get(account)
        if incident is not None:
            incident.reason = reason
            return
        self._incidents[account] = _Incident(self._clock.now(), reason)
        if not self._is_put_off(account, self._clock.now()):
            self._collect()

    def forget(self, account: str) -> None:
        """Closes the incident: the account works again, is signed out or was removed."""
        if self._later_until(account) is not None:
            self._set_later(account, None)
        incident = self._incidents.pop(account, None)
        if incident is not None and all(other.key != incident.key for other in self._incidents.values()):
            self._withdraw(incident.key)
        self.sign_in_ended(account)

    def sign_in_ended(self, account: str) -> None:
        """A sign-in has ended: the next account of the same click takes its turn."""
        if self._in_turn[:1] == [account]:
            self._in_turn = [name for name in self._in_turn[1:] if name in self._incidents]
            if self._in_turn:
                self._sign_in(self._in_turn[0])

    def tick(self, now: datetime) -> None:
        """Shows postponed notifications again and retries failed ones. Called every half minute."""
        for account, incident in self._incidents.items():
            if self._later_until(account) is not None and not self._is_put_off(account, now):
                self._set_later(account, None)
                incident.is_told = False
                incident.began = now
        if any(not one.is_told and not self._is_put_off(name, now) for name, one in self._incidents.items()):
            self._collect()

    async def tell(
        self,
        key: str,
        title: str,
        body: str,
        *,
        actions: Sequence[tuple[str, str]] = (),
        chosen: Callable[[str], None] = lambda _action: None,
        otherwise: str = "",
    ) -> bool:
        """Shows a message that is no incident: the welcome, a second start, a broken configuration."""
        async with self._one_at_a_time:
            return await self._notifier.show(Notification(key, title, body, tuple(actions), otherwise), chosen)

    async def untell(self, key: str) -> None:
        """Withdraws such a message."""
        async with self._one_at_a_time:
            await self._notifier.withdraw(key)

    async def close(self) -> None:
        """Stops notifying; what is shown stays until the notifier is closed."""
        self._incidents.clear()
        self._in_turn.clear()
        if self._collecting is not None:
            self._collecting.cancel()
        self._quiet.close()
        if self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)

    def _is_put_off(self, account: str, now: datetime) -> bool:
        # More than an hour ahead: the clock was wrong when it was written, or is now.
        until = self._later_until(account)
        return until is not None and now < until <= now + LATER

    def _collect(self) -> None:
        if self._collecting is None:
            self._collecting = self._call_later(COLLECT, lambda: self._in_order(self._announce_unless_quiet))

    async def _announce_unless_quiet(self) -> None:
        self._collecting = None
        before, self._quiet_because = self._quiet_because, await self._quiet.because(self._collect)
        if self._quiet_because is None:
            self._announce()
        elif self._quiet_because != before:
            LOG.info("%s; the notification of what needs you waits until that ends", self._quiet_because)

    def _announce(self) -> None:
        now = self._clock.now()
        new = {name for name, one in self._incidents.items() if not one.is_told and not self._is_put_off(name, now)}
        if not new:
            return
        latest = max(self._incidents[name].began for name in new)
        together = [
            name
            for name, one in self._incidents.items()
            if name in new or (abs(latest - one.began) <= TOGETHER and not self._is_put_off(name, now))
        ]
        # One that comes within 5 s of a joint notification joins it, though its first may be older.
        if any(self._incidents[name].key == JOINT for name in together):
            together = [name for name, one in self._incidents.items() if name in together or one.key == JOINT]
        if len(together) >= MANY:
            self._show_joint(together)
        else:
            for name in sorted(new):
                self._show_single(name)

    def _show_single(self, account: str) -> None:
        reason = self._incidents[account].reason or msg("Only you can help: sign in again")
        self._show(
            Notification(
                key=f"{JOINT}:{account}",
                title=msg("Sign in to {name}", name=account),
                body=joined("", (reason, "" if reason.endswith(".") else ".")),
                actions=ACTIONS,
                otherwise=msg("Click the lamp in the panel, then {name} > Sign In.", name=account),
                urgent=True,
            ),
            [account],
        )

    def _show_joint(self, accounts: list[str]) -> None:
        for key in {self._incidents[name].key for name in accounts} - {"", JOINT}:
            self._withdraw(key)
        names = msg("{names} and {last}", names=plain(", ".join(accounts[:-1]), 150), last=accounts[-1])
        self._show(
            Notification(
                key=JOINT,
                title=msg("Sign in to {count} accounts", count=len(accounts)),
                body=msg("Only you can help: {names} are no longer signed in.", names=names),
                actions=ACTIONS,
                otherwise=msg("Click the lamp in the panel, then Sign In under each account."),
                urgent=True,
            ),
            accounts,
        )

    def _show(self, notification: Notification, accounts: list[str]) -> None:
        for account in accounts:
            self._incidents[account].key = notification.key
            self._incidents[account].is_told = True

        async def show() -> None:
            if await self._notifier.show(notification, lambda action: self._chosen(action, accounts)):
                return
            for account in accounts:  # the next tick tries again: the desktop may still be coming up
                if account in self._incidents:
                    self._incidents[account].is_told = False

        self._in_order(show)

    def _chosen(self, action: str, accounts: list[str]) -> None:
        waiting = [account for account in accounts if account in self._incidents]
        if action == PUT_OFF:
            for account in waiting:
                self._set_later(account, self._clock.now() + LATER)
        elif waiting:
            if len(accounts) > 1:
                self._in_turn = waiting
            self._sign_in(waiting[0])

    def _withdraw(self, key: str) -> None:
        if key:
            self._in_order(lambda: self._notifier.withdraw(key))

    def _in_order(self, work: Callable[[], Awaitable[None]]) -> None:
        async def once_it_is_its_turn() -> None:
            async with self._one_at_a_time:
                await work()

        task = asyncio.get_running_loop().create_task(once_it_is_its_turn())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
