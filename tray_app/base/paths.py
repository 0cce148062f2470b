"""Where configuration, state, log and socket lie, and how folders and files are made: for one user alone."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

from tray_app.base.socket_path import HOME_VARIABLE, SOCKET_VARIABLE, socket_in
from tray_app.core.errors import LamplighterError
from tray_app.core.message import msg

_person_s_umask = -1
"""A process has one umask, and the only way to read it is to set it: hence a variable of the module."""


def close_umask() -> None:
    """From now on whatever this process makes is for its user alone."""
    global _person_s_umask  # noqa: PLW0603 - see there
    _person_s_umask = os.umask(0o077)


def person_s_umask() -> int:
    """For programs that we start: the umask before `close_umask`; -1, which leaves it, where nobody called that."""
    return _person_s_umask


@dataclass(frozen=True, slots=True)
class Places:
    """The folders and files of one Lamplighter (.github/CONTRACT.md, section 2)."""

    config_file: Path
    state: Path
    log_file: Path
    runtime: Path
    home: Path | None = None
    """The folder that `LAMPLIGHTER_HOME` names; None for the user's own folders."""
    named_socket: Path | None = None
    """The socket that `LAMPLIGHTER_SOCKET` names, for example one forwarded by ssh."""

    @property
    def socket(self) -> Path:
        """Where the agent listens: a socket, on Windows a named pipe."""
        if self.named_socket is not None:
            return self.named_socket
        return Path(socket_in(str(self.runtime)))

    @property
    def instance_lock(self) -> Path:
        """Held by the running applet for as long as it lives."""
        return self.runtime / "applet.lock"


def places() -> Places:
    """The places of this process, from its environment. Creates nothing; a home of ours is closed to others."""
    home, socket = os.environ.get(HOME_VARIABLE), os.environ.get(SOCKET_VARIABLE)
    named_socket = Path(socket).expanduser().absolute() if socket else None
    if home:
        folder = Path(home).expanduser().absolute()
        _close(folder)
        return replace(places_in(folder), named_socket=named_socket)
    from platformdirs import PlatformDirs

    dirs = PlatformDirs("lamplighter", appauthor=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without XDG_RUNTIME_DIR it warns of its fall-back; `private_folder` judges it
        runtime = dirs.user_runtime_path
    return Places(
        config_file=dirs.user_config_path / "config.toml",
        state=dirs.user_state_path / "state",
        log_file=dirs.user_log_path / "lamplighter.log",
        runtime=runtime,
        named_socket=named_socket,
    )


def places_in(home: Path) -> Places:
    """Everything under one folder, as `LAMPLIGHTER_HOME` has it."""
    return Places(
        config_file=home / "config.toml",
        state=home / "state",
        log_file=home / "log" / "lamplighter.log",
        runtime=home / "run",
        home=home,
    )


def private_folder(path: Path) -> Path:
    """The folder, made 0700 with its parents where it is not there, whatever the umask.

    Raises `LamplighterError` where it is another user's, as a folder in a shared place may be.
    """
    if not path.is_dir():
        for parent in reversed([path, *path.parents]):
            if not parent.exists():
                parent.mkdir(mode=0o700, exist_ok=True)
    if sys.platform != "win32":
        found = path.stat()
        if found.st_uid != os.getuid():
            raise LamplighterError(
                msg("the folder {path} belongs to another user", path=path),
                msg("Move it away, or set LAMPLIGHTER_HOME"),
            )
        if found.st_mode & 0o077:
            path.chmod(0o700)
    return path


def _close(home: Path) -> None:
    """Leaves it 0700, where a person made it otherwise; not where it is everybody's, as /tmp is."""
    if sys.platform != "win32" and home.is_dir():
        found = home.stat()
        if found.st_uid == os.getuid() and found.st_mode & 0o077 and not found.st_mode & stat.S_ISVTX:
            home.chmod(0o700)


def write_private(path: Path, text: str) -> None:
    """Replaces the file by `text`, 0600: old or new after a crash, never torn (write, fsync, rename, fsync)."""
    private_folder(path.parent)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp makes it 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
