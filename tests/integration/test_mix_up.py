"""An honest authorization endpoint that is borrowed by somebody else's metadata (RFC 9700, 4.4)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.builders import endpoints
from tests.integration.hostile_server import AuthorizationServer, Browser, HandClock
from tray_app.adapters.oauth.authorization_code_flow import SignIn
from tray_app.adapters.oauth.device_flow import DeviceSignIn
from tray_app.adapters.oauth.provider import OAuthProvider
from tray_app.adapters.oauth.token_hosts import TokenHosts
from tray_app.core.account import Account, Quirks
from tray_app.core.errors import LamplighterError, UnconfirmedTokenHost


@pytest.fixture
async def thief() -> AsyncIterator[AuthorizationServer]:
    """Its metadata borrows another server's authorization endpoint."""
    async with AuthorizationServer() as honest, AuthorizationServer() as thief:
        thief.metadata["authorization_endpoint"] = honest.metadata["authorization_endpoint"]
        yield thief


async def prepared(account: Account, hosts: TokenHosts | None = None) -> None:
    await (await SignIn.prepare(account, OAuthProvider(HandClock(), token_hosts=hosts))).close()


async def test_before_the_browser_both_hosts_are_named_with_the_key_that_allows_it(thief: AuthorizationServer) -> None:
    with pytest.raises(UnconfirmedTokenHost, match=r"127\.0\.0\.1 would be handed to .*allow_token_host") as caught:
        await prepared(thief.account())

    assert caught.value.exit_code == 5


@pytest.mark.parametrize("how", ["configuration", "preset", "person", "iss is promised"])
async def test_who_has_said_that_it_is_right_is_not_asked(thief: AuthorizationServer, tmp_path: Path, how: str) -> None:
    account, hosts = thief.account(), TokenHosts(tmp_path / "hosts.json")
    match how:
        case "configuration":
            account = thief.account(allow_token_host="127.0.0.1")
        case "preset":
            account = thief.account(quirks=Quirks(token_hosts=frozenset({"127.0.0.1"})))
        case "person":
            hosts.allow(thief.issuer, "127.0.0.1", "127.0.0.1")
            hosts = TokenHosts(tmp_path / "hosts.json")
        case _:
            thief.metadata["authorization_response_iss_parameter_supported"] = True

    await prepared(account, hosts)


def test_what_was_allowed_for_one_issuer_is_not_for_another(tmp_path: Path) -> None:
    hosts = TokenHosts(tmp_path / "hosts.json")
    hosts.allow("https://a.example", "a.example", "tokens.example")

    assert hosts.is_allowed("https://a.example", "a.example", "tokens.example")
    assert not hosts.is_allowed("https://b.example", "a.example", "tokens.example")
    assert not hosts.is_allowed("https://a.example", "login.corp.example", "tokens.example")
    (tmp_path / "hosts.json").write_text(json.dumps(["damaged"]))
    assert not hosts.is_allowed("https://a.example", "a.example", "tokens.example")


@pytest.mark.parametrize(("iss", "is_right"), [(None, True), ("own", True), ("https://evil.example", False)])
async def test_with_endpoints_by_hand_a_wrong_iss_ends_the_sign_in(iss: str | None, *, is_right: bool) -> None:
    async with AuthorizationServer() as server:
        account = server.account(issuer=None, scopes=(), endpoints=endpoints(server.issuer))
        sign_in = await SignIn.prepare(account, OAuthProvider(HandClock()))
        answer = server.approve(sign_in.prompt.url, iss=server.issuer if iss == "own" else iss)
        browser = asyncio.create_task(Browser().follow(answer))

        async def keep(_: object) -> None:
            """There is nothing to keep here."""

        if is_right:
            assert await sign_in.run(keep)
        else:
            with pytest.raises(LamplighterError, match="issuer that was asked"):
                await sign_in.run(keep)
        await browser


async def test_an_iss_that_is_no_url_ends_the_sign_in_as_a_wrong_one_does() -> None:
    async with AuthorizationServer() as server:
        account = server.account(issuer=None, scopes=(), endpoints=endpoints(server.issuer))
        sign_in = await SignIn.prepare(account, OAuthProvider(HandClock()))
        browser = asyncio.create_task(Browser().follow(server.approve(sign_in.prompt.url, iss="https://[")))

        async def keep(_: object) -> None:
            """There is nothing to keep here."""

        with pytest.raises(LamplighterError, match="issuer that was asked"):
            await sign_in.run(keep)
        await browser


async def test_a_borrowed_device_endpoint_is_asked_about_although_iss_is_promised(thief: AuthorizationServer) -> None:
    thief.metadata |= {
        "device_authorization_endpoint": thief.metadata["authorization_endpoint"].replace("/authorize", "/device"),
        "authorization_response_iss_parameter_supported": True,
    }

    with pytest.raises(UnconfirmedTokenHost):
        await DeviceSignIn.prepare(thief.account(), OAuthProvider(HandClock()), HandClock())


async def test_a_code_alone_is_not_handed_to_a_host_that_only_iss_speaks_for(thief: AuthorizationServer) -> None:
    thief.metadata["authorization_response_iss_parameter_supported"] = True
    sign_in = await SignIn.prepare(thief.account(), OAuthProvider(HandClock()))

    async def keep(_: object) -> None:
        """There is nothing to keep here."""

    assert sign_in.paste("C1", bare=True)
    with pytest.raises(LamplighterError, match="paste the whole address"):
        await sign_in.run(keep)
    assert not thief.to("/token")
