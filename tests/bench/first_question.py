"""Whether GNOME Keyring survives the first question of a connection, asked plainly and as we ask it.

python -m tests.bench.first_question [SECONDS]

Two programs connect, ask whether the collection is locked, and go, beside one that only comes and goes.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import secretstorage
from jeepney import DBusErrorResponse

from tests.keyring_session import KeyringSession
from tray_app.adapters.store.keyring_backend import _connected

GONE = (secretstorage.SecretStorageException, DBusErrorResponse, OSError, EOFError)
"""What a program finds when the daemon has died under it."""


def main(seconds: float) -> None:
    """Prints for each of the two what became of the daemon, and after how many connections."""
    for name, connect in (("plainly", secretstorage.dbus_init), ("our way", _connected)):
        with tempfile.TemporaryDirectory() as folder:
            session = KeyringSession(Path(folder, "session"))
            os.environ.update(session.environment)
            try:
                session.start()
                told = _strained(session, connect, seconds)
            finally:
                session.close()
        print(f"asked {name}: {told}")


def _strained(session: KeyringSession, connect: Callable[[], Any], seconds: float) -> str:
    spawn = multiprocessing.get_context("spawn")
    count = spawn.Value("q", 0)
    programs = [spawn.Process(target=_asks, args=(connect, count), daemon=True) for _ in range(2)]
    programs.append(spawn.Process(target=_comes_and_goes, daemon=True))
    for program in programs:
        program.start()
    assert session.daemon is not None
    began, end = time.monotonic(), "died"
    try:
        session.daemon.wait(seconds)
    except subprocess.TimeoutExpired:
        end = "lived on"
    lived, connections = time.monotonic() - began, count.value
    for program in programs:
        program.kill()
        program.join()
    return f"{connections:,} connections in {lived:.0f} s, and the daemon {end}"


def _asks(connect: Callable[[], Any], count: Any) -> None:
    with contextlib.suppress(*GONE):
        while True:
            with contextlib.closing(connect()) as bus:
                secretstorage.Collection(bus).is_locked()
            with count.get_lock():
                count.value += 1


def _comes_and_goes() -> None:
    with contextlib.suppress(*GONE):
        while True:
            secretstorage.dbus_init().close()


if __name__ == "__main__":
    main(float(sys.argv[1]) if sys.argv[1:] else 60.0)
