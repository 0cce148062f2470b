"""The token endpoint, revocation and discovery against a server that misbehaves on purpose."""

import asyncio
import contextlib
import gc
import gzip
import json
import resource
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.integration.hostile_server import (
    AuthorizationServer,
    Clients,
    Conversation,
    HandClock,
    answering,
    bytes_server,
    form,
    json_response,
    tokens,
)
from tray_app.adapters.oauth import connection_watch as way
from tray_app.adapters.oauth.http_client import AnswerLost
from tray_app.adapters.oauth.provider import OAuthProvider
from tray_app.base.http.server import Request, Response
from tray_app.core.account import Account, Endpoints, Quirks
from tray_app.core.errors import StoreUnavailable
from tray_app.core.ports import ProviderError
from tray_app.core.provider_errors import Failure, FailureKind
from tray_app.core.tokens import Secret, TokenAnswer, TokenSet, merged

REFRESH_TOKEN = "R0-very-secret"


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


def named(origin: str, **changes: Any) -> Account:
    """An account whose endpoints are named: no discovery."""
    endpoints = Endpoints(f"{origin}/authorize", f"{origin}/token", f"{origin}/revoke")
    return Account("work", client_id="tray", endpoints=endpoints, **changes)


def held(account: Account, subject: str | None = None) -> TokenSet:
    answer = TokenAnswer(
        Secret("A0"), "Bearer", HandClock().now(), refresh_token=Secret(REFRESH_TOKEN), subject=subject
    )
    return merged(None, answer, requested_scopes=("openid", "mail"), bound_to=account.bound_to)


async def failure(provider: OAuthProvider, account: Account, tokens_held: TokenSet | None = None) -> Failure:
    with pytest.raises(ProviderError) as caught:
        await provider.refresh(account, tokens_held or held(account))
    return caught.value.failure


def saying(raw: bytes) -> Conversation:
    """Reads the request, says the bytes, and hangs up."""

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        writer.write(raw)
        await writer.drain()

    return conversation


def body(text: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{text}".encode()


async def test_a_refresh_is_a_form_that_a_public_client_sends(
    server: AuthorizationServer, provider: OAuthProvider, clock: HandClock
) -> None:
    account = named(server.issuer)

    answer = await provider.refresh(account, held(account))

    (request,) = server.requests
    assert (request.method, request.path, request.query) == ("POST", "/token", "")
    assert form(request) == {"grant_type": "refresh_token", "refresh_token": REFRESH_TOKEN, "client_id": "tray"}
    assert request.header("content-type") == "application/x-www-form-urlencoded"
    assert request.header("accept") == "application/json"
    assert request.header("accept-encoding") == "identity"
    assert (request.header("user-agent") or "").startswith("lamplighter/")
    assert {"authorization", "cookie", "referer"}.isdisjoint(name for name, _ in request.headers)
    assert answer == TokenAnswer(Secret("A1"), "Bearer", clock.now(), timedelta(hours=1), Secret("R1"))


async def test_the_json_dialect_says_the_same_in_json(server: AuthorizationServer, provider: OAuthProvider) -> None:
    account = named(server.issuer, token_request="json")
    server.token = answering(tokens())

    await provider.refresh(account, held(account))

    (request,) = server.requests
    assert request.header("content-type") == "application/json"
    assert json.loads(request.body) == {
        "grant_type": "refresh_token",
        "refresh_token": REFRESH_TOKEN,
        "client_id": "tray",
    }


async def test_a_confidential_client_and_a_resource_are_sent_in_the_body(
    server: AuthorizationServer, clock: HandClock
) -> None:
    async def secret(account: str) -> Secret:
        return Secret(f"secret of {account} &=+")

    account = named(server.issuer, resource="https://mcp.example.com/mcp")

    await OAuthProvider(clock, Clients(secret)).refresh(account, held(account))

    sent = form(server.requests[0])
    assert (sent["client_secret"], sent["resource"]) == ("secret of work &=+", "https://mcp.example.com/mcp")
    assert server.requests[0].header("authorization") is None


async def test_a_store_that_cannot_give_the_client_secret_sends_nothing(
    server: AuthorizationServer, clock: HandClock
) -> None:
    async def locked(_: str) -> Secret:
        raise StoreUnavailable("the keyring is locked", reason="locked")

    found = await failure(OAuthProvider(clock, Clients(locked)), named(server.issuer))

    assert (found.kind, found.code) == (FailureKind.STORE, "locked")
    assert not server.requests


async def test_a_store_that_is_locked_later_stops_no_refresh(server: AuthorizationServer, clock: HandClock) -> None:
    secrets = iter([Secret("of the client")])

    async def secret(_: str) -> Secret:
        for found in secrets:
            return found
        raise StoreUnavailable("the keyring is locked", reason="locked")

    account = named(server.issuer)
    provider = OAuthProvider(clock, Clients(secret))
    for _ in range(2):
        await provider.refresh(account, held(account))

    assert [form(request)["client_secret"] for request in server.to("/token")] == ["of the client"] * 2


async def test_a_life_counts_from_the_request(
    server: AuthorizationServer, provider: OAuthProvider, clock: HandClock
) -> None:
    async def slow(_: Request) -> Response:
        clock.pass_by(seconds=20)
        return tokens()

    server.token, account, asked_at = slow, named(server.issuer), clock.now()

    assert (await provider.refresh(account, held(account))).requested_at == asked_at


async def test_a_stated_life_of_nothing_is_as_good_as_none(
    server: AuthorizationServer, provider: OAuthProvider
) -> None:
    server.token = answering(json_response(access_token="A1", token_type="Bearer", expires_in=0))
    account = named(server.issuer, quirks=Quirks(assumed_lifetime=timedelta(days=365)))

    assert (await provider.refresh(account, held(account))).lifetime == timedelta(days=365)


async def test_tokens_of_another_configuration_are_not_sent(
    server: AuthorizationServer, provider: OAuthProvider
) -> None:
    account = named(server.issuer)
    elsewhere = replace(held(account), bound_to="https://other.example tray")

    assert (await failure(provider, account, elsewhere)).kind is FailureKind.MISCONFIGURED
    assert "nothing was revoked" in (await provider.revoke(account, elsewhere) or "")
    assert not server.requests


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(server: AuthorizationServer, provider: OAuthProvider, status: int) -> None:
    async with AuthorizationServer() as canary:
        location = ("Location", f"{canary.issuer}/token")
        server.token = server.revocation = answering(json_response(status, location, access_token="x"))
        account = named(server.issuer)

        assert (await failure(provider, account)).kind is FailureKind.UNREACHABLE
        assert "was not revoked" in (await provider.revoke(account, held(account)) or "")
        assert not canary.requests


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (json_response(400, error="invalid_grant"), FailureKind.REFUSED),
        (json_response(401, error="invalid_client"), FailureKind.MISCONFIGURED),
        (json_response(200, error="invalid_grant", access_token="A", token_type="Bearer"), FailureKind.REFUSED),
        (json_response(429, ("Retry-After", "30")), FailureKind.THROTTLED),
        (json_response(200), FailureKind.UNREACHABLE),
        (Response(400, b'{"error": "invalid_grant"}', "text/plain"), FailureKind.REFUSED),
        (json_response(200, access_token="A", token_type="DPoP"), FailureKind.UNREACHABLE),
        (json_response(401, access_token="A", token_type="Bearer"), FailureKind.UNREACHABLE),
        (Response(200, b"<html>Log in to the hotel</html>", "text/html"), FailureKind.UNREACHABLE),
        (Response(403, b"<html>Blocked</html>", "text/html"), FailureKind.UNREACHABLE),
        (Response(500), FailureKind.UNREACHABLE),
    ],
    ids=lambda value: str(getattr(value, "status", value)),
)
async def test_an_answer_without_tokens_has_its_class(
    server: AuthorizationServer, provider: OAuthProvider, response: Response, kind: FailureKind
) -> None:
    server.token = answering(response)

    assert (await failure(provider, named(server.issuer))).kind is kind


async def test_a_preset_knows_its_own_word_for_invalid_grant(
    server: AuthorizationServer, provider: OAuthProvider
) -> None:
    server.token = answering(json_response(200, error="bad_refresh_token"))

    assert (
        await failure(provider, named(server.issuer, quirks=Quirks(refused_codes=frozenset({"bad_refresh_token"}))))
    ).kind is FailureKind.REFUSED
    assert (await failure(provider, named(server.issuer))).kind is FailureKind.UNREACHABLE


@pytest.mark.parametrize(
    "members",
    [
        {"error": "invalid_grant", "error_description": f"{REFRESH_TOKEN} is not known"},
        {"error": "invalid_grant", "error_description": "x" * 195 + REFRESH_TOKEN},
        {"error": "invalid_grant", "echo": {"body": f"refresh_token={REFRESH_TOKEN}"}, "error_description": "no"},
        {"error": f"bad {REFRESH_TOKEN}"},
        {"error": {"type": REFRESH_TOKEN}},
    ],
    ids=str,
)
async def test_a_secret_that_is_echoed_is_not_repeated(
    server: AuthorizationServer, provider: OAuthProvider, members: dict[str, Any]
) -> None:
    server.token = answering(json_response(400, **members))

    found = await failure(provider, named(server.issuer))

    assert REFRESH_TOKEN[:4] not in repr(found)
    assert (found.kind is FailureKind.REFUSED) == (members["error"] == "invalid_grant")


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(65_536)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000000000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b" " * 65_536)
        await writer.drain()


BOMB = gzip.compress(bytes(200_000_000), 9)


@pytest.mark.parametrize(
    "conversation",
    [
        saying(body(" " * 10_000_000)),
        endless,
        saying(body("").replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n") + BOMB),
    ],
    ids=["10 MB", "endless", "a gzip bomb"],
)
async def test_a_huge_body_costs_little_and_is_no_answer(provider: OAuthProvider, conversation: Conversation) -> None:
    await failure(provider, named("http://127.0.0.1:9"))  # everything is imported
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    async with bytes_server(conversation) as origin:
        found = await failure(provider, named(origin))

    assert found.kind is FailureKind.UNREACHABLE
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # kB


async def test_compression_that_nobody_asked_for_is_read(server: AuthorizationServer, provider: OAuthProvider) -> None:
    for encode in (gzip.compress, lambda raw: __import__("zlib").compress(raw)):
        coding = "gzip" if encode is gzip.compress else "deflate"
        server.token = answering(replace(tokens(), body=encode(tokens().body), headers=[("Content-Encoding", coding)]))
        account = named(server.issuer)

        assert (await provider.refresh(account, held(account))).access_token == Secret("A1")


def dribbling(first: bytes, drop: bytes) -> Conversation:
    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        writer.write(first)
        while not writer.is_closing():
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(0.05)

    return conversation


@pytest.mark.parametrize(
    "conversation",
    [
        dribbling(b"", b""),
        dribbling(b"HTTP/1.1 200 OK\r\nX: ", b"y"),
        dribbling(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", b" "),
        dribbling(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    ],
    ids=["silence", "headers", "body", "chunks"],
)
async def test_a_dribbling_server_is_left_at_the_deadline(clock: HandClock, conversation: Conversation) -> None:
    provider = OAuthProvider(clock, deadline=0.3)

    async with bytes_server(conversation) as origin, asyncio.timeout(20):
        found = await failure(provider, named(origin))

    assert found.kind is FailureKind.UNREACHABLE
    assert "did not answer in time" in found.message


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux lets us see a connection's timers")
async def test_a_connection_that_waits_for_its_answer_asks_whether_the_other_side_is_there(
    server: AuthorizationServer, provider: OAuthProvider
) -> None:
    seen: list[str] = []

    async def slowly(_: Request) -> Response:
        port = f":{int(server.issuer.rpartition(':')[2]):04X}"
        table = await asyncio.to_thread(Path("/proc/net/tcp").read_text, encoding="ascii")
        lines = [line.split() for line in table.splitlines()[1:]]
        seen.extend(line[5] for line in lines if line[2].endswith(port) and line[3] == "01")  # our end, established
        return tokens()

    server.token = slowly
    await provider.refresh(named(server.issuer), held(named(server.issuer)))

    (timer,) = seen
    kind, _, left = timer.partition(":")
    assert kind == "02"  # keep-alive
    assert int(left, 16) <= 500  # hundredths of a second


async def test_a_connection_of_another_network_is_given_up_at_once(
    server: AuthorizationServer, provider: OAuthProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The looks of a real one need a second network; `test_connection_watch.py` has one, where it may make it."""
    asked, gone = asyncio.Event(), asyncio.Event()

    async def never(_: Request) -> Response:
        asked.set()
        await gone.wait()
        return tokens()

    server.token = never
    monkeypatch.setattr(way, "has_moved", lambda _ours, _theirs: asked.is_set())
    with pytest.raises(AnswerLost, match="did not answer in time"):
        await asyncio.wait_for(provider.refresh(named(server.issuer), held(named(server.issuer))), 20)
    gone.set()


FULL = json.dumps({"access_token": "A1", "token_type": "Bearer"})


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Type: applic",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n" + FULL.encode(),
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        + f"{len(FULL):x}\r\n{FULL}\r\n".encode(),
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
    ids=["nothing", "half a head", "less than was promised", "without the last chunk", "no HTTP"],
)
async def test_an_answer_that_was_cut_off_is_no_success(provider: OAuthProvider, raw: bytes) -> None:
    async with bytes_server(saying(raw)) as origin:
        account = named(origin)
        with pytest.raises(AnswerLost) as caught:
            await provider.refresh(account, held(account))

    assert caught.value.failure.kind is FailureKind.UNREACHABLE


async def test_a_closed_port_and_an_unknown_name_cannot_be_reached(provider: OAuthProvider) -> None:
    async with bytes_server(saying(b"")) as origin:
        pass
    refused = await failure(provider, named(origin))
    unknown = await failure(provider, named("https://login.example.invalid"))

    assert (refused.kind, refused.message) == (
        FailureKind.UNREACHABLE,
        "127.0.0.1 cannot be reached (connection refused)",
    )
    assert (unknown.kind, unknown.message) == (
        FailureKind.UNREACHABLE,
        "login.example.invalid cannot be reached (no DNS)",
    )


@contextlib.asynccontextmanager
async def tls_server(name: str, authority: trustme.CA) -> AsyncIterator[tuple[str, list[bytes]]]:
    heard: list[bytes] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(65_536))
        writer.write(body(FULL))
        await writer.drain()

    async with bytes_server(conversation, context) as origin:
        yield origin, heard


async def test_a_certificate_that_does_not_verify_hears_no_http(provider: OAuthProvider) -> None:
    async with tls_server("127.0.0.1", trustme.CA()) as (origin, heard):
        found = await failure(provider, named(origin))

    assert found.kind is FailureKind.UNTRUSTED
    assert found.message.startswith("the certificate of 127.0.0.1 does not verify (")
    assert not any(heard)


async def test_a_trusted_certificate_serves_but_for_its_own_name_alone(
    provider: OAuthProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, bundle, keys = trustme.CA(), tmp_path / "ca.pem", tmp_path / "keys"
    authority.cert_pem.write_to_path(bundle)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    monkeypatch.setenv("SSLKEYLOGFILE", str(keys))

    async with tls_server("127.0.0.1", authority) as (origin, _):
        account = named(origin)
        assert (await provider.refresh(account, held(account))).access_token == Secret("A1")
    async with tls_server("other.example", authority) as (origin, heard):
        assert (await failure(provider, named(origin))).kind is FailureKind.UNTRUSTED

    assert not any(heard)
    assert not keys.exists()


async def test_plain_http_behind_an_https_url_is_unreachable(provider: OAuthProvider) -> None:
    async with bytes_server(saying(body(FULL))) as origin:
        found = await failure(provider, named(origin.replace("http:", "https:")))

    assert (found.kind, found.message) == (FailureKind.UNREACHABLE, "127.0.0.1 cannot be reached (no TLS)")


@pytest.fixture
async def proxy(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[bytes]]:
    """A proxy that the environment names for everything, and what it hears."""
    heard: list[bytes] = []

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(65_536))
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with bytes_server(conversation) as origin:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, origin.replace("//", "//user:proxy-password@"))
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        yield heard


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_loopback_needs_no_proxy(provider: OAuthProvider, proxy: list[bytes], host: str) -> None:
    async with AuthorizationServer("127.0.0.1") as server:
        account = named(server.issuer)
        await provider.refresh(account, held(account))
        await failure(provider, named(f"https://{host if ':' not in host else f'[{host}]'}:9"))

    assert not proxy


async def test_other_hosts_are_asked_through_the_proxy_without_telling_it_anything(
    provider: OAuthProvider, proxy: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = await failure(provider, named("https://login.example.invalid"))

    assert found.kind is FailureKind.UNREACHABLE
    assert "407" in found.message
    assert proxy[0].startswith(b"CONNECT login.example.invalid:443 ")
    assert REFRESH_TOKEN.encode() not in b"".join(proxy)
    assert "proxy-password" not in found.message

    monkeypatch.setenv("no_proxy", "example.invalid")
    assert "no DNS" in (await failure(provider, named("https://login.example.invalid"))).message
    assert len(proxy) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
async def test_a_socks_proxy_is_told_the_host_and_nothing_else(
    provider: OAuthProvider, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    heard: list[bytes] = []

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(100))
        writer.write(b"\x05\x00")  # no authentication (RFC 1928, 3)
        heard.append(await reader.read(1000))
        writer.write(b"\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00")  # connection refused (6)
        await writer.drain()

    async with bytes_server(conversation) as origin:
        monkeypatch.setenv("https_proxy", origin.replace("http:", f"{scheme}:"))
        found = await failure(provider, named("https://login.example.invalid"))
        assert found.kind is FailureKind.UNREACHABLE

    del found  # httpcore leaves the connection of a SOCKS proxy that refuses to the garbage collector
    gc.collect()
    assert heard[1] == b"\x05\x01\x00\x03\x15login.example.invalid\x01\xbb"


async def test_a_proxy_of_another_kind_is_told(provider: OAuthProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "ftp://127.0.0.1:9")

    found = await failure(provider, named("https://login.example.invalid"))

    assert found.kind is FailureKind.UNREACHABLE
    assert found.message == "login.example.invalid cannot be reached (its proxy is neither http, https nor socks5)"


@pytest.mark.parametrize("origin", ["http://example.invalid", "http://localhost@example.invalid", "ftp://127.0.0.1"])
async def test_an_endpoint_that_secrets_may_not_go_to_is_not_asked(provider: OAuthProvider, origin: str) -> None:
    assert (await failure(provider, named(origin))).kind is FailureKind.MISCONFIGURED


async def test_cookies_are_not_kept(server: AuthorizationServer, provider: OAuthProvider) -> None:
    server.token = answering(replace(tokens(), headers=[("Set-Cookie", "a=b; Path=/")]))
    account = named(server.issuer)

    for _ in range(2):
        await provider.refresh(account, held(account))

    assert server.requests[1].header("cookie") is None


async def test_one_hung_server_does_not_delay_another(server: AuthorizationServer, clock: HandClock) -> None:
    provider = OAuthProvider(clock)
    async with bytes_server(dribbling(b"", b"")) as hung:
        waiting = asyncio.create_task(failure(provider, named(hung)))
        account = named(server.issuer)
        async with asyncio.timeout(20):
            await provider.refresh(account, held(account))

        assert not waiting.done()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


async def test_an_id_token_for_another_subject_refuses_the_refresh(
    server: AuthorizationServer, provider: OAuthProvider
) -> None:
    server.token = answering(tokens(id_token=server.id_token(sub="eve")))
    account = named(server.issuer)

    found = await failure(provider, account, held(account, subject="anna"))

    assert (found.kind, found.message) == (FailureKind.REFUSED, "127.0.0.1 sent an id_token for another subject")


@pytest.mark.parametrize("claims", [{}, {"exp": 0, "iat": 0, "nonce": None}], ids=["right", "by a wrong clock"])
async def test_an_id_token_for_the_same_subject_is_welcome(
    server: AuthorizationServer, provider: OAuthProvider, claims: dict[str, Any]
) -> None:
    server.token = answering(tokens(id_token=server.id_token(**claims)))
    account = named(server.issuer)

    assert (await provider.refresh(account, held(account, subject="anna"))).access_token == Secret("A1")


@pytest.mark.parametrize("id_token", [None, "", "x", 5, "a.b.c", {}])
async def test_an_id_token_that_cannot_be_read_does_not_end_a_sign_in(
    server: AuthorizationServer, provider: OAuthProvider, id_token: object
) -> None:
    server.token = answering(tokens(id_token=id_token))
    account = named(server.issuer)

    assert (await provider.refresh(account, held(account, subject="anna"))).access_token == Secret("A1")


async def test_revocation_takes_the_refresh_token_first(server: AuthorizationServer, provider: OAuthProvider) -> None:
    account = named(server.issuer)

    assert await provider.revoke(account, held(account)) is None

    assert [form(request) for request in server.to("/revoke")] == [
        {"token": REFRESH_TOKEN, "token_type_hint": "refresh_token", "client_id": "tray"},
        {"token": "A0", "token_type_hint": "access_token", "client_id": "tray"},
    ]


async def test_what_was_not_revoked_is_told(server: AuthorizationServer, provider: OAuthProvider) -> None:
    async def access_tokens_end_by_themselves(request: Request) -> Response:
        if form(request)["token_type_hint"] == "access_token":
            return json_response(400, error="unsupported_token_type")
        return Response(200)

    server.revocation = access_tokens_end_by_themselves
    account = named(server.issuer)
    told = await provider.revoke(account, held(account)) or ""
    assert told.startswith("the access token was not revoked: ")
    assert "unsupported_token_type" in told

    server.revocation = answering(json_response(503, ("Retry-After", "60")))
    told = await provider.revoke(account, held(account)) or ""
    assert "the refresh token was not revoked" in told
    assert "the access token was not revoked" in told


async def test_a_provider_without_revocation_says_so(server: AuthorizationServer, provider: OAuthProvider) -> None:
    del server.metadata["revocation_endpoint"]
    account = server.account()

    assert await provider.revoke(account, held(account)) == "nothing was revoked: 127.0.0.1 offers no revocation"


async def test_a_provider_that_cannot_be_reached_leaves_the_rest_to_the_caller(provider: OAuthProvider) -> None:
    account = named("http://127.0.0.1:9")

    assert "cannot be reached (connection refused)" in (await provider.revoke(account, held(account)) or "")


async def test_named_endpoints_need_no_discovery(server: AuthorizationServer, provider: OAuthProvider) -> None:
    account = named(server.issuer, issuer=server.issuer)

    endpoints = await provider.endpoints(account)

    assert (endpoints.token, endpoints.issuer) == (f"{server.issuer}/token", server.issuer)
    assert not server.requests


async def test_discovery_is_asked_once_an_hour_and_a_worse_answer_changes_nothing(
    server: AuthorizationServer, provider: OAuthProvider, clock: HandClock
) -> None:
    good = await provider.endpoints(server.account())
    assert await provider.endpoints(server.account()) == good
    assert len(server.requests) == 1

    def lie() -> None:
        server.metadata["token_endpoint"] = "http://evil.example/token"

    def fall_silent() -> None:
        server.metadata_status = 500

    for worsen in (lie, fall_silent):
        worsen()
        clock.pass_by(minutes=61)
        asked = len(server.requests)
        assert await provider.endpoints(server.account()) == good
        assert len(server.requests) > asked


async def test_the_second_place_is_asked_where_the_first_has_nothing_or_another_issuer(
    server: AuthorizationServer, clock: HandClock
) -> None:
    answer = server._answer

    def first_place(response: Response) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            return response if request.path.endswith("oauth-authorization-server") else await answer(request)

        return endpoint

    for response in (Response(404), json_response(200, issuer="https://other.example")):
        server._server._handler = first_place(response)

        assert (await OAuthProvider(clock).endpoints(server.account())).token == f"{server.issuer}/token"


@pytest.mark.parametrize(
    ("members", "status", "told"),
    [
        ({"issuer": "https://evil.example"}, 200, (FailureKind.MISCONFIGURED, "another issuer, https://evil.example")),
        ({"token_endpoint": "http://a.example/t"}, 200, (FailureKind.MISCONFIGURED, "token_endpoint that must start")),
        ({"error": "invalid_grant", "issuer": None}, 404, (FailureKind.UNREACHABLE, "HTTP 404")),
        ({}, 500, (FailureKind.UNREACHABLE, "out of order")),
        ({}, 429, (FailureKind.THROTTLED, "wait")),
        ({"padding": "x" * 2_000_000}, 200, (FailureKind.UNREACHABLE, "more than 1024 kB")),
    ],
    ids=["another issuer", "http endpoint", "not found", "outage", "throttled", "huge"],
)
async def test_discovery_that_fails_has_its_class_and_never_ends_a_sign_in(
    server: AuthorizationServer,
    provider: OAuthProvider,
    members: dict[str, Any],
    status: int,
    told: tuple[FailureKind, str],
) -> None:
    server.metadata |= members
    server.metadata_status = status

    found = await failure(provider, server.account(), held(server.account()))

    assert found.kind is told[0]
    assert told[1] in found.message


async def test_an_account_without_issuer_and_endpoints_is_misconfigured(provider: OAuthProvider) -> None:
    assert (await failure(provider, Account("work", client_id="tray"))).kind is FailureKind.MISCONFIGURED


@pytest.mark.parametrize(
    "response",
    [
        json_response(200, error="x", refresh_token="N1"),
        json_response(500, access_token="A", refresh_token="N1"),
        json_response(200, error="none", access_token="A", refresh_token="N1"),
    ],
)
async def test_a_new_refresh_token_beside_an_error_is_handed_on(
    server: AuthorizationServer, provider: OAuthProvider, response: Response
) -> None:
    server.token = answering(response)
    account = named(server.issuer)

    with pytest.raises(ProviderError) as caught:
        await provider.refresh(account, held(account))

    assert caught.value.refresh_token == Secret("N1")
