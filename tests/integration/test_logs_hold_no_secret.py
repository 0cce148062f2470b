"""Whatever happens, no secret reaches a log, a note on disk, a message, a page, a notification, a traceback or an
argument of a process.
"""

from __future__ import annotations

import asyncio
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.notification_daemon import NotificationDaemon
from tests.integration.hostile_server import form, json_response
from tests.integration.lamplighter_process import Finished, Lamplighter, Provider, eventually, page_of
from tray_app.base.http.server import Response


class Watch:
    """The secrets that went by, and the places where none of them may be."""

    def __init__(self, lamplighter: Lamplighter, provider: Provider) -> None:
        self._lamplighter = lamplighter
        self._provider = provider
        self._said: list[str] = []
        self._states: set[str] = set()

    def run(self, *words: str) -> Finished:
        finished = self._lamplighter.run(*words)
        self._said += [finished.err, "" if words[0] == "token" else finished.out]
        return finished

    def login(self, **answer: str | None) -> Finished:
        login = self._lamplighter.start("login", "work", "--no-browser")
        url = login.line()
        self._states.add(urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)["state"][0])
        self.look_at_processes()
        self._said.append(page_of(self._provider.approve(url, **answer)))
        finished = login.wait()
        self._said += [finished.err, finished.out.replace(url, "")]
        return finished

    def secrets(self) -> set[str]:
        verifiers = {form(request).get("code_verifier", "") for request in self._provider.server.to("/token")}
        return (self._states | verifiers | {f"{self._provider.name}-"}) - {""}

    def places(self) -> Iterator[tuple[str, str]]:
        yield "what was said", "".join(self._said)
        for file in self._lamplighter.home.rglob("*"):
            if file.is_file() and file.name != "config.toml":
                yield str(file), file.read_text()

    def look_at_processes(self) -> None:
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = process.read_text(errors="replace")
            except OSError:
                continue  # it has just ended
            if "lamplighter" in line:
                assert not [secret for secret in self.secrets() if secret in line], line

    def assert_kept(self) -> None:
        secrets = self.secrets()
        assert len(secrets) > 2
        for name, text in self.places():
            assert not [secret for secret in secrets if secret in text], (name, text)


def live(watch: Watch, provider: Provider) -> None:
    """All that can happen to a sign-in, with a provider that repeats in its answers what it was sent."""

    async def echo(request: object) -> Response:
        sent = form(request)  # type: ignore[arg-type]  # a request
        said = " ".join(sent.values())
        return json_response(400, error="invalid_grant" if "end" in provider.more else "oops", error_description=said)

    assert watch.login().code == 0
    assert watch.run("token", "work").code == 0
    assert watch.run("token", "work", "--json").code == 0
    assert watch.run("refresh", "work").code == 0
    assert watch.run("status", "--json").code == 0
    provider.server.token = echo
    assert watch.run("refresh", "work").code == 4
    assert watch.run("status").code == 0
    assert watch.login().code != 0
    assert watch.login(code=None, error="access_denied", error_description="no thanks", iss=None).code == 3
    assert watch.login(iss="https://evil.example").code == 3
    provider.answer(Response(500, b"canary-page", "text/html"))
    assert watch.run("refresh", "work").code == 4
    provider.more = {"end": True}
    provider.server.token = echo
    assert watch.run("refresh", "work").code == 3
    assert watch.run("status").code == 0
    provider.more = {}
    provider.behave()
    assert watch.login().code == 0
    assert watch.run("logout", "work").code == 0
    watch.look_at_processes()


@pytest.fixture
def watch(lamplighter: Lamplighter, provider: Provider) -> Watch:
    lamplighter.configure(provider.account())
    return Watch(lamplighter, provider)


def test_without_an_applet_no_secret_is_told(watch: Watch, provider: Provider) -> None:
    live(watch, provider)
    watch.assert_kept()


def test_with_an_applet_no_secret_is_told(lamplighter: Lamplighter, watch: Watch, provider: Provider) -> None:
    with lamplighter.applet() as applet:
        live(watch, provider)
    watch.assert_kept()
    assert applet.err == ""
    lines = lamplighter.log.splitlines()
    assert 5 < len(lines) < 40, lamplighter.log
    of_the_desktop = ("no notifications", "is not watched")
    assert all(" work: " in line or any(words in line for words in of_the_desktop) for line in lines), lamplighter.log
    assert "lamplighter login work" in next(line for line in lines if "sign-in-needed" in line)


async def test_no_notification_tells_a_secret(
    lamplighter: Lamplighter, watch: Watch, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = await NotificationDaemon.start(lamplighter.environment["DBUS_SESSION_BUS_ADDRESS"])
    try:
        await asyncio.to_thread(_live_with_an_applet, lamplighter, watch, provider)
    finally:
        await daemon.die()

    told = [f"{shown.title} {shown.body} {shown.actions}" for shown in daemon.ever_shown]
    assert any("Sign in to work" in one for one in told)
    assert not [secret for secret in watch.secrets() if secret in " ".join(told)]


def _live_with_an_applet(lamplighter: Lamplighter, watch: Watch, provider: Provider) -> None:
    with lamplighter.applet():
        live(watch, provider)


def test_a_crash_tells_no_secret_either(lamplighter: Lamplighter, watch: Watch, provider: Provider) -> None:
    provider.life = "NaN"
    provider.more = {"scope": ["canary-scope"], "id_token": "canary-id-token", "refresh_token": {"a": "canary-object"}}
    with lamplighter.applet():
        watch.login()
        watch.run("refresh", "work")
    watch.assert_kept()


def test_tokens_are_in_the_keyring_alone(lamplighter: Lamplighter, watch: Watch, provider: Provider) -> None:
    assert watch.login().code == 0
    eventually((lamplighter.home / "state").exists)
    watch.assert_kept()
