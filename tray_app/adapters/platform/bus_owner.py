"""Whose signals count on a D-Bus connection: those of the program that owns the well-known name at the moment.

A match rule filters broadcasts alone. Any program on the bus, on the system bus another user's too, may send a copy of
a signal straight to us (as with CVE-2024-34397). The daemon vouches for `sender`, which is always a unique name, and
for `org.freedesktop.DBus`, which nobody else can own: from these two the owner of a name is known.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dbus_fast import Message
    from dbus_fast.aio import MessageBus

BUS: Final = "org.freedesktop.DBus"
BUS_PATH: Final = "/org/freedesktop/DBus"


def is_signal(message: Message, path: str, interface: str, member: str, signature: str) -> bool:
    """Whether it is this signal. Its sender is not looked at."""
    from dbus_fast import MessageType

    found = message.message_type, message.path, message.interface, message.member, message.signature
    return found == (MessageType.SIGNAL, path, interface, member, signature)


def owner_change(message: Message) -> tuple[str, str] | None:
    """The name whose owner has changed, and its owner now ("" for none); None where it is not the bus that says so."""
    if message.sender != BUS or not is_signal(message, BUS_PATH, BUS, "NameOwnerChanged", "sss"):
        return None
    name, _before, now = message.body
    return name, now


def owner_rule(name: str) -> str:
    """The match rule for `NameOwnerChanged` of the name."""
    return f"type='signal',sender='{BUS}',path='{BUS_PATH}',interface='{BUS}',member='NameOwnerChanged',arg0='{name}'"


class Owners:
    """The unique names that own some well-known names, from `follow` on."""

    def __init__(self, bus: MessageBus) -> None:
        self._bus = bus
        self._owners: dict[str, str] = {}
        bus.add_message_handler(self._heard)

    async def follow(self, *names: str) -> None:
        """Finds out who owns the names, and hears of each change. Set your own time limit."""
        await asyncio.gather(*map(self._follow, names))

    def own(self, message: Message, name: str) -> bool:
        """Whether the message comes from the present owner of the name."""
        return bool(message.sender) and message.sender == (BUS if name == BUS else self._owners.get(name))

    async def _follow(self, name: str) -> None:
        await self._asked("AddMatch", owner_rule(name))
        owner = await self._asked("GetNameOwner", name)
        self._owners.setdefault(name, owner)  # what a signal has said meanwhile is newer

    async def _asked(self, member: str, text: str) -> str:
        from dbus_fast import Message, MessageType

        reply = await self._bus.call(Message(BUS, BUS_PATH, BUS, member, signature="s", body=[text]))
        answered = reply.sender == BUS and reply.message_type is MessageType.METHOD_RETURN
        return str(reply.body[0]) if answered and reply.signature == "s" else ""

    def _heard(self, message: Message) -> None:
        if (change := owner_change(message)) is not None:
            self._owners[change[0]] = change[1]
