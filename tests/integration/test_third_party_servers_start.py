"""The authorization servers of other people run here and do what their pages in tests/servers/ promise."""

import base64
import hashlib
import secrets
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from tests.servers.canaille_server import CanailleServer, canaille_missing
from tests.servers.django_server import DjangoServer, django_missing
from tests.servers.oidc_provider import OidcProvider, oidc_provider_missing
from tests.servers.person import redirect_after_approval

REDIRECT_URI = "http://127.0.0.1:9/callback"  # nobody listens there: the redirect is only looked at
Server = OidcProvider | CanailleServer | DjangoServer


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False) as client:
        yield client


@pytest.fixture
def provider() -> Iterator[OidcProvider]:
    if missing := oidc_provider_missing():
        pytest.skip(missing)
    with OidcProvider(access_token_ttl=5) as provider:
        yield provider


@pytest.fixture
def canaille() -> Iterator[CanailleServer]:
    if missing := canaille_missing():
        pytest.skip(missing)
    with CanailleServer(redirect_uri=REDIRECT_URI, access_token_ttl=5) as canaille:
        yield canaille


@pytest.fixture
def toolkit() -> Iterator[DjangoServer]:
    if missing := django_missing():
        pytest.skip(missing)
    with DjangoServer(access_token_ttl=5) as toolkit:
        yield toolkit


@pytest.fixture(params=["provider", "canaille", "toolkit"])
def server(request: pytest.FixtureRequest) -> Server:
    server: Server = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def post(client: httpx.Client, server: Server) -> Callable[..., httpx.Response]:
    """A request to the token endpoint that discovery names."""
    endpoint = discovered(client, server)["token_endpoint"]
    return lambda **fields: client.post(endpoint, data={"client_id": server.client_id, **fields})


def discovered(client: httpx.Client, server: Server) -> dict[str, str]:
    answer: dict[str, str] = client.get(f"{server.issuer}/.well-known/openid-configuration").raise_for_status().json()
    return answer


def signed_in(client: httpx.Client, server: Server, post: Callable[..., httpx.Response]) -> str:
    """The refresh token of a fresh sign-in."""
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "client_id": server.client_id,
        "response_type": "code",
        "redirect_uri": REDIRECT_URI,
        "scope": "openid offline_access" if isinstance(server, OidcProvider) else "openid",
        **({} if isinstance(server, DjangoServer) else {"prompt": "consent"}),  # it asks always, and knows no prompt
        "nonce": "n",
        "state": "s",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    url = f"{discovered(client, server)['authorization_endpoint']}?{urlencode(query)}"
    answer = parse_qs(urlsplit(redirect_after_approval(url)).query)
    assert (answer["state"], answer["iss"]) == (["s"], [server.issuer])
    tokens = post(
        grant_type="authorization_code", code=answer["code"][0], code_verifier=verifier, redirect_uri=REDIRECT_URI
    ).raise_for_status()
    assert tokens.json()["expires_in"] == 5
    return str(tokens.json()["refresh_token"])


def test_it_answers_discovery(client: httpx.Client, server: Server) -> None:
    assert discovered(client, server)["issuer"] == server.issuer


def test_it_rotates_refresh_tokens_and_refuses_a_used_one(
    client: httpx.Client, server: Server, post: Callable[..., httpx.Response]
) -> None:
    first = signed_in(client, server, post)

    second = post(grant_type="refresh_token", refresh_token=first).raise_for_status().json()["refresh_token"]
    reused = post(grant_type="refresh_token", refresh_token=first)

    assert second != first
    assert (reused.status_code, reused.json()["error"]) == (400, "invalid_grant")


def test_it_tells_a_client_that_it_does_not_know_before_it_looks_at_the_code(
    client: httpx.Client, server: Server
) -> None:
    form = {"grant_type": "authorization_code", "code": "none", "redirect_uri": REDIRECT_URI}
    endpoint = discovered(client, server)["token_endpoint"]

    known, unknown = (client.post(endpoint, data={**form, "client_id": one}) for one in (server.client_id, "nobody"))

    assert (known.json()["error"], unknown.json()["error"]) == ("invalid_grant", "invalid_client")


@pytest.mark.parametrize("server", ["provider"], indirect=True)
def test_oidc_provider_revokes_goes_down_and_comes_back_when_told(
    client: httpx.Client, provider: OidcProvider, server: Server, post: Callable[..., httpx.Response]
) -> None:
    token = signed_in(client, server, post)

    provider.down()
    with pytest.raises(httpx.ConnectError):
        post(grant_type="refresh_token", refresh_token=token)
    provider.up()
    provider.answer(503)
    assert post(grant_type="refresh_token", refresh_token=token).status_code == 503
    provider.answer(0)
    token = post(grant_type="refresh_token", refresh_token=token).raise_for_status().json()["refresh_token"]
    provider.revoke()
    refusal = post(grant_type="refresh_token", refresh_token=token).json()

    assert refusal["error"] == "invalid_grant"
    provider.wait_for(lambda: (provider.refreshes, provider.refused) == (1, 1))
