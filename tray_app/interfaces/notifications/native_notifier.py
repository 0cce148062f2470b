"""Native notifications with buttons, through desktop-notifier.

On Linux the notification daemon is another program: it may come up after us, die, and come back as another one that
counts its notifications from 1 again. A number of the old daemon must then neither be closed (it is somebody else's
by now) nor answer a click. So the daemon's unique bus name is part of what we are connected to; when it changes we
connect anew and show again what still waits for the person.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tray_app.adapters.platform.bus_owner import owner_change
from tray_app.base.log import LOG
from tray_app.core.failure import escaped, plain
from tray_app.core.ports import Notification

if TYPE_CHECKING:
    from dbus_fast.aio import MessageBus
    from dbus_fast.message import Message
    from desktop_notifier import DesktopNotifier

PATIENCE = 10.0
"""Seconds that a daemon may take, its start by D-Bus included. dbus-fast itself waits for ever on a frozen one."""
_DAEMON = "org.freedesktop.Notifications"
_BUTTONLESS = frozenset({"dunst", "mako"})
"""Daemons that support actions but draw no buttons: there a click on the body is Sign In."""


@dataclass(frozen=True, slots=True)
class _Shown:
    notification: Notification
    chosen: Callable[[str], None]
    identifier: str
    """desktop-notifier's own; empty while the notification waits for a daemon."""


class NativeNotifier:
    """The platform's notification service; looked up at each `show`, so that one that starts later is found."""

    def __init__(self) -> None:
        self.has_actions = False
        self._native: DesktopNotifier | None = None
        self._daemon = ""
        self._has_buttons = False
        self._body_is_markup = False
        self._shown: dict[str, _Shown] = {}
        self._one_at_a_time = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def probe(self) -> bool:
        """Whether native notifications can be shown now. Starts the daemon where D-Bus knows how."""
        async with self._one_at_a_time:
            return await self._connected()

    async def show(self, notification: Notification, chosen: Callable[[str], None]) -> bool:
        """Shows it, replacing an earlier one of its key. False where no service accepted it."""
        async with self._one_at_a_time:
            await self._clear(notification.key)
            return await self._connected() and await self._send(notification, chosen)

    async def withdraw(self, key: str) -> None:
        """Withdraws the notification if it is still shown."""
        async with self._one_at_a_time:
            await self._clear(key)
            if not self._shown:  # nothing to hear of: a daemon that leaves after its five idle minutes wakes us no more
                self._disconnect()

    async def close(self) -> None:
        """Withdraws all and disconnects from the service."""
        for task in self._tasks:
            task.cancel()
        async with self._one_at_a_time:
            for key in list(self._shown):
                await self._clear(key)
            self._disconnect()

    async def _connected(self) -> bool:
        """Whether the service that we are connected to is there; connects, and shows again what was lost."""
        if await self._still_there():
            return True
        self._disconnect()
        if not await self._connect():
            return False
        lost, self._shown = self._shown, {}
        for shown in lost.values():
            if shown.notification.urgent:
                await self._send(shown.notification, shown.chosen)
        return True

    async def _connect(self) -> bool:
        with _logged():
            # Late: 3 MB that a day without an incident does not need.
            from desktop_notifier import Capability, DesktopNotifier

            logging.getLogger("desktop_notifier").setLevel(logging.CRITICAL)  # it logs tracebacks; we log one line
            self._native = native = DesktopNotifier(app_name="Lamplighter", app_icon=None)
            native.on_clicked = self._clicked
            native.on_button_pressed = self._pressed
            native.on_dismissed = self._dismissed
            async with asyncio.timeout(PATIENCE):
                capabilities = await native.get_capabilities()  # raises where no daemon answers
                self._daemon, server = await self._answering()
                if (daemon := getattr(native._backend, "interface", None)) is not None:  # noqa: SLF001 - see _bus
                    self._body_is_markup = "body-markup" in await daemon.call_get_capabilities()
            if capabilities:  # none: an unbundled application on macOS, where nothing would ever be seen
                self.has_actions = Capability.BUTTONS in capabilities
                self._has_buttons = self.has_actions and server not in _BUTTONLESS
                if (bus := self._bus()) is not None:
                    bus.add_message_handler(self._heard)
                return True
        self._disconnect()
        return False

    async def _send(self, notification: Notification, chosen: Callable[[str], None]) -> bool:
        from desktop_notifier import Button, Urgency
        from desktop_notifier import Notification as Native

        native = self._native
        if native is None:
            return False
        text = plain(notification.body)
        if notification.otherwise and not self._has_buttons:
            text = f"{text} {plain(notification.otherwise)}"
        sent: list[str] = []
        native.on_dispatched = sent.append  # the only sign of success: send() itself never fails
        one = Native(
            title=plain(notification.title),
            message=escaped(text) if self._body_is_markup else text,
            urgency=Urgency.Critical if notification.urgent else Urgency.Normal,
            buttons=tuple(Button(title=label, identifier=identifier) for identifier, label in notification.actions)
            if self.has_actions
            else (),
            timeout=0 if notification.urgent else -1,  # 0: until acted on; -1: as the desktop likes
        )
        # Known before it is sent: an answer may come with the reply.
        self._shown[notification.key] = _Shown(notification, chosen, one.identifier)
        with _logged():
            async with asyncio.timeout(PATIENCE):
                await native.send_notification(one)
        if not sent:
            del self._shown[notification.key]
            self._disconnect()
        return bool(sent)

    async def _clear(self, key: str) -> None:
        shown = self._shown.pop(key, None)
        if shown is None or self._native is None:
            return
        with _logged(KeyError):  # the daemon has closed it already
            async with asyncio.timeout(PATIENCE):
                await self._native.clear(shown.identifier)

    # What the person did. These come in the loop; desktop-notifier forgets what was answered, so once each.

    def _clicked(self, identifier: str) -> None:
        shown = self._answered(identifier)
        if shown and shown.notification.actions:
            shown.chosen(shown.notification.actions[0][0])

    def _pressed(self, identifier: str, action: str) -> None:
        shown = self._answered(identifier)
        if shown:
            shown.chosen(action)

    def _dismissed(self, identifier: str) -> None:
        self._answered(identifier)

    def _answered(self, identifier: str) -> _Shown | None:
        for key, shown in self._shown.items():
            if shown.identifier == identifier:
                return self._shown.pop(key)
        return None

    # The daemon on Linux.

    def _bus(self) -> MessageBus | None:
        # desktop-notifier has no public way to its connection, nor to close it.
        return getattr(self._native._backend, "bus", None) if self._native else None  # noqa: SLF001

    async def _still_there(self) -> bool:
        """Whether the service that we are connected to is the one that answers now."""
        if self._native is None or self._bus() is None:
            return self._native is not None
        return bool(self._daemon) and (await self._answering())[0] == self._daemon

    async def _answering(self) -> tuple[str, str]:
        """The unique bus name and the product name of the daemon; both empty where none answers.

        Asked before each notification: what is sent to a frozen daemon is shown when it thaws, and then its buttons
        would do nothing.
        """
        bus = self._bus()
        if bus is None:
            return "", ""
        from dbus_fast.constants import MessageFlag
        from dbus_fast.message import Message

        path, flags = f"/{_DAEMON.replace('.', '/')}", MessageFlag.NO_AUTOSTART
        with _logged():
            async with asyncio.timeout(PATIENCE):
                answer = await bus.call(Message(_DAEMON, path, _DAEMON, "GetServerInformation", flags=flags))
                if answer.error_name is None:
                    return answer.sender or "", str(answer.body[0])
        return "", ""

    def _heard(self, message: Message) -> None:
        """The bus tells of a daemon's end and start; desktop-notifier has asked it to."""
        change = owner_change(message)
        if change is None or change[0] != _DAEMON or change[1] == self._daemon:
            return
        for key, shown in self._shown.items():  # a number of the old daemon means nothing to the next
            self._shown[key] = _Shown(shown.notification, shown.chosen, "")
        if change[1]:
            task = asyncio.get_running_loop().create_task(self._reconnect())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _reconnect(self) -> None:
        await self.probe()

    def _disconnect(self) -> None:
        if (bus := self._bus()) is not None:
            bus.remove_message_handler(self._heard)
            bus.disconnect()
        self._native, self._daemon, self.has_actions = None, "", False


@contextmanager
def _logged(*fine: type[Exception]) -> Iterator[None]:
    """A desktop that fails costs a notification, never the applet."""
    try:
        yield
    except fine:
        pass
    except Exception as error:  # noqa: BLE001 - WinRT raises OSError, D-Bus half a dozen kinds, missing parts ImportError
        LOG.debug("native notifications: %s", plain(f"{type(error).__name__} {error}"))
