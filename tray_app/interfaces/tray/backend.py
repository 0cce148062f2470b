"""Which tray this session gets: ours over StatusNotifierItem, one of pystray's own, or none."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

from tray_app.adapters.platform.desktop_session import Session
from tray_app.base.log import LOG
from tray_app.core.ports import Tray, TrayView
from tray_app.interfaces.tray.icon import NAME, IconTray, MacTray, StatusNotifierTray
from tray_app.interfaces.tray.icon_set import Lamp


def make_tray(session: Session) -> Tray:
    """The tray for this session. Where no icon is possible, one that shows nothing and waits for `stop`.

    An X11 tray that comes up while we wait for a StatusNotifier panel is not taken; a restart would.
    """
    if session.tray in {"status-notifier", "none-yet"}:
        with pystray_backend("dummy"):
            from tray_app.interfaces.tray.status_notifier import Icon
        return StatusNotifierTray(Icon(NAME, session.bus_address), Lamp)
    if session.tray == "no":
        return NoTray()
    icon = _own_icon_of_pystray()
    if icon is None:
        return NoTray()
    if session.platform == "macos":
        return MacTray(icon, _image)
    if session.platform == "linux" and hasattr(icon, "_message_handlers"):  # the one that speaks X11 by itself
        from tray_app.interfaces.tray.xembed import XembedTray

        return XembedTray(icon, _image)
    return IconTray(icon, _image, has_balloons=session.platform == "windows")


@contextlib.contextmanager
def pystray_backend(name: str) -> Iterator[None]:
    """`import pystray` picks this backend. "dummy" is none: others load GTK, or raise without an X server."""
    before = os.environ.get("PYSTRAY_BACKEND")
    os.environ["PYSTRAY_BACKEND"] = name
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYSTRAY_BACKEND"]
        else:
            os.environ["PYSTRAY_BACKEND"] = before


class NoTray:
    """No icon; the process runs until `stop`."""

    renews_menu = True

    def __init__(self) -> None:
        self._stopped = threading.Event()

    def run(self, ready: Callable[[], None]) -> None:
        threading.Thread(target=ready, name="tray-ready").start()
        self._stopped.wait()

    def show(self, view: TrayView) -> None:
        """Does nothing."""

    def balloon(self, title: str, body: str) -> bool:  # noqa: ARG002 - the port's signature
        return False

    def stop(self) -> None:
        self._stopped.set()


def _own_icon_of_pystray() -> Any:
    """An icon of the backend that pystray picks, else of the plain X11 one; None, with a line in the log, for neither.

    pystray gives up where gi is installed without its typelibs, although its X11 backend would serve.
    """
    for backend in (os.environ.get("PYSTRAY_BACKEND", ""), "xorg"):
        try:
            with pystray_backend(backend):
                import pystray
            return pystray.Icon(NAME)
        except Exception as error:  # noqa: BLE001 - Xlib, gi and pystray each raise errors of their own on import
            LOG.warning("tray: pystray has no icon here: %s", error)
    return None


def _image(look: str) -> Any:
    """The look's largest picture; pystray's own backends scale it down."""
    from PIL import Image

    width, height, argb = Lamp(look).pixmaps[-1]
    return Image.frombytes("RGBA", (width, height), argb, "raw", "ARGB")
