"""Whether to hold notifications back: the screen is locked, or "do not disturb" is on.

A daemon in that mode would let an urgent notification through, and one that is shown on a locked screen is seen by
whoever passes by. Asked on Linux alone, where a desktop can say so; Windows and macOS hold them back themselves.

    screen      logind's LockedHint; GetActive of the desktop's own screen saver
    silence     KDE: Inhibited of the notification server. Xfce: do-not-disturb of xfce4-notifyd. dunst: paused.
                GNOME: show-banners, a setting that only a program of its own can read
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Final

from tray_app.adapters.platform.bus_owner import Owners, is_signal
from tray_app.base.log import LOG
from tray_app.core.failure import plain

if TYPE_CHECKING:
    from dbus_fast import Message
    from dbus_fast.aio import MessageBus

PATIENCE: Final = 2.0
"""Seconds for each reply; no reply counts as unknown."""
LOCKED: Final = "the screen is locked"
SILENCE: Final = "do not disturb is on"

_PROPERTIES: Final = "org.freedesktop.DBus.Properties"
_DAEMON: Final = "org.freedesktop.Notifications"
_LOGIND: Final = "org.freedesktop.login1"
_XFCONF: Final = "org.xfce.Xfconf"
_SCREEN_SAVERS: Final = ("freedesktop", "gnome", "cinnamon", "mate", "xfce")
_GNOME: Final = ("gsettings", "get", "org.gnome.desktop.notifications", "show-banners")
_SESSION_RULES: Final = (
    *(f"member='ActiveChanged',interface='org.{desktop}.ScreenSaver'" for desktop in _SCREEN_SAVERS),
    f"member='PropertiesChanged',path='/{_DAEMON.replace('.', '/')}'",
    "member='PropertyChanged',arg0='xfce4-notifyd'",
)
_NEWS: Final = {
    "session": _SESSION_RULES,
    "system": (f"member='PropertiesChanged',path_namespace='/{_LOGIND.replace('.', '/')}/session'",),
}
"""The signals that report a change, except for GNOME's setting."""
_SENDERS: Final = {
    "session": (*(f"org.{desktop}.ScreenSaver" for desktop in _SCREEN_SAVERS), _DAEMON, _XFCONF),
    "system": (_LOGIND,),
}
"""The names whose owners send them. Nobody else is believed."""


class DoNotDisturb:
    """The desktop's state. Keeps its connections only while notifications are held back."""

    def __init__(self) -> None:
        self._session: MessageBus | None = None
        self._system: MessageBus | None = None
        self._changed: Callable[[], None] = lambda: None

    async def because(self, changed: Callable[[], None]) -> str | None:
        """Why notifications are held back now; None where they are not, or it is unknown.

        While there is a reason, `changed` is called as soon as the desktop says that something is different.
        """
        self._changed, reason = changed, None
        if sys.platform.startswith("linux"):
            reason = LOCKED if await self._is_locked() else SILENCE if await self._is_silent() else None
        if reason is None:
            self.close()
        return reason

    def close(self) -> None:
        """Disconnects."""
        for bus in (self._session, self._system):
            if bus is not None:
                bus.disconnect()
        self._session = self._system = None

    async def _is_locked(self) -> bool:
        self._system = self._system or await self._connected("system")
        self._session = self._session or await self._connected("session")
        session = (f"/{_LOGIND.replace('.', '/')}/session/auto", f"{_LOGIND}.Session", "LockedHint")
        if await self._property(self._system, _LOGIND, *session) is True:
            return True
        for desktop in _SCREEN_SAVERS:
            name = f"org.{desktop}.ScreenSaver"
            if await _asked(self._session, name, f"/{name.replace('.', '/')}", name, "GetActive") == [True]:
                return True
        return False

    async def _is_silent(self) -> bool:
        path = f"/{_DAEMON.replace('.', '/')}"
        for interface, name in ((_DAEMON, "Inhibited"), ("org.dunstproject.cmd0", "paused")):
            if await self._property(self._session, _DAEMON, path, interface, name) is True:
                return True
        asked = ("xfce4-notifyd", "/do-not-disturb")
        found = await _asked(self._session, _XFCONF, f"/{_XFCONF.replace('.', '/')}", _XFCONF, "GetProperty", *asked)
        return (bool(found) and found[0].value is True) or await self._gnome_is_silent()

    async def _gnome_is_silent(self) -> bool:
        bus, shell = "org.freedesktop.DBus", "org.gnome.Shell"
        if await _asked(self._session, bus, "/org/freedesktop/DBus", bus, "NameHasOwner", shell) != [True]:
            return False
        if shutil.which(_GNOME[0]) is None:
            return False
        pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        reading = await asyncio.create_subprocess_exec(*_GNOME, stdin=nothing, stdout=pipe, stderr=nothing)
        try:
            async with asyncio.timeout(PATIENCE):
                return (await reading.communicate())[0].strip() == b"false"
        except TimeoutError:
            reading.kill()
            await reading.wait()
            return False

    async def _property(self, bus: MessageBus | None, to: str, path: str, interface: str, name: str) -> object:
        found = await _asked(bus, to, path, _PROPERTIES, "Get", interface, name)
        return found[0].value if found else None

    async def _connected(self, which: str) -> MessageBus | None:
        from dbus_fast import BusType
        from dbus_fast.aio import MessageBus

        bus = None
        async with _whatever_it_answers():
            bus = await MessageBus(bus_type=BusType[which.upper()]).connect()
            owners = Owners(bus)
            bus.add_message_handler(lambda message: self._heard(message, owners))
            await owners.follow(*_SENDERS[which])
            for rule in _NEWS[which]:
                await _asked(bus, "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "AddMatch", rule)
        return bus

    def _heard(self, message: Message, owners: Owners) -> None:
        if any(owners.own(message, name) and _is_news(message, name) for name in (*_SENDERS["session"], _LOGIND)):
            self._changed()


def _is_news(message: Message, name: str) -> bool:
    """Whether it is the signal with which the owner of the name tells that something is different now."""
    path = f"/{name.replace('.', '/')}"
    if name == _LOGIND:
        session = str(message.path)
        is_session = session.startswith(f"{path}/session/")
        return is_session and is_signal(message, session, _PROPERTIES, "PropertiesChanged", "sa{sv}as")
    if name == _DAEMON:
        return is_signal(message, path, _PROPERTIES, "PropertiesChanged", "sa{sv}as")
    if name == _XFCONF:
        return is_signal(message, path, _XFCONF, "PropertyChanged", "ssv")
    return is_signal(message, path, name, "ActiveChanged", "b")


async def _asked(bus: MessageBus | None, to: str, path: str, interface: str, member: str, *texts: str) -> list[Any]:
    """The reply's values; empty where there is none. Does not start absent services."""
    if bus is None:
        return []
    from dbus_fast import Message, MessageFlag

    found: list[Any] = []
    flags, signature = MessageFlag.NO_AUTOSTART, "s" * len(texts)
    question = Message(to, path, interface, member, signature=signature, body=list(texts), flags=flags)
    async with _whatever_it_answers():
        answer = await bus.call(question)
        if answer.error_name is None:
            found = list(answer.body)
    return found


@contextlib.asynccontextmanager
async def _whatever_it_answers() -> AsyncIterator[None]:
    """Unknown means not quiet."""
    try:
        async with asyncio.timeout(PATIENCE):
            yield
    except Exception as error:  # noqa: BLE001 - no address, no socket, no answer in time: each is its own kind
        LOG.debug("quiet: %s", plain(f"{type(error).__name__} {error}"))
