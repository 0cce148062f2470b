"""The loopback listener against everything that may knock at it."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from tests.integration.hostile_server import BOUND, Browser
from tray_app.adapters.oauth.loopback_listener import FETCH_SECONDS, Callback, Listener

STATE = "the-right-state"
PAGE = b"<!doctype html><title>It went well</title>"
BROWSER = Browser()


@contextlib.asynccontextmanager
async def listening(redirect_uri: str = "http://127.0.0.1/callback") -> AsyncIterator[Listener]:
    listener = await Listener.open(redirect_uri, STATE)
    try:
        yield listener
    finally:
        await listener.close(PAGE)


async def outcome(listener: Listener, query: str = f"code=C1&state={STATE}") -> tuple[Callback, str]:
    """What the right answer gives, and the page that the browser is shown in the end."""
    browser = asyncio.create_task(BROWSER.follow(f"{listener.redirect_uri}?{query}"))
    async with asyncio.timeout(BOUND):
        callback = await listener.callback()
    await listener.close(PAGE)
    return callback, (await browser)[1].text


def refuses(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as one:
        return one.connect_ex((host, port)) != 0


async def test_the_right_answer_is_heard_and_its_page_is_shown_at_a_clean_address() -> None:
    async with listening() as listener:
        url = f"{listener.redirect_uri}?code=C%2F1&state={STATE}&iss=https%3A%2F%2Fa.example&session_state=x"
        browser = asyncio.create_task(BROWSER.follow(url))
        callback = await listener.callback()
        await listener.close(PAGE)
        redirect, page = await browser

    assert callback.code is not None
    assert callback.code.reveal() == "C/1"
    assert (callback.error, callback.iss) == (None, "https://a.example")
    assert (redirect.status, redirect.headers["location"]) == (303, "/callback/done")
    assert redirect.text == page.text == PAGE.decode()
    for reply in (redirect, page):
        assert reply.headers["content-type"] == "text/html; charset=utf-8"
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["referrer-policy"] == "no-referrer"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["content-security-policy"].startswith("default-src 'none'")
        assert not any(name.startswith("access-control-") for name in reply.headers)


async def test_it_is_bound_to_loopback_alone_and_gone_afterwards() -> None:
    async with listening() as listener:
        port = urlsplit(listener.redirect_uri).port
        assert port is not None
        assert listener.redirect_uri == f"http://127.0.0.1:{port}/callback"
        assert refuses("127.0.0.2", port)
        await outcome(listener)

    assert refuses("127.0.0.1", port)


async def test_noise_does_not_end_the_wait() -> None:
    async with listening() as listener:
        origin = listener.redirect_uri.removesuffix("/callback")
        right = f"{listener.redirect_uri}?code=C1&state={STATE}"
        for path, status in {
            "/": 404,
            "/favicon.ico": 404,
            "/callback/": 404,
            f"/callback/x?code=C1&state={STATE}": 404,
            f"//callback?code=C1&state={STATE}": 404,
            "/callback/done": 404,
            "/callback": 400,
            "/callback?": 400,
            f"/callback?state={STATE}": 400,
            f"/callback?code=&state={STATE}": 400,
            f"/callback?code=C1&error=x&state={STATE}": 400,
            f"/callback?code=%C3%A4&state={STATE}": 400,
            f"/callback?code=C1%0D%0A&state={STATE}": 400,
            "/callback?" + "&".join(f"a{number}=b" for number in range(1000)): 400,
        }.items():
            assert (await BROWSER.get(origin + path)).status == status, path
        for method in ("HEAD", "OPTIONS", "POST", "PUT", "DELETE"):
            assert (await BROWSER.get(right, method=method)).status == 405

        callback, page = await outcome(listener)

    assert callback.code is not None
    assert page == PAGE.decode()


@pytest.mark.parametrize("query", ["code=C1", "error=access_denied", "code=C1&iss=https://evil.example"])
@pytest.mark.parametrize("state", ["", "&state=", "&state=wrong", f"&state={STATE}x", "&state=%00", "&state=%ff"])
async def test_a_wrong_state_changes_nothing_for_errors_too(query: str, state: str) -> None:
    async with listening() as listener:
        for _ in range(20):
            assert (await BROWSER.get(f"{listener.redirect_uri}?{query}{state}")).status == 400

        callback, _ = await outcome(listener)

    assert callback.code is not None


@pytest.mark.parametrize(
    "query",
    [
        f"code=C1&code=evil&state={STATE}",
        f"code=C1&state={STATE}&state={STATE}",
        f"code=C1&state=wrong&state={STATE}",
        f"error=a&error=b&state={STATE}",
        f"code=C1&iss=a&iss=b&state={STATE}",
        f"code=C1&code=&state={STATE}",
    ],
)
async def test_an_answer_that_says_a_thing_twice_is_not_heard(query: str) -> None:
    async with listening() as listener:
        assert (await BROWSER.get(f"{listener.redirect_uri}?{query}")).status == 400

        callback, _ = await outcome(listener)

    assert callback.code is not None


async def test_another_host_is_not_served() -> None:
    async with listening() as listener:
        parts = urlsplit(listener.redirect_uri)
        url = f"{listener.redirect_uri}?code=C1&state={STATE}"
        for host in (
            "evil.example",
            f"evil.example:{parts.port}",
            "127.0.0.1",
            f"localhost:{parts.port}",
            "127.0.0.1:1",
        ):
            assert (await BROWSER.get(url, host=host)).status == 421
        target = f"/callback?code=C1&state={STATE}"
        for head in (
            f"GET {target} HTTP/1.1\r\n\r\n",
            f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nHost: evil.example\r\n\r\n",
        ):
            assert (await BROWSER.send(url, head.encode())).status == 400

        callback, _ = await outcome(listener)

    assert callback.code is not None


async def test_an_error_with_the_right_state_is_the_answer() -> None:
    async with listening() as listener:
        callback, _ = await outcome(listener, f"error=access_denied&error_description=no%20thanks&state={STATE}")

    assert callback == Callback(None, "access_denied", "no thanks", None)


async def test_the_first_right_answer_wins_and_the_page_is_served_once() -> None:
    async with listening() as listener:
        url = f"{listener.redirect_uri}?code=C1&state={STATE}"
        browser = asyncio.create_task(BROWSER.get(url))
        callback = await listener.callback()
        assert (await BROWSER.get(f"{listener.redirect_uri}?code=evil&state={STATE}")).status == 409
        closing = asyncio.create_task(listener.close(PAGE))
        assert (await browser).status == 303
        done = f"{listener.redirect_uri}/done"
        assert (await BROWSER.get(done)).text == PAGE.decode()
        await closing

    assert callback.code is not None
    assert callback.code.reveal() == "C1"


async def test_the_same_right_answer_again_is_shown_the_same_page() -> None:
    async with listening() as listener:
        url = f"{listener.redirect_uri}?code=C1&state={STATE}"
        visits = [asyncio.create_task(BROWSER.get(url)) for _ in range(2)]
        await listener.callback()
        closing = asyncio.create_task(listener.close(PAGE))
        answers = await asyncio.gather(*visits)
        assert (await BROWSER.get(f"{listener.redirect_uri}/done")).text == PAGE.decode()
        await closing

    assert [answer.status for answer in answers] == [303, 303]
    assert {answer.headers["location"] for answer in answers} == {answers[0].headers["location"]}


@pytest.mark.parametrize("header", ["Sec-Purpose", "Purpose"])
async def test_a_prefetch_uses_nothing_up(header: str) -> None:
    async with listening() as listener:
        url = f"{listener.redirect_uri}?code=C1&state={STATE}"
        early = await Browser({header: "prefetch;prerender"}).get(url)
        real = asyncio.create_task(BROWSER.get(url))
        callback = await listener.callback()
        closing = asyncio.create_task(listener.close(PAGE))
        found = await real
        await closing

    assert (early.status, found.status) == (503, 303)
    assert callback.code is not None


async def test_64_kilobytes_of_cookies_in_several_pieces_are_taken() -> None:
    async with listening() as listener:
        cookies = {"Cookie": "; ".join(f"c{number}={'x' * 4000}" for number in range(16))}
        visit = asyncio.create_task(Browser(cookies).get(f"{listener.redirect_uri}?code=C1&state={STATE}"))
        callback = await listener.callback()
        closing = asyncio.create_task(listener.close(PAGE))
        assert (await visit).status == 303
        await closing

    assert callback.code is not None


async def test_an_error_without_state_is_told_and_neither_believed_nor_quoted(caplog: pytest.LogCaptureFixture) -> None:
    async with listening() as listener:
        stray = await BROWSER.get(f"{listener.redirect_uri}?error=access_denied&error_description=canary")
        other = await BROWSER.get(f"{listener.redirect_uri}?hello=1")

        assert listener.had_stray_error
    assert (stray.status, other.status) == (400, 400)
    assert "An error came back" in stray.text
    assert "An error came back" not in other.text
    assert "canary" not in stray.text + caplog.text
    assert "was ignored" in caplog.text


async def test_a_browser_on_a_busy_machine_finds_its_page_although_it_comes_late() -> None:
    async with listening() as listener:
        browser = Browser({"Sec-Fetch-Mode": "navigate"})
        redirect = asyncio.create_task(browser.get(f"{listener.redirect_uri}?code=C1&state={STATE}"))
        await listener.callback()
        closing = asyncio.create_task(listener.close(PAGE))
        assert (await redirect).status == 303
        await asyncio.sleep(1.5 * FETCH_SECONDS)  # it is a stall that has to be borne

        assert (await browser.get(f"{listener.redirect_uri}/done")).text == PAGE.decode()
        await closing


async def test_a_browser_that_does_not_follow_gets_the_page_with_the_redirect() -> None:
    async with listening() as listener:
        browser = asyncio.create_task(BROWSER.get(f"{listener.redirect_uri}?code=C1&state={STATE}"))
        await listener.callback()
        async with asyncio.timeout(BOUND):
            await listener.close(PAGE)

        assert (await browser).text == PAGE.decode()


async def test_two_hundred_silent_connections_do_not_keep_the_browser_out() -> None:
    async with listening() as listener, contextlib.AsyncExitStack() as open_connections:
        parts = urlsplit(listener.redirect_uri)
        for number in range(200):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port)
            open_connections.callback(writer.close)
            writer.write(b"GET /callback?" if number % 2 else b"")

        async with asyncio.timeout(8):  # the contract of this: sooner than the silent ones are thrown out
            callback, page = await outcome(listener)

    assert callback.code is not None
    assert page == PAGE.decode()


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"GET /callback\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET http://127.0.0.1/callback?code=C1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /callback?\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 10_000 + b"\r\n",
        b"POST /callback HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\n",
        b"POST /callback HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\n" * 100_000,
    ],
    ids=lambda raw: repr(raw[:24]),
)
async def test_what_is_no_http_costs_one_connection(raw: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with listening() as listener:
        with contextlib.suppress(ConnectionError, IndexError):  # closed without a word is as good as a 4xx
            assert 400 <= (await BROWSER.send(listener.redirect_uri, raw, end=True)).status < 500

        callback, _ = await outcome(listener)

    assert callback.code is not None
    assert not caplog.records


async def test_a_query_of_a_megabyte_is_turned_away() -> None:
    async with listening() as listener:
        url = f"{listener.redirect_uri}?state={STATE}&code={'x' * 1_000_000}"
        with contextlib.suppress(ConnectionError, IndexError):
            assert 400 <= (await BROWSER.get(url)).status < 500

        callback, _ = await outcome(listener)

    assert callback.code is not None


async def test_localhost_is_both_families_on_one_port() -> None:
    async with listening("http://localhost/callback") as listener:
        parts = urlsplit(listener.redirect_uri)
        assert parts.hostname == "localhost"
        for address in ("127.0.0.1", "[::1]"):
            url = f"http://{address}:{parts.port}/callback"
            assert (await BROWSER.get(url, host=parts.netloc)).status == 400
            assert (await BROWSER.get(url)).status == 421

        callback, _ = await outcome(listener)

    assert callback.code is not None


async def test_ipv6_is_served_by_its_literal() -> None:
    async with listening("http://[::1]/") as listener:
        assert listener.redirect_uri.startswith("http://[::1]:")

        callback, _ = await outcome(listener)

    assert callback.code is not None


async def test_a_port_in_the_uri_is_used_as_given_and_a_taken_one_is_an_error() -> None:
    async with listening() as first:
        uri = first.redirect_uri
        with pytest.raises(OSError, match="in use"):
            await Listener.open(uri, STATE)
        await first.close(PAGE)
        async with listening(uri) as second:
            assert second.redirect_uri == uri
            callback, _ = await outcome(second)

    assert callback.code is not None


@pytest.mark.parametrize(
    "redirect_uri", ["http://127.0.0.1", "http://127.0.0.1/", "http://127.0.0.1/a%20b", "http://127.0.0.1/a/"]
)
async def test_the_uri_is_kept_but_for_its_port(redirect_uri: str) -> None:
    async with listening(redirect_uri) as listener:
        port = urlsplit(listener.redirect_uri).port
        assert listener.redirect_uri == redirect_uri.replace("127.0.0.1", f"127.0.0.1:{port}")

        callback, page = await outcome(listener)

    assert callback.code is not None
    assert page == PAGE.decode()
