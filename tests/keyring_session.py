"""A real GNOME Keyring on a session bus of its own, with a home of its own: nothing of the person's is touched."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

if sys.platform == "linux":
    from jeepney import DBusAddress, Message, Properties, new_method_call
    from jeepney.io.blocking import open_dbus_connection

    _NAME = "org.freedesktop.secrets"
    _SERVICE = DBusAddress("/org/freedesktop/secrets", _NAME, "org.freedesktop.Secret.Service")

PASSWORD = "password-of-the-test-keyring"

# No service directories: nothing is started by D-Bus on its own, no second keyring and no prompt on a real screen.
_BUS = """<busconfig>
  <type>session</type>
  <listen>unix:dir={runtime}</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
  </policy>
</busconfig>"""


def missing_part() -> str | None:
    """The first program that is not installed, or None."""
    needed = ("dbus-daemon", "gnome-keyring-daemon", "secret-tool")
    return next((program for program in needed if shutil.which(program) is None), None)


def eventually(what: Callable[[], bool], seconds: float = 20) -> None:
    """Waits until it is so."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come about in time"
        threading.Event().wait(0.02)


def all_that_is_stored(environment: dict[str, str]) -> str:
    """What secret-tool, a program of others, finds under our service in that session's keyring, secrets included.

    It lists first and reads then, and gives up where an entry was removed in between, as each refresh does: it then
    searches again. The line `schema =` is left out: for the same entry it is there or not, one time in sixty.
    """
    said = ""

    def searched() -> bool:
        nonlocal said
        found = subprocess.run(
            ["secret-tool", "search", "--all", "--unlock", "service", "lamplighter"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
        both = (found.stdout + found.stderr).splitlines(keepends=True)  # the attributes are in the latter
        said = "".join(line for line in both if not line.startswith("schema = "))
        return "secret-tool: " not in found.stderr

    eventually(searched)
    return said


def has_unlocked(runtime: str, password: str) -> bool:
    """Whether the daemon there took the password, as a login gives it: over its control socket (gkr-pam-client.c).

    Raises OSError where none listens.
    """
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(f"{runtime}/keyring/control")
        control.sendall(b"\0" + struct.pack(">III", 12 + len(password), 1, len(password)) + password.encode())
        return control.recv(8, socket.MSG_WAITALL) == struct.pack(">II", 8, 0)


class KeyringSession:
    """A session bus, and a keyring on it that can be locked, frozen, killed and started again."""

    def __init__(self, folder: Path) -> None:
        runtime = folder / "runtime"
        runtime.mkdir(mode=0o700, parents=True)
        self.environment = {
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(runtime),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_DATA_HOME": str(folder / "data"),
            "XDG_CACHE_HOME": str(folder / "cache"),
        }
        configuration = folder / "bus.conf"
        configuration.write_text(_BUS.format(runtime=runtime))
        self._bus = subprocess.Popen(
            ["dbus-daemon", f"--config-file={configuration}", "--nofork", "--print-address"],
            env=self._whole_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._bus.stdout is not None
        self.environment["DBUS_SESSION_BUS_ADDRESS"] = self._bus.stdout.readline().strip()
        self.daemon: subprocess.Popen[bytes] | None = None

    def start(self, *, unlocked: bool = True) -> None:
        """Starts the keyring. The first time it must be unlocked, which makes the collection."""
        control = Path(self.environment["XDG_RUNTIME_DIR"], "keyring")
        shutil.rmtree(control, ignore_errors=True)
        self.daemon = subprocess.Popen(
            ["gnome-keyring-daemon", "--foreground", "--components=secrets", *(["--unlock"] if unlocked else [])],
            env=self._whole_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        assert self.daemon.stdin is not None
        with self.daemon.stdin:
            self.daemon.stdin.write(PASSWORD.encode() if unlocked else b"")
        eventually(lambda: "boolean true" in self._ask_bus("NameHasOwner", "string:org.freedesktop.secrets"))

    def start_again_if_it_died(self) -> bool:
        """A gnome-keyring that crashes costs at most its test, not all those after it."""
        if self.daemon is None or self.daemon.poll() is None:
            return False
        logging.getLogger(__name__).warning("gnome-keyring ended by itself: %d", self.daemon.returncode)
        self.start()
        return True

    def lock(self) -> None:
        """Locks the collection, as a desktop does with its screen."""
        self._ask_keyring(lambda collection: new_method_call(_SERVICE, "Lock", "ao", ([collection],)))
        eventually(lambda: self.is_locked)

    def unlock(self) -> None:
        """Unlocks it with the password, as a login does."""
        assert has_unlocked(self.environment["XDG_RUNTIME_DIR"], PASSWORD)
        eventually(lambda: not self.is_locked)

    @property
    def is_locked(self) -> bool:
        """Whether the collection is locked."""
        [(_, is_locked)] = self._ask_keyring(
            lambda collection: Properties(DBusAddress(collection, _NAME, "org.freedesktop.Secret.Collection")).get(
                "Locked"
            )
        )
        return bool(is_locked)

    def stored(self) -> str:
        """All that lies under our service, secrets included."""
        return all_that_is_stored(self._whole_environment())

    def freeze(self) -> None:
        """The keyring is there, but answers nothing any more."""
        assert self.daemon is not None
        self.daemon.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on where it was; now and then it dies of what has become of its clients, and is started again."""
        assert self.daemon is not None
        self.daemon.send_signal(signal.SIGCONT)
        self._send("org.freedesktop.secrets", "/", "org.freedesktop.DBus.Peer.Ping")  # answered after what came before
        self.start_again_if_it_died()

    def kill(self) -> None:
        """The keyring dies; the bus stays."""
        if self.daemon is not None:
            self.daemon.kill()
            self.daemon.wait()
            self.daemon = None
            eventually(lambda: "boolean false" in self._ask_bus("NameHasOwner", "string:org.freedesktop.secrets"))

    def close(self) -> None:
        """Ends both."""
        try:
            self.kill()
        finally:
            self._bus.terminate()
            self._bus.communicate()

    def _ask_keyring(self, question: Callable[[str], Message]) -> tuple[Any, ...]:
        """What it answers to a question about its collection; first it is asked one that does it no harm."""
        with open_dbus_connection(self.environment["DBUS_SESSION_BUS_ADDRESS"]) as bus:
            for alias in ("nobody", "default"):
                [path] = bus.send_and_get_reply(new_method_call(_SERVICE, "ReadAlias", "s", (alias,))).body
            answer: tuple[Any, ...] = bus.send_and_get_reply(question(path)).body
            return answer

    def _ask_bus(self, method: str, *arguments: str) -> str:
        return self._send("org.freedesktop.DBus", "/", f"org.freedesktop.DBus.{method}", *arguments)

    def _send(self, destination: str, path: str, method: str, *arguments: str) -> str:
        return subprocess.run(
            ["dbus-send", "--session", "--print-reply", f"--dest={destination}", path, method, *arguments],
            env=self._whole_environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        ).stdout

    def _whole_environment(self) -> dict[str, str]:
        return {**os.environ, **self.environment}
