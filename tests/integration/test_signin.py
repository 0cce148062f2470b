"""A whole browser sign-in over real HTTP, and the many ways in which one ends badly."""

import asyncio
import contextlib
import logging
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.integration.hostile_server import (
    BOUND,
    AuthorizationServer,
    Browser,
    HandClock,
    Reply,
    answering,
    bytes_server,
    form,
    json_response,
    tokens,
)
from tests.servers.oidc_provider import OidcProvider, oidc_provider_missing
from tests.servers.person import redirect_after_approval
from tray_app.adapters.oauth.authorization_code_flow import SignIn
from tray_app.adapters.oauth.provider import OAuthProvider
from tray_app.base.clock import WallClock
from tray_app.base.http.server import Request, Response
from tray_app.core.account import Account, Endpoints
from tray_app.core.errors import LamplighterError, Misconfigured, SignInFailed, StoreUnavailable, Unavailable
from tray_app.core.failure import FailureKind
from tray_app.core.ports import ProviderError
from tray_app.core.tokens import Secret, TokenSet

BROWSER = Browser()


@pytest.fixture
async def server() -> AsyncIterator[AuthorizationServer]:
    async with AuthorizationServer() as one:
        yield one


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def provider(clock: HandClock) -> OAuthProvider:
    return OAuthProvider(clock)


class Keeping:
    """A store that remembers what it was given, and can refuse."""

    def __init__(self, refusal: LamplighterError | None = None) -> None:
        self.kept: list[TokenSet] = []
        self.refusal = refusal

    async def __call__(self, new: TokenSet) -> None:
        if self.refusal:
            raise self.refusal
        self.kept.append(new)


async def signed_in(sign_in: SignIn, callback: str) -> tuple[TokenSet, Reply, Reply]:
    """The tokens of a sign-in that goes well, the redirect and the page."""
    keeping = Keeping()
    browser = asyncio.create_task(BROWSER.follow(callback))
    async with asyncio.timeout(BOUND):
        found = await sign_in.run(keeping)
    assert keeping.kept == [found]
    return found, *(await browser)


async def failed(sign_in: SignIn, callback: str, keeping: Keeping | None = None) -> tuple[LamplighterError, str]:
    """How a sign-in ends and what the browser is told."""
    keeping = keeping or Keeping()
    browser = asyncio.create_task(BROWSER.follow(callback))
    with pytest.raises(LamplighterError) as caught:
        async with asyncio.timeout(BOUND):
            await sign_in.run(keeping)
    _, page = await browser
    assert not keeping.kept
    assert "signed in" not in page.text.lower()
    assert refuses(callback)
    return caught.value, page.text


def refuses(url: str) -> bool:
    parts = urlsplit(url)
    assert parts.hostname is not None
    with socket.socket(socket.AF_INET6 if ":" in parts.hostname else socket.AF_INET) as one:
        return one.connect_ex((parts.hostname, parts.port)) != 0


async def test_a_sign_in_that_goes_well(
    server: AuthorizationServer, provider: OAuthProvider, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    account = server.account(scopes=("openid", "offline_access"), authorization_parameters={"prompt": "consent"})
    sign_in = await SignIn.prepare(account, provider)
    callback = server.approve(sign_in.prompt.url, iss=server.issuer, session_state="x")

    found, redirect, page = await signed_in(sign_in, callback)

    asked = server.asked
    assert sign_in.prompt.url.startswith(f"{server.issuer}/authorize?tenant=x&")
    assert asked["response_type"] == "code"
    assert asked["client_id"] == "tray"
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/callback", asked["redirect_uri"])
    assert asked["scope"] == "openid offline_access"
    assert asked["code_challenge_method"] == "S256"
    assert (asked["tenant"], asked["prompt"]) == ("x", "consent")
    (request,) = server.to("/token")
    sent = form(request)
    assert re.fullmatch(r"[A-Za-z0-9._~-]{43,128}", sent.pop("code_verifier"))
    assert sent == {
        "grant_type": "authorization_code",
        "code": "C1",
        "redirect_uri": asked["redirect_uri"],
        "client_id": "tray",
    }
    assert request.header("authorization") is None
    assert found == TokenSet(
        access_token=Secret("A1"),
        token_type="Bearer",
        received_at=clock.now(),
        lifetime=timedelta(hours=1),
        refresh_token=Secret("R1"),
        scopes=("openid", "offline_access"),
        subject="anna",
        sign_in_ends_at=None,
        bound_to=account.bound_to,
    )
    assert redirect.status == 303
    assert "<h1>Signed in</h1>" in page.text
    assert "work is fresh." in page.text
    assert refuses(callback)
    for secret in ("C1", "A1", "R1", asked["state"], form(request)["code_verifier"]):
        assert secret not in caplog.text.replace(sign_in.prompt.url, "")


async def test_the_code_leaves_the_address_bar(server: AuthorizationServer, provider: OAuthProvider) -> None:
    sign_in = await SignIn.prepare(server.account(), provider)

    _, redirect, _ = await signed_in(sign_in, server.approve(sign_in.prompt.url))

    assert redirect.headers["location"] == "/callback/done"


async def test_every_attempt_has_its_own_secrets(server: AuthorizationServer, provider: OAuthProvider) -> None:
    asked = []
    for _ in range(20):
        sign_in = await SignIn.prepare(server.account(), provider)
        asked.append(dict(parse_qsl(urlsplit(sign_in.prompt.url).query)))
        await sign_in.close()

    for name in ("state", "nonce", "code_challenge"):
        assert len({one[name] for one in asked}) == 20
        assert all(len(one[name]) >= 43 for one in asked)  # 256 bits in base64


async def test_without_openid_there_is_no_nonce_and_no_subject(
    server: AuthorizationServer, provider: OAuthProvider
) -> None:
    sign_in = await SignIn.prepare(server.account(scopes=()), provider)

    found, _, _ = await signed_in(sign_in, server.approve(sign_in.prompt.url))

    assert not {"nonce", "scope"} & set(server.asked)
    assert found.subject is None


async def test_an_absent_id_token_leaves_the_subject_unknown(
    server: AuthorizationServer, provider: OAuthProvider
) -> None:
    server.token = answering(tokens())
    sign_in = await SignIn.prepare(server.account(), provider)

    found, _, _ = await signed_in(sign_in, server.approve(sign_in.prompt.url))

    assert found.subject is None


async def test_the_exchange_says_what_the_account_wants_said(
    server: AuthorizationServer, provider: OAuthProvider
) -> None:
    account = server.account(
        token_request="json", exchange_parameters=("state",), scopes=(), resource="https://mcp.example.com/mcp"
    )
    server.token = answering(tokens())
    sign_in = await SignIn.prepare(account, provider)

    await signed_in(sign_in, server.approve(sign_in.prompt.url))

    body = server.to("/token")[0].body.decode()
    assert body.startswith("{")
    assert f'"state": "{server.asked["state"]}"' in body
    assert '"resource": "https://mcp.example.com/mcp"' in body
    assert server.asked["resource"] == "https://mcp.example.com/mcp"


@pytest.mark.parametrize("uri", ["http://localhost/callback", "http://[::1]/cb?keep=this", "http://127.0.0.1"])
async def test_the_redirect_uri_is_the_same_everywhere(
    server: AuthorizationServer, provider: OAuthProvider, uri: str
) -> None:
    sign_in = await SignIn.prepare(server.account(redirect_uri=uri), provider)

    await signed_in(sign_in, server.approve(sign_in.prompt.url))

    sent = form(server.to("/token")[0])["redirect_uri"]
    assert sent == server.asked["redirect_uri"]
    assert re.sub(r":\d+(?=[/?]|$)", "", sent) == uri


async def test_a_life_is_counted_from_the_exchange(
    server: AuthorizationServer, provider: OAuthProvider, clock: HandClock
) -> None:
    sign_in = await SignIn.prepare(server.account(), provider)
    clock.pass_by(minutes=4)

    found, _, _ = await signed_in(sign_in, server.approve(sign_in.prompt.url))

    assert found.expires_at == clock.now() + timedelta(hours=1)


async def test_a_wrong_state_is_ignored_and_the_code_is_exchanged_once(
    server: AuthorizationServer, provider: OAuthProvider
) -> None:
    sign_in = await SignIn.prepare(server.account(), provider)
    callback = server.approve(sign_in.prompt.url)
    running = asyncio.create_task(sign_in.run(Keeping()))
    for stray in (server.approve(sign_in.prompt.url, state="x"), f"{callback}&code=C2"):
        assert (await BROWSER.get(stray)).status == 400
    assert not server.to("/token")

    arrivals = await asyncio.gather(BROWSER.get(callback), BROWSER.get(callback))
    await running

    assert [reply.status for reply in arrivals] == [303, 303]
    assert len(server.to("/token")) == 1
    assert refuses(callback)


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        ({"error": "access_denied"}, SignInFailed, "the sign-in was declined (access_denied)"),
        ({"error": "access_denied", "error_description": "No way"}, SignInFailed, "(access_denied: No way)"),
        ({"error": "login_required"}, SignInFailed, "ended the sign-in (login_required)"),
        ({"error": ""}, SignInFailed, "ended the sign-in"),
        ({"error": "invalid_scope"}, Misconfigured, "refuses the configuration (invalid_scope)"),
        ({"error": "unauthorized_client"}, Misconfigured, "unauthorized_client"),
        ({"error": "server_error"}, Unavailable, "cannot help now (server_error)"),
        ({"error": "temporarily_unavailable"}, Unavailable, "temporarily_unavailable"),
    ],
    ids=str,
)
async def test_what_the_provider_answers_instead_of_a_code_is_told(
    server: AuthorizationServer, provider: OAuthProvider, answer: dict[str, str], error: type[Exception], words: str
) -> None:
    sign_in = await SignIn.prepare(server.account(), provider)

    found, page = await failed(sign_in, server.approve(sign_in.prompt.url, code=None, **answer))

    assert type(found) is error
    assert words in str(found)
    assert words in page
    assert not server.to("/token")


@pytest.mark.parametrize("promised", [True, False])
@pytest.mark.parametrize("iss", [None, "", "https://evil.example", "{issuer}/", "{ISSUER}"])
async def test_an_answer_of_another_issuer_ends_the_sign_in(
    server: AuthorizationServer, provider: OAuthProvider, iss: str | None, promised: object
) -> None:
    server.metadata["authorization_response_iss_parameter_supported"] = promised
    sign_in = await SignIn.prepare(server.account(), provider)
    issuer = iss.format(issuer=server.issuer, ISSUER=server.issuer.upper()) if iss is not None else None
    callback = server.approve(sign_in.prompt.url, iss=issuer)

    if iss is None and not promised:
        await signed_in(sign_in, callback)
    else:
        found, page = await failed(sign_in, callback)
        assert type(found) is SignInFailed
        assert "not from the issuer that was asked" in page
        assert not server.to("/token")


async def test_an_error_of_another_issuer_is_not_believed_either(
    server: AuthorizationServer, provider: OAuthProvider
) -> None:
    sign_in = await SignIn.prepare(server.account(), provider)
    answer = {"code": None, "error": "invalid_scope", "iss": "https://evil.example"}

    found, _ = await failed(sign_in, server.approve(sign_in.prompt.url, **answer))

    assert type(found) is SignInFailed


async def test_where_no_issuer_is_known_the_origin_is_compared(
    server: AuthorizationServer, provider: OAuthProvider
) -> None:
    endpoints = Endpoints(f"{server.issuer}/authorize", f"{server.issuer}/token")
    sign_in = await SignIn.prepare(server.account(issuer=None, endpoints=endpoints), provider)

    found, _, _ = await signed_in(sign_in, server.approve(sign_in.prompt.url, iss=f"{server.issuer}/x"))

    assert found.subject == "anna"
    assert not server.to("/.well-known")


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (json_response(400, error="invalid_grant"), SignInFailed),
        (json_response(401, error="invalid_client"), Misconfigured),
        (json_response(400, error="invalid_scope"), Misconfigured),
        (json_response(429, ("Retry-After", "30")), Unavailable),
        (json_response(500), Unavailable),
        (json_response(200), Unavailable),
        (Response(200, b"<html>You are signed in</html>", "text/html"), Unavailable),
    ],
    ids=lambda value: str(getattr(value, "status", value)),
)
async def test_the_page_claims_nothing_when_the_exchange_fails(
    server: AuthorizationServer, provider: OAuthProvider, response: Response, error: type[Exception]
) -> None:
    server.token = answering(response)
    sign_in = await SignIn.prepare(server.account(), provider)

    found, page = await failed(sign_in, server.approve(sign_in.prompt.url))

    assert type(found) is error
    assert "<h1>Could not sign in to work</h1>" in page
    assert len(server.to("/token")) == 1


async def test_a_throttled_exchange_says_until_when(
    server: AuthorizationServer, provider: OAuthProvider, clock: HandClock
) -> None:
    server.token = answering(json_response(429, ("Retry-After", "30")))
    sign_in = await SignIn.prepare(server.account(), provider)

    found, _ = await failed(sign_in, server.approve(sign_in.prompt.url))

    assert isinstance(found, Unavailable)
    assert found.retry_at == clock.now() + timedelta(seconds=30)


async def test_an_exchange_whose_answer_is_lost_is_not_sent_again(
    server: AuthorizationServer, provider: OAuthProvider
) -> None:
    heard: list[bytes] = []

    async def hang_up(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(65_536))

    async with bytes_server(hang_up) as origin:
        account = server.account(endpoints=Endpoints(f"{server.issuer}/authorize", f"{origin}/token"))
        sign_in = await SignIn.prepare(account, provider)

        found, page = await failed(sign_in, server.approve(sign_in.prompt.url))

    assert type(found) is SignInFailed
    assert "good only once" in page
    assert len(heard) == 1


async def test_a_provider_that_cannot_be_reached_at_the_exchange_is_unavailable(
    server: AuthorizationServer, provider: OAuthProvider
) -> None:
    account = server.account(endpoints=Endpoints(f"{server.issuer}/authorize", "http://127.0.0.1:9/token"))
    sign_in = await SignIn.prepare(account, provider)

    found, _ = await failed(sign_in, server.approve(sign_in.prompt.url))

    assert type(found) is Unavailable


@pytest.mark.parametrize(
    "claims",
    [{"nonce": "other"}, {"nonce": None}, {"iss": "https://evil.example"}, {"aud": "other"}, {"sub": ""}, {"exp": 1}],
    ids=str,
)
async def test_a_wrong_id_token_fails_the_whole(
    server: AuthorizationServer, provider: OAuthProvider, claims: dict[str, Any]
) -> None:
    server.id_token_claims = claims
    sign_in = await SignIn.prepare(server.account(), provider)

    found, page = await failed(sign_in, server.approve(sign_in.prompt.url))

    assert type(found) is SignInFailed
    assert "id_token" in page


async def test_the_page_claims_nothing_when_the_tokens_are_not_kept(
    server: AuthorizationServer, provider: OAuthProvider
) -> None:
    refusal = StoreUnavailable("work: the keyring is locked", "Unlock it")
    sign_in = await SignIn.prepare(server.account(), provider)

    found, page = await failed(sign_in, server.approve(sign_in.prompt.url), Keeping(refusal))

    assert found is refusal
    assert "<p>the keyring is locked.</p>" in page
    assert "<p>Unlock it.</p>" in page


async def test_the_page_waits_until_the_tokens_are_kept(server: AuthorizationServer, provider: OAuthProvider) -> None:
    keeping, kept = asyncio.Event(), asyncio.Event()

    async def slowly(_: TokenSet) -> None:
        keeping.set()
        await kept.wait()

    sign_in = await SignIn.prepare(server.account(), provider)
    running = asyncio.create_task(sign_in.run(slowly))
    browser = asyncio.create_task(BROWSER.follow(server.approve(sign_in.prompt.url)))
    await keeping.wait()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.1):
            await asyncio.shield(browser)
    assert not browser.done()

    kept.set()
    await running

    assert "Signed in" in (await browser)[1].text


async def test_a_fault_of_ours_tells_the_browser_something_and_is_not_hidden(
    server: AuthorizationServer, provider: OAuthProvider
) -> None:
    async def broken(_: TokenSet) -> None:
        raise ZeroDivisionError

    sign_in = await SignIn.prepare(server.account(), provider)
    browser = asyncio.create_task(BROWSER.follow(server.approve(sign_in.prompt.url)))
    with pytest.raises(ZeroDivisionError):
        await sign_in.run(broken)

    assert "the sign-in was interrupted" in (await browser)[1].text


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "{0} %s $title ${text}",
        "you are SIGNED  IN now, all is well: signed-in",
        "\x1b]0;pwn\x07\u202e\r\nSet-Cookie: a=b",
        "x" * 9_000,
    ],
)
async def test_a_strangers_text_is_shown_as_text(
    server: AuthorizationServer, provider: OAuthProvider, hostile: str
) -> None:
    sign_in = await SignIn.prepare(server.account(), provider)
    answer = {"code": None, "error": "access_denied", "error_description": hostile}

    found, page = await failed(sign_in, server.approve(sign_in.prompt.url, **answer))

    assert "<script" not in page
    assert "<img" not in page
    assert not re.search(r"signed\W*in", page, re.IGNORECASE)
    assert len(str(found)) < 400
    assert str(found).isprintable()


async def test_a_state_that_is_echoed_is_not_repeated(server: AuthorizationServer, provider: OAuthProvider) -> None:
    sign_in = await SignIn.prepare(server.account(), provider)
    state = dict(parse_qsl(urlsplit(sign_in.prompt.url).query))["state"]
    answer = {"code": None, "error": "invalid_request", "error_description": f"bad state {state}"}

    found, page = await failed(sign_in, server.approve(sign_in.prompt.url, **answer))

    assert state not in str(found) + page


async def test_nobody_comes_back(server: AuthorizationServer, provider: OAuthProvider) -> None:
    sign_in = await SignIn.prepare(server.account(), provider, patience=timedelta(seconds=0.1))

    with pytest.raises(SignInFailed, match="nobody finished the sign-in"):
        await sign_in.run(Keeping())

    assert refuses(server.approve(sign_in.prompt.url))


async def test_a_newer_sign_in_replaces_this_one_at_the_same_port(
    server: AuthorizationServer, provider: OAuthProvider
) -> None:
    first = await SignIn.prepare(server.account(), provider)
    stale = server.approve(first.prompt.url)
    port = urlsplit(stale).port
    running = asyncio.create_task(first.run(Keeping()))
    await asyncio.sleep(0)  # it waits

    await first.close("replaced by a newer sign-in")
    second = await SignIn.prepare(server.account(redirect_uri=f"http://127.0.0.1:{port}/callback"), provider)

    with pytest.raises(SignInFailed, match="replaced by a newer sign-in"):
        await running
    waiting = asyncio.create_task(second.run(Keeping()))
    assert (await BROWSER.get(stale)).status == 400
    assert not server.to("/token")
    fresh = asyncio.create_task(BROWSER.follow(server.approve(second.prompt.url)))
    assert (await waiting).access_token == Secret("A1")
    assert "Signed in" in (await fresh)[1].text


async def test_a_sign_in_may_be_closed_before_it_runs_and_more_than_once(
    server: AuthorizationServer, provider: OAuthProvider
) -> None:
    sign_in = await SignIn.prepare(server.account(), provider)
    await sign_in.close()
    assert refuses(server.approve(sign_in.prompt.url))

    with pytest.raises(SignInFailed, match="cancelled"):
        await sign_in.run(Keeping())
    await sign_in.close()


async def test_closing_ends_an_exchange_that_hangs(server: AuthorizationServer, provider: OAuthProvider) -> None:
    exchanging = asyncio.Event()

    async def hang(_: Request) -> Response:
        exchanging.set()
        await asyncio.Event().wait()
        raise AssertionError

    server.token = hang
    sign_in = await SignIn.prepare(server.account(), provider)
    browser = asyncio.create_task(BROWSER.follow(server.approve(sign_in.prompt.url)))
    running = asyncio.create_task(sign_in.run(Keeping()))
    await exchanging.wait()

    async with asyncio.timeout(BOUND):
        await sign_in.close()

    with pytest.raises(SignInFailed):
        await running
    assert "the sign-in was cancelled" in (await browser)[1].text


async def test_tokens_that_are_being_kept_are_kept_to_the_end(
    server: AuthorizationServer, provider: OAuthProvider
) -> None:
    keeping, go_on, kept = asyncio.Event(), asyncio.Event(), list[TokenSet]()

    async def slowly(new: TokenSet) -> None:
        keeping.set()
        await go_on.wait()
        kept.append(new)

    sign_in = await SignIn.prepare(server.account(), provider)
    browser = asyncio.create_task(BROWSER.follow(server.approve(sign_in.prompt.url)))
    running = asyncio.create_task(sign_in.run(slowly))
    await keeping.wait()
    closing = asyncio.create_task(sign_in.close())
    await asyncio.sleep(0)
    go_on.set()
    await closing

    assert kept == [await running]
    assert "Signed in" in (await browser)[1].text


async def test_a_task_that_is_cancelled_closes_the_listener(
    server: AuthorizationServer, provider: OAuthProvider
) -> None:
    sign_in = await SignIn.prepare(server.account(), provider)
    running = asyncio.create_task(sign_in.run(Keeping()))
    await asyncio.sleep(0)
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running

    assert refuses(server.approve(sign_in.prompt.url))


async def test_a_port_that_is_taken_is_told_before_anything_opens(
    server: AuthorizationServer, provider: OAuthProvider
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(Unavailable, match=f"port {port} is taken by another program"):
            await SignIn.prepare(server.account(redirect_uri=f"http://127.0.0.1:{port}/callback"), provider)


@pytest.mark.parametrize(
    "changes",
    [{"redirect_uri": "http://0.0.0.0/"}, {"redirect_uri": "https://a.example/"}],
    ids=str,
)
async def test_a_configuration_that_cannot_sign_in_is_told_before_anything_is_asked(
    server: AuthorizationServer, provider: OAuthProvider, changes: dict[str, Any]
) -> None:
    with pytest.raises(Misconfigured):
        await SignIn.prepare(server.account(**changes), provider)

    assert not server.requests


@pytest.mark.parametrize(
    "metadata", [{"code_challenge_methods_supported": ["plain"]}, {"response_types_supported": ["token"]}], ids=str
)
async def test_a_server_that_cannot_do_a_safe_sign_in_is_refused_before_the_browser(
    server: AuthorizationServer, provider: OAuthProvider, metadata: dict[str, Any]
) -> None:
    server.metadata |= metadata

    with pytest.raises(ProviderError) as caught:
        await SignIn.prepare(server.account(), provider)

    assert caught.value.failure.kind is FailureKind.MISCONFIGURED


@pytest.mark.skipif(oidc_provider_missing() is not None, reason=str(oidc_provider_missing()))
async def test_a_certified_server_signs_in_refreshes_and_revokes() -> None:
    with OidcProvider() as certified:
        account = Account(
            "work",
            client_id=certified.client_id,
            issuer=certified.issuer,
            scopes=("openid", "offline_access"),
            authorization_parameters={"prompt": "consent"},
        )
        provider = OAuthProvider(WallClock())
        sign_in = await SignIn.prepare(account, provider)
        callback = await asyncio.to_thread(redirect_after_approval, sign_in.prompt.url)
        found, _, _ = await signed_in(sign_in, callback)
        assert found.subject == "ada"

        new = await provider.refresh(account, found)
        assert new.refresh_token not in {None, found.refresh_token}
        current = replace(found, access_token=new.access_token, refresh_token=new.refresh_token)
        assert await provider.revoke(account, current) is None
        with pytest.raises(ProviderError) as caught:
            await provider.refresh(account, current)

    assert caught.value.failure.kind is FailureKind.REFUSED
