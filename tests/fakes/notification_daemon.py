"""A notification daemon on a bare session bus, to be asked what it shows and told what the person clicks.

Without `from __future__ import annotations`: dbus-fast reads `-> None` only as itself.
"""

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

import pytest
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusInt32, DBusSignature, DBusStr, DBusUInt32
from dbus_fast.service import ServiceInterface, dbus_method, dbus_signal

NAME = "org.freedesktop.Notifications"
PATH = "/org/freedesktop/Notifications"
CAPABILITIES = ("actions", "body", "body-markup")
_BUS_WITHOUT_SERVICES = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type><auth>EXTERNAL</auth><listen>{address}</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
  </policy>
</busconfig>
"""


@contextlib.contextmanager
def bare_bus(folder: Path) -> Iterator[str]:
    """The address of a session bus of its own that starts no services."""
    address = f"unix:path={folder}/bus"
    configuration = folder / "bus.conf"
    configuration.write_text(_BUS_WITHOUT_SERVICES.format(address=address), encoding="utf-8")
    bus = subprocess.Popen(["dbus-daemon", f"--config-file={configuration}", "--nofork", "--nopidfile"])
    try:
        end = time.monotonic() + 20
        while not _listens(folder / "bus"):
            if time.monotonic() > end or bus.poll() is not None:
                pytest.fail("the session bus did not come up")
            threading.Event().wait(0.01)
        yield address
    finally:
        bus.terminate()
        bus.wait()


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as attempt:
        return attempt.connect_ex(str(path)) == 0


@dataclass
class Shown:
    """A notification as it came over the bus."""

    title: str
    body: str
    actions: dict[str, str]
    urgency: int
    timeout: int


class NotificationDaemon(ServiceInterface):
    """Numbers its notifications from 1, as every daemon does after its start."""

    def __init__(self, bus: MessageBus, capabilities: tuple[str, ...], product: str) -> None:
        super().__init__(NAME)
        self.shown: dict[int, Shown] = {}
        self.ever_shown: list[Shown] = []
        self.closed_by_program: list[int] = []
        self._capabilities = capabilities
        self._product = product
        self._bus = bus
        self._last = 0

    @classmethod
    async def start(
        cls, address: str, capabilities: tuple[str, ...] = CAPABILITIES, product: str = "test daemon"
    ) -> Self:
        bus = await MessageBus(address).connect()
        daemon = cls(bus, capabilities, product)
        bus.export(PATH, daemon)
        await bus.request_name(NAME)
        return daemon

    async def die(self) -> None:
        """Without a word to anybody, as with SIGKILL."""
        self._bus.disconnect()
        await self._bus.wait_for_disconnect()

    @property
    def titles(self) -> list[str]:
        return [shown.title for shown in self.shown.values()]

    def press(self, title: str, action: str, times: int = 1) -> None:
        number = next(number for number, shown in self.shown.items() if shown.title == title)
        for _ in range(times):
            self.ActionInvoked(number, action)
        del self.shown[number]
        self.NotificationClosed(number, 2)

    def click_body(self, title: str) -> None:
        assert any("default" in shown.actions for shown in self.shown.values() if shown.title == title)
        self.press(title, "default")

    @dbus_method()
    def Notify(  # noqa: N802 - the specification's names and arguments
        self,
        app_name: DBusStr,
        replaces: DBusUInt32,
        icon: DBusStr,
        title: DBusStr,
        body: DBusStr,
        actions: Annotated[list[str], DBusSignature("as")],
        hints: Annotated[dict[str, Any], DBusSignature("a{sv}")],
        timeout: DBusInt32,
    ) -> DBusUInt32:
        self._last += 1
        named = dict(zip(actions[::2], actions[1::2], strict=True))
        self.shown[self._last] = Shown(title, body, named, hints["urgency"].value, timeout)
        self.ever_shown.append(self.shown[self._last])
        return self._last

    @dbus_method()
    def CloseNotification(self, number: DBusUInt32) -> None:  # noqa: N802
        self.closed_by_program.append(number)
        if self.shown.pop(number, None):
            self.NotificationClosed(number, 3)

    @dbus_method()
    def GetCapabilities(self) -> Annotated[list[str], DBusSignature("as")]:  # noqa: N802
        return list(self._capabilities)

    @dbus_method()
    def GetServerInformation(self) -> Annotated[list[str], DBusSignature("ssss")]:  # noqa: N802
        return [self._product, "", "1", "1.2"]

    @dbus_signal()
    def ActionInvoked(self, number: int, action: str) -> Annotated[list[Any], DBusSignature("us")]:  # noqa: N802
        return [number, action]

    @dbus_signal()
    def NotificationClosed(self, number: int, reason: int) -> Annotated[list[int], DBusSignature("uu")]:  # noqa: N802
        return [number, reason]
