"""An applet with accounts that were signed in beforehand, without tray, keyring or provider: what is left is our own.

    python -m tests.bench.filled_applet HOME COUNT

prints `ready` once it answers. The accounts are `work`, `a1`, `a2`, ...; their tokens live for ten hours.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from tray_app.adapters.config import parser as config
from tray_app.adapters.store.memory_store import MemoryStore
from tray_app.base.clock import WallClock
from tray_app.base.paths import places_in
from tray_app.bootstrap import Environment
from tray_app.core.tokens import Secret, TokenSet
from tray_app.interfaces.applet import Applet

TOKEN = "bench-" + "x" * 1000
"""As long as the tokens of those who put claims into them."""
ACCOUNT = """\
[accounts.{name}]
authorization_endpoint = "http://127.0.0.1:1/authorize"
token_endpoint = "http://127.0.0.1:1/token"
client_id = "bench"
"""


@dataclass(frozen=True)
class Started:
    pid: int
    home: Path
    seconds: float
    """From the start of its process to its first answer."""

    @property
    def socket(self) -> str:
        return str(self.home / "run/agent.sock")

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "LAMPLIGHTER_HOME": str(self.home)}

    def cpu(self) -> float:
        """Seconds of a processor so far, as the scheduler counts them."""
        return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[0]) / 1e9


@contextlib.contextmanager
def started(home: Path, count: int) -> Iterator[Started]:
    """The applet in a process of its own."""
    home.mkdir(mode=0o700)
    names = ["work", *(f"a{number}" for number in range(1, count))]
    (home / "config.toml").write_text("".join(ACCOUNT.format(name=name) for name in names))
    began = time.perf_counter()
    argv = [sys.executable, "-m", "tests.bench.filled_applet", str(home)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            yield Started(process.pid, home, time.perf_counter() - began)
        finally:
            process.terminate()


class _Nothing:
    """No desktop: no browser and no notification."""

    has_actions = False

    def open(self, _: str) -> bool:
        return False

    def why_not(self) -> str:
        return "there is no browser in a bench"

    async def show(self, *_: Any) -> bool:
        return False

    async def withdraw(self, _: str) -> None:
        pass

    async def close(self) -> None:
        pass


async def _live(home: Path) -> None:
    here, clock, store = places_in(home), WallClock(), MemoryStore()
    for account in config.load(here.config_file).accounts.values():
        tokens = TokenSet(
            access_token=Secret(TOKEN),
            token_type="Bearer",
            received_at=clock.now(),
            lifetime=timedelta(hours=10),
            refresh_token=Secret("bench-refresh"),
            scopes=("openid",),
            subject=None,
            sign_in_ends_at=None,
            bound_to=account.bound_to,
        )
        await store.save(account.name, tokens)
    nothing: Any = _Nothing()
    await Applet(Environment(here, store=store), nothing, nothing).run(lambda: print("ready", flush=True))


if __name__ == "__main__":
    asyncio.run(_live(Path(sys.argv[1])))
