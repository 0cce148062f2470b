"""Clients that register themselves (RFC 7591), servers that a resource names (RFC 9728), requests that are pushed."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.integration.hostile_server import (
    BOUND,
    AuthorizationServer,
    Browser,
    Clients,
    HandClock,
    answering,
    form,
    json_response,
    tokens,
)
from tray_app.adapters.oauth.authorization_code_flow import SignIn
from tray_app.adapters.oauth.provider import OAuthProvider
from tray_app.adapters.oauth.registrar import InMemoryClients
from tray_app.adapters.store.memory_store import MemoryStore
from tray_app.base.http.server import Request, Response
from tray_app.core.account import Account
from tray_app.core.ports import ProviderError
from tray_app.core.provider_errors import FailureKind
from tray_app.core.tokens import Secret, TokenSet

DOOR = {"registration_access_token": "canary-door", "registration_client_uri": "/register/1"}


class Place:
    """A server that registers clients, a resource beside it, and a store that outlives a process."""

    def __init__(self, server: AuthorizationServer) -> None:
        self.server = server
        self.clock = HandClock()
        self.store = MemoryStore()
        self.registered: list[dict[str, Any]] = []
        self.more: dict[str, Any] = {}
        """Members of the next registrations' answers."""
        self.resource = f"{server.issuer}/mcp"
        self.trusted = [server.issuer]
        server.metadata["registration_endpoint"] = f"{server.issuer}/register"
        server.token = answering(tokens())
        server.other |= {
            "/register": self._register,
            "/register/1": answering(Response(200)),
            "/.well-known/oauth-protected-resource/mcp": self._metadata,
        }

    @property
    def provider(self) -> OAuthProvider:
        """As a process has it that has just started."""
        return OAuthProvider(self.clock, self.store)

    def account(self, **changes: Any) -> Account:
        return self.server.account(**{"client_id": None, "scopes": (), **changes})

    async def prepare(self, account: Account | None = None) -> SignIn:
        return await SignIn.prepare(account or self.account(), self.provider)

    async def sign_in(self, account: Account | None = None) -> TokenSet:
        kept: list[TokenSet] = []

        async def keep(new: TokenSet) -> None:
            kept.append(new)

        sign_in = await self.prepare(account)
        browser = asyncio.create_task(Browser().follow(self.server.approve(sign_in.prompt.url)))
        async with asyncio.timeout(BOUND):
            found = await sign_in.run(keep)
        await browser
        assert kept == [found]
        return found

    async def failure(self, account: Account | None = None) -> str:
        with pytest.raises(ProviderError) as caught:
            await self.prepare(account)
        assert caught.value.failure.kind is FailureKind.MISCONFIGURED
        return caught.value.failure.message

    async def _register(self, request: Request) -> Response:
        self.registered.append(json.loads(request.body))
        more = {
            name: self.server.issuer + value if name.endswith("uri") else value for name, value in self.more.items()
        }
        return json_response(201, client_id=f"registered-{len(self.registered)}", **more)

    async def _metadata(self, _: Request) -> Response:
        return json_response(resource=self.resource, authorization_servers=self.trusted, scopes_supported=["tools"])


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with AuthorizationServer() as server:
        yield Place(server)


def mcp(place: Place, **changes: Any) -> Account:
    return Account(**{"name": "mcp", "resource": place.resource, **changes})


# -- registration


async def test_a_client_is_registered_once_and_serves_after_a_restart(place: Place) -> None:
    found = await place.sign_in()
    again = await place.sign_in()

    (body,) = place.registered
    assert body["token_endpoint_auth_method"] == "client_secret_basic", "what RFC 8414 says of an absent list"
    assert body["grant_types"] == ["authorization_code", "refresh_token"]
    assert body["redirect_uris"][0] == "http://127.0.0.1/callback"
    assert body["redirect_uris"][1] == place.server.asked["redirect_uri"]  # the port is the same again
    assert found.client_id == again.client_id == "registered-1"
    assert found.bound_to == place.account().bound_to


async def test_a_port_that_is_taken_since_means_another_registration(place: Place) -> None:
    await place.sign_in()
    taken = urlsplit(place.server.asked["redirect_uri"]).port
    holder = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", taken)
    async with holder:
        found = await place.sign_in()

    assert found.client_id == "registered-2"
    assert place.server.asked["redirect_uri"] in place.registered[1]["redirect_uris"]


async def test_what_the_server_wants_is_registered(place: Place) -> None:
    place.server.metadata |= {
        "grant_types_supported": ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"],
        "token_endpoint_auth_methods_supported": ["client_secret_post"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "scopes_supported": ["openid", "offline_access", "mail"],
    }
    await (await place.prepare()).close()

    (body,) = place.registered
    assert body["grant_types"][-1] == "urn:ietf:params:oauth:grant-type:device_code"
    assert body["token_endpoint_auth_method"] == "client_secret_post"
    assert body["id_token_signed_response_alg"] == "ES256"
    assert body["scope"] == "openid offline_access"


async def test_with_the_scope_of_a_refresh_token_goes_the_consent_for_it(place: Place) -> None:
    place.server.metadata["scopes_supported"] = ["openid", "offline_access"]

    ours = await place.prepare()
    theirs = await place.prepare(place.account(scopes=("openid", "offline_access")))

    assert "prompt=consent" in ours.prompt.url
    assert "prompt=consent" in theirs.prompt.url
    await ours.close()
    await theirs.close()


async def test_the_secret_of_a_registered_client_is_kept_and_sent_as_it_was_registered(place: Place) -> None:
    place.more = {"client_secret": "canary &:secret", "token_endpoint_auth_method": "client_secret_basic"}
    found = await place.sign_in()
    await place.provider.refresh(place.account(), found)

    pair = base64.b64encode(b"registered-1:canary+%26%3Asecret").decode()
    for request in place.server.to("/token"):
        assert request.header("authorization") == f"Basic {pair}"
        assert "client_secret" not in form(request)
    kept = await place.store.registration("work")
    assert kept is not None
    assert "canary" not in repr(kept) + repr(await place.provider.registrar.kept(place.account()))


async def test_a_client_that_the_server_does_not_know_any_more_is_made_anew_at_the_next_sign_in_and_not_before(
    place: Place,
) -> None:
    found = await place.sign_in()
    place.server.token = answering(json_response(401, error="invalid_client"))
    for _ in range(3):
        with pytest.raises(ProviderError):
            await place.provider.refresh(place.account(), found)
    assert len(place.registered) == 1

    place.server.token = answering(tokens())
    assert (await place.sign_in()).client_id == "registered-2"


async def test_a_server_that_can_be_asked_about_its_clients_is_asked_before_the_browser_opens(place: Place) -> None:
    place.more = DOOR
    await place.sign_in()
    place.server.other["/register/1"] = answering(Response(401))

    assert (await place.sign_in()).client_id == "registered-2"
    (asked,) = place.server.to("/register/1")
    assert asked.header("authorization") == "Bearer canary-door"


async def test_the_access_token_of_a_registration_goes_to_its_server_alone(place: Place) -> None:
    async with AuthorizationServer() as other:
        place.more = {"registration_access_token": "canary-door"}

        async def register(request: Request) -> Response:
            place.registered.append(json.loads(request.body))
            uri = f"{other.issuer}/register/1"
            return json_response(
                201, client_id="c", registration_access_token="canary-door", registration_client_uri=uri
            )

        place.server.other["/register"] = register
        await place.sign_in()
        await place.sign_in()
        await place.provider.forget(place.account())

        assert not other.requests


async def test_tokens_that_are_still_good_belong_to_the_client_before(place: Place) -> None:
    place.more = {"client_secret": "canary-one", "token_endpoint_auth_method": "client_secret_post"}
    found = await place.sign_in()
    await place.provider.registrar.refused(place.account(), "registered-1")
    place.more = {"client_secret": "canary-two", "token_endpoint_auth_method": "client_secret_post"}
    for number in (2, 3, 4):
        await (await place.prepare()).close()  # a new one is registered, and the sign-in abandoned
        await place.provider.registrar.refused(place.account(), f"registered-{number}")

    await place.provider.refresh(place.account(), found)

    sent = form(place.server.to("/token")[-1])
    assert (sent["client_id"], sent["client_secret"]) == ("registered-1", "canary-one")


async def test_a_server_that_registers_nobody_wants_a_client_id(place: Place) -> None:
    del place.server.metadata["registration_endpoint"]

    assert "needs a client_id" in await place.failure()


@pytest.mark.parametrize(
    "answer",
    [
        json_response(400, error="invalid_redirect_uri"),
        json_response(401, error="invalid_token"),
        Response(403),
        json_response(400, error="invalid_client_metadata"),
    ],
)
async def test_a_registration_that_is_refused_is_a_matter_of_the_configuration(place: Place, answer: Response) -> None:
    place.server.other["/register"] = answering(answer)

    assert "did not register a client" in await place.failure()


async def test_a_client_that_its_server_forgot_is_registered_anew_before_the_browser_opens(place: Place) -> None:
    await place.sign_in()
    forgotten = json_response(401, error="invalid_client")

    async def token(request: Request) -> Response:
        return forgotten if form(request)["client_id"] == "registered-1" else tokens()

    place.server.token = token

    assert (await place.sign_in()).client_id == "registered-2"


async def test_a_client_that_its_server_knows_stays_when_a_token_of_nobody_is_refused(place: Place) -> None:
    await place.sign_in()
    place.server.token = answering(json_response(400, error="invalid_grant"))
    await (await place.prepare()).close()

    assert len(place.registered) == 1
    asked = form(place.server.to("/token")[-1])
    assert (asked["grant_type"], "code" in asked) == ("refresh_token", False)


async def test_a_server_that_gives_a_client_one_grant_alone_is_asked_without_the_device_grant(place: Place) -> None:
    device = "urn:ietf:params:oauth:grant-type:device_code"
    place.server.metadata |= {"grant_types_supported": ["authorization_code", device]}
    given = place.server.other["/register"]

    async def one_grant(request: Request) -> Response:
        if device in request.body.decode():
            return json_response(400, error="invalid_client_metadata")
        return await given(request)

    place.server.other["/register"] = one_grant

    assert (await place.sign_in()).client_id == "registered-1"
    assert [device in one.body.decode() for one in place.server.to("/register")] == [True, False]


async def test_signing_off_for_good_deletes_the_client_there_and_here(place: Place) -> None:
    place.more = DOOR
    await place.sign_in()
    await place.provider.forget(place.account())

    assert [(one.method, one.header("authorization")) for one in place.server.to("/register/1")] == [
        ("DELETE", "Bearer canary-door")
    ]
    assert await place.store.registration("work") is None


async def test_a_store_that_holds_something_else_is_no_obstacle(place: Place) -> None:
    await place.store.set_registration("work", Secret("[[]]"))

    assert (await place.sign_in()).client_id == "registered-1"


# -- resources


async def test_an_mcp_server_needs_one_line(place: Place) -> None:
    found = await place.sign_in(mcp(place))
    await place.provider.refresh(mcp(place), found)

    assert place.server.asked["resource"] == place.resource
    assert place.server.asked["scope"] == "tools"
    assert [form(one)["resource"] for one in place.server.to("/token")] == [place.resource] * 2
    assert (found.issuer, found.client_id) == (place.server.issuer, "registered-1")


async def test_a_resource_that_names_another_server_later_gets_no_tokens_there(place: Place) -> None:
    found = await place.sign_in(mcp(place))
    async with AuthorizationServer() as evil:
        place.trusted[:] = [evil.issuer]
        place.clock.pass_by(hours=2)
        await place.provider.refresh(mcp(place), found)
        await place.provider.revoke(mcp(place), found)

        assert not evil.to("/token")
        assert not evil.to("/revoke")
        assert place.server.to("/revoke")


async def test_a_client_registered_at_one_server_is_not_used_at_another(place: Place) -> None:
    await place.sign_in(mcp(place))
    async with AuthorizationServer() as other:
        second = Place(other)
        place.trusted[:] = [other.issuer]
        place.clock.pass_by(hours=2)
        await (await place.prepare(mcp(place))).close()

        assert len(second.registered) == 1


async def test_the_metadata_of_another_resource_is_refused(place: Place) -> None:
    account = mcp(place)
    place.resource = f"{place.server.issuer}/other"

    assert "calls itself by another resource" in await place.failure(account)
    assert not place.registered


@pytest.mark.parametrize("trusted", [[], ["http://evil.example"], ["javascript:alert(1)"], [7]], ids=str)
async def test_a_resource_that_names_nobody_to_trust_is_refused(place: Place, trusted: list[Any]) -> None:
    place.trusted = trusted

    assert "authorization server" in await place.failure(mcp(place))


async def test_where_nothing_is_at_the_well_known_place_the_resource_s_own_hint_is_followed(place: Place) -> None:
    issuer = place.server.issuer
    place.server.other["/hinted"] = place.server.other.pop("/.well-known/oauth-protected-resource/mcp")
    place.server.other["/.well-known/oauth-protected-resource/mcp"] = answering(Response(404))
    hint = f'Bearer error="invalid_token", resource_metadata="{issuer}/hinted"'
    place.server.other["/mcp"] = answering(Response(401, headers=[("WWW-Authenticate", hint)]))

    assert (await place.sign_in(mcp(place))).issuer == issuer


async def test_a_hint_to_another_origin_is_not_followed(place: Place) -> None:
    async with AuthorizationServer() as evil:
        place.server.other["/.well-known/oauth-protected-resource/mcp"] = answering(Response(404))
        hint = f'Bearer resource_metadata="{evil.issuer}/.well-known/oauth-protected-resource/mcp"'
        place.server.other["/mcp"] = answering(Response(401, headers=[("WWW-Authenticate", hint)]))
        with pytest.raises(ProviderError):
            await place.prepare(mcp(place))

        assert not evil.requests


# -- pushed authorization requests


async def test_a_request_is_pushed_where_that_is_offered_and_the_browser_carries_a_reference(place: Place) -> None:
    place.server.metadata["pushed_authorization_request_endpoint"] = f"{place.server.issuer}/par"
    place.server.other["/par"] = answering(json_response(201, request_uri="urn:example:1", expires_in=60))
    sign_in = await place.prepare(place.server.account(authorization_parameters={"login_hint": "ada"}))

    asked = dict(parse_qsl(urlsplit(sign_in.prompt.url).query))
    assert asked == {"tenant": "x", "client_id": "tray", "request_uri": "urn:example:1"}
    pushed = form(place.server.to("/par")[0])
    assert (pushed["client_id"], pushed["code_challenge_method"], pushed["login_hint"]) == ("tray", "S256", "ada")
    await sign_in.close()


async def test_a_push_that_is_refused_opens_no_browser_and_frees_the_port(place: Place) -> None:
    place.server.metadata["pushed_authorization_request_endpoint"] = f"{place.server.issuer}/par"
    place.server.other["/par"] = answering(json_response(400, error="invalid_request", error_description="no"))

    assert "invalid_request: no" in await place.failure(place.server.account())


async def test_a_push_in_the_name_of_a_forgotten_client_registers_it_again(place: Place) -> None:
    place.server.metadata["pushed_authorization_request_endpoint"] = f"{place.server.issuer}/par"

    async def push(request: Request) -> Response:
        if form(request)["client_id"] == "registered-1":
            return json_response(401, error="invalid_client")
        return json_response(201, request_uri="urn:example:2", expires_in=60)

    place.server.other["/par"] = push
    sign_in = await place.prepare()

    assert "client_id=registered-2" in sign_in.prompt.url
    await sign_in.close()


# -- clients with a secret


@pytest.mark.parametrize(
    ("metadata", "changes", "is_basic"),
    [
        ({}, {}, True),
        ({"token_endpoint_auth_methods_supported": ["client_secret_post", "none"]}, {}, False),
        ({"token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"]}, {}, True),
        ({}, {"auth_method": "client_secret_post"}, False),
    ],
    ids=["metadata that says nothing", "post alone", "both", "as configured"],
)
async def test_a_secret_is_sent_as_the_server_wants_it(
    place: Place, metadata: dict[str, Any], changes: dict[str, Any], *, is_basic: bool
) -> None:
    async def secret(_: str) -> Secret:
        return Secret("p:w d")

    place.server.metadata |= metadata
    account = replace(place.server.account(), **changes)
    found = await place.sign_in(place.server.account())
    await OAuthProvider(place.clock, Clients(secret)).refresh(account, found)

    sent = place.server.to("/token")[-1]
    basic = f"Basic {base64.b64encode(b'tray:p%3Aw+d').decode()}"
    assert sent.header("authorization") == (basic if is_basic else None)
    assert form(sent).get("client_secret") == (None if is_basic else "p:w d")
    assert form(sent).get("client_id") == "tray"


# -- a registration that is refused is asked again with less


def refusing(place: Place, accepts: Any, status: int = 400) -> None:
    """Every registration is refused that `accepts` says no to."""
    given = place.server.other["/register"]

    async def strict(request: Request) -> Response:
        if not accepts(json.loads(request.body)):
            return json_response(status, error="invalid_client_metadata")
        return await given(request)

    place.server.other["/register"] = strict


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize(
    "accepts",
    [
        lambda body: len(body["redirect_uris"]) == 1,
        lambda body: len(body["redirect_uris"]) == 1 and urlsplit(body["redirect_uris"][0]).port,
        lambda body: urlsplit(body["redirect_uris"][0]).hostname == "localhost",
        lambda body: "scope" not in body,
        lambda body: body["grant_types"] == ["authorization_code"],
    ],
    ids=["one redirect URI", "one with a port", "localhost", "no scopes", "no refresh token"],
)
async def test_a_refused_registration_is_asked_again_with_less_and_serves_later_sign_ins(
    place: Place, accepts: Any, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    refusing(place, accepts, status)

    first = await place.sign_in(place.account(scopes=("mail",)))
    again = await place.sign_in(place.account(scopes=("mail",)))

    assert first.client_id == again.client_id == "registered-1"
    assert "registered a client with" in caplog.text, "what was left out is said"


async def test_where_only_localhost_is_registered_the_browser_comes_back_there(place: Place) -> None:
    refusing(place, lambda body: urlsplit(body["redirect_uris"][0]).hostname == "localhost")

    await place.sign_in()

    assert urlsplit(place.server.asked["redirect_uri"]).hostname == "localhost"


async def test_a_registration_that_wants_a_token_of_its_own_names_the_client_id_and_is_asked_once(place: Place) -> None:
    refusing(place, lambda _: False, 401)

    assert "client_id" in await place.failure()
    assert len(place.server.to("/register")) == 1


# -- how a client proves itself


class keeping(InMemoryClients):  # noqa: N801 - reads as what it does
    """Clients with this secret."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._secret = Secret(text)

    async def client_secret(self, _account: str) -> Secret:
        return self._secret


async def refreshed(place: Place, secret: str, **changes: Any) -> list[Request]:
    """What was sent to the token endpoint for two refreshes with this secret."""
    found = await place.sign_in(place.server.account())
    provider, before = OAuthProvider(place.clock, keeping(secret)), len(place.server.to("/token"))
    for _ in range(2):
        await provider.refresh(replace(place.server.account(), **changes), found)
    return place.server.to("/token")[before:]


def accepting(place: Place, accepts: Any, error: str, **more: str) -> None:
    given = place.server.token

    async def strict(request: Request) -> Response:
        if form(request)["grant_type"] == "refresh_token" and not accepts(request):
            return json_response(401 if error == "invalid_client" else 400, error=error, **more)
        return await given(request)

    place.server.token = strict


def is_unencoded(request: Request) -> bool:
    pair = base64.b64decode((request.header("authorization") or "").removeprefix("Basic ")).decode()
    return pair == "tray:a+b/c="


async def test_a_server_that_does_not_decode_basic_is_met_unencoded_and_remembered(place: Place) -> None:
    accepting(place, is_unencoded, "invalid_client")

    sent = await refreshed(place, "a+b/c=")

    assert [is_unencoded(one) for one in sent] == [False, True, True]


async def test_then_the_form_is_tried(place: Place) -> None:
    accepting(place, lambda one: form(one).get("client_secret") == "a+b/c=", "invalid_client")

    sent = await refreshed(place, "a+b/c=")

    assert ["client_secret" in form(one) for one in sent] == [False, False, True, True]


async def test_a_second_proof_that_has_not_worked_is_not_kept(place: Place) -> None:
    found = await place.sign_in(place.server.account())
    provider = OAuthProvider(place.clock, keeping("a+b/c="))
    before, good = len(place.server.to("/token")), place.server.token
    answers = [json_response(401, error="invalid_client"), Response(503), Response(503)]

    async def spurious(_: Request) -> Response:
        return answers.pop(0)

    place.server.token = spurious
    with pytest.raises(ProviderError):
        await provider.refresh(place.server.account(), found)
    place.server.token = good
    await provider.refresh(place.server.account(), found)

    assert not is_unencoded(place.server.to("/token")[-1])
    assert len(place.server.to("/token")) - before == 4


async def test_a_secret_of_plain_letters_is_wrong_where_it_is_refused(place: Place) -> None:
    accepting(place, lambda _: False, "invalid_client")

    with pytest.raises(ProviderError, match="invalid_client"):
        await refreshed(place, "plain")


async def test_a_server_that_takes_the_id_for_a_second_proof_gets_basic_alone(place: Place) -> None:
    accepting(
        place, lambda one: "client_id" not in form(one), "invalid_request", error_description="multiple authentication"
    )

    sent = await refreshed(place, "plain")

    assert ["client_id" in form(one) for one in sent] == [True, False, False]


async def test_basic_that_is_asked_for_by_name_is_sent_without_a_secret_too(place: Place) -> None:
    account = place.server.account(auth_method="client_secret_basic")
    found = await place.sign_in(account)
    await OAuthProvider(place.clock).refresh(account, found)

    assert place.server.to("/token")[-1].header("authorization") == f"Basic {base64.b64encode(b'tray:').decode()}"


async def test_a_client_without_proof_can_be_asked_for_by_name(place: Place) -> None:
    sent = await refreshed(place, "kept", auth_method="none")

    assert all(one.header("authorization") is None and "client_secret" not in form(one) for one in sent)


# -- pushed authorization requests that are offered and refused


def pushing(place: Place, response: Response, **metadata: Any) -> None:
    place.server.metadata |= {"pushed_authorization_request_endpoint": f"{place.server.issuer}/par", **metadata}
    place.server.other["/par"] = answering(response)


async def test_a_pushed_request_may_be_answered_with_200(place: Place) -> None:
    pushing(place, json_response(200, request_uri="urn:example:1"))

    sign_in = await place.prepare(place.server.account())

    assert "request_uri=urn" in sign_in.prompt.url
    await sign_in.close()


@pytest.mark.parametrize(
    "response",
    [
        json_response(400, error="unauthorized_client"),
        json_response(401, error="invalid_client"),
        Response(403),
        Response(404, b"<html>"),
        Response(405),
        Response(500),
        Response(503),
    ],
    ids=lambda one: str(one.status),
)
async def test_where_a_pushed_request_is_not_taken_the_plain_one_is_made(
    place: Place, response: Response, caplog: pytest.LogCaptureFixture
) -> None:
    pushing(place, response)

    sign_in = await place.prepare(place.server.account())

    assert "code_challenge=" in sign_in.prompt.url
    assert "without pushing" in caplog.text
    await sign_in.close()


async def test_what_the_metadata_demands_is_not_left_out(place: Place) -> None:
    pushing(place, Response(404), require_pushed_authorization_requests=True)

    with pytest.raises(ProviderError):
        await place.prepare(place.server.account())


async def test_a_confidential_client_that_is_not_known_is_told(place: Place) -> None:
    pushing(place, json_response(401, error="invalid_client"))

    with pytest.raises(ProviderError, match="invalid_client"):
        await SignIn.prepare(place.server.account(), OAuthProvider(place.clock, keeping("wrong")))
