"""Asks the notification daemon of a Linux desktop for its name and capabilities."""

from __future__ import annotations

import asyncio
from typing import Any

from tray_app.core.failure import plain

_NAME = "org.freedesktop.Notifications"
_PATH = "/org/freedesktop/Notifications"
SECONDS = 10.0
"""Seconds; D-Bus may have to start the daemon first."""


async def notification_daemon(bus_address: str) -> tuple[str, frozenset[str]] | None:
    """Its name with its version, and its capabilities (Desktop Notifications Specification).

    None where none answers.
    """
    from dbus_fast import DBusError, Message, MessageType
    from dbus_fast.aio import MessageBus

    async def asked(member: str) -> list[Any]:
        answer: Any = await bus.call(Message(_NAME, _PATH, _NAME, member))
        if answer.message_type is MessageType.ERROR:
            raise OSError(f"{member} was not answered")
        return list(answer.body)

    try:
        async with asyncio.timeout(SECONDS):
            bus = await MessageBus(bus_address=bus_address).connect()
            try:
                name, _vendor, version, _protocol = await asked("GetServerInformation")
                (capabilities,) = await asked("GetCapabilities")
            finally:
                bus.disconnect()
    except (OSError, EOFError, DBusError, ValueError):  # TimeoutError is an OSError
        return None
    return plain(f"{name} {version}"), frozenset(plain(one, 40) for one in capabilities)
