"""The commands on Windows, each a process: through the agent's pipe, with tokens in the Credential Manager."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.lamplighter_process import Lamplighter, Provider, Running
from tests.keyring_session import eventually
from tray_app._version import __version__
from tray_app.base.paths import places_in
from tray_app.interfaces.agent.client import AgentClient

pytestmark = pytest.mark.skipif(sys.platform != "win32", reason="only on Windows")
ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "tray_app"]


class OnWindows(Lamplighter):
    """One home, and the commands in it, asked through the pipe."""

    def __init__(self, home: Path) -> None:
        super().__init__(home, {**os.environ, "LAMPLIGHTER_HOME": str(home), "PYTHONPATH": str(ROOT)})
        self.client = AgentClient(places_in(home).socket)

    def start(self, *words: str, program: list[str] | None = None, **options: object) -> Running:
        return super().start(*words, program=program or COMMAND, **options)

    @contextmanager
    def applet(self, *words: str) -> Iterator[Running]:
        """`lamplighter run --headless`, from its first answer on; ended by `lamplighter quit`."""
        running = self.start(*(words or ("run", "--headless")))
        eventually(lambda: running.process.poll() is not None or self.client.alive(), 60)
        assert running.process.poll() is None, running.wait()
        yield running
        assert self.run("quit").code == 0
        ended = running.wait()
        assert ended.code == 0, ended
        assert "Traceback" not in ended.err + self.log, ended.err + self.log


@pytest.fixture
def lamplighter(tmp_path: Path) -> Iterator[OnWindows]:
    one = OnWindows(tmp_path / "home")
    yield one
    one.close()


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


def test_a_sign_in_outlives_the_applet_and_every_command_speaks_with_the_one_that_runs(
    lamplighter: OnWindows, provider: Provider
) -> None:
    lamplighter.configure(provider.account())
    with lamplighter.applet():
        lamplighter.sign_in("work", provider)
        status = lamplighter.run("status", "--json").json()
        first = lamplighter.run("token", "work")
        lamplighter.run("refresh", "work")
        executed = lamplighter.run("exec", "work", "--", sys.executable, "-c",
                                   "import os; print(os.environ['LAMPLIGHTER_TOKEN'])")  # fmt: skip
        second = lamplighter.run("run", "--headless")
    without_applet = lamplighter.run("token", "work")
    with lamplighter.applet():
        out = lamplighter.run("logout", "work")
        refused = lamplighter.run("token", "work")
    nobody = lamplighter.run("quit")

    assert (status["version"], status["running"], status["health"]) == (__version__, True, "fresh")
    assert (first.code, first.out, first.err) == (0, "canary-access-1\n", "")
    assert executed.out == "canary-access-2\n"
    assert (second.code, "running already" in second.err) == (0, True)
    assert (without_applet.code, without_applet.out) == (0, "canary-access-2\n")
    assert (out.code, refused.code, nobody.code) == (0, 3, 7)
    assert (provider.refreshes, provider.reused) == (1, 0)


def test_the_demo_leaves_nothing_behind(lamplighter: OnWindows, tmp_path: Path) -> None:
    lamplighter.environment |= {"TMP": str(tmp_path), "TEMP": str(tmp_path)}
    told = lamplighter.run("demo", "--story", "--ttl", "5")

    assert told.code == 0, told
    assert not list(tmp_path.glob("lamplighter-demo-*"))
