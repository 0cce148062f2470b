"""Linux: sleep by logind, and the network by NetworkManager, from the system bus where there is one.

Before the machine sleeps, a refresh under way is let end and be stored: a lock that delays the sleep, for some seconds
at most, is held for that (systemd's "Inhibitor Locks"). Afterwards nothing is asked before there is a network: an
answer that is lost on the way may have been a rotated token.

Every user of the machine may send us messages on that bus, so only signals of the names' owners count, and every
descriptor that comes with another message than the answer to our own `Inhibit` is closed at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from dbus_fast import BusType, DBusError, Message, MessageType
from dbus_fast.aio import MessageBus

from tray_app.adapters.platform.bus_owner import BUS, BUS_PATH, Owners, is_signal

LOGIN: Final = "org.freedesktop.login1"
LOGIN_PATH: Final = "/org/freedesktop/login1"
MANAGER: Final = "org.freedesktop.login1.Manager"
NETWORK: Final = "org.freedesktop.NetworkManager"
NETWORK_PATH: Final = "/org/freedesktop/NetworkManager"
CONNECTED: Final = 60
"""NM_STATE_CONNECTED_SITE; higher means full internet access, lower at best a connection in progress."""

SECONDS: Final = 5.0
"""Seconds for one reply on the bus."""
BEFORE_SLEEP: Final = 4.0
"""Seconds; logind's default limit is five (InhibitDelayMaxSec)."""
WITHOUT_NETWORK_MANAGER: Final = 1.0
"""Seconds after a resume when the network is assumed to be up, if nothing reports it."""


class Logind:
    """Reports "suspend" before sleep and shutdown, "resume" after it, "network" once NetworkManager is connected."""

    def __init__(self, address: str | None = None) -> None:
        self._address = address
        self._bus: MessageBus | None = None
        self._owners: Owners | None = None
        self._inhibit: Message | None = None
        """The question for a lock that waits for its answer."""
        self._inhibitor: int | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._waking = False

    async def start(self, happened: Callable[[str], Awaitable[None]]) -> None:
        """Raises OSError where there is no system bus."""
        self._happened = happened
        try:
            async with asyncio.timeout(SECONDS):
                bus = MessageBus(self._address, BusType.SYSTEM, negotiate_unix_fd=True)
                self._bus = await bus.connect()
        except (OSError, EOFError, DBusError, ValueError) as error:
            raise OSError(f"there is no system bus ({type(error).__name__})") from error
        bus.add_message_handler(self._heard)
        self._owners = owners = Owners(bus)
        try:
            async with asyncio.timeout(SECONDS):
                await owners.follow(LOGIN, NETWORK)
        except (OSError, EOFError, DBusError) as error:
            raise OSError(f"the system bus does not answer ({type(error).__name__})") from error
        for sender, path, interface, member in (
            (LOGIN, LOGIN_PATH, MANAGER, "PrepareForSleep"),
            (LOGIN, LOGIN_PATH, MANAGER, "PrepareForShutdown"),
            (NETWORK, NETWORK_PATH, NETWORK, "StateChanged"),
        ):
            rule = f"type='signal',sender='{sender}',path='{path}',interface='{interface}',member='{member}'"
            await self._call(BUS, BUS_PATH, BUS, "AddMatch", "s", rule)
        await self._delay_sleep()

    async def close(self) -> None:
        """Leaves the bus and stops delaying sleep."""
        self._let_sleep()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._bus is not None:
            self._bus.disconnect()

    def _heard(self, message: Message) -> None:
        if message.unix_fds:
            self._take(message)
        if self._is_from(message, LOGIN) and (
            is_signal(message, LOGIN_PATH, MANAGER, "PrepareForSleep", "b")
            or is_signal(message, LOGIN_PATH, MANAGER, "PrepareForShutdown", "b")
        ):
            self._begin(self._before_sleep() if message.body[0] else self._after_sleep())
        elif (
            self._is_from(message, NETWORK)
            and is_signal(message, NETWORK_PATH, NETWORK, "StateChanged", "u")
            and message.body[0] >= CONNECTED
        ):
            self._waking = False
            self._begin(self._tell("network"))

    def _is_from(self, message: Message, name: str) -> bool:
        return self._owners is not None and self._owners.own(message, name)

    def _take(self, message: Message) -> None:
        """Keeps the lock where this is logind's answer to our question; closes all other descriptors."""
        descriptors, asked = list(message.unix_fds), self._inhibit
        is_answer = message.message_type is MessageType.METHOD_RETURN and self._is_from(message, LOGIN)
        if is_answer and asked is not None and message.reply_serial == asked.serial:
            self._inhibit = None
            self._let_sleep()
            self._inhibitor = descriptors.pop(0)
        for descriptor in descriptors:
            os.close(descriptor)

    async def _before_sleep(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(BEFORE_SLEEP):
                await self._happened("suspend")
        self._let_sleep()

    async def _after_sleep(self) -> None:
        self._waking = True
        await self._happened("resume")
        await self._delay_sleep()
        state = await self._network_state()
        if state is None:
            await asyncio.sleep(WITHOUT_NETWORK_MANAGER)
        if self._waking and (state is None or state >= CONNECTED):  # else NetworkManager signals it later
            self._waking = False
            await self._happened("network")

    async def _tell(self, kind: str) -> None:
        await self._happened(kind)

    async def _network_state(self) -> int | None:
        reply = await self._call(
            NETWORK, NETWORK_PATH, "org.freedesktop.DBus.Properties", "Get", "ss", NETWORK, "State"
        )
        value = reply.body[0].value if reply is not None and reply.signature == "v" else None
        return value if isinstance(value, int) else None

    async def _delay_sleep(self) -> None:
        why = ["sleep:shutdown", "Lamplighter", "A refresh under way is stored first", "delay"]
        self._inhibit = question = Message(LOGIN, LOGIN_PATH, MANAGER, "Inhibit", signature="ssss", body=why)
        try:
            await self._answer(question)  # `_take` keeps what it brings
        finally:
            if self._inhibit is question:
                self._inhibit = None

    def _let_sleep(self) -> None:
        if self._inhibitor is not None:
            os.close(self._inhibitor)
            self._inhibitor = None

    async def _call(
        self, name: str, path: str, interface: str, member: str, signature: str, *body: str
    ) -> Message | None:
        """The reply; None where the name has no owner, or the call fails."""
        return await self._answer(Message(name, path, interface, member, signature=signature, body=list(body)))

    async def _answer(self, question: Message) -> Message | None:
        if self._bus is None:
            return None
        try:
            async with asyncio.timeout(SECONDS):
                reply = await self._bus.call(question)
        except (OSError, EOFError, DBusError):  # TimeoutError is an OSError
            return None
        trusted = self._is_from(reply, question.destination or "")
        return reply if trusted and reply.message_type is MessageType.METHOD_RETURN else None

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
