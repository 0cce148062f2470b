"""A hostile browser and a hostile server: the attacks of attacks.md that have no other home."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integration.hostile_server import (
    BOUND,
    AuthorizationServer,
    Browser,
    HandClock,
    form,
    json_response,
)
from tray_app.adapters.oauth.authorization_code_flow import SignIn
from tray_app.adapters.oauth.loopback_listener import Listener, callback_of
from tray_app.adapters.oauth.provider import OAuthProvider
from tray_app.base.http.server import Request, Response
from tray_app.core.errors import SignInFailed
from tray_app.core.tokens import TokenSet

STATE = "S-tate_0"


@pytest.fixture
async def servers() -> AsyncIterator[tuple[AuthorizationServer, AuthorizationServer]]:
    async with AuthorizationServer() as one, AuthorizationServer() as other:
        yield one, other


async def keep(_: TokenSet) -> None:
    """Nowhere."""


def asked_of(sign_in: SignIn) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(sign_in.prompt.url).query))


async def test_the_code_of_one_provider_never_reaches_the_other(
    servers: tuple[AuthorizationServer, AuthorizationServer],
) -> None:
    honest, evil = servers
    provider = OAuthProvider(HandClock())
    ours = await SignIn.prepare(honest.account(name="honest"), provider)
    theirs = await SignIn.prepare(evil.account(name="evil"), provider)
    running = [asyncio.create_task(one.run(keep)) for one in (ours, theirs)]
    answer = urlsplit(honest.approve(ours.prompt.url))
    port = urlsplit(asked_of(theirs)["redirect_uri"]).netloc

    crossed = await Browser().get(answer._replace(netloc=port).geturl())  # the state of one at the door of the other
    await Browser().follow(answer.geturl())
    async with asyncio.timeout(BOUND):
        await running[0]
    await theirs.close()
    with pytest.raises(SignInFailed):
        await running[1]

    assert crossed.status == 400
    assert len(honest.to("/token")) == 1
    assert not evil.to("/token")


async def test_a_code_of_another_sign_in_is_of_no_use(servers: tuple[AuthorizationServer, AuthorizationServer]) -> None:
    server, _ = servers
    provider = OAuthProvider(HandClock())
    victim, attacker = [await SignIn.prepare(server.account(), provider) for _ in range(2)]
    challenge = asked_of(victim)["code_challenge"]

    async def token(request: Request) -> Response:
        digest = hashlib.sha256(form(request)["code_verifier"].encode()).digest()
        right = base64.urlsafe_b64encode(digest).decode().rstrip("=") == challenge
        return json_response(400, error="invalid_grant") if not right else json_response(access_token="A1")

    server.token = token
    running = asyncio.create_task(attacker.run(keep))
    await Browser().follow(server.approve(attacker.prompt.url, code="code-of-the-victim"))

    with pytest.raises(SignInFailed, match="invalid_grant"):
        await running
    await victim.close()


async def test_the_url_for_the_browser_holds_no_secret(
    servers: tuple[AuthorizationServer, AuthorizationServer],
) -> None:
    server, _ = servers
    sign_in = await SignIn.prepare(server.account(), OAuthProvider(HandClock()))

    assert sign_in._verifier.reveal() not in sign_in.prompt.url
    assert not {"client_secret", "code_verifier"} & asked_of(sign_in).keys()
    await sign_in.close()


async def finished(query: dict[str, str]) -> tuple[Listener, str]:
    listener = await Listener.open("http://127.0.0.1/callback", STATE)
    return listener, f"{listener.redirect_uri}?{urlencode({'state': STATE, 'code': 'C1', **query})}"


@pytest.mark.parametrize("name", ["redirect_uri", "next", "return_to", "Location", "url"])
async def test_the_listener_redirects_to_its_own_page_alone(name: str) -> None:
    listener, url = await finished({name: "https://evil.example/"})
    browser = asyncio.create_task(Browser().follow(url))
    await listener.callback()
    await listener.close(b"page")
    redirect, page = await browser

    assert (redirect.status, redirect.headers["location"]) == (303, "/callback/done")
    assert "evil" not in str(redirect) + str(page)


async def test_every_page_of_ours_tells_nobody_and_cannot_be_framed() -> None:
    listener, url = await finished({})
    browser = asyncio.create_task(Browser().follow(url))
    await listener.callback()
    await listener.close(b"page")

    for reply in await browser:
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script-src" not in policy
        assert reply.headers["referrer-policy"] == "no-referrer"
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["x-content-type-options"] == "nosniff"


async def test_a_page_of_the_web_learns_nothing_from_the_listener() -> None:
    listener, _ = await finished({})
    page = Browser({"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"})
    for method in ("OPTIONS", "GET", "POST"):
        reply = await page.get(f"{listener.redirect_uri}?state=wrong&code=C1", method=method)
        assert reply.status in {400, 405}
        assert not [name for name in reply.headers if name.startswith("access-control")]
    await listener.close(b"")


@given(st.lists(st.binary(max_size=300), max_size=4))
@settings(max_examples=25, deadline=None)
def test_no_bytes_end_the_wait_or_are_taken_for_the_answer(pieces: list[bytes]) -> None:
    async def attempt() -> None:
        listener, url = await finished({})
        parts = urlsplit(url)
        for piece in (
            *pieces,
            b"GET " + b"".join(pieces) + b" HTTP/1.1\r\nHost: " + parts.netloc.encode() + b"\r\n\r\n",
        ):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            writer.write(piece)
            if writer.can_write_eof():
                writer.write_eof()
            async with asyncio.timeout(BOUND):
                received = await reader.read()
            writer.close()
            assert not received.startswith((b"HTTP/1.1 2", b"HTTP/1.1 3"))
        browser = asyncio.create_task(Browser().follow(url))
        async with asyncio.timeout(BOUND):
            found = await listener.callback()
        await listener.close(b"page")
        await browser
        assert found.code is not None

    asyncio.run(attempt())


@given(st.text(alphabet=st.sampled_from("codestate=&%10;#+S-_"), max_size=60))
def test_no_query_without_our_state_is_an_answer(query: str) -> None:
    assert callback_of(query, STATE) is None
