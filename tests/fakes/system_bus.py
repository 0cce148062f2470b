"""logind and NetworkManager on a bus of a test's own, to be told when the machine sleeps and what the network does.

Without `from __future__ import annotations`: dbus-fast reads `-> None` only as itself.
"""

import asyncio
import os
import select
from typing import Annotated, Self

from dbus_fast import Message, MessageType, PropertyAccess
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusSignature, DBusStr, DBusUInt32
from dbus_fast.service import ServiceInterface, dbus_method, dbus_property, dbus_signal

ASLEEP, DISCONNECTED, CONNECTING, CONNECTED_SITE, CONNECTED = 10, 20, 40, 60, 70


class Login(ServiceInterface):
    """Hands out locks that delay the sleep, and knows which of them are still held."""

    def __init__(self) -> None:
        super().__init__("org.freedesktop.login1.Manager")
        self.asked: list[tuple[str, str]] = []
        self._ends: list[int] = []

    @property
    def delayed(self) -> bool:
        """Whether somebody delays the sleep at the moment."""
        for end in self._ends:
            hung_up = select.poll()
            hung_up.register(end, select.POLLHUP)
            if not hung_up.poll(0):
                return True
        return False

    def close(self) -> None:
        for end in self._ends:
            os.close(end)
        self._ends.clear()

    @dbus_method()
    def Inhibit(  # noqa: N802
        self, what: DBusStr, who: DBusStr, why: DBusStr, mode: DBusStr
    ) -> Annotated[int, DBusSignature("h")]:
        self.asked.append((what, mode))
        ours, theirs = os.pipe()
        self._ends.append(ours)
        asyncio.get_running_loop().call_later(0.05, os.close, theirs)  # sent by then; from there on it is the asker's
        return theirs

    @dbus_signal()
    def PrepareForSleep(self, begins: bool) -> Annotated[bool, DBusSignature("b")]:  # noqa: FBT001, N802
        return begins


class Network(ServiceInterface):
    def __init__(self) -> None:
        super().__init__("org.freedesktop.NetworkManager")
        self.state = CONNECTED

    @dbus_property(access=PropertyAccess.READ)
    def State(self) -> DBusUInt32:  # noqa: N802
        return self.state

    @dbus_signal()
    def StateChanged(self, state: int) -> Annotated[int, DBusSignature("u")]:  # noqa: N802
        self.state = state
        return state


class SystemBus:
    """Both of them, or logind alone."""

    def __init__(self, bus: MessageBus) -> None:
        self._bus = bus
        self.login = Login()
        self.network = Network()

    @classmethod
    async def start(cls, address: str, *, network_manager: bool = True) -> Self:
        system = cls(await MessageBus(address, negotiate_unix_fd=True).connect())
        system._bus.export("/org/freedesktop/login1", system.login)
        await system._bus.request_name("org.freedesktop.login1")
        if network_manager:
            system._bus.export("/org/freedesktop/NetworkManager", system.network)
            await system._bus.request_name("org.freedesktop.NetworkManager")
        return system

    async def close(self) -> None:
        self.login.close()
        self._bus.disconnect()
        await self._bus.wait_for_disconnect()

    def falls_asleep(self) -> None:
        self.network.state = ASLEEP
        self.login.PrepareForSleep(True)

    def wakes_up(self) -> None:
        self.login.PrepareForSleep(False)


class OtherUser:
    """A second program on the bus, which may send to each of its connections but owns neither name."""

    def __init__(self, bus: MessageBus, spared: str) -> None:
        self._bus = bus
        self._spared = spared

    @classmethod
    async def join(cls, address: str, system: SystemBus) -> Self:
        """Spares logind itself."""
        return cls(await MessageBus(address, negotiate_unix_fd=True).connect(), system._bus.unique_name)

    @property
    def name(self) -> str:
        return self._bus.unique_name

    async def peers(self) -> list[str]:
        """The unique names of all the others."""
        answer = await self._ask("ListNames")
        return [name for name in answer if name.startswith(":") and name not in {self.name, self._spared}]

    async def send(self, path: str, member: str, signature: str, body: list[object], **more: object) -> None:
        """Sends a copy of the signal, with the interface that `more` names, straight to each of the others."""
        for peer in await self.peers():
            await self._bus.send(
                Message(
                    peer, path, member=member, signature=signature, body=body, **more, message_type=MessageType.SIGNAL
                )
            )
        await self._ask("GetId")  # by its answer the bus has passed on what came before

    async def close(self) -> None:
        self._bus.disconnect()
        await self._bus.wait_for_disconnect()

    async def _ask(self, member: str) -> list[str]:
        bus = "org.freedesktop.DBus"
        return (await self._bus.call(Message(bus, "/org/freedesktop/DBus", bus, member))).body[0]
