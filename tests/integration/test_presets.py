"""Each preset against a stand-in with its provider's quirks; what they are is told by the sources in presets.toml."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from tests.integration.hostile_server import (
    BOUND,
    AuthorizationServer,
    Browser,
    Clients,
    HandClock,
    form,
    json_response,
    tokens,
)
from tray_app.adapters.config import parser as config
from tray_app.adapters.oauth.authorization_code_flow import SignIn
from tray_app.adapters.oauth.provider import OAuthProvider
from tray_app.base.http.server import Request, Response
from tray_app.core.account import Account
from tray_app.core.errors import Misconfigured
from tray_app.core.failure import FailureKind
from tray_app.core.ports import ProviderError
from tray_app.core.tokens import Secret, TokenSet


class StandIn:
    """A provider at our own address: the preset's account, its endpoints moved there."""

    def __init__(self, server: AuthorizationServer) -> None:
        self.server = server
        self.clock = HandClock()
        self.secret: str | None = "app-secret"

    @property
    def provider(self) -> OAuthProvider:
        async def secret(_: str) -> Secret | None:
            return Secret(self.secret) if self.secret else None

        return OAuthProvider(self.clock, Clients(secret))

    def account(self, preset: str, *lines: str) -> Account:
        """As its preset has it, but for the place."""
        text = "\n".join([f'[accounts.work]\nprovider = "{preset}"\nclient_id = "tray"', *lines])
        account = config.parse(text).accounts["work"]
        if account.endpoints is None:
            return replace(account, issuer=self.server.issuer)
        here = {"authorization": f"{self.server.issuer}/authorize", "token": f"{self.server.issuer}/token"}
        return replace(account, endpoints=replace(account.endpoints, **here, device_authorization=None))

    async def sign_in(self, account: Account) -> TokenSet:
        async def keep(_: TokenSet) -> None:
            """Nowhere."""

        sign_in = await SignIn.prepare(account, self.provider)
        browser = asyncio.create_task(Browser().follow(self.server.approve(sign_in.prompt.url)))
        async with asyncio.timeout(BOUND):
            found = await sign_in.run(keep)
        await browser
        return found

    async def failure(self, account: Account, found: TokenSet) -> FailureKind:
        with pytest.raises(ProviderError) as caught:
            await self.provider.refresh(account, found)
        return caught.value.failure.kind


@pytest.fixture
async def there() -> AsyncIterator[StandIn]:
    async with AuthorizationServer() as server:
        yield StandIn(server)


def answers(there: StandIn, response: Response) -> None:
    async def endpoint(_: Request) -> Response:
        return response

    there.server.token = endpoint


def as_form(**members: Any) -> Response:
    """As GitHub answers whoever does not ask for JSON, and sometimes whoever does."""
    return Response(200, urlencode(members).encode(), "application/x-www-form-urlencoded; charset=utf-8")


async def test_github_answers_in_a_form_and_its_tokens_of_oauth_apps_have_no_end(there: StandIn) -> None:
    answers(there, as_form(access_token="gho_1", scope="repo", token_type="bearer"))

    found = await there.sign_in(there.account("github", 'scopes = ["repo"]'))

    assert (found.access_token, found.refresh_token) == (Secret("gho_1"), None)
    assert found.lifetime == timedelta(days=365)
    sent = form(there.server.to("/token")[0])
    assert (sent["client_id"], sent["client_secret"]) == ("tray", "app-secret")
    assert there.server.to("/token")[0].header("accept") == "application/json"


async def test_github_s_errors_come_with_200_and_names_of_its_own(there: StandIn) -> None:
    account = there.account("github")
    more = {"expires_in": 28800, "refresh_token": "ghr_1", "refresh_token_expires_in": 15897600}
    answers(there, as_form(access_token="ghu_1", token_type="bearer", **more))
    found = await there.sign_in(account)
    assert found.lifetime == timedelta(hours=8)
    assert found.sign_in_ends_at == there.clock.now() + timedelta(days=184)

    for code, kind in {
        "bad_refresh_token": FailureKind.REFUSED,
        "incorrect_client_credentials": FailureKind.MISCONFIGURED,
        "server_error": FailureKind.UNREACHABLE,
    }.items():
        answers(there, as_form(error=code, error_description="It is so."))
        assert await there.failure(account, found) is kind


async def test_gitlab_is_found_at_one_s_own_address_and_rotates(there: StandIn) -> None:
    there.secret = None
    account = there.account("gitlab", f'issuer = "{there.server.issuer}"')
    there.server.token = there.server._exchange
    found = await there.sign_in(account)
    answers(there, tokens(scope="openid", created_at=1_790_000_000))

    assert account.issuer == there.server.issuer
    assert (await there.provider.refresh(account, found)).refresh_token == Secret("R1")


async def test_google_gives_a_refresh_token_with_consent_and_wants_its_secret_in_the_form(there: StandIn) -> None:
    account = there.account("google")
    answers(
        there,
        json_response(
            access_token="ya29.x",
            token_type="Bearer",
            expires_in=3599,
            refresh_token="1//r",
            refresh_token_expires_in=604799,
        ),
    )
    found = await there.sign_in(account)

    asked = there.server.asked
    assert (asked["access_type"], asked["prompt"], asked["scope"]) == ("offline", "consent", "openid email")
    assert form(there.server.to("/token")[0])["client_secret"] == "app-secret"
    assert found.sign_in_ends_at == there.clock.now() + timedelta(seconds=604799)  # an app in testing: seven days


@pytest.mark.parametrize("preset", ["github", "google"])
async def test_a_provider_that_wants_a_secret_is_not_asked_without_one(there: StandIn, preset: str) -> None:
    there.secret = None

    with pytest.raises(Misconfigured, match="lamplighter secret set work"):
        await SignIn.prepare(there.account(preset), there.provider)

    assert not there.server.requests


async def test_microsoft_has_long_refresh_tokens_and_names_the_directory_in_its_issuer(there: StandIn) -> None:
    there.secret = None
    account = there.account("microsoft", 'scopes = ["openid", "offline_access", "User.Read"]')
    tid = "9188040d-6c67-4c5b-b112-36a304b66dad"
    issuer = f"https://login.microsoftonline.com/{tid}/v2.0"

    async def endpoint(_: Request) -> Response:
        id_token = there.server.id_token(iss=issuer, tid=tid)
        more = {"ext_expires_in": "3599", "expires_in": "3599", "refresh_token": "0.A" + "r" * 1800}
        return json_response(access_token="eyJ0", token_type="Bearer", id_token=id_token, **more)

    there.server.token = endpoint
    found = await there.sign_in(account)

    assert urlsplit(there.server.asked["redirect_uri"]).hostname == "localhost"
    assert (found.subject, found.lifetime) == ("anna", timedelta(seconds=3599))
    assert found.refresh_token is not None
    assert len(found.refresh_token.reveal()) > 1280
    assert dict(parse_qsl(there.server.to("/token")[0].body.decode())).get("client_secret") is None


@pytest.mark.parametrize("tid", ["another", None, "9188040d/../evil"])
async def test_a_directory_of_microsoft_cannot_speak_for_another(there: StandIn, tid: str | None) -> None:
    there.secret = None
    issuer = "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0"

    async def endpoint(_: Request) -> Response:
        return tokens(id_token=there.server.id_token(iss=issuer, tid=tid))

    there.server.token = endpoint
    with pytest.raises(Exception, match="of another issuer"):
        await there.sign_in(there.account("microsoft"))
