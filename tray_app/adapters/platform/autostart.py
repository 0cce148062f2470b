"""Start at Login: one entry in each platform's list of programs to start with the desktop.

`autostart()` chooses: an XDG autostart file, the registry's Run key, or a LaunchAgent. One that was switched off in the
desktop's own settings counts as off. A `LAMPLIGHTER_HOME` of this process is carried along, save on Windows: its Run
key gives a program no environment of its own, so there the variable has to be set for the user.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from tray_app.base.paths import places
from tray_app.base.socket_path import HOME_VARIABLE
from tray_app.core.errors import LamplighterError
from tray_app.core.message import msg


class Autostart(Protocol):
    """Whether the desktop starts Lamplighter at login. Raises `LamplighterError` where it cannot be read or changed."""

    def is_on(self) -> bool:
        """Whether it does."""

    def turn_on(self, command: list[str]) -> None:
        """Makes the desktop run `command` (an absolute path and its arguments) from the next login on."""

    def turn_off(self) -> None:
        """Undoes `turn_on` from the next login on. No error where it was off."""


def autostart() -> Autostart:
    """The one of this platform."""
    if sys.platform == "win32":
        return RunKey()
    elif sys.platform == "darwin":  # noqa: RET505 - mypy leaves out the other platforms' branches, not what follows them
        return LaunchAgent()
    else:
        return XdgAutostart()


def default_command() -> list[str]:
    """The command that starts this Lamplighter: its own script if there is one, else this Python with the package."""
    import sysconfig

    # Not resolved: behind the symlink of a virtual environment lies a Python without Lamplighter.
    python = Path(sys.executable).absolute()
    suffix = ".exe" if os.name == "nt" else ""
    for folder in (python.parent, Path(sysconfig.get_path("scripts"))):
        for name in ("lamplighter-tray", "lamplighter"):
            script = folder / f"{name}{suffix}"
            if script.is_file():
                return [str(script)]
    windowless = python.with_name("pythonw.exe")
    return [str(windowless if windowless.is_file() else python), "-P", "-m", "tray_app"]


class XdgAutostart:
    """A file in the desktop's autostart folder (freedesktop.org, Desktop Application Autostart Specification)."""

    _SWITCHED_OFF = frozenset({"Hidden=true", "X-GNOME-Autostart-enabled=false"})

    def is_on(self) -> bool:
        """Whether the file is there and not switched off."""
        path = self._path()
        with _told(path):
            try:
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            except FileNotFoundError:
                return False
        return self._SWITCHED_OFF.isdisjoint(line.replace(" ", "") for line in lines)

    def turn_on(self, command: list[str]) -> None:
        """Writes the file."""
        home = places().home
        if home is not None:
            command = ["env", f"{HOME_VARIABLE}={home}", *command]
        entry = (
            "[Desktop Entry]\n"
            "Type=Application\n"
            "Name=Lamplighter\n"
            "Comment=Keeps you signed in\n"
            "Comment[de]=Hält Sie angemeldet\n"
            f"Exec={' '.join(map(_exec_argument, command))}\n"
            "Icon=lamplighter\n"
            "Terminal=false\n"
            "X-GNOME-Autostart-enabled=true\n"
        )
        _write(self._path(), os.fsencode(entry))

    def turn_off(self) -> None:
        """Removes the file."""
        _remove(self._path())

    @staticmethod
    def _path() -> Path:
        from platformdirs import user_config_path

        return user_config_path() / "autostart" / "lamplighter.desktop"


def _exec_argument(text: str) -> str:
    r"""One argument of an Exec key (Desktop Entry Specification, "The Exec key").

    Quoted, with `"`, backtick, `$` and backslash escaped, and `%`, which begins a field code, doubled. The result is a
    string value, where backslash and line break are written with a backslash once more.
    """
    quoted = text.translate({ord(character): f"\\{character}" for character in '"`$\\'})
    return f'"{quoted.replace("%", "%%")}"'.replace("\\", r"\\").replace("\n", r"\n")


class LaunchAgent:
    """A property list for launchd, which reads the folder at login (`man launchd.plist`)."""

    _LABEL = "lamplighter"

    def is_on(self) -> bool:
        """Whether the property list is there."""
        with _told(self._path()):
            return self._path().exists()

    def turn_on(self, command: list[str]) -> None:
        """Writes the property list. Without KeepAlive: after Quit it stays off."""
        import plistlib

        agent: dict[str, object] = {"Label": self._LABEL, "ProgramArguments": command, "RunAtLoad": True}
        home = places().home
        if home is not None:
            agent["EnvironmentVariables"] = {HOME_VARIABLE: str(home)}
        _write(self._path(), plistlib.dumps(agent))

    def turn_off(self) -> None:
        """Removes the property list."""
        _remove(self._path())

    def _path(self) -> Path:
        return Path.home() / "Library" / "LaunchAgents" / f"{self._LABEL}.plist"


if sys.platform == "win32":
    import winreg

    class RunKey:
        """A value of the user's Run key. Windows' settings disable it with a value under another key."""

        _NAME = "Lamplighter"
        _RUN = r"Software\Microsoft\Windows\CurrentVersion\Run"
        _APPROVED = r"Software\Microsoft\Windows\CurrentVersion\Explorer\StartupApproved\Run"
        _LONGEST = 260  # characters: the longest command that the Run key supports

        def is_on(self) -> bool:
            """Whether the value is there and not switched off: an odd first byte under the other key disables it."""
            with _told(self._RUN):
                if self._value(self._RUN) is None:
                    return False
                approved = self._value(self._APPROVED)
            return not (isinstance(approved, bytes) and approved[:1] and approved[0] & 1)

        def turn_on(self, command: list[str]) -> None:
            """Writes the value."""
            line = subprocess.list2cmdline(command)
            if len(line) > self._LONGEST:
                raise LamplighterError(
                    msg("The path of Lamplighter is too long for Windows to start it at login"),
                    msg("Install it in a shorter one"),
                )
            with _told(self._RUN), winreg.CreateKey(winreg.HKEY_CURRENT_USER, self._RUN) as key:
                winreg.SetValueEx(key, self._NAME, 0, winreg.REG_SZ, line)
                self._delete(self._APPROVED)

        def turn_off(self) -> None:
            """Deletes the value."""
            with _told(self._RUN):
                self._delete(self._RUN)
                self._delete(self._APPROVED)

        def _value(self, path: str) -> object:
            try:
                with winreg.OpenKey(winreg.HKEY_CURRENT_USER, path) as key:
                    return winreg.QueryValueEx(key, self._NAME)[0]
            except FileNotFoundError:
                return None

        def _delete(self, path: str) -> None:
            try:
                with winreg.OpenKey(winreg.HKEY_CURRENT_USER, path, 0, winreg.KEY_SET_VALUE) as key:
                    winreg.DeleteValue(key, self._NAME)
            except FileNotFoundError:
                pass


def _write(path: Path, content: bytes) -> None:
    # The folder belongs to the desktop: its mode is left alone. The file must not be writable by others.
    with _told(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(path, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(content)


def _remove(path: Path) -> None:
    with _told(path):
        path.unlink(missing_ok=True)


@contextmanager
def _told(place: Path | str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LamplighterError(
            msg(
                "Start at Login: {path} cannot be read or written ({reason})",
                path=place,
                reason=error.strerror or error,
            ),
            msg("Make it accessible to you and try again"),
        ) from error
