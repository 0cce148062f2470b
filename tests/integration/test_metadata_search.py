"""The search for an issuer's metadata: every place, one redirect, and what is told where there is none."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.hostile_server import AuthorizationServer, HandClock, answering, json_response
from tray_app.adapters.oauth.provider import OAuthProvider
from tray_app.base.http.server import Request, Response
from tray_app.core.account import Account
from tray_app.core.ports import ProviderError
from tray_app.core.provider_errors import FailureKind


@pytest.fixture
async def server() -> AsyncIterator[AuthorizationServer]:
    async with AuthorizationServer() as running:
        yield running


def at(server: AuthorizationServer, path: str = "") -> Account:
    """An account whose issuer has this path."""
    server.metadata["issuer"] = server.issuer + path
    return server.account(issuer=server.issuer + path)


def only(server: AuthorizationServer, place: str) -> None:
    """The metadata is at this place, and every other answers 404."""

    async def at_place(_: Request) -> Response:
        return json_response(**server.metadata)

    server.other[place] = at_place
    server.metadata_status = 404


async def found(account: Account) -> str | None:
    return (await OAuthProvider(HandClock()).endpoints(account)).issuer


async def failure(account: Account) -> tuple[FailureKind, str]:
    with pytest.raises(ProviderError) as caught:
        await OAuthProvider(HandClock()).endpoints(account)
    return caught.value.failure.kind, caught.value.failure.message


@pytest.mark.parametrize(
    "place",
    [
        "/.well-known/oauth-authorization-server/tenant",
        "/.well-known/openid-configuration/tenant",
        "/tenant/.well-known/openid-configuration",
        "/tenant/.well-known/oauth-authorization-server",
    ],
)
async def test_each_place_is_searched(server: AuthorizationServer, place: str) -> None:
    only(server, place)

    assert await found(at(server, "/tenant")) == f"{server.issuer}/tenant"


async def test_a_redirect_within_the_origin_is_followed_once(server: AuthorizationServer) -> None:
    only(server, "/moved")
    server.other["/.well-known/oauth-authorization-server"] = answering(Response(307, headers=[("Location", "/moved")]))

    assert await found(at(server)) == server.issuer


async def test_no_other_redirect_is_followed(server: AuthorizationServer) -> None:
    async with AuthorizationServer() as other:
        elsewhere = Response(302, headers=[("Location", f"{other.issuer}/.well-known/openid-configuration")])
        twice = Response(302, headers=[("Location", "/.well-known/oauth-authorization-server?again")])
        server.metadata_status = 404
        nowhere = Response(302, headers=[("Location", "https://[")])
        for answer in (elsewhere, twice, nowhere):
            server.other["/.well-known/oauth-authorization-server"] = answering(answer)
            kind, _ = await failure(at(server))
            assert kind is FailureKind.UNREACHABLE

        assert other.requests == []


async def test_a_place_that_drops_the_connection_does_not_end_the_search(server: AuthorizationServer) -> None:
    async def drop(_: Request) -> Response:
        raise ConnectionResetError

    server.other["/.well-known/oauth-authorization-server"] = drop

    assert await found(at(server)) == server.issuer


async def test_where_there_is_none_at_all_every_place_is_named_with_what_it_said(server: AuthorizationServer) -> None:
    server.metadata_status = 404
    account = at(server, "/tenant")
    server.metadata.clear()

    kind, told = await failure(account)

    assert kind is FailureKind.MISCONFIGURED
    assert told.count("HTTP 404") == 4
    assert "token_endpoint by hand" in told


async def test_an_outage_on_the_way_is_no_lasting_mistake(server: AuthorizationServer) -> None:
    server.metadata_status = 404
    account = at(server)
    server.metadata.clear()
    server.other["/.well-known/oauth-authorization-server"] = answering(Response(503))

    kind, told = await failure(account)

    assert kind is FailureKind.UNREACHABLE
    assert "HTTP 503" in told
    assert "HTTP 404" in told
