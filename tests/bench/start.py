"""How long a program takes from its start to its icon in the panel, seen from outside, by the panel's own signs."""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Callable, Iterator

from jeepney import MatchRule, message_bus
from jeepney.io.blocking import open_dbus_connection
from Xlib import X, error
from Xlib.display import Display

from tests.desktop.panel_session import PanelSession

LONGEST = 20.0
"""Seconds after which an icon does not come any more."""

Seen = Callable[[], float]
"""Waits for the icon and gives the moment at which it was there."""


def seconds_to_icon(desktop: PanelSession, watch: Callable[[PanelSession], Iterator[Seen]], *argv: str) -> float:
    """From the start of the program to its icon; then the program is ended."""
    with contextlib.contextmanager(watch)(desktop) as seen:
        began = time.perf_counter()
        child = desktop.start(*argv)
        try:
            return seen() - began
        finally:
            child.kill()  # the other two would take their time
            child.wait()


def docked(desktop: PanelSession) -> Iterator[Seen]:
    """An XEmbed icon: the panel takes a window of the class that pystray gives its icons into one of its own."""
    with contextlib.closing(Display(desktop.env["DISPLAY"])) as display:
        root = display.screen().root
        root.change_attributes(event_mask=X.SubstructureNotifyMask)
        display.sync()

        def seen() -> float:
            end = time.perf_counter() + LONGEST
            while select.select([display], [], [], max(0.0, end - time.perf_counter()))[0]:
                now = time.perf_counter()
                for _ in range(display.pending_events()):
                    event = display.next_event()
                    if event.type == X.ReparentNotify and event.parent != root and _is_icon(event.window):
                        return now
            raise TimeoutError("no icon was docked")

        yield seen


def registered(desktop: PanelSession) -> Iterator[Seen]:
    """A StatusNotifierItem: the watcher, which has answered the item by then, tells of it."""
    watcher = "org.kde.StatusNotifierWatcher"
    rule = MatchRule(type="signal", interface=watcher, member="StatusNotifierItemRegistered")
    with (
        open_dbus_connection(bus=desktop.env["DBUS_SESSION_BUS_ADDRESS"]) as bus,
        bus.filter(rule) as signals,
    ):
        bus.send_and_get_reply(message_bus.AddMatch(rule))

        def seen() -> float:
            bus.recv_until_filtered(signals, timeout=LONGEST)
            return time.perf_counter()

        yield seen


def _is_icon(window: object) -> bool:
    try:
        name = window.get_wm_class()  # type: ignore[attr-defined]  # Xlib ships no types
    except error.XError:  # it has gone
        return False
    return bool(name) and name[0].endswith("SystemTrayIcon")
