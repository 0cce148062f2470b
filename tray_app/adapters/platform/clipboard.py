"""Copy Token: a secret on the clipboard, never in an argument list or the environment.

On Linux it lies there for `KEPT_FOR` at most and is marked as a secret, which clipboard histories leave out. macOS and
Windows keep what `pbcopy` and `clip` were given until something else is copied: nothing there tells us that it is still
ours, and a person's own copy is not ours to take away.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tray_app.base.log import LOG
from tray_app.core.failure import plain
from tray_app.core.tokens import Secret

KEPT_FOR = 60.0
"""Seconds that a token stays on the clipboard: long enough to paste it, too short for others to find it later."""
FAILS_WITHIN = 0.5
"""Seconds to wait for a copy tool to report a failure."""
_SECRET_HINT = "x-kde-passwordManagerHint"  # noqa: S105 - the name that KeePassXC, KDE and wl-copy have settled on


def copy(text: Secret) -> bool:
    """Puts it on the clipboard. False where there is none. May take a second: call it from a worker thread."""
    return any(way(text) for way in _ways())


def _ways() -> tuple[Callable[[Secret], bool], ...]:
    if sys.platform == "win32":
        return (_clip,)
    elif sys.platform == "darwin":  # noqa: RET505 - mypy leaves out the other platforms' branches, not what follows them
        return (_pbcopy,)
    else:  # under Wayland wl-copy is first: KDE takes an X selection only from the window in the foreground
        return (_wl_copy, _x_selection)


def _clip(text: Secret) -> bool:
    clip = Path(os.environ["SYSTEMROOT"], "System32", "clip.exe")  # never one from the current folder
    return _taken_by([str(clip)], text.reveal().encode("utf-16-le"))


def _pbcopy(text: Secret) -> bool:
    return _taken_by(["/usr/bin/pbcopy"], text.reveal().encode())


def _taken_by(argv: list[str], content: bytes) -> bool:
    windowless = getattr(subprocess, "CREATE_NO_WINDOW", 0)  # Windows' alone
    try:
        subprocess.run(argv, input=content, capture_output=True, check=True, timeout=10, creationflags=windowless)
    except (OSError, subprocess.SubprocessError) as error:
        LOG.warning("%s did not copy: %s", argv[0], type(error).__name__)
        return False
    return True


def _wl_copy(text: Secret) -> bool:
    program = shutil.which("wl-copy")
    if program is None or not os.environ.get("WAYLAND_DISPLAY"):
        return False
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if not Path(runtime).is_absolute():
        LOG.warning("The clipboard cannot be used: without XDG_RUNTIME_DIR wl-copy would keep the token below /tmp.")
        return False
    # It keeps its standard input in a file of its own: in memory where it lets us choose the place.
    environment = {**os.environ, "TMPDIR": runtime}
    for hint in (["--sensitive"], []):  # the mark is new in wl-clipboard 2.3
        child = subprocess.Popen(
            [program, "--foreground", "--type", "text/plain", *hint],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        try:
            child.communicate(text.reveal().encode(), FAILS_WITHIN)
        except subprocess.TimeoutExpired:
            threading.Thread(target=_cleared_later, args=(child, program), name="clipboard", daemon=True).start()
            return True
        if child.returncode == 0:  # already replaced
            return True
    return False


def _cleared_later(child: subprocess.Popen[bytes], program: str) -> None:
    try:
        child.wait(KEPT_FOR)  # it ends as soon as something else is copied
    except subprocess.TimeoutExpired:
        # While it runs the clipboard holds our token, so nothing else is cleared. Ended by a signal, it would leave
        # its temporary file behind.
        subprocess.run([program, "--clear"], check=False)
        child.wait()


def _x_selection(text: Secret) -> bool:
    if not os.environ.get("DISPLAY"):
        return False
    try:
        selection = _XSelection(text)
    except Exception as error:  # noqa: BLE001 - no Xlib, no server, no cookie: each its own kind, some of Exception itself
        LOG.info("The clipboard of %s: %s", os.environ["DISPLAY"], plain(f"{type(error).__name__} {error}"))
        return False
    return selection.owned


class _XSelection:
    """The owner of the CLIPBOARD selection (ICCCM, 2), until another program takes it or `KEPT_FOR` has passed."""

    def __init__(self, text: Secret) -> None:
        from Xlib.display import Display

        self._text = text
        self._display = Display()
        self._display.set_error_handler(lambda *_: None)  # a requestor may have exited
        self._atom = self._display.intern_atom
        window = self._display.screen().root.create_window(0, 0, 1, 1, 0, 0)
        clipboard = self._atom("CLIPBOARD")
        window.set_selection_owner(clipboard, 0)  # CurrentTime
        self.owned: bool = self._display.get_selection_owner(clipboard) == window
        if self.owned:
            threading.Thread(target=self._serve, name="clipboard", daemon=True).start()
        else:
            self._display.close()

    def _serve(self) -> None:
        from Xlib import X
        from Xlib.error import ConnectionClosedError

        deadline = time.monotonic() + KEPT_FOR
        try:
            while (left := deadline - time.monotonic()) > 0:
                if not self._display.pending_events():
                    select.select([self._display], [], [], left)
                    continue
                event = self._display.next_event()
                if event.type == X.SelectionClear:
                    break
                if event.type == X.SelectionRequest:
                    self._answer(event)
            self._display.close()  # the window goes with the connection, and with it the selection
        except ConnectionClosedError:
            pass  # the display itself has ended

    def _answer(self, request: Any) -> None:
        from Xlib import Xatom
        from Xlib.protocol.event import SelectionNotify

        content = {self._atom(name): value for name, value in self._targets().items()}
        targets = self._atom("TARGETS")
        where = request.property or request.target  # clients from before ICCCM name none
        if request.target == targets:
            request.requestor.change_property(where, Xatom.ATOM, 32, [targets, *content])
        elif request.target in content:
            request.requestor.change_property(where, request.target, 8, content[request.target])
        else:
            where = 0  # refused
        answer = SelectionNotify(
            time=request.time,
            requestor=request.requestor,
            selection=request.selection,
            target=request.target,
            property=where,
        )
        request.requestor.send_event(answer)
        self._display.flush()

    def _targets(self) -> Mapping[str, bytes]:
        text = self._text.reveal().encode()
        return {
            "UTF8_STRING": text,
            "text/plain;charset=utf-8": text,
            "text/plain": text,
            "STRING": text,  # Latin-1 by name: of a token, which is ASCII (RFC 6749, A.12), the same bytes
            _SECRET_HINT: b"secret",
        }
