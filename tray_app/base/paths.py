"""Where configuration, state, log and socket lie, and how folders and files are made: for one user alone."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tray_app.base.runtime_folder import runtime_folder
from tray_app.base.socket_path import HOME_VARIABLE, SOCKET_VARIABLE, socket_in
from tray_app.core.errors import Misconfigured
from tray_app.core.message import msg

if sys.platform != "win32":
    from tray_app.base.ownership import checked, refuse_owner_or_mode

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

    def folders(self) -> Iterator[Path]:
        """Whose contents are believed: nobody else may write them."""
        if self.home is not None:
            yield self.home
        yield from (self.config_file.parent, self.state, self.log_file.parent, self.runtime)

    @property
    def instance_lock(self) -> Path:
        """Held by the running applet for as long as it lives."""
        return self.runtime / "applet.lock"


def places() -> Places:
    """The places of this process, from its environment. Creates nothing; a home of ours is closed to others.

    Raises `Misconfigured` where another user could have put something there, as ssh does (StrictModes).
    """
    here = found_places()
    for folder in here.folders():
        refuse_others(folder)
    if here.home is not None:
        _close(here.home)
    return here


def found_places() -> Places:
    """The same, not looked at: for those who tell what is wrong with them."""
    home, socket = os.environ.get(HOME_VARIABLE), os.environ.get(SOCKET_VARIABLE)
    named_socket = Path(socket).expanduser().absolute() if socket else None
    if home:
        return replace(places_in(Path(home).expanduser().absolute()), named_socket=named_socket)
    from platformdirs import PlatformDirs

    dirs = PlatformDirs("lamplighter", appauthor=False)
    runtime = runtime_folder()
    return Places(
        config_file=dirs.user_config_path / "config.toml",
        state=dirs.user_state_path / "state",
        log_file=dirs.user_log_path / "lamplighter.log",
        runtime=dirs.user_runtime_path if runtime is None else Path(runtime),
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

    Raises `Misconfigured` where it is another user's or others may write it, and where we may not make or close it.
    """
    try:
        if sys.platform == "win32":
            _made(path)
        else:
            was_there = (folder := checked(path)).is_dir()
            _made(folder)
            _closed(folder, of_root=was_there)  # a volume of Kubernetes is root's, and ours by its group
    except PermissionError as error:
        raise Misconfigured(
            msg("the folder {path} cannot be used ({reason})", path=path, reason=error.strerror or error),
            msg("Make it yours, or set LAMPLIGHTER_HOME"),
        ) from error
    return path


def _made(folder: Path) -> None:
    if not folder.is_dir():
        for one in reversed([folder, *folder.parents]):
            if not one.exists():
                one.mkdir(mode=0o700, exist_ok=True)


if sys.platform == "win32":

    def refuse_others(path: Path) -> None:
        """A profile's folders are its user's alone."""

    def _close(home: Path) -> None:
        pass

else:

    def refuse_others(path: Path) -> None:
        """Raises `Misconfigured` where another user than root could have put there what we would believe.

        Links are followed where they are this user's or root's, as dotfile managers make them. What is not there yet,
        or cannot be looked at, is not refused.
        """
        try:
            target = checked(path)
            found = target.stat(follow_symlinks=False)
        except OSError:
            return
        refuse_owner_or_mode(found, target, trusted={0, os.getuid()})

    def _close(home: Path) -> None:
        """Leaves it 0700, where a person made it otherwise; not where it is root's."""
        with suppress(OSError):
            _closed(checked(home), of_root=True)

    def _closed(folder: Path, *, of_root: bool = False) -> None:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            found, us = os.fstat(opened), os.getuid()
            refuse_owner_or_mode(found, folder, trusted={0, us} if of_root else {us})
            if found.st_uid == us and found.st_mode & 0o077:
                os.fchmod(opened, 0o700)
        finally:
            os.close(opened)


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
