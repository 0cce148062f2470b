"""The icon in an X11 tray: pystray's own, with its X connection used by one thread only."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any

from tray_app.interfaces.tray.icon import IconTray


class XembedTray(IconTray):
    """Changes are made in the thread that runs the icon, which is the main thread.

    pystray sends it a message when another thread wants a change, but over the icon's own connection. Where two threads
    use one, python-xlib may wait for ever for an answer that the other has received (tried: one start in six hung). So
    the message comes over a connection of its own.
    """

    def __init__(self, icon: Any, picture: Callable[[str], Any]) -> None:
        from Xlib import X
        from Xlib.display import Display
        from Xlib.protocol.event import ClientMessage

        self._work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._one_at_a_time = threading.Lock()
        self._connection = Display()
        self._connection.set_error_handler(lambda *_: None)  # the icon's window is gone, so there is nothing to report
        self._window = self._connection.create_resource_object("window", icon._window.id)  # noqa: SLF001 - pystray hands out neither
        atom = self._connection.intern_atom("_LAMPLIGHTER_WORK")
        self._message = ClientMessage(window=self._window, client_type=atom, data=(32, [0] * 5))
        handlers = icon._message_handlers  # noqa: SLF001
        others = handlers[X.ClientMessage]

        def message_came(event: Any) -> None:
            if event.client_type == atom:
                self._work.get()()
            else:
                others(event)

        handlers[X.ClientMessage] = message_came
        super().__init__(icon, picture)

    def _in_icons_thread(self, work: Callable[[], None]) -> None:
        from Xlib.error import ConnectionClosedError

        if threading.current_thread() is threading.main_thread():
            work()
            return
        with self._one_at_a_time, contextlib.suppress(ConnectionClosedError):  # the X server went, and the icon with it
            self._work.put(work)
            self._window.send_event(self._message)
            self._connection.flush()
