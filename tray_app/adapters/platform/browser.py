"""Starts the person's browser, detached: it can neither block us nor write to our standard output."""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from tray_app.base.log import LOG
from tray_app.base.paths import person_s_umask

FAILS_WITHIN = 1.0
"""Seconds to wait for a launcher to fail because it finds no browser (xdg-open: exit code 3)."""
_SSH = ("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY")
BROWSERS = ("firefox", "firefox-esr", "chromium", "google-chrome", "brave-browser", "microsoft-edge")


class SystemBrowser:
    """What `BROWSER` names, as with the standard library's `webbrowser`, else what the desktop uses."""

    def open(self, url: str) -> bool:
        """Starts the browser with the URL. False where there is none, or where the URL is not one for a browser.

        Takes at most `FAILS_WITHIN` for each launcher that fails: call it from a worker thread.
        """
        if not _is_for_a_browser(url):
            LOG.warning("A page was not opened: its address is not plain http or https.")
            return False
        url = shell_safe(url)
        if any(launch([part.replace("%s", url) for part in argv]) for argv in _launchers()):
            return True
        if sys.platform == "win32":
            with suppress(OSError):
                os.startfile(url)  # noqa: S606 - checked above; the shell's own way to the default browser
                return True
        return False

    def name(self) -> str | None:
        """The program that `open` starts first; None where there is nothing to start."""
        named = next((argv[0] for argv in _launchers()), None)
        return named or ("the system's own" if self.usable() else None)

    def usable(self) -> bool:
        """Whether `open` has something to start, in front of the person."""
        return self.why_not() is None

    def why_not(self) -> str | None:
        """Why no browser would open in front of the person; None where one would. What `BROWSER` names is taken.

        Over SSH the person sits at another machine. Theirs is shown there where its display is forwarded, and where an
        editor that works over SSH has put a program into `BROWSER` that opens it.
        """
        if any(_named(entry) for entry in os.environ.get("BROWSER", "").split(os.pathsep)):
            return None
        display = os.environ.get("DISPLAY", "")
        if any(os.environ.get(name) for name in _SSH) and not _is_forwarded(display):
            return "this is an SSH session"
        if platform.system() == "Windows" or next(_launchers(), None) is not None:
            return None
        if platform.system() == "Linux" and not (display or os.environ.get("WAYLAND_DISPLAY")) and not _is_wsl():
            return "this container has no display" if _is_container() else "there is no display"
        return "there is no browser"


def _is_for_a_browser(url: str) -> bool:
    """Whether it is http or https with a host, without spaces, control, direction or other invisible characters."""
    if " " in url or not url.isprintable():
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return False


_OF_A_SHELL = re.compile(r"""[;|&$`()<>\\"'*?\[\]{}!~^#\s]""")


def shell_safe(url: str) -> str:
    """The same address, with what means something to a shell percent-encoded: `$BROWSER` may hand it to one.

    Only the separators of a URL stay (RFC 3986, section 2.2). Behind the `&` of a query a shell would run a word that
    has no `=`, so each has one.
    """
    parts = urlsplit(url)
    host = "".join(one if one in "[]" else _encoded(one) for one in parts.netloc)
    safe = f"{parts.scheme}://{host}{_encoded(parts.path)}"
    if parts.query:
        pairs = [pair.partition("=") for pair in parts.query.split("&")]
        several = len(pairs) > 1
        safe += "?" + "&".join(
            _encoded(name).replace("/", "%2F") + ("=" if sep or (several and name) else "") + _encoded(value)
            for name, sep, value in pairs
        )
    return f"{safe}#{_encoded(parts.fragment)}" if parts.fragment else safe


def _encoded(text: str) -> str:
    return _OF_A_SHELL.sub(lambda found: f"%{ord(found[0]):02X}", text)


def _launchers() -> Iterator[list[str]]:
    """The argument lists that may open a page, best first; `%s` stands for the URL. Installed programs only."""
    for entry in os.environ.get("BROWSER", "").split(os.pathsep):
        if (argv := _named(entry)) is not None:
            yield argv
    for name in _of_the_system():
        first, *rest = name.split()
        if (program := shutil.which(first)) is not None:
            yield [program, *rest, "%s"]


def _named(entry: str) -> list[str] | None:
    """The argument list of one entry of `BROWSER`: a program, or a command line with or without `%s`."""
    try:
        argv = [entry] if shutil.which(entry) else shlex.split(entry)
    except ValueError:  # an open quote
        return None
    if argv[-1:] == ["&"]:  # webbrowser's mark for "in the background", which is always the case here
        argv.pop()
    if not argv or (program := shutil.which(argv[0])) is None:
        return None
    argv[0] = program
    return argv if any("%s" in part for part in argv[1:]) else [*argv, "%s"]


def _of_the_system() -> tuple[str, ...]:
    system = platform.system()
    if system == "Darwin":
        return ("open",)
    if system == "Windows":
        return ()  # os.startfile
    if _is_wsl():  # the browser is on the Windows side
        return ("wslview", "explorer.exe", "xdg-open")
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return ()  # xdg-open would start a text browser, which nobody sees
    return ("xdg-open", "x-www-browser", *BROWSERS, "gio open")


def _is_wsl() -> bool:
    return "microsoft" in platform.release().lower()


def _is_container() -> bool:
    """Docker and podman leave these; systemd names `container` in the environment (systemd.io/CONTAINER_INTERFACE)."""
    marks = (Path("/.dockerenv"), Path("/run/.containerenv"))
    return bool(os.environ.get("container")) or any(mark.exists() for mark in marks)  # noqa: SIM112 - its name


def _is_forwarded(display: str) -> bool:
    """Whether the display is forwarded by sshd: "localhost:10.0" (sshd_config, X11UseLocalhost)."""
    host, _, number = display.rpartition(":")
    return bool(host) and not host.startswith("/") and number.partition(".")[0].isdigit()


def launch(argv: list[str]) -> bool:
    """Whether the program started and did not fail at once. If it keeps running it is reaped when it ends."""
    try:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            umask=person_s_umask(),  # files that the person saves there keep their usual permissions
        )
    except OSError as error:
        LOG.info("%s could not be started: %s", argv[0], error.strerror)
        return False
    try:
        code = child.wait(FAILS_WITHIN)
    except subprocess.TimeoutExpired:
        # A thread blocked in waitpid wakes once, when the browser ends; a list of children would need polling.
        threading.Thread(target=child.wait, name="browser", daemon=True).start()
        return True
    if code != 0 and not argv[0].endswith("explorer.exe"):  # which exits with 1 on success
        LOG.info("%s opened no page (exit code %d)", argv[0], code)
        return False
    return True
