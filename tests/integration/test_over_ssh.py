"""On another machine, programs get tokens from the desktop's applet: its socket is forwarded by `ssh -R`."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.lamplighter_process import COMMAND, Finished, Lamplighter, Provider
from tests.servers.ssh_server import SshServer, missing_part

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="only where there are Unix sockets")


class Remote:
    """A shell on the other machine, where nothing is configured and no applet runs."""

    def __init__(self, desktop: Lamplighter, server: SshServer, folder: Path) -> None:
        self.socket = folder / "forwarded.sock"
        self._desktop = desktop
        self._server = server
        self._home = folder / "home over there"

    def run(self, *words: str) -> Finished:
        """`lamplighter WORDS` over there, with the applet's socket forwarded."""
        there = {"LAMPLIGHTER_HOME": str(self._home), "LAMPLIGHTER_SOCKET": str(self.socket)}
        line = shlex.join(["env", *(f"{name}={value}" for name, value in there.items()), str(COMMAND), *words])
        self.socket.unlink(missing_ok=True)
        forward = ["-R", f"{self.socket}:{self._desktop.socket}"]
        done = subprocess.run(
            [*self._server.ssh, *forward, line],
            env={"PATH": os.environ["PATH"], "HOME": str(self._home.parent)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return Finished(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def remote(lamplighter: Lamplighter, provider: Provider, tmp_path: Path) -> Iterator[Remote]:
    if missing := missing_part():
        pytest.skip(f"{missing} is not installed")
    lamplighter.given(provider)
    with SshServer(tmp_path / "ssh") as server, lamplighter.applet():
        yield Remote(lamplighter, server, tmp_path)
        assert "canary-" not in server.log


def test_a_remote_program_gets_its_token_from_the_desktop(remote: Remote) -> None:
    assert remote.run("token", "work") == Finished(0, "canary-access-1\n", "")
    assert remote.run("exec", "work", "--", "printenv", "LAMPLIGHTER_TOKEN").out == "canary-access-1\n"
    kubernetes = json.loads(remote.run("credential", "kubernetes", "work").out)
    assert kubernetes["status"]["token"] == "canary-access-1"
    assert remote.run("status").out == "work: fresh, 59 min left\n"


def test_what_is_wrong_there_is_said_there(remote: Remote, provider: Provider) -> None:
    unknown = remote.run("token", "nobody")
    refreshed = remote.run("refresh", "work")

    assert (unknown.code, "The accounts are: work" in unknown.err) == (5, True)
    assert (refreshed.code, provider.refreshes) == (0, 1)


def test_without_the_desktop_s_applet_it_is_told_that_none_answers(
    lamplighter: Lamplighter, provider: Provider, tmp_path: Path
) -> None:
    if missing := missing_part():
        pytest.skip(f"{missing} is not installed")
    lamplighter.given(provider)
    with SshServer(tmp_path / "ssh") as server:
        done = Remote(lamplighter, server, tmp_path).run("token", "work")

    assert (done.code, done.out) == (7, "")
    assert "the applet does not answer" in done.err
