"""The status page over HTTP: who gets in, what its buttons do, and that no secret is on it."""

from __future__ import annotations

import asyncio
import hmac
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.fakes.claude import Claude
from tests.fakes.waiting import until
from tests.integration.lamplighter_process import Provider, arrive
from tests.integration.status_page import Running, Visitor, running
from tray_app.base import translation as language
from tray_app.core.client_secret import kept_secret
from tray_app.interfaces.page.server import Page

MEMORY = 'store = "memory"   # a comment that stays'


@pytest.fixture
async def one(tmp_path: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    """Signed out of `work`."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    async with running(tmp_path / "home", MEMORY, provider.account()) as it:
        yield it


@pytest.fixture
async def visitor(one: Running) -> Visitor:
    return await one.visitor()


async def signed_in(one: Running, visitor: Visitor, provider: Provider) -> None:
    opened = len(one.browser.opened)
    assert (await visitor.post("accounts/work/login")).status == 200
    await until(lambda: len(one.browser.opened) > opened)
    await asyncio.to_thread(arrive, provider.approve(one.browser.opened[-1]))
    await until(lambda: one.applet.engine.account("work").health == "fresh")


def listens(address: str) -> bool:
    parts = urlsplit(address)
    with socket.socket() as probe:
        return probe.connect_ex((parts.hostname, parts.port)) == 0


async def test_nothing_listens_before_it_is_opened_nor_after_the_end(
    tmp_path: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = []
    monkeypatch.setattr(
        "tray_app.interfaces.page.server.bind_loopback", lambda *where: bound.append(where) or real(*where)
    )
    from tray_app.base.http.server import bind_loopback as real

    async with running(tmp_path / "home", MEMORY, provider.account()) as one:
        assert bound == []
        address = await one.address()
        assert bound == [("127.0.0.1", 0)]
        assert await asyncio.to_thread(listens, address)

    assert not await asyncio.to_thread(listens, address)


async def test_it_closes_a_while_after_the_last_tab_and_opens_again(one: Running) -> None:
    from tray_app.interfaces.page.controller import PageController

    page = Page(PageController(one.applet), idle_seconds=1)
    one.page.server = page
    visitor = await one.visitor()
    async with visitor.states() as following:
        await following()
        await asyncio.sleep(1.5)  # the one thing here that only time tells: that it does not close
        assert (await visitor.get("words")).status == 200
    address = one.browser.opened[-1]
    while await asyncio.to_thread(listens, address):  # noqa: ASYNC110 - the socket is the system's
        await asyncio.sleep(0.05)

    assert (await (await one.visitor()).get("words")).status == 200


async def test_a_key_serves_once_and_no_key_opens_nothing(one: Running) -> None:
    parts = urlsplit(await one.address())
    stranger = Visitor(parts.netloc, parts.path)
    for path in ("", "?key=guess", "events", "words"):
        assert (await stranger.get(path)).status == 403
    assert (await Visitor(parts.netloc, "/").get("")).status == 404
    assert (await stranger.get(f"?{parts.query}")).status == 303

    again = await stranger.get(f"?{parts.query}")

    assert again.status == 403
    assert "set-cookie" not in again.headers


async def test_its_pages_load_nothing_from_elsewhere_and_tell_nobody(visitor: Visitor) -> None:
    for path in ("", "page.js", "strip.js", "words.js", "page.css", "lamp.svg", "words", "offer", "log"):
        answer = await visitor.get(path)
        assert answer.status == 200, path
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert not [name for name in answer.headers if name.startswith("access-control")]
    for path in ("server.py", "../config.toml", "%2e%2e/gate.py", "accounts", "x"):
        assert (await visitor.get(path)).status == 404, path


async def test_other_pages_can_neither_read_nor_do_anything(one: Running, visitor: Visitor) -> None:
    opened = len(one.browser.opened)
    for headers in (
        {"Host": "evil.example"},
        {"Origin": ""},
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Content_Type": "text/plain"},
        {"Content_Type": "application/x-www-form-urlencoded"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Cookie": ""},
        {"Cookie": "lamplighter=guess"},
    ):
        answer = await visitor.ask("POST", "accounts/work/login", b"{}", **headers)
        assert answer.status in {403, 421}, headers

    assert len(one.browser.opened) == opened


async def test_the_buttons_do_what_they_say_and_no_secret_is_on_the_page(
    one: Running, visitor: Visitor, provider: Provider
) -> None:
    await signed_in(one, visitor, provider)
    assert (await visitor.post("accounts/work/refresh")).status == 200
    shown = await visitor.state()
    (work,) = shown["accounts"]
    kinds = [entry["kind"] for entry in shown["history"]]
    texts = [json.dumps(shown), *[(await visitor.get(path)).text for path in ("", "words", "offer", "log")]]
    texts.append((await visitor.post("doctor")).text)

    assert (work["health"], work["scopes"]) == ("fresh", ["openid"])
    assert work["last_refresh_at"] is not None
    assert kinds == ["start", "health", "health", "sign-in", "refresh"]
    for secret in ("canary-access", "canary-refresh", "canary-code"):
        assert not [text for text in texts if secret in text]
    assert (await visitor.post("accounts/work/logout")).status == 200
    assert (await visitor.state())["accounts"][0]["health"] == "signed-out"


async def test_what_cannot_be_done_is_told_in_words(visitor: Visitor) -> None:
    for path in ("accounts/nobody/login", "accounts/work/refresh"):
        answer = await visitor.post(path)
        assert answer.status == 409
        assert answer.json()["message"]
    for body in (b"", b"[]", b'{"name": 3}', b"[" * 10_000):
        assert (await visitor.ask("POST", "accounts", body)).status in {409, 413}


async def test_each_change_is_pushed(one: Running, visitor: Visitor, provider: Provider) -> None:
    async with visitor.states() as following:
        assert (await following())["accounts"][0]["health"] == "signed-out"
        opened = len(one.browser.opened)
        await visitor.post("accounts/work/login")
        assert (await following())["signing_in"] == ["work"]
        await until(lambda: len(one.browser.opened) > opened)
        await asyncio.to_thread(arrive, provider.approve(one.browser.opened[-1]))
        shown = await following()
        async with asyncio.timeout(20):
            while shown["accounts"][0]["health"] != "fresh" or shown["signing_in"]:
                shown = await following()


async def test_what_doctor_finds_is_told_in_the_persons_language(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANGUAGE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    language.language.cache_clear()
    try:
        checks = (await visitor.post("doctor")).json()["checks"]
    finally:
        language.language.cache_clear()

    found = {check["name"]: check["says"] for check in checks}
    assert list(found)[:8] == [
        *("Konfiguration", "Ordner", "Schlüsselbund", "Leiste", "Benachrichtigungen", "Browser", "Autostart", "Applet"),
    ]
    assert found["Konfiguration"] == "1 Konto"
    assert found["Applet"].startswith("es läuft und antwortet an ")


async def test_an_account_is_added_with_its_scopes_and_the_file_keeps_its_comments(
    one: Running, visitor: Visitor, provider: Provider
) -> None:
    provider.server.metadata["scopes_supported"] = ["openid", "offline_access"]
    answer = await visitor.post("accounts", name="home", issuer=provider.issuer, client_id="tray")
    assert answer.status == 200, answer.text
    text = one.places.config_file.read_text()

    assert [account["name"] for account in (await visitor.state())["accounts"]] == ["work", "home"]
    assert text.startswith(MEMORY)
    assert "offline_access" in text.partition("[accounts.home]")[2]
    again = await visitor.post("accounts", name="home", issuer=provider.issuer, client_id="tray")
    assert (again.status, one.places.config_file.read_text()) == (409, text)
    assert "home" in again.json()["message"]


@pytest.mark.parametrize(
    "wanted",
    [
        {"name": "x"},
        {"name": "x", "issuer": "http://login.example", "client_id": "c"},
        {"name": "x y", "issuer": "https://login.example", "client_id": "c"},
        {"name": "x", "provider": "nobody", "client_id": "c"},
        {"name": "x", "provider": "github", "client_id": "c", "tenant": "contoso.com"},
        {"name": "x", "provider": "microsoft", "client_id": "c", "tenant": "contoso.com/x"},
    ],
)
async def test_what_would_be_no_good_configuration_is_not_written(
    one: Running, visitor: Visitor, wanted: dict[str, str]
) -> None:
    before = one.places.config_file.read_text()

    assert (await visitor.post("accounts", **wanted)).status == 409
    assert one.places.config_file.read_text() == before


async def test_a_preset_s_client_secret_is_kept_and_not_written(one: Running, visitor: Visitor) -> None:
    answer = await visitor.post("accounts", provider="github", client_id="c", client_secret="canary-secret")
    assert answer.status == 200, answer.text
    kept = await one.applet.engine._dependencies.store.client_secret("github")

    assert kept is not None
    assert kept_secret(kept).secret.reveal() == "canary-secret"
    for file in one.places.config_file.parent.rglob("*"):
        assert not file.is_file() or "canary-secret" not in file.read_text()


async def test_a_microsoft_account_is_added_for_one_directory(one: Running, visitor: Visitor) -> None:
    presets = (await visitor.get("offer")).json()["presets"]
    answer = await visitor.post("accounts", provider="microsoft", client_id="c", tenant="contoso.com")
    assert answer.status == 200, answer.text

    endpoints = one.applet.engine.configuration.accounts["microsoft"].endpoints
    assert endpoints is not None
    assert endpoints.token == "https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token"
    assert {preset["name"]: preset["tenant"] for preset in presets if preset["tenant"]} == {"microsoft": "common"}


async def test_claude_code_is_offered_where_it_is_and_watched_at_a_click(
    one: Running, visitor: Visitor, tmp_path: Path
) -> None:
    assert (await visitor.get("offer")).json()["claude_code"] is False
    Claude(tmp_path).signed_in(days=20)
    offer = (await visitor.get("offer")).json()
    assert offer["claude_code"] is True
    assert {"github", "gitlab", "google", "microsoft"} <= {preset["name"] for preset in offer["presets"]}
    assert all(preset["registration"].startswith("https://") for preset in offer["presets"])

    assert (await visitor.post("accounts", provider="claude-code")).status == 200

    watched = (await visitor.state())["accounts"][1]
    assert (watched["name"], watched["health"]) == ("claude", "fresh")
    assert watched["words"].endswith("Claude Code renews its own token")
    assert (await visitor.get("offer")).json()["claude_code"] is False


async def test_a_second_start_s_notification_opens_it(one: Running) -> None:
    one.applet.present()
    await until(lambda: "Lamplighter is running" in one.notifier.titles)

    one.notifier.click_body("Lamplighter is running")

    await until(lambda: one.browser.opened)
    assert one.browser.opened[0].startswith("http://127.0.0.1:")


async def test_the_address_is_told_to_the_browser_alone(one: Running) -> None:
    key = (await one.address()).partition("key=")[2]

    for file in one.places.config_file.parent.rglob("*"):
        assert not file.is_file() or key not in file.read_text()
    assert not [shown for shown in one.notifier.seen if key in shown.body]


# -- what was added here is confirmed before its first sign-in


async def test_the_first_sign_in_of_an_account_that_was_added_here_names_its_hosts_and_waits(
    one: Running, visitor: Visitor, provider: Provider
) -> None:
    added = await visitor.post("accounts", name="new", issuer=provider.issuer, client_id="tray")
    opened = len(one.browser.opened)
    asked = await visitor.post("accounts/new/login")
    unconfirmed = len(one.browser.opened)
    one.applet.sign_in("new")
    await until(lambda: len(one.browser.opened) > unconfirmed)
    by_the_lamp = one.browser.opened[-1]
    agreed = await visitor.post("accounts/new/login", confirmed="127.0.0.1")
    await until(lambda: "code_challenge" in one.browser.opened[-1])
    again = await visitor.post("accounts/new/login")

    assert (added.status, asked.status, agreed.status, again.status) == (200, 409, 200, 200)
    found = json.loads(asked.text)
    assert (found["error"], found["hosts"]) == ("unconfirmed", ["127.0.0.1"])
    assert unconfirmed == opened
    assert "key=" in by_the_lamp, "the lamp opens the page, which names the hosts"


async def test_only_the_server_that_the_page_was_loaded_from_can_answer_its_nonce(visitor: Visitor) -> None:
    key = json.loads((await visitor.get("proof")).text)["key"]
    proof = json.loads((await visitor.get("proof?nonce-1")).text)["proof"]

    assert proof == hmac.new(key.encode(), b"nonce-1", "sha256").hexdigest()
