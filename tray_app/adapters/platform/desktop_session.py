"""Detects once what this desktop can do, with a reason for each "no"."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from tray_app.core.message import msg

BUS: Final = "org.freedesktop.DBus"
WATCHER: Final = "org.kde.StatusNotifierWatcher"
"""The D-Bus name of the panel's icon host. GNOME's extension, Xfce, LXQt and waybar own this name as well as KDE."""
BUS_SECONDS: Final = 5.0

TrayKind = Literal["status-notifier", "xembed", "native", "none-yet", "no"]


@dataclass(frozen=True, slots=True)
class Session:
    """One desktop session, as it was when asked."""

    platform: Literal["linux", "windows", "macos"]
    has_display: bool
    has_session_bus: bool
    tray: TrayKind
    bus_address: str = ""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Why not, in words, by "display", "session bus" and "tray"."""


def find_session() -> Session:
    """The current session. Asks the bus and, if it has no panel, the X server: usually milliseconds, at most seconds.

    Linux wants it called outside a running asyncio loop.
    """
    native: Mapping[str, Literal["windows", "macos"]] = {"win32": "windows", "darwin": "macos"}
    platform = native.get(sys.platform)
    if platform:
        return Session(platform, has_display=True, has_session_bus=False, tray="native")
    return _linux_session()


def _linux_session() -> Session:
    reasons: dict[str, str] = {}
    has_display = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    if not has_display:
        reasons["display"] = msg("neither DISPLAY nor WAYLAND_DISPLAY is set")
    address = _bus_address()
    watched = None
    if address is None:
        reasons["session bus"] = msg("DBUS_SESSION_BUS_ADDRESS is not set and XDG_RUNTIME_DIR has no bus")
    else:
        watched = _has_watcher(address, reasons)
    has_session_bus = watched is not None
    tray = _tray(has_session_bus=has_session_bus, watched=bool(watched), reasons=reasons)
    return Session("linux", has_display, has_session_bus, tray, address or "", reasons)


def _tray(*, has_session_bus: bool, watched: bool, reasons: dict[str, str]) -> TrayKind:
    if watched:
        return "status-notifier"
    if _has_xembed_tray():
        return "xembed"
    if has_session_bus:
        reasons["tray"] = msg("no panel owns {name} yet; the icon appears when one does", name=WATCHER)
        return "none-yet"
    reasons["tray"] = msg("an icon needs a session bus, or an X11 tray that is there already")
    return "no"


def _bus_address() -> str | None:
    """The address of the session bus: from the environment, else systemd's default path."""
    address = os.environ.get("DBUS_SESSION_BUS_ADDRESS")
    socket = Path(os.environ.get("XDG_RUNTIME_DIR") or "/nonexistent", "bus")
    return address or (f"unix:path={socket}" if socket.is_socket() else None)


def _has_watcher(address: str, reasons: dict[str, str]) -> bool | None:
    """Whether a panel shows icons; None, with the reason, where the bus does not respond."""
    import asyncio

    from dbus_fast import DBusError, Message
    from dbus_fast.aio import MessageBus

    async def ask() -> bool:
        async with asyncio.timeout(BUS_SECONDS):
            bus = await MessageBus(bus_address=address).connect()
            question = Message(BUS, "/org/freedesktop/DBus", BUS, "NameHasOwner", signature="s", body=[WATCHER])
            answer: Any = await bus.call(question)
            bus.disconnect()
            return bool(answer.body[0])

    try:
        return asyncio.run(ask())
    except (OSError, EOFError, DBusError) as error:  # TimeoutError is an OSError
        reasons["session bus"] = msg("the session bus does not answer: {reason}", reason=repr(error))
        return None


def _has_xembed_tray() -> bool:
    """Whether an X11 tray owns the selection that icons dock to (freedesktop's System Tray Protocol)."""
    if not os.environ.get("DISPLAY"):
        return False
    try:
        from Xlib.display import Display

        display = Display()
    except Exception:  # noqa: BLE001 - no python-xlib, no X server, no permission: Xlib has an error class for each
        return False
    try:
        atom = display.intern_atom(f"_NET_SYSTEM_TRAY_S{display.get_default_screen()}")
        return bool(display.get_selection_owner(atom))
    finally:
        display.close()
