"""Claude Code is watched: its dates are told, its own program signs in, and its tokens are nowhere of ours."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.fakes.claude import Claude
from tests.fakes.notifier import RecordingNotifier
from tests.fakes.waiting import until
from tests.integration.lamplighter_process import Lamplighter, eventually
from tray_app.base.paths import places_in, write_private
from tray_app.bootstrap import Environment
from tray_app.interfaces.applet import Applet

ACCOUNT = '[accounts.code]\nprovider = "claude-code"\n'


@pytest.fixture
def claude(tmp_path: Path) -> Claude:
    return Claude(tmp_path)


@pytest.fixture
def watching(keyless: Lamplighter, claude: Claude) -> Iterator[Lamplighter]:
    """No keyring is needed, and the program is not on the PATH, as at a desktop's start."""
    keyless.environment["PATH"] = "/usr/bin:/bin"
    keyless.configure(ACCOUNT)
    yield keyless
    for file in keyless.home.rglob("*"):
        if file.is_file():
            assert "canary" not in file.read_text(), file


def test_its_file_is_followed_as_it_comes_changes_and_goes(watching: Lamplighter, claude: Claude) -> None:
    with watching.applet():
        assert watching.health("code") == "signed-out"
        for days, health in ((20, "fresh"), (2, "ending"), (-1, "sign-in-needed"), (30, "fresh")):
            claude.signed_in(days)
            watching.until_health(health, "code", 3)
        claude.credentials.write_text(claude.credentials_until(2)[:50])
        claude.credentials.with_name("beside").touch()
        assert watching.health("code") == "fresh"
        claude.credentials.unlink()
        watching.until_health("signed-out", "code", 3)


def test_status_tells_its_dates_with_and_without_an_applet(watching: Lamplighter, claude: Claude) -> None:
    claude.signed_in(days=17)
    alone = watching.account("code")
    words = watching.run("status").out
    with watching.applet():
        assert watching.account("code") == alone

    assert alone["health"] == "fresh"
    assert alone["sign_in_ends_at"] > alone["expires_at"] > "2026"
    assert (alone["refresh_due_at"], alone["last_refresh_at"], alone["last_error"]) == (None, None, None)
    assert words.startswith("code: signed in until ")
    assert words.endswith("; Claude Code renews its own token\n")


def test_it_hands_out_renews_and_ends_nothing(watching: Lamplighter, claude: Claude) -> None:
    claude.signed_in(days=17)

    def all_refused() -> None:
        for command in ("token", "refresh", "logout"):
            finished = watching.run(command, "code")
            assert (finished.code, finished.out) == (5, ""), finished
            assert "Claude Code" in finished.err
            assert "canary" not in finished.err

    all_refused()
    with watching.applet():
        all_refused()
        answer = watching.ask("GET", "/v1/accounts/code/token")
        assert (answer.status, answer.body["error"]) == (500, "misconfigured")
    assert claude.credentials.exists()


def test_sign_in_runs_its_own_program_and_believes_the_date_and_not_the_exit_code(
    watching: Lamplighter, claude: Claude
) -> None:
    claude.signs_in(days=28, exit_code=1)
    with watching.applet(), watching.events() as following:
        assert following()[1]["health"] == "signed-out"
        answer = watching.ask("POST", "/v1/accounts/code/login")
        assert (answer.status, answer.body) == (202, {"authorization_url": None})
        watching.until_health("fresh", "code")
        events = [following() for _ in range(3)]

    assert {facts.get("state") for kind, facts in events if kind == "sign-in"} == {"started", "done"}
    (call,) = claude.calls
    assert (call["argv"], call["leader"], call["terminal"]) == (["auth", "login"], True, False)


def test_an_exit_code_of_0_without_a_new_date_is_no_sign_in(watching: Lamplighter, claude: Claude) -> None:
    claude.signed_in(days=-1)
    with watching.applet():
        finished = watching.run("login", "code")

    assert finished.code == 3, finished
    assert "no new sign-in" in finished.err
    assert "claude auth login" in finished.err


def test_a_program_that_stays_is_never_ended_by_us(watching: Lamplighter, claude: Claude) -> None:
    claude.signs_in(days=28, stays=True)
    with watching.applet():
        watching.ask("POST", "/v1/accounts/code/login")
        watching.until_health("fresh", "code")
    assert claude.runs()
    claude.does_nothing(stays=True)
    with watching.applet():
        watching.ask("POST", "/v1/accounts/code/login")
        eventually(lambda: len(claude.calls) == 2)
        watching.ask("DELETE", "/v1/accounts/code/login")
    assert claude.runs()

    claude.end()
    eventually(lambda: not claude.runs())


def test_at_a_terminal_its_program_has_the_terminal(watching: Lamplighter, claude: Claude) -> None:
    claude.signs_in(days=28)
    ours, theirs = pty.openpty()
    try:
        finished = watching.run("login", "code", stdin=theirs)
    finally:
        os.close(theirs)
        os.close(ours)

    assert finished.code == 0, finished
    assert [call["terminal"] for call in claude.calls] == [True]


def test_directory_and_command_name_what_is_elsewhere(watching: Lamplighter, claude: Claude, tmp_path: Path) -> None:
    program = tmp_path / "my own $(claude)"
    claude.program.rename(program)
    folder = tmp_path / "elsewhere"
    claude.signs_in(days=28)
    assert "was not found" in watching.run("login", "code").err

    watching.configure(f"{ACCOUNT}command = '{program}'\ndirectory = '{folder}'\n")

    assert watching.run("login", "code").code == 0
    assert watching.health("code") == "fresh"
    assert [call["folder"] for call in claude.calls] == [str(folder)]


def test_claude_config_dir_is_obeyed(watching: Lamplighter, claude: Claude, tmp_path: Path) -> None:
    claude.signed_in(days=9)
    claude.credentials.parent.rename(tmp_path / "other")
    assert watching.health("code") == "signed-out"
    watching.environment["CLAUDE_CONFIG_DIR"] = str(tmp_path / "other")

    assert watching.health("code") == "fresh"


def test_a_file_that_cannot_be_read_is_not_an_absent_one(watching: Lamplighter, claude: Claude) -> None:
    claude.credentials.parent.mkdir()
    claude.credentials.symlink_to(claude.credentials)  # a loop: an error that root has as well

    account = watching.account("code")

    assert account["health"] == "expired"
    assert account["last_error"]["kind"] == "store"


def test_an_account_may_become_a_watched_one_and_back(watching: Lamplighter, claude: Claude) -> None:
    claude.signed_in(days=9)
    usual = 'store = "memory"\n[accounts.code]\nissuer = "https://login.example"\nclient_id = "c"\n'
    with watching.applet():
        watching.until_health("fresh", "code")
        watching.configure(usual)
        watching.until_health("signed-out", "code")
        watching.configure(ACCOUNT)
        watching.until_health("fresh", "code")


@contextlib.asynccontextmanager
async def applet_in(folder: Path, notifier: RecordingNotifier) -> AsyncIterator[Applet]:
    here = places_in(folder / "home")
    write_private(here.config_file, ACCOUNT)
    applet = Applet(Environment(here), browser=None, notifier=notifier)  # type: ignore[arg-type]  # none may open here
    running = asyncio.create_task(applet.run())
    try:
        await until(here.socket.exists)
        yield applet
    finally:
        applet.end()
        await running


async def test_a_warning_comes_once_before_the_sign_in_ends_and_goes_with_the_next_one(
    claude: Claude, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    warning, text = "The sign-in of code ends soon", claude.credentials_until(2)
    claude.signed_in(days=2)
    claude.credentials.write_text(text)
    notifier, again = RecordingNotifier(), RecordingNotifier()
    async with applet_in(tmp_path, notifier):
        await until(lambda: warning in notifier.titles)
    async with applet_in(tmp_path, again) as applet:
        await until(lambda: applet.engine.account("code").health == "ending")
    async with applet_in(tmp_path, again):
        claude.signs_in(days=28)
        claude.credentials.write_text(claude.credentials_until(1))
        await until(lambda: warning in again.titles)
        again.press(warning, "sign-in")
        await until(lambda: len(claude.calls) == 1)
        await until(lambda: again.titles == [])

    assert [shown.title for shown in again.seen] == [warning]


async def test_where_no_date_comes_a_notification_offers_a_terminal(
    claude: Claude, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = tmp_path / "terminal"
    terminal.write_text('#!/bin/sh\n[ "$1" = -e ] && shift && exec "$@"\n')
    terminal.chmod(0o755)
    for name, value in {"HOME": str(tmp_path), "DISPLAY": ":none", "TERMINAL": str(terminal)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    notifier, offer = RecordingNotifier(), "Claude Code is not signed in yet"
    async with applet_in(tmp_path, notifier) as applet:
        applet.sign_in("code")
        await until(lambda: offer in notifier.titles)
        claude.signs_in(days=28)
        notifier.press(offer, "terminal")
        await until(lambda: applet.engine.account("code").health == "fresh")

    assert [call["argv"] for call in claude.calls] == [["auth", "login"]] * 2
