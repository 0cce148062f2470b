"""Speed and memory, as ratios in one run: each of our figures beside another program's on the same desktop."""

from __future__ import annotations

import statistics
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from tests.bench import peer
from tests.bench.applet import LAMPLIGHTER, running_applet
from tests.bench.idle import Idle, Watched
from tests.bench.start import docked, registered, seconds_to_icon
from tests.desktop.panel_session import PanelSession, panel_session

SETTLED = 10.0
"""Seconds after the last refresh from which on nothing happens any more."""
_XEMBED = {"PYSTRAY_BACKEND": "xorg"}  # the backend that a plain `pip install` gives


@dataclass(frozen=True)
class Starts:
    """Seconds from the start of the process to the icon in the panel: medians."""

    minimal: float
    """The least program that pystray can make."""
    ours: float
    peers: float


@dataclass(frozen=True)
class Use:
    """The applet after a sign-in, refreshes, revocations and their notifications; the peer beside it, never used."""

    lamp_to_browser: float
    """Seconds from the first click of all to the start of the browser."""
    notification_to_browser: float
    """The same for Sign In on a notification: the median."""
    refreshes: int
    ours: Idle
    peers: Idle


def starts(rounds: int) -> Starts:
    """Each program in turn, so that what else the machine does is shared; a first round warms the caches up."""
    with panel_session("xfce4-panel") as desktop:
        desktop.env |= {"LAMPLIGHTER_HOME": str(desktop.home / "lamplighter"), **_XEMBED}
        programs = (
            (docked, [sys.executable, str(Path(__file__).with_name("minimal_tray.py"))]),
            (registered, [LAMPLIGHTER]),
            (docked, peer.command(desktop)),
        )
        times = [[seconds_to_icon(desktop, watch, *argv) for watch, argv in programs] for _ in range(rounds + 1)]
    return Starts(*(statistics.median(column) for column in zip(*times[1:], strict=True)))


def use(rounds: int, seconds: float) -> Use:
    """A sign-in by the lamp, then `rounds` revocations and sign-ins by notification; then idle for so many seconds."""
    with panel_session("xfce4-panel", notifications="xfce4-notifyd", keyring=True) as desktop:
        other = _started_peer(desktop)
        with running_applet(desktop) as applet:
            by_lamp = applet.sign_in_by_lamp()
            applet.refresh()
            by_notification = [applet.sign_in_by_notification() for _ in range(rounds)]
            applet.refresh()
            _rest(SETTLED)
            watched = Watched(applet.pid), Watched(other)
            _rest(seconds)
            ours, peers = (one.so_far() for one in watched)
            return Use(by_lamp, statistics.median(by_notification), applet.refreshes, ours, peers)


def _started_peer(desktop: PanelSession) -> int:
    with_icon = desktop.env | _XEMBED
    return desktop.start(*peer.command(desktop), env=with_icon).pid


def _rest(seconds: float) -> None:
    """Idleness has no event to wait for: time itself is what is measured here."""
    threading.Event().wait(seconds)
