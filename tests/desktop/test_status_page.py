"""The status page in Chromium: live, by keyboard alone, and without fault for who cannot see it (axe)."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from selenium.webdriver import Chrome, ChromeOptions, Keys
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.select import Select

from tests.desktop.chromium import FLAGS, not_yet_while_it_moves
from tests.desktop.panel_session import wait_for
from tests.fakes.waiting import until
from tests.integration.lamplighter_process import Provider, arrive
from tests.integration.status_page import Running, running
from tray_app.base.clock import WallClock
from tray_app.base.paths import places_in, write_private
from tray_app.core.history import to_line
from tray_app.core.status import rfc3339
from tray_app.interfaces.agent.client import AgentClient

ARTIFACTS = Path(__file__).parents[1] / "artifacts"
AXE = Path(__file__).parents[1] / "servers/node_modules/axe-core/axe.min.js"
REFUSED = "login.example.com no longer accepts this sign-in (invalid_grant: revoked by an administrator)"


@pytest.fixture
def chrome(tmp_path: Path) -> Iterator[Chrome]:
    if missing := [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    options = ChromeOptions()
    for flag in FLAGS:
        if not flag.startswith(("--remote-debugging", "--window")):
            options.add_argument(flag)
    options.add_argument("--headless=new")
    options.add_argument("--window-size=1000,1400")
    options.add_argument(f"--user-data-dir={tmp_path}/profile")
    driver = Chrome(options, Service(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture
async def one(tmp_path: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    """`work` is signed out, and was signed out on a day before; `home` was never signed in."""
    monkeypatch.setenv("HOME", str(tmp_path))
    home = tmp_path / "home"
    write_private(home / "state/history.jsonl", "".join(map(to_line, a_week())))
    async with running(home, 'store = "memory"', provider.account(), provider.account("home")) as it:
        yield it


def a_week() -> list[dict[str, Any]]:
    """A sign-in that was revoked two days ago."""
    now = WallClock().now()

    def at(hours: float) -> str:
        return rfc3339(now - timedelta(hours=hours)) or ""

    return [
        {"at": at(160), "account": "work", "kind": "sign-in"},
        {"at": at(160), "account": "work", "kind": "health", "health": "fresh"},
        *({"at": at(hours), "account": "work", "kind": "refresh"} for hours in range(159, 48, -1)),
        {"at": at(47.5), "account": "work", "kind": "failure", "failure": "refused", "message": REFUSED},
        {"at": at(47.5), "account": "work", "kind": "health", "health": "sign-in-needed"},
    ]


async def opened(one: Running, chrome: Chrome) -> None:
    """The page, once the accounts are on it."""
    address = await one.address()
    await asyncio.to_thread(chrome.get, address)
    await shows(lambda: len(chrome.find_elements("css selector", "article")) == 2, "both accounts")


async def shows(condition: Callable[[], object], what: str) -> None:
    await asyncio.to_thread(wait_for, not_yet_while_it_moves(condition), what)


def words(chrome: Chrome, name: str = "work") -> str:
    return chrome.find_element("css selector", f"article[data-name={name}] .words").text


def faults(chrome: Chrome) -> list[str]:
    """What axe finds against the rules of WCAG 2.2 AA and good practice."""
    chrome.execute_script(AXE.read_text(encoding="utf-8"))
    found = chrome.execute_async_script("axe.run().then(arguments[0])")
    assert len(found["passes"]) > 15
    return [f"{one['id']}: {[node['html'] for node in one['nodes']]}" for one in found["violations"]]


def picture(chrome: Chrome, name: str) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    chrome.save_screenshot(str(ARTIFACTS / f"page-{name}.png"))


async def test_why_one_was_signed_out_stands_there_with_its_day(one: Running, chrome: Chrome) -> None:
    await opened(one, chrome)
    story = chrome.find_element("css selector", "article[data-name=work] .story")
    strip = chrome.find_element("css selector", "article[data-name=work] .strip")
    marks = {
        kind: len(strip.find_elements("css selector", f".{kind}"))
        for kind in ("refresh", "failure", "sign-in", "sign-in-needed")
    }

    assert f"sign-in needed: {REFUSED}" in story.text
    assert "refreshed 111 times" in story.text
    assert marks == {"refresh": 111, "failure": 1, "sign-in": 1, "sign-in-needed": 1}
    assert "111 refreshes, 1 failures, 1 sign-ins. sign-in needed:" in (strip.get_attribute("aria-label") or "")


async def test_it_answers_why_one_was_signed_out_on_tuesday(
    tmp_path: Path, provider: Provider, chrome: Chrome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The README's picture is this test's last sight: `python -m tests.desktop.picture page`."""
    monkeypatch.setenv("HOME", str(tmp_path))
    home = tmp_path / "home"
    write_private(home / "state/history.jsonl", "".join(map(to_line, a_tuesday())))
    size = {"width": 1000, "height": 820, "deviceScaleFactor": 1, "mobile": False}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    async with running(home, 'store = "memory"', provider.account(), provider.account("mail")) as one:
        await opened(one, chrome)
        for name in ("work", "mail"):
            await signed_in(one, chrome, provider, name)
        story = chrome.find_element("css selector", "article[data-name=work] .story")
        lines = [line.text.split("\n") for line in story.find_elements("css selector", "li")]
        picture(chrome, "tuesday")

    (why,) = [line for line in lines if REFUSED in line[-1]]
    assert why[0].startswith("Tue, ")
    assert why[-1] == f"sign-in needed: {REFUSED}"


async def signed_in(one: Running, chrome: Chrome, provider: Provider, name: str) -> None:
    before = len(one.browser.opened)
    await asyncio.to_thread(chrome.find_element("css selector", f"[data-name={name}] [name=login]").click)
    await until(lambda: len(one.browser.opened) > before)
    await asyncio.to_thread(arrive, provider.approve(one.browser.opened[-1]))
    await shows(lambda: words(chrome, name).startswith("fresh, "), "the sign-in")


def a_tuesday() -> list[dict[str, Any]]:
    """A week in which `work` was revoked on Tuesday at 10:24 and signed in again at noon. At night nothing runs."""
    now = WallClock().now().astimezone()
    tuesday = now.replace(hour=10, minute=24, second=9) - timedelta(days=(now.weekday() - 1) % 7 or 7)
    signed_in = tuesday + timedelta(minutes=97)

    def entry(at: datetime, kind: str, account: str | None = "work", **more: str) -> dict[str, Any]:
        return {"at": rfc3339(at), **({"account": account} if account else {}), "kind": kind, **more}

    hours = [now - timedelta(hours=hours, minutes=21) for hours in range(7 * 24, 0, -1)]
    awake = [hour for hour in hours if 7 <= hour.hour < 23]
    entries = [
        *(entry(hours[0], "health", name, health="fresh") for name in ("work", "mail")),
        entry(tuesday, "failure", failure="refused", message=REFUSED),
        entry(tuesday, "health", health="sign-in-needed"),
        entry(signed_in, "sign-in"),
        entry(signed_in, "health", health="fresh"),
        *(entry(hour, "refresh") for hour in awake if not tuesday < hour < signed_in),
        *(entry(hour, "refresh", "mail") for hour in awake),
        *(entry(hour, "stop", None) for hour in hours if hour.hour == 23),
        *(entry(hour, "start", None) for hour in hours if hour.hour == 6),
    ]
    return sorted(entries, key=lambda one: str(one["at"]))


async def test_it_lives_without_being_loaded_again(one: Running, chrome: Chrome, provider: Provider) -> None:
    await opened(one, chrome)
    assert words(chrome) == "signed out"
    before = len(one.browser.opened)
    await asyncio.to_thread(chrome.find_element("css selector", "[data-name=work] [name=login]").click)
    await until(lambda: len(one.browser.opened) > before)
    await shows(lambda: words(chrome) == "waiting for the browser", "that a sign-in is open")
    await asyncio.to_thread(arrive, provider.approve(one.browser.opened[-1]))
    await shows(lambda: words(chrome).startswith("fresh, "), "the sign-in")
    await asyncio.to_thread(chrome.find_element("css selector", "[data-name=work] [name=refresh]").click)
    await shows(
        lambda: "Last refresh" in chrome.find_element("css selector", "[data-name=work] dl").text, "the refresh"
    )
    picture(chrome, "signed-in")
    one.applet.end()

    await shows(lambda: "Open this page again" in chrome.find_element("id", "trouble").text, "that it has ended")
    assert [entry["message"] for entry in chrome.get_log("browser") if "Content Security" in entry["message"]] == []


async def test_an_account_is_added_by_keyboard_alone(one: Running, chrome: Chrome, provider: Provider) -> None:
    await opened(one, chrome)

    def typed(*keys: str) -> None:
        chrome.switch_to.active_element.send_keys(*keys)

    def add() -> None:
        chrome.find_element("tag name", "body").send_keys(Keys.TAB)
        assert chrome.switch_to.active_element.get_attribute("id") == "add"
        typed(Keys.ENTER)
        wait_for(lambda: chrome.find_elements("css selector", "dialog[open]"), "the form")
        while chrome.switch_to.active_element.get_attribute("id") != "url":
            typed(Keys.TAB)
        typed(provider.issuer, Keys.TAB, Keys.TAB)
        while chrome.switch_to.active_element.get_attribute("id") != "url-name":
            typed(Keys.TAB)
        typed(Keys.CONTROL, "a")
        typed("third", Keys.TAB)
        typed("tray", Keys.ENTER)

    await asyncio.to_thread(add)

    await shows(lambda: chrome.find_elements("css selector", "article[data-name=third]"), "the account")
    assert not chrome.find_elements("css selector", "dialog[open]")


async def test_a_known_provider_asks_for_what_it_needs_and_no_more(one: Running, chrome: Chrome) -> None:
    await opened(one, chrome)
    await asyncio.to_thread(chrome.find_element("id", "add").click)
    await shows(lambda: chrome.find_elements("css selector", "dialog[open]"), "the form")
    fields = [chrome.find_element("id", name) for name in ("preset-secret", "tenant")]
    shown = {}
    for title in ("GitHub", "GitLab", "Google", "Microsoft"):
        Select(chrome.find_element("id", "provider")).select_by_visible_text(title)
        shown[title] = [field.is_displayed() for field in fields]
    chrome.find_element("id", "preset-client").send_keys("c")
    chrome.find_element("id", "tenant").send_keys("contoso.com", Keys.ENTER)

    await shows(lambda: chrome.find_elements("css selector", "article[data-name=microsoft]"), "the account")
    assert shown == {
        "GitHub": [True, False],
        "GitLab": [False, False],
        "Google": [True, False],
        "Microsoft": [False, True],
    }
    assert 'tenant = "contoso.com"' in one.places.config_file.read_text(encoding="utf-8")


async def test_the_demo_is_tried_with_one_click(
    one: Running, chrome: Chrome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # where the demo has its throw-away home
    await opened(one, chrome)
    await asyncio.to_thread(chrome.find_element("id", "add").click)
    await shows(lambda: chrome.find_elements("css selector", "dialog[open]"), "the form")

    await asyncio.to_thread(chrome.find_element("id", "demo").click)

    await shows(lambda: demos(tmp_path), "the demo's home")
    (home,) = demos(tmp_path)
    client = AgentClient(places_in(home).socket)
    await shows(client.alive, "the demo's applet")
    status = await asyncio.to_thread(client.ask, "GET", "/v1/status")
    assert [account["name"] for account in status["accounts"]] == ["demo"]
    assert chrome.find_element("id", "wrong").text == ""
    await asyncio.to_thread(client.ask, "POST", "/v1/quit")
    await shows(lambda: not demos(tmp_path), "the end of the demo and of its home")


def demos(folder: Path) -> list[Path]:
    return list(folder.glob("lamplighter-demo-*"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1000, 320])
async def test_axe_finds_no_fault(one: Running, chrome: Chrome, scheme: str, width: int) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    size = {"width": width, "height": 1400, "deviceScaleFactor": 1, "mobile": False}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    await opened(one, chrome)
    assert await asyncio.to_thread(faults, chrome) == []
    picture(chrome, f"{scheme}-{width}")
    assert chrome.execute_script("return document.documentElement.scrollWidth") <= width
    await asyncio.to_thread(chrome.find_element("id", "examine").click)
    await shows(lambda: chrome.find_elements("css selector", "#checks li"), "doctor's findings")
    await asyncio.to_thread(chrome.find_element("css selector", "#log summary").click)
    await shows(lambda: chrome.find_element("id", "lines").text, "the log")
    assert await asyncio.to_thread(faults, chrome) == []
    await asyncio.to_thread(chrome.execute_script, "scrollTo(0, 0); document.getElementById('add').click()")
    await shows(lambda: chrome.find_elements("css selector", "dialog[open]"), "the form")
    assert await asyncio.to_thread(faults, chrome) == []
    picture(chrome, f"add-{scheme}-{width}")
    assert json.dumps(chrome.get_log("browser")).count("SEVERE") == 0


GONE = "does not answer"


async def is_dead(chrome: Chrome) -> None:
    await shows(lambda: GONE in chrome.find_element("id", "trouble").text, "that the server is gone")


async def test_a_page_that_outlives_its_server_trusts_nobody_who_takes_the_port(one: Running, chrome: Chrome) -> None:
    await opened(one, chrome)
    heard: list[bytes] = []

    async def stranger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readline())
        writer.close()

    port = urlsplit(chrome.current_url).port
    await one.page.close()
    async with await asyncio.start_server(stranger, "127.0.0.1", port):
        await is_dead(chrome)
        cards = await asyncio.to_thread(chrome.find_elements, "css selector", "article")
        controls = await asyncio.to_thread(chrome.find_elements, "css selector", "button, input, select")
        enabled = [one for one in controls if one.is_enabled()]

    assert (cards, enabled) == ([], [])
    assert not [line for line in heard if line.startswith(b"POST")]


async def test_before_a_form_is_sent_the_server_proves_that_it_is_the_same(one: Running, chrome: Chrome) -> None:
    await opened(one, chrome)
    script = """
        const real = window.fetch;
        window.sent = [];
        window.fetch = (path, options) => {
          if (String(path).startsWith("proof?")) return Promise.resolve(new Response('{"proof": "00"}'));
          window.sent.push(path);
          return real(path, options);
        };
        document.querySelector("[data-name=work] [name=login]").click();
    """
    await asyncio.to_thread(chrome.execute_script, script)
    await is_dead(chrome)

    assert await asyncio.to_thread(chrome.execute_script, "return window.sent") == []
    assert one.browser.opened[1:] == [], "no sign-in was started"


async def test_the_first_sign_in_of_an_added_account_is_confirmed_with_both_hosts_named(
    one: Running, chrome: Chrome, provider: Provider
) -> None:
    await opened(one, chrome)
    one.applet.confirmations.wait("home", ["login.example.com", "tokens.example.net"])
    await asyncio.to_thread(chrome.find_element("css selector", "[data-name=home] [name=login]").click)
    await shows(lambda: chrome.find_element("id", "confirming").is_displayed(), "the question")
    question, before = chrome.find_element("id", "hosts").text, len(one.browser.opened)
    picture(chrome, "confirm")
    await asyncio.to_thread(chrome.find_element("id", "go").click)
    await until(lambda: len(one.browser.opened) > before)

    assert question == "You sign in at login.example.com, and your sign-in is handed to tokens.example.net."
