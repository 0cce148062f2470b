"""The demo's authorization server, asked over HTTP as an application and a browser would."""

import asyncio
import base64
import hashlib
import http.client
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tray_app.demo.provider import CLIENT_ID, DemoProvider, Event

REDIRECT_URI = "http://127.0.0.1:50123/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


class HandClock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 24, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def pass_by(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass
class Reply:
    status: int
    headers: http.client.HTTPMessage
    text: str

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.text)

    @property
    def returned(self) -> dict[str, str]:
        """What the redirect brings to the application."""
        return {name: value for name, (value,) in parse_qs(urlsplit(self.headers["Location"]).query).items()}

    @property
    def key(self) -> str:
        """The one-time key of the page's forms."""
        found = re.search(r'name="key" value="([^"]+)"', self.text)
        assert found, self.text
        return found[1]


class Visitor:
    """Sends requests to a provider, one connection each, and follows no redirect."""

    def __init__(self, provider: DemoProvider) -> None:
        self.provider = provider

    async def get(self, path: str, query: dict[str, str] | None = None, **headers: str) -> Reply:
        return await asyncio.to_thread(
            self._send, "GET", f"{path}?{urlencode(query)}" if query else path, None, headers
        )

    async def post(self, path: str, form: dict[str, str]) -> Reply:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return await asyncio.to_thread(self._send, "POST", path, urlencode(form), headers)

    def _send(self, method: str, target: str, body: str | None, headers: dict[str, str]) -> Reply:
        connection = http.client.HTTPConnection(urlsplit(self.provider.issuer).netloc, timeout=20)
        try:
            connection.request(method, target, body, headers)
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read().decode())
        finally:
            connection.close()

    async def ask(self, **changed: str) -> Reply:
        """The authorization request, with some parameters changed; an empty one is left out."""
        query = {
            "response_type": "code",
            "client_id": CLIENT_ID,
            "redirect_uri": REDIRECT_URI,
            "state": "a state",
            "scope": "demo offline_access",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        } | changed
        return await self.get("/authorize", {name: value for name, value in query.items() if value})

    async def code(self) -> str:
        page = await self.ask()
        return (await self.post("/authorize", {"key": page.key, "decision": "approve"})).returned["code"]

    async def exchange(self, code: str, **changed: str) -> Reply:
        form = {"grant_type": "authorization_code", "client_id": CLIENT_ID, "redirect_uri": REDIRECT_URI}
        return await self.post("/token", form | {"code": code, "code_verifier": VERIFIER} | changed)

    async def sign_in(self) -> dict[str, Any]:
        return (await self.exchange(await self.code())).json

    async def refresh(self, token: str) -> Reply:
        return await self.post(
            "/token", {"grant_type": "refresh_token", "client_id": CLIENT_ID, "refresh_token": token}
        )

    async def press(self, trouble: str) -> Reply:
        return await self.post("/", {"key": (await self.get("/")).key, "trouble": trouble})


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def provider(clock: HandClock) -> AsyncIterator[DemoProvider]:
    provider = DemoProvider(clock, ttl=20)
    await provider.start()
    yield provider
    await provider.close()


@pytest.fixture
def visitor(provider: DemoProvider) -> Visitor:
    return Visitor(provider)


@pytest.mark.parametrize("place", ["oauth-authorization-server", "openid-configuration"])
async def test_both_discovery_documents_name_the_endpoints(visitor: Visitor, place: str) -> None:
    issuer = visitor.provider.issuer
    metadata = (await visitor.get(f"/.well-known/{place}")).json

    assert metadata["issuer"] == issuer
    assert {metadata[f"{name}_endpoint"] for name in ("authorization", "token", "revocation")} == {
        f"{issuer}/authorize",
        f"{issuer}/token",
        f"{issuer}/revoke",
    }
    assert metadata["code_challenge_methods_supported"] == ["S256"]
    assert metadata["authorization_response_iss_parameter_supported"] is True


async def test_approve_leads_back_with_code_state_and_iss_and_the_code_gives_tokens(
    visitor: Visitor, clock: HandClock
) -> None:
    page = await visitor.ask()
    approved = await visitor.post("/authorize", {"key": page.key, "decision": "approve"})
    answer = await visitor.exchange(approved.returned["code"])

    assert "Lamplighter" in page.text
    assert approved.status == 303
    assert approved.headers["Location"].startswith(f"{REDIRECT_URI}?")
    assert approved.returned["state"] == "a state"
    assert approved.returned["iss"] == visitor.provider.issuer
    assert answer.status == 200
    assert answer.json["token_type"] == "Bearer"
    assert answer.json["expires_in"] == 20
    assert answer.json["scope"] == "demo offline_access"
    assert answer.json["access_token"] != answer.json["refresh_token"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert parsedate_to_datetime(answer.headers["Date"]) == clock.now()
    assert visitor.provider.counts == {Event.SIGN_IN: 1}


async def test_refuse_leads_back_with_access_denied_state_and_iss(visitor: Visitor) -> None:
    page = await visitor.ask()
    refused = (await visitor.post("/authorize", {"key": page.key, "decision": "refuse"})).returned

    assert (refused["error"], refused["state"]) == ("access_denied", "a state")
    assert refused["iss"] == visitor.provider.issuer
    assert "code" not in refused
    assert visitor.provider.counts == {Event.DENIAL: 1}


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": "another"},
        {"redirect_uri": "https://elsewhere.example/callback"},
        {"redirect_uri": "http://127.0.0.1.elsewhere.example/"},
        {"redirect_uri": "http://127.0.0.1:1/callback#fragment"},
        {"redirect_uri": "http://127.0.0.1:1/a\r\nSet-Cookie: a=b"},
        {"redirect_uri": ""},
    ],
    ids=lambda changed: "=".join(*changed.items()),
)
async def test_another_application_or_place_is_told_on_a_page_and_never_redirected(
    visitor: Visitor, changed: dict[str, str]
) -> None:
    answer = await visitor.ask(**changed)

    assert answer.status == 400
    assert "Location" not in answer.headers


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": ""}, "invalid_request"),
        ({"scope": "demo admin"}, "invalid_scope"),
    ],
)
async def test_a_wrong_request_of_the_application_is_told_to_it(
    visitor: Visitor, changed: dict[str, str], error: str
) -> None:
    answer = await visitor.ask(**changed)

    assert answer.status == 303
    assert (answer.returned["error"], answer.returned["state"]) == (error, "a state")


@pytest.mark.parametrize(
    "changed",
    [{"code_verifier": "w" * 43}, {"code_verifier": ""}, {"redirect_uri": "http://127.0.0.1:50124/callback"}],
    ids=["wrong verifier", "no verifier", "another redirect URI"],
)
async def test_a_code_is_only_for_whoever_asked_for_it(visitor: Visitor, changed: dict[str, str]) -> None:
    code = await visitor.code()
    wrong = await visitor.exchange(code, **changed)
    right_but_late = await visitor.exchange(code)

    assert (wrong.status, wrong.json["error"]) == (400, "invalid_grant")
    assert right_but_late.json["error"] == "invalid_grant"
    assert visitor.provider.counts[Event.SIGN_IN] == 0


async def test_a_code_that_comes_again_ends_the_sign_in_that_it_gave(visitor: Visitor) -> None:
    code = await visitor.code()
    tokens = (await visitor.exchange(code)).json
    again = await visitor.exchange(code)

    assert again.json["error"] == "invalid_grant"
    assert (await visitor.refresh(tokens["refresh_token"])).json["error"] == "invalid_grant"


async def test_a_code_ends_after_a_minute(visitor: Visitor, clock: HandClock) -> None:
    code = await visitor.code()
    clock.pass_by(60)

    assert (await visitor.exchange(code)).json["error"] == "invalid_grant"


async def test_each_refresh_rotates_and_an_old_refresh_token_ends_the_whole_family(visitor: Visitor) -> None:
    first = await visitor.sign_in()
    second = (await visitor.refresh(first["refresh_token"])).json
    assert second["refresh_token"] != first["refresh_token"]
    assert second["access_token"] != first["access_token"]

    reused = await visitor.refresh(first["refresh_token"])
    newest = await visitor.refresh(second["refresh_token"])

    assert (reused.status, reused.json["error"]) == (400, "invalid_grant")
    assert newest.json["error"] == "invalid_grant"
    assert visitor.provider.counts == {Event.SIGN_IN: 1, Event.REFRESH: 1, Event.REFUSAL: 2}


async def test_the_end_of_one_sign_in_leaves_another_alone(visitor: Visitor) -> None:
    first, second = await visitor.sign_in(), await visitor.sign_in()
    await visitor.post("/revoke", {"client_id": CLIENT_ID, "token": first["refresh_token"]})

    assert (await visitor.refresh(first["refresh_token"])).status == 400
    assert (await visitor.refresh(second["refresh_token"])).status == 200


async def test_without_rotation_the_refresh_token_serves_on(clock: HandClock) -> None:
    provider = DemoProvider(clock, rotate=False)
    await provider.start()
    visitor = Visitor(provider)
    try:
        tokens = await visitor.sign_in()
        answers = [(await visitor.refresh(tokens["refresh_token"])).json for _ in range(2)]
    finally:
        await provider.close()

    assert all("access_token" in answer and "refresh_token" not in answer for answer in answers)


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"grant_type": "password", "client_id": CLIENT_ID}, 400, "unsupported_grant_type"),
        ({"grant_type": "refresh_token", "client_id": "another"}, 401, "invalid_client"),
        ({"grant_type": "refresh_token", "client_id": CLIENT_ID}, 400, "invalid_grant"),
    ],
)
async def test_the_token_endpoint_says_in_json_what_is_wrong(
    visitor: Visitor, form: dict[str, str], status: int, error: str
) -> None:
    answer = await visitor.post("/token", form)

    assert (answer.status, answer.json["error"]) == (status, error)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("token", ["refresh_token", "access_token"])
async def test_revocation_ends_the_sign_in_whichever_token_comes(visitor: Visitor, token: str) -> None:
    tokens = await visitor.sign_in()
    revoked = await visitor.post("/revoke", {"client_id": CLIENT_ID, "token": tokens[token]})

    assert revoked.status == 200
    assert (await visitor.refresh(tokens["refresh_token"])).json["error"] == "invalid_grant"
    assert visitor.provider.counts[Event.REVOCATION] == 1


async def test_revoking_what_is_unknown_is_no_error(visitor: Visitor) -> None:
    assert (await visitor.post("/revoke", {"client_id": CLIENT_ID, "token": "unknown"})).status == 200
    assert visitor.provider.counts[Event.REVOCATION] == 0


async def test_down_is_503_without_a_promise_while_the_page_stays_up(visitor: Visitor, clock: HandClock) -> None:
    tokens = await visitor.sign_in()
    visitor.provider.go_down(15)

    down = await visitor.refresh(tokens["refresh_token"])
    assert down.status == 503
    assert "Retry-After" not in down.headers
    assert (await visitor.get("/")).status == 200
    assert visitor.provider.counts[Event.OUTAGE] == 1

    clock.pass_by(15)
    assert (await visitor.refresh(tokens["refresh_token"])).status == 200


async def test_slow_answers_come_late_and_come(visitor: Visitor) -> None:
    tokens = await visitor.sign_in()
    visitor.provider.go_slow(0.3)
    loop = asyncio.get_running_loop()
    before = loop.time()

    assert (await visitor.refresh(tokens["refresh_token"])).status == 200
    assert loop.time() - before >= 0.29
    visitor.provider.recover()
    assert (await visitor.get("/.well-known/openid-configuration")).status == 200


async def test_close_does_not_wait_for_slow_answers(visitor: Visitor) -> None:
    visitor.provider.go_slow(3600)
    waiting = asyncio.create_task(visitor.get("/.well-known/openid-configuration"))
    for _ in range(1000):
        if visitor.provider._server._connections:
            break
        await asyncio.sleep(0.01)

    await asyncio.wait_for(visitor.provider.close(), 10)
    with pytest.raises((OSError, http.client.HTTPException)):
        await waiting


@pytest.mark.parametrize("trouble", ["revoke", "end"])
async def test_the_page_ends_the_sign_in(visitor: Visitor, trouble: str) -> None:
    tokens = await visitor.sign_in()
    pressed = await visitor.press(trouble)

    assert (pressed.status, pressed.headers["Location"]) == (303, "/")
    assert (await visitor.refresh(tokens["refresh_token"])).json["error"] == "invalid_grant"
    assert "The sign-in has ended" in (await visitor.get("/")).text


async def test_the_page_lets_the_sign_in_end_soon_and_takes_it_back(visitor: Visitor) -> None:
    tokens = await visitor.sign_in()
    await visitor.press("soon")
    soon = (await visitor.refresh(tokens["refresh_token"])).json
    await visitor.press("recover")
    later = (await visitor.refresh(soon["refresh_token"])).json

    stated = [answer["refresh_token_expires_in"] // 86400 for answer in (tokens, soon, later)]
    assert stated == [30, 2, 30]


async def test_the_page_takes_the_provider_down_for_longer_than_a_token_lives(
    visitor: Visitor, clock: HandClock
) -> None:
    await visitor.press("down")
    clock.pass_by(21)
    assert (await visitor.get("/.well-known/openid-configuration")).status == 503
    assert "Down" in (await visitor.get("/")).text
    await visitor.press("recover")
    assert (await visitor.get("/.well-known/openid-configuration")).status == 200


async def test_the_page_says_who_is_signed_in_and_what_happened(visitor: Visitor, clock: HandClock) -> None:
    assert "Nobody is signed in" in (await visitor.get("/")).text
    tokens = await visitor.sign_in()
    clock.pass_by(12)
    await visitor.refresh(tokens["refresh_token"])
    clock.pass_by(5)

    page = (await visitor.get("/")).text
    assert "Lamplighter is signed in" in page
    assert "<dt>Refreshes</dt><dd>1</dd>" in page
    assert "<dt>Token left</dt><dd>15 s</dd>" in page
    assert Event.REFRESH.value in page
    assert tokens["access_token"] not in page


async def test_a_press_without_a_key_or_with_a_used_one_does_nothing(visitor: Visitor) -> None:
    tokens = await visitor.sign_in()
    key = (await visitor.get("/")).key
    await visitor.post("/", {"key": key, "trouble": "recover"})

    for form in ({"trouble": "revoke"}, {"key": "guessed", "trouble": "revoke"}, {"key": key, "trouble": "revoke"}):
        assert (await visitor.post("/", form)).status == 403
    assert (await visitor.refresh(tokens["refresh_token"])).status == 200


async def test_an_approval_without_a_key_or_with_a_used_one_gives_no_code(visitor: Visitor) -> None:
    key = (await visitor.ask()).key
    await visitor.post("/authorize", {"key": key, "decision": "refuse"})

    for form in ({"decision": "approve"}, {"key": "guessed", "decision": "approve"}, {"key": key}):
        answer = await visitor.post("/authorize", form)
        assert answer.status == 403
        assert "Location" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/authorize", "/.well-known/oauth-authorization-server"])
async def test_a_foreign_host_gets_nothing(visitor: Visitor, path: str) -> None:
    answer = await visitor.get(path, Host="rebound.example:80")

    assert answer.status == 421
    assert "key" not in answer.text


async def test_pages_load_nothing_from_elsewhere_and_forms_lead_nowhere_else(visitor: Visitor) -> None:
    for page, wanted in (
        (await visitor.get("/"), "form-action 'self'"),
        (await visitor.ask(), "form-action 'self' http://127.0.0.1:50123"),
    ):
        policies = page.headers.get_all("Content-Security-Policy")
        assert "default-src 'none'" in policies[0]
        assert policies[1].endswith(wanted)
        assert "<script" not in page.text
        assert not re.search(r'(?:src|href)="(?!data:|/)', page.text)


async def test_what_is_not_there_is_told_plainly(visitor: Visitor) -> None:
    assert (await visitor.get("/favicon.ico")).status == 404
    assert (await visitor.get("/token")).status == 405
    assert (await visitor.post("/", {"key": (await visitor.get("/")).key, "trouble": "unheard of"})).status == 400
