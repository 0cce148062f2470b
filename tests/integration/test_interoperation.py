"""A whole life (sign in, refresh, rotate, revoke) at authorization servers by other hands, each with what it offers."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.integration.hostile_server import BOUND, Clients
from tests.integration.lamplighter_process import Lamplighter, arrive
from tests.servers.canaille_server import CanailleServer, canaille_missing
from tests.servers.django_server import DjangoServer, django_missing
from tests.servers.oidc_provider import OidcProvider, oidc_provider_missing
from tests.servers.person import approve_device, redirect_after_approval
from tray_app.adapters.oauth.authorization_code_flow import SignIn
from tray_app.adapters.oauth.device_flow import DeviceSignIn
from tray_app.adapters.oauth.provider import OAuthProvider
from tray_app.base.clock import WallClock
from tray_app.core.account import NOTHING, Account
from tray_app.core.failure import FailureKind
from tray_app.core.ports import ProviderError
from tray_app.core.tokens import Secret, TokenSet, merged

SECRET = "a secret: of 50% & more, long enough"
CONSENT = {"prompt": "consent"}
OFFLINE = ("openid", "offline_access")


@pytest.fixture(scope="module")
def server() -> Iterator[OidcProvider]:
    if missing := oidc_provider_missing():
        pytest.skip(missing)
    with OidcProvider() as one:
        yield one


class Life:
    """Our side of it."""

    def __init__(self, account: Account, secret: str | None = None) -> None:
        self.account = account

        async def client_secret(_: str) -> Secret | None:
            return Secret(secret) if secret else None

        self.store = Clients(client_secret)

    @property
    def provider(self) -> OAuthProvider:
        """As a process has it that has just started."""
        return OAuthProvider(WallClock(), self.store)

    async def sign_in(self) -> TokenSet:
        sign_in = await SignIn.prepare(self.account, self.provider)
        redirect = await asyncio.to_thread(redirect_after_approval, sign_in.prompt.url)
        browser = asyncio.to_thread(arrive, redirect)
        async with asyncio.timeout(BOUND):
            found, status = await asyncio.gather(sign_in.run(keep), browser)
        assert status == 200
        return found

    async def refresh(self, tokens: TokenSet) -> TokenSet:
        answer = await self.provider.refresh(self.account, tokens)
        return merged(tokens, answer, requested_scopes=self.account.scopes, bound_to=tokens.bound_to)

    async def refused(self, tokens: TokenSet) -> None:
        with pytest.raises(ProviderError) as caught:
            await self.refresh(tokens)
        assert caught.value.failure.kind is FailureKind.REFUSED

    async def live(self) -> None:
        """All of it."""
        first = await self.sign_in()
        second = await self.refresh(first)
        third = await self.refresh(second)
        assert len({one.refresh_token for one in (first, second, third)}) == 3
        assert first.refresh_token is not None
        assert await self.provider.revoke(self.account, third) is None
        await self.refused(third)


async def keep(_: TokenSet) -> None:
    """Nowhere."""


def account(server: OidcProvider, **changes: Any) -> Account:
    usual = {
        "client_id": server.client_id,
        "issuer": server.issuer,
        "scopes": OFFLINE,
        "authorization_parameters": CONSENT,
    }
    return Account(**{"name": "work", **usual, **changes})


async def test_a_public_client_at_oidc_provider_pushes_its_request_and_has_its_issuer_named(
    server: OidcProvider,
) -> None:
    life = Life(account(server))
    endpoints = await life.provider.endpoints(life.account)
    assert endpoints.pushed_authorization is not None
    assert endpoints.iss_in_response
    sign_in = await SignIn.prepare(life.account, life.provider)
    assert "request_uri=urn" in sign_in.prompt.url
    await sign_in.close()

    await life.live()


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_a_client_with_a_secret_at_oidc_provider(server: OidcProvider, method: Any) -> None:
    await Life(account(server, client_id=method, auth_method=method), SECRET).live()


async def test_a_wrong_secret_is_a_matter_of_the_configuration(server: OidcProvider) -> None:
    life = Life(account(server, client_id="client_secret_basic"), "wrong")

    with pytest.raises(ProviderError) as caught:
        await life.sign_in()

    assert caught.value.failure.kind is FailureKind.MISCONFIGURED


async def test_a_client_that_registers_itself_at_oidc_provider(server: OidcProvider) -> None:
    life = Life(account(server, client_id=None, scopes=(), authorization_parameters=NOTHING))
    await life.live()

    kept = await life.provider.registrar.kept(life.account)
    assert kept is not None
    assert kept.client_uri is not None
    again = await life.sign_in()
    assert again.client_id == kept.client_id
    await life.provider.forget(life.account)
    with pytest.raises(ProviderError, match="invalid_client"):
        await life.refresh(again)


async def test_a_client_that_was_deleted_there_is_registered_anew(server: OidcProvider) -> None:
    life = Life(account(server, client_id=None, scopes=(), authorization_parameters=NOTHING))
    first = await life.sign_in()
    kept = await life.provider.registrar.kept(life.account)
    assert kept is not None
    assert kept.access_token is not None
    door = urllib.request.Request(
        str(kept.client_uri), method="DELETE", headers={"Authorization": f"Bearer {kept.access_token.reveal()}"}
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(door, timeout=BOUND):
        pass

    second = await life.sign_in()

    assert second.client_id not in {None, first.client_id}


async def test_an_mcp_server_beside_oidc_provider_needs_its_address_alone(server: OidcProvider) -> None:
    life = Life(Account("mcp", resource=f"{server.issuer}/mcp"))

    await life.live()

    assert (await life.sign_in()).scopes == ("tools",)


async def test_another_device_at_oidc_provider(server: OidcProvider) -> None:
    async def soon(_: float) -> None:
        await asyncio.sleep(0.05)

    life = Life(account(server))
    sign_in = await DeviceSignIn.prepare(life.account, life.provider, WallClock(), soon)
    prompt = sign_in.prompt
    assert prompt.user_code is not None
    approving = asyncio.to_thread(approve_device, prompt.url, prompt.user_code)
    async with asyncio.timeout(BOUND):
        found, _ = await asyncio.gather(sign_in.run(keep), approving)

    assert replace(found, subject=None).scopes[0] == "openid"
    assert found.subject is not None
    assert await life.provider.revoke(life.account, found) is None


def test_from_nothing_to_the_first_token_in_three_steps(server: OidcProvider, lamplighter: Lamplighter) -> None:
    assert lamplighter.run("accounts", "add", "work", "--issuer", server.issuer).code == 0
    login = lamplighter.start("login", "work", "--no-browser")
    arrive(redirect_after_approval(login.line()))
    assert login.wait().code == 0
    token = lamplighter.run("token", "work")

    assert token.code == 0, token
    assert lamplighter.run("refresh", "work").code == 0
    assert lamplighter.run("token", "work").out != token.out


async def test_a_client_that_registers_itself_at_canaille_which_compares_redirect_uris_letter_by_letter() -> None:
    if missing := canaille_missing():
        pytest.skip(missing)
    with CanailleServer() as server:
        life = Life(Account("work", issuer=server.issuer, scopes=("openid",)))
        first, second = await life.sign_in(), await life.sign_in()
        third = await life.refresh(second)
        unrevoked = await life.provider.revoke(life.account, third)

    assert third.refresh_token != second.refresh_token
    assert "client_secret_basic" in str(unrevoked)  # there only a client with a secret may revoke, and that is told
    assert first.client_id is not None
    assert first.client_id == second.client_id  # at the port that was registered


async def test_a_client_that_registers_itself_at_django_oauth_toolkit_which_gives_one_grant_and_a_secret() -> None:
    if missing := django_missing():
        pytest.skip(missing)
    with DjangoServer() as server:
        life = Life(
            Account("work", issuer=server.issuer, scopes=("read",))
        )  # for `openid` it gives such a client no key
        await life.live()
