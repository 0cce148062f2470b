"""When a desktop says that its person wants to be left alone: asked over D-Bus, as each of them tells it.

Without `from __future__ import annotations`: dbus-fast reads `-> None` only as itself.
"""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated

import pytest
from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusBool, DBusSignature, DBusStr
from dbus_fast.service import PropertyAccess, ServiceInterface, dbus_method, dbus_property, dbus_signal
from dbus_fast.signature import Variant

from tests.fakes.notification_daemon import bare_bus
from tests.fakes.waiting import until
from tray_app.interfaces.notifications.do_not_disturb import LOCKED, SILENCE, DoNotDisturb

NOTIFICATIONS = "org.freedesktop.Notifications"


@pytest.fixture(autouse=True)
def buses(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with (
        tempfile.TemporaryDirectory(prefix="bus-") as one,
        tempfile.TemporaryDirectory(prefix="bus-") as other,
        bare_bus(Path(one)) as session,
        bare_bus(Path(other)) as system,
    ):
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", session)
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", system)
        yield


class ScreenSaver(ServiceInterface):
    is_active = False

    @dbus_method()
    def GetActive(self) -> DBusBool:  # noqa: N802 - the interface's own names
        return self.is_active

    @dbus_signal()
    def ActiveChanged(self, active: bool) -> Annotated[bool, DBusSignature("b")]:  # noqa: N802, FBT001
        self.is_active = active
        return active


class Switch(ServiceInterface):
    """A boolean property under the names that a service gives it."""

    def __init__(self, interface: str, name: str, *, on: bool = True) -> None:
        super().__init__(interface)
        self._name = name
        self.on = on

    @dbus_property(access=PropertyAccess.READ)
    def LockedHint(self) -> DBusBool:  # noqa: N802
        return self.on

    @dbus_property(access=PropertyAccess.READ)
    def Inhibited(self) -> DBusBool:  # noqa: N802
        return self.on

    def turn(self, *, on: bool) -> None:
        self.on = on
        self.emit_properties_changed({self._name: on})


class Xfconf(ServiceInterface):
    @dbus_method()
    def GetProperty(self, channel: DBusStr, name: DBusStr) -> Annotated[Variant, DBusSignature("v")]:  # noqa: N802
        return Variant("b", (channel, name) == ("xfce4-notifyd", "/do-not-disturb"))


async def offer(name: str, path: str, interface: ServiceInterface, address: str | None = None) -> MessageBus:
    bus = await MessageBus(address).connect()
    bus.export(path, interface)
    await bus.request_name(name)
    return bus


@pytest.fixture
async def quiet() -> AsyncIterator[DoNotDisturb]:
    quiet = DoNotDisturb()
    yield quiet
    quiet.close()


def nothing() -> None:
    """For tests in which nothing changes."""


@pytest.mark.parametrize("desktop", ["freedesktop", "gnome", "cinnamon", "mate", "xfce"])
async def test_a_locked_screen_is_quiet_until_it_is_unlocked(quiet: DoNotDisturb, desktop: str) -> None:
    name, changes = f"org.{desktop}.ScreenSaver", list[None]()
    screen_saver = ScreenSaver(name)
    bus = await offer(name, f"/org/{desktop}/ScreenSaver", screen_saver)
    assert await quiet.because(nothing) is None

    screen_saver.is_active = True
    assert await quiet.because(lambda: changes.append(None)) == LOCKED
    screen_saver.ActiveChanged(False)
    await until(lambda: changes)

    assert await quiet.because(nothing) is None
    bus.disconnect()


async def test_logind_says_that_the_session_is_locked(quiet: DoNotDisturb) -> None:
    session, changes = Switch("org.freedesktop.login1.Session", "LockedHint"), list[None]()
    path = "/org/freedesktop/login1/session/auto"
    bus = await offer("org.freedesktop.login1", path, session, os.environ["DBUS_SYSTEM_BUS_ADDRESS"])

    assert await quiet.because(lambda: changes.append(None)) == LOCKED
    session.turn(on=False)
    await until(lambda: changes)

    assert await quiet.because(nothing) is None
    bus.disconnect()


async def test_kde_says_that_notifications_are_inhibited(quiet: DoNotDisturb) -> None:
    server, changes = Switch(NOTIFICATIONS, "Inhibited"), list[None]()
    bus = await offer(NOTIFICATIONS, "/org/freedesktop/Notifications", server)

    assert await quiet.because(lambda: changes.append(None)) == SILENCE
    server.turn(on=False)
    await until(lambda: changes)

    assert await quiet.because(nothing) is None
    bus.disconnect()


async def test_xfce_says_do_not_disturb(quiet: DoNotDisturb) -> None:
    bus = await offer("org.xfce.Xfconf", "/org/xfce/Xfconf", Xfconf("org.xfce.Xfconf"))

    assert await quiet.because(nothing) == SILENCE
    bus.disconnect()


@pytest.mark.parametrize(("said", "reason"), [("false", SILENCE), ("true", None), ("No such schema", None)])
async def test_gnome_says_that_it_shows_no_banners(
    quiet: DoNotDisturb, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, reason: str | None
) -> None:
    settings = tmp_path / "gsettings"
    settings.write_text(f'#!/bin/sh\n[ "$*" = "get org.gnome.desktop.notifications show-banners" ] && echo "{said}"\n')
    settings.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    bus = await MessageBus().connect()
    await bus.request_name("org.gnome.Shell")

    assert await quiet.because(nothing) == reason
    bus.disconnect()


async def test_a_desktop_that_says_nothing_of_it_is_not_quiet_and_no_connection_stays(quiet: DoNotDisturb) -> None:
    assert await quiet.because(nothing) is None
    assert (quiet._session, quiet._system) == (None, None)


async def test_without_any_bus_nobody_is_left_alone_and_that_is_no_error(
    quiet: DoNotDisturb, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DBUS_SESSION_BUS_ADDRESS", "DBUS_SYSTEM_BUS_ADDRESS"):
        monkeypatch.setenv(name, "unix:path=/nonexistent")

    assert await quiet.because(nothing) is None


async def test_a_signal_of_another_program_is_not_believed(quiet: DoNotDisturb) -> None:
    system = os.environ["DBUS_SYSTEM_BUS_ADDRESS"]
    path = "/org/freedesktop/login1/session/auto"
    session = Switch("org.freedesktop.login1.Session", "LockedHint")
    logind = await offer("org.freedesktop.login1", path, session, system)
    heard: list[str] = []
    assert await quiet.because(lambda: heard.append("changed")) == LOCKED
    attacker = await MessageBus(system).connect()
    assert quiet._system is not None
    for signature, body in (("sa{sv}as", ["org.freedesktop.login1.Session", {}, []]), ("", []), ("u", [1])):
        await attacker.send(
            Message(
                quiet._system.unique_name,
                path,
                "org.freedesktop.DBus.Properties",
                "PropertiesChanged",
                message_type=MessageType.SIGNAL,
                signature=signature,
                body=body,
            )
        )
    await attacker.call(Message("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetId"))
    believed = list(heard)
    session.turn(on=False)
    await until(lambda: heard)
    attacker.disconnect()
    logind.disconnect()

    assert believed == []
