"""Tokens and client secrets go to where they belong: an edited configuration sends them nowhere else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from tests.builders import endpoints, tokens
from tests.integration.hostile_server import AuthorizationServer, HandClock, answering, form, json_response
from tests.integration.hostile_server import tokens as granted
from tray_app.adapters.oauth.authorization_code_flow import SignIn
from tray_app.adapters.oauth.device_flow import DeviceSignIn
from tray_app.adapters.oauth.provider import OAuthProvider
from tray_app.adapters.store.memory_store import MemoryStore
from tray_app.core.account import Account
from tray_app.core.client_secret import bound_secret, kept_secret
from tray_app.core.failure import FailureKind
from tray_app.core.ports import ProviderError
from tray_app.core.tokens import Secret

SECRET = "canary-secret"


@pytest.fixture
async def server() -> AsyncIterator[AuthorizationServer]:
    async with AuthorizationServer() as running:
        running.token = answering(granted())
        yield running


@pytest.fixture
async def other() -> AsyncIterator[AuthorizationServer]:
    """Somebody else's."""
    async with AuthorizationServer() as running:
        yield running


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def provider(store: MemoryStore) -> OAuthProvider:
    return OAuthProvider(HandClock(), store)


def heard(server: AuthorizationServer) -> str:
    return "".join(f"{request.body!r} {request.headers!r}" for request in server.requests)


async def fails(call: Any) -> str:
    with pytest.raises(ProviderError) as caught:
        await call
    assert caught.value.failure.kind is FailureKind.MISCONFIGURED
    return caught.value.failure.message


# -- tokens


def test_a_value_under_another_key_is_another_binding() -> None:
    place = "https://a.example/x"
    keyed = {
        Account("a", client_id="c", issuer=place).bound_to,
        Account("a", client_id="c", resource=place).bound_to,
        Account("a", client_id=place, issuer="c").bound_to,
        Account("a", client_id="c", endpoints=endpoints("https://a.example", token=place)).bound_to,
    }

    assert len(keyed) == 4


@pytest.mark.parametrize(
    ("account", "issuer", "is_rebound"),
    [
        (Account("a", client_id="c", issuer="https://x.example"), None, True),
        (Account("a", client_id="c", resource="https://x.example"), "https://as.example", True),
        (Account("a", client_id="c", issuer="https://x.example"), "https://as.example", False),
        (Account("a", client_id="c", resource="https://x.example"), None, False),
        (Account("a", client_id="d", issuer="https://x.example"), None, False),
    ],
)
def test_tokens_of_a_version_without_keys_serve_where_nothing_was_changed(
    account: Account, issuer: str | None, *, is_rebound: bool
) -> None:
    kept = replace(tokens(bound_to="https://x.example c"), issuer=issuer)

    found = account.rebound(kept)

    assert found is not None
    assert (found.bound_to == account.bound_to) is is_rebound


async def test_a_revocation_endpoint_that_was_edited_in_is_sent_no_token(
    server: AuthorizationServer, other: AuthorizationServer, store: MemoryStore
) -> None:
    before = endpoints(server.issuer, revocation=f"{server.issuer}/revoke")
    account = server.account(issuer=None, endpoints=before)
    held = replace(tokens(bound_to=account.bound_to), revocation_endpoint=before.revocation)
    moved = replace(account, endpoints=replace(before, revocation=f"{other.issuer}/revoke"))

    assert "revocation_endpoint was changed" in (await provider(store).revoke(moved, held) or "")
    assert other.requests == []
    assert await provider(store).revoke(account, held) is None


# -- the client secret


@pytest.mark.parametrize(
    "change",
    ["issuer", "client", "endpoint", "device"],
)
async def test_a_secret_is_not_sent_to_where_it_was_not_set_for(
    server: AuthorizationServer, other: AuthorizationServer, store: MemoryStore, change: str
) -> None:
    account = server.account()
    await store.set_client_secret("work", bound_secret(Secret(SECRET), account.secret_bound_to))
    other.metadata["pushed_authorization_request_endpoint"] = f"{other.issuer}/par"
    elsewhere = endpoints(server.issuer, device_authorization=f"{other.issuer}/device")
    edited = {
        "issuer": other.account(),
        "client": server.account(client_id="another"),
        "endpoint": server.account(issuer=None, endpoints=endpoints(other.issuer)),
        "device": server.account(issuer=None, endpoints=elsewhere),
    }[change]

    told = await fails(SignIn.prepare(edited, provider(store)))
    await fails(DeviceSignIn.prepare(edited, provider(store), HandClock()))

    assert "lamplighter secret set work" in told
    assert SECRET not in heard(server) + heard(other) + told


async def test_a_secret_of_a_version_that_bound_it_to_nothing_is_bound_at_its_first_use(
    server: AuthorizationServer, other: AuthorizationServer, store: MemoryStore
) -> None:
    await store.set_client_secret("work", Secret(SECRET))
    account = server.account()
    await provider(store).refresh(account, tokens(bound_to=account.bound_to))
    await fails(SignIn.prepare(other.account(), provider(store)))

    kept = await store.client_secret("work")
    assert kept is not None
    assert kept_secret(kept).bound_to == account.secret_bound_to
    assert other.requests == [] or SECRET not in heard(other)


async def test_the_secret_of_a_resource_is_bound_to_the_server_that_it_first_names(
    server: AuthorizationServer, other: AuthorizationServer, store: MemoryStore
) -> None:
    resource, trusted = f"{server.issuer}/api", [server.issuer]

    async def metadata(_: object) -> Any:
        return json_response(resource=resource, authorization_servers=trusted)

    server.other["/.well-known/oauth-protected-resource/api"] = metadata
    account = Account("work", client_id="tray", resource=resource)
    await store.set_client_secret("work", bound_secret(Secret(SECRET), account.secret_bound_to))
    await (await SignIn.prepare(account, provider(store))).close()
    trusted[:] = [other.issuer]
    other.metadata["pushed_authorization_request_endpoint"] = f"{other.issuer}/par"

    told = await fails(SignIn.prepare(account, provider(store)))

    assert "lamplighter secret set work" in told
    assert SECRET not in heard(other)


async def test_a_secret_that_is_bound_rightly_is_sent(server: AuthorizationServer, store: MemoryStore) -> None:
    account = server.account(auth_method="client_secret_post")
    await store.set_client_secret("work", bound_secret(Secret(SECRET), account.secret_bound_to))
    await provider(store).refresh(account, tokens(bound_to=account.bound_to))

    assert form(server.to("/token")[-1])["client_secret"] == SECRET
