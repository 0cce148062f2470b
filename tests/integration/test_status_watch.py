"""`lamplighter status --watch`: a line for every account, in a terminal and in a pipe, and an end without remains."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.hostile_server import json_response
from tests.integration.lamplighter_process import BOUND, COMMAND, Lamplighter, Provider, Running
from tests.keyring_session import KeyringSession, eventually

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="only where there are pseudo-terminals")
SHOW_CURSOR, HIDE_CURSOR = "\x1b[?25h", "\x1b[?25l"


@pytest.fixture
def applet(lamplighter: Lamplighter, provider: Provider) -> Iterator[Running]:
    lamplighter.given(provider)
    with lamplighter.applet() as applet:
        yield applet


class Terminal:
    """A terminal of 80 columns with `status --watch` on it, and all that was written there."""

    def __init__(self, lamplighter: Lamplighter) -> None:
        self._ours, theirs = os.openpty()
        environment = {**lamplighter.environment, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
        self.process = subprocess.Popen(
            [COMMAND, "status", "--watch"],
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 - see there
        )
        os.close(theirs)
        self.text = ""

    def ended(self) -> tuple[int, str]:
        """Its exit code and what it said on stderr."""
        said = self.process.communicate(timeout=BOUND)[1]
        return self.process.returncode, said

    def shows(self, words: str) -> bool:
        while select.select([self._ours], [], [], 0)[0]:
            try:
                read = os.read(self._ours, 65_536).decode()
            except OSError:  # as a terminal tells its end
                break
            if not read:
                break
            self.text += read
        return words in self.text

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        os.close(self._ours)


@pytest.fixture
def terminal(applet: Running, lamplighter: Lamplighter) -> Iterator[Terminal]:
    terminal = Terminal(lamplighter)
    with contextlib.closing(terminal):
        eventually(lambda: terminal.shows("work: fresh, 59 min left"))
        yield terminal


def test_a_terminal_shows_each_change(terminal: Terminal, lamplighter: Lamplighter, provider: Provider) -> None:
    provider.answer(json_response(400, error="invalid_grant"))
    lamplighter.ask("POST", "/v1/accounts/work/refresh")

    eventually(lambda: terminal.shows("work: sign-in needed"))
    assert "canary" not in terminal.text


def test_the_time_left_runs_down(lamplighter: Lamplighter, provider: Provider) -> None:
    lamplighter.given(provider, life=50, age=1)
    with lamplighter.applet():
        terminal = Terminal(lamplighter)
        with contextlib.closing(terminal):
            eventually(lambda: sum(terminal.shows(f"fresh, {left} s left") for left in range(50)) >= 3)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_ends_and_gives_the_cursor_back(terminal: Terminal, number: signal.Signals, code: int) -> None:
    assert terminal.shows(HIDE_CURSOR)
    terminal.process.send_signal(number)

    found, said = terminal.ended()

    assert (found, said.strip()) == (code, "")
    assert terminal.shows(SHOW_CURSOR)
    assert terminal.text.rindex(SHOW_CURSOR) > terminal.text.rindex(HIDE_CURSOR)
    assert "Traceback" not in terminal.text


def test_it_ends_with_the_applet(terminal: Terminal, applet: Running) -> None:
    applet.signal(signal.SIGTERM)
    assert applet.wait().code == 0

    assert terminal.ended() == (0, "lamplighter: the applet has ended\n")
    assert terminal.shows(SHOW_CURSOR)


def test_a_pipe_gets_a_line_at_each_change(applet: Running, lamplighter: Lamplighter, provider: Provider) -> None:
    watching = lamplighter.start("status", "--watch")
    assert watching.line() == "work: fresh, 59 min left"
    provider.answer(json_response(400, error="invalid_grant"))
    lamplighter.ask("POST", "/v1/accounts/work/refresh")
    assert watching.line() == "work: sign-in needed"
    applet.signal(signal.SIGTERM)
    assert applet.wait().code == 0

    assert watching.wait().code == 0


def test_a_program_gets_an_object_at_each_change(applet: Running, lamplighter: Lamplighter) -> None:
    watching = lamplighter.start("status", "--watch", "--json")
    first = json.loads(watching.line())

    assert first == lamplighter.run("status", "--json").json()["accounts"][0]
    lamplighter.ask("POST", "/v1/accounts/work/refresh")
    assert json.loads(watching.line())["last_refresh_at"] is not None
    watching.signal(signal.SIGINT)
    assert watching.wait().code == 130


@pytest.fixture
def quick_looks(tmp_path: Path, lamplighter: Lamplighter) -> None:
    """Looks ten times a second, without an applet."""
    (tmp_path / "sitecustomize.py").write_text("import tray_app.cli.client\ntray_app.asking.LOOK_SECONDS = 0.1\n")
    lamplighter.environment["PYTHONPATH"] = str(tmp_path)


@pytest.mark.usefixtures("quick_looks")
def test_without_an_applet_it_looks_for_itself_until_one_runs(
    lamplighter: Lamplighter, provider: Provider, keyring: KeyringSession
) -> None:
    lamplighter.given(provider)
    watching = lamplighter.start("status", "--watch")
    assert watching.line() == "work: fresh, 59 min left"
    keyring.lock()
    try:
        eventually(lambda: lamplighter.account()["last_error"])  # and a dozen looks of the other meanwhile
    finally:
        keyring.unlock()
    assert lamplighter.run("logout", "work").code == 0
    lines = [watching.line()]
    while lines[-1] != "work: signed out":
        lines.append(watching.line())
    with lamplighter.applet():
        assert watching.line() == "work: signed out"
    done = watching.wait()

    assert len(lines) <= 3  # that the keyring is locked, that it is not, and that it is over: each once
    assert done.code == 0
    assert "no applet is running, so nothing is refreshed" in done.err
    assert "the applet has ended" in done.err


@pytest.mark.usefixtures("quick_looks")
def test_a_terminal_without_an_applet_shows_each_change_and_ends_when_the_person_says(
    lamplighter: Lamplighter, provider: Provider
) -> None:
    lamplighter.given(provider)
    terminal = Terminal(lamplighter)
    with contextlib.closing(terminal):
        eventually(lambda: terminal.shows("work: fresh, 59 min left"))
        assert lamplighter.run("logout", "work").code == 0
        eventually(lambda: terminal.shows("work: signed out"))
        terminal.process.send_signal(signal.SIGINT)

        code, said = terminal.ended()

    assert code == 130
    assert "Traceback" not in terminal.text + said
