"""`lamplighter doctor` on whole and broken desktops: what a person can read from it alone."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.integration.lamplighter_process import Lamplighter, Provider
from tests.keyring_session import KeyringSession
from tray_app.base.http.server import Request, Response


def checks(lamplighter: Lamplighter, code: int) -> dict[str, dict[str, Any]]:
    """Each check by its name, with its account's where it has one."""
    finished = lamplighter.run("doctor", "--json")
    assert finished.code == code, finished
    found = finished.json()
    assert found["ok"] is (code == 0)
    return {"/".join(filter(None, (one["account"], one["name"]))): one for one in found["checks"]}


def verdicts(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: one["verdict"] for name, one in found.items()}


def test_with_nothing_at_all_it_names_the_keyring_to_install(keyless: Lamplighter) -> None:
    found = checks(keyless, 1)
    text = keyless.run("doctor")

    assert verdicts(found) == {
        "configuration": "ok",
        "folders": "ok",
        "keyring": "cannot",
        "tray": "skipped",
        "notifications": "skipped",
        "browser": "skipped",
        "autostart": "ok",
        "applet": "skipped",
        "clock": "skipped",
    }
    assert "gnome-keyring" in found["keyring"]["remedy"]
    assert (text.code, text.err) == (1, "")
    assert "cannot  keyring" in text.out
    assert not keyless.home.exists()  # it looks, and leaves nothing


def test_where_nothing_failed_it_ends_with_0(lamplighter: Lamplighter, provider: Provider) -> None:
    lamplighter.configure(provider.account())
    with lamplighter.applet():
        found = checks(lamplighter, 0)

    assert found["keyring"]["says"].startswith("keyring.backends.SecretService.Keyring has kept")
    assert found["applet"]["verdict"] == "ok"
    assert verdicts({name: one for name, one in found.items() if "/" in name}) == {
        "work/DNS": "ok",
        "work/proxy": "ok",
        "work/TLS": "skipped",
        "work/discovery": "ok",
    }


def test_a_locked_keyring_is_told_as_locked(lamplighter: Lamplighter, tmp_path_factory: pytest.TempPathFactory) -> None:
    session = KeyringSession(tmp_path_factory.mktemp("locked"))
    try:
        session.start()
        session.lock()
        lamplighter.environment |= session.environment
        found = checks(lamplighter, 1)
    finally:
        session.close()

    assert "locked" in found["keyring"]["says"]
    assert "nlock" in found["keyring"]["remedy"]


def test_a_keyring_that_was_chosen_by_name_is_named(keyless: Lamplighter) -> None:
    keyless.environment["PYTHON_KEYRING_BACKEND"] = "keyring.backends.null.Keyring"

    assert "keyring" in checks(keyless, 1)["keyring"]["says"]


def test_a_broken_configuration_is_told_with_its_line(keyless: Lamplighter) -> None:
    keyless.configure('store = "memory"', "[accounts.work]", 'isuer = "x"')

    found = checks(keyless, 1)["configuration"]

    assert found["says"].startswith("config.toml, line 3, accounts.work: unknown key `isuer`")
    assert found["remedy"] == "Did you mean `issuer`?"


def test_a_wrong_clock_a_name_that_is_none_and_a_proxy_are_found(keyless: Lamplighter, provider: Provider) -> None:
    answering = provider.server._server._handler

    async def long_ago(request: Request) -> Response:
        answer = await answering(request)
        return replace(answer, headers=[*answer.headers, ("Date", "Tue, 01 Jan 2019 00:00:00 GMT")])

    provider.server._server._handler = long_ago
    keyless.environment |= {"HTTPS_PROXY": "http://ada:canary-proxy@127.0.0.1:9", "NO_PROXY": "nowhere.invalid"}
    keyless.configure(
        'store = "memory"',
        provider.account(),
        provider.account("lost", issuer="https://nowhere.invalid"),
        provider.account("away", issuer="https://login.example"),
    )

    finished = keyless.run("doctor", "--json")
    found = {(one["account"], one["name"]): one for one in finished.json()["checks"]}

    assert "ahead of that of 127.0.0.1" in found[None, "clock"]["says"]
    assert found["lost", "DNS"]["verdict"] == "cannot"
    assert found["lost", "discovery"]["verdict"] == "skipped"
    assert found["away", "proxy"]["says"] == "http://127.0.0.1:9"
    assert found["away", "TLS"]["verdict"] == "cannot"
    assert "canary" not in finished.out + finished.err


@pytest.fixture
def untrusted(tmp_path: Path) -> Iterator[str]:
    """An https server on loopback whose certificate nobody vouches for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> asyncio.Server:
        return await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)

    server = asyncio.run_coroutine_threadsafe(start(), loop).result(20)
    yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_a_certificate_that_does_not_verify_is_told_as_that(keyless: Lamplighter, untrusted: str) -> None:
    keyless.configure('store = "memory"', f'[accounts.work]\nissuer = "{untrusted}"\nclient_id = "c"')

    found = checks(keyless, 1)["work/TLS"]

    assert "the certificate of 127.0.0.1 does not verify" in found["says"]
    assert "certificate" in found["remedy"]
