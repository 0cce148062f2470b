"""Notifications without buttons: a text that says where to click instead."""

from __future__ import annotations

import asyncio
import sys
import warnings
from collections.abc import Awaitable, Callable

from tray_app.base.log import LOG
from tray_app.core.failure import escaped, plain
from tray_app.core.ports import Notification

PATIENCE = 10.0
"""Seconds that the desktop may take to answer."""
_DAEMON = "org.freedesktop.Notifications"


class PlainNotifier:
    """Shows title and text; there are no clicks, and nothing can be withdrawn."""

    has_actions = False

    def __init__(self, say: Callable[[str, str], Awaitable[bool]]) -> None:
        self._say = say

    async def show(self, notification: Notification, chosen: Callable[[str], None]) -> bool:  # noqa: ARG002 - no clicks
        """Shows it. False where the desktop cannot."""
        text = f"{plain(notification.body)} {plain(notification.otherwise)}".strip()
        return await self._say(plain(notification.title, 63), plain(text, 255))  # what a Windows balloon holds

    async def withdraw(self, key: str) -> None:
        """Does nothing: it cannot be withdrawn."""

    async def close(self) -> None:
        """Nothing to release."""


async def plyer_says(title: str, body: str) -> bool:
    """Shows it through plyer, which does not notice a failure on Linux: the daemon is asked first."""
    if sys.platform.startswith("linux"):
        capabilities = await _daemon_capabilities()
        if capabilities is None:
            return False
        if "body-markup" in capabilities:
            body = escaped(body)
    try:
        await asyncio.wait_for(asyncio.to_thread(_notify, title, body), PATIENCE)
    except Exception as error:  # noqa: BLE001 - plyer raises what its platform raises, NotImplementedError among it
        LOG.debug("plyer: %s", plain(f"{type(error).__name__} {error}"))
        return False
    return True


def _notify(title: str, body: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns when it takes notify-send for want of dbus-python
        from plyer import notification

        # plyer hands both to notify-send as they are, where a dash begins an option, and pastes them between
        # apostrophes under Flatpak.
        title, body = (text.lstrip("- ").replace("'", "\u2019") for text in (title, body))
        notification.notify(title=title, message=body, app_name="Lamplighter")


async def _daemon_capabilities() -> list[str] | None:
    """What the notification daemon can do; None where none answers."""
    from dbus_fast.aio import MessageBus
    from dbus_fast.message import Message

    bus = None
    try:
        async with asyncio.timeout(PATIENCE):
            bus = await MessageBus().connect()
            question = Message(_DAEMON, f"/{_DAEMON.replace('.', '/')}", _DAEMON, "GetCapabilities")
            answer = await bus.call(question)
            return list(answer.body[0]) if answer.error_name is None else None
    except Exception as error:  # noqa: BLE001 - no address, no socket, no answer: each is its own kind
        LOG.debug("notification daemon: %s", plain(f"{type(error).__name__} {error}"))
        return None
    finally:
        if bus is not None:
            bus.disconnect()
