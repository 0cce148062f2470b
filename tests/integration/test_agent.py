"""The agent as another program sees it: HTTP over a socket, by the letter of the contract."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tests.integration.hostile_server import json_response
from tests.integration.lamplighter_process import Lamplighter, Provider, Reply, Running, arrive, eventually, listens
from tray_app.base.http.server import Response

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
TOKEN, REFRESH, LOGIN, LOGOUT = (f"/v1/accounts/work/{what}" for what in ("token", "refresh", "login", "logout"))


@pytest.fixture
def agent(lamplighter: Lamplighter, provider: Provider) -> Iterator[Lamplighter]:
    """With a running applet, signed in."""
    lamplighter.given(provider)
    with lamplighter.applet():
        yield lamplighter


@pytest.fixture
def late(lamplighter: Lamplighter, provider: Provider) -> Lamplighter:
    """Not running yet; its access token has ended."""
    lamplighter.given(provider, life=600, age=700)
    return lamplighter


@pytest.fixture
def new(keyless: Lamplighter, provider: Provider) -> Iterator[Lamplighter]:
    """With a running applet, never signed in."""
    keyless.configure('store = "memory"', provider.account())
    with keyless.applet():
        yield keyless


def assert_error(reply: Reply, status: int, name: str) -> None:
    assert (reply.status, reply.headers["content-type"]) == (status, "application/json")
    assert set(reply.body) == {"error", "message"}
    assert (reply.body["error"], bool(reply.body["message"])) == (name, True)


def sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def test_curl_gets_a_token(agent: Lamplighter) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    url = "http://lamplighter/v1/accounts/work/token"
    asked = subprocess.run(
        ["curl", "-sS", "--fail", "--unix-socket", str(agent.socket), url],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found = json.loads(asked.stdout)

    assert TIME.fullmatch(found.pop("expires_at"))
    assert found == {"access_token": "canary-access-1", "token_type": "Bearer", "scopes": ["openid"]}


def test_an_answer_with_a_token_is_kept_nowhere(agent: Lamplighter) -> None:
    headers = agent.ask("GET", TOKEN).headers

    assert (headers["content-type"], headers["cache-control"]) == ("application/json", "no-store")


def test_the_status_says_that_the_applet_runs(agent: Lamplighter) -> None:
    found = agent.ask("GET", "/v1/status").body

    assert set(found) == {"version", "health", "running", "configuration_error", "paused_until", "accounts"}
    assert (found["running"], found["health"], found["configuration_error"]) == (True, "fresh", None)


def test_what_is_wrong_with_the_question_is_400_or_404(agent: Lamplighter) -> None:
    assert_error(agent.ask("GET", "/v1/accounts/wrok/token"), 404, "unknown_account")
    assert_error(agent.ask("POST", "/v1/accounts/wrok/refresh"), 404, "unknown_account")
    assert_error(agent.ask("POST", "/v1/accounts/wrok/login"), 404, "unknown_account")
    assert_error(agent.ask("POST", "/v1/accounts/wrok/logout"), 404, "unknown_account")
    assert_error(agent.ask("GET", "/v1/accounts/..%2F..%2Fetc/token"), 404, "not_found")
    for text in ("soon", "-1", "1.5", "%31e3", "\u0663".encode().hex()):
        assert_error(agent.ask("GET", f"{TOKEN}?min_ttl={text}"), 400, "invalid_request")
    for body in (
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 5000,
        b'{"rejected_sha256": 7}',
        b'{"rejected_sha256": "no hex"}',
    ):
        assert_error(agent.ask("POST", REFRESH, body), 400, "invalid_request")
    for body in ({"flow": "guess"}, {"flow": 7}, {"browser": "yes"}):
        assert_error(agent.ask("POST", LOGIN, body), 400, "invalid_request")
    for path in ("/", "/v1", "/v1/accounts/work", "/v1/accounts/work/nothing"):
        assert_error(agent.ask("GET", path), 404, "not_found")
    assert agent.ask("GET", TOKEN).status == 200


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", TOKEN, "GET"),
        ("HEAD", TOKEN, "GET"),
        ("GET", REFRESH, "POST"),
        ("PUT", LOGIN, "POST, DELETE"),
        ("PUT", "/v1/status", "GET"),
        ("GET", "/v1/quit", "POST"),
    ],
)
def test_a_method_that_is_not_answered_is_told_which_are(
    agent: Lamplighter, method: str, path: str, allowed: str
) -> None:
    reply = agent.ask(method, path)

    assert (reply.status, reply.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize(
    "sent",
    [b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\0" * 4096,
     b"GET / HTTP/1.1\r\n\r\n", b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
     b"POST /v1/quit HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n",
     b"POST /v1/quit HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"],
    ids=["TLS", "half a line", "a version", "zeros", "no host", "a long line", "a large body", "a negative body"],
)  # fmt: skip
def test_garbage_is_400_at_most_and_harms_nobody(new: Lamplighter, sent: bytes) -> None:
    answer = new.raw(sent)

    assert answer == b"" or re.match(rb"HTTP/1.1 4\d\d ", answer)
    assert new.ask("GET", "/v1/status").status == 200


def test_several_questions_may_come_over_one_connection(agent: Lamplighter) -> None:
    question = b"GET /v1/accounts/work/token HTTP/1.1\r\nHost: lamplighter\r\n"
    answer = agent.raw(question + b"\r\n" + question + b"Connection: close\r\n\r\n")

    assert answer.count(b"HTTP/1.1 200 ") == 2
    assert answer.count(b"canary-access-1") == 2


def test_http_1_0_is_answered(agent: Lamplighter) -> None:
    assert b"canary-access-1" in agent.raw(b"GET /v1/accounts/work/token HTTP/1.0\r\n\r\n")


def test_a_client_that_says_nothing_does_not_keep_others_waiting(new: Lamplighter) -> None:
    silent = [new.connect() for _ in range(20)]
    try:
        assert new.ask("GET", "/v1/status").status == 200
    finally:
        for one in silent:
            one.close()


# -- tokens


def test_a_signed_out_account_is_409(new: Lamplighter) -> None:
    assert_error(new.ask("GET", TOKEN), 409, "sign_in_needed")
    assert_error(new.ask("POST", REFRESH), 409, "sign_in_needed")
    assert_error(new.ask("POST", REFRESH, {"rejected_sha256": sha256("x")}), 409, "sign_in_needed")


def test_a_minimum_of_life_is_refreshed_for_or_503(agent: Lamplighter, provider: Provider) -> None:
    assert_error(agent.ask("GET", f"{TOKEN}?min_ttl=4000"), 503, "unavailable")
    assert_error(agent.ask("GET", f"{TOKEN}?min_ttl={'9' * 40}"), 503, "unavailable")
    assert agent.ask("GET", f"{TOKEN}?min_ttl=60").body["access_token"] == "canary-access-1"
    assert provider.refreshes == 0


def test_a_provider_that_cannot_be_reached_is_503_with_the_time_of_the_next_try(
    late: Lamplighter, provider: Provider
) -> None:
    provider.answer(Response(500))
    with late.applet():
        late.until_health("expired")
        reply = late.ask("GET", TOKEN)

        assert_error(reply, 503, "unavailable")
        assert 1 <= int(reply.headers["retry-after"]) <= 300


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_the_provider_s_wish_to_wait_is_passed_on(late: Lamplighter, provider: Provider, form: str) -> None:
    at = datetime.now(UTC) + timedelta(seconds=200)  # noqa: TID251 - the process under test has no other clock
    wait = "200" if form == "seconds" else format_datetime(at, usegmt=True)
    provider.answer(Response(429, headers=[("Retry-After", wait)]))
    with late.applet():
        eventually(provider.token_requests)
        late.until_health("expired")
        for reply in (late.ask("GET", TOKEN), late.ask("POST", REFRESH)):
            assert_error(reply, 503, "unavailable")
            assert 150 <= int(reply.headers["retry-after"]) <= 201
        assert provider.token_requests() == 1


def test_a_refused_configuration_is_500(late: Lamplighter, provider: Provider) -> None:
    provider.answer(json_response(401, error="invalid_client"))
    with late.applet():
        late.until_health("sign-in-needed")
        assert_error(late.ask("GET", TOKEN), 500, "misconfigured")
        assert_error(late.ask("POST", REFRESH), 500, "misconfigured")


def test_a_refused_sign_in_is_409(late: Lamplighter, provider: Provider) -> None:
    provider.answer(json_response(400, error="invalid_grant"))
    with late.applet():
        late.until_health("sign-in-needed")
        assert_error(late.ask("GET", TOKEN), 409, "sign_in_needed")
        assert_error(late.ask("POST", REFRESH), 409, "sign_in_needed")


def test_without_a_store_it_is_503_store_unavailable(keyless: Lamplighter, provider: Provider) -> None:
    keyless.configure(provider.account())
    with keyless.applet():
        assert_error(keyless.ask("GET", TOKEN), 503, "store_unavailable")
        assert_error(keyless.ask("POST", LOGIN, {"browser": False}), 503, "store_unavailable")
    assert provider.server.requests == []


# -- refreshing


def test_a_refresh_is_done_when_it_is_answered(agent: Lamplighter, provider: Provider) -> None:
    assert agent.ask("POST", REFRESH).status == 200
    assert provider.refreshes == 1
    assert agent.ask("GET", TOKEN).body["access_token"] == "canary-access-2"


def test_a_token_that_was_turned_down_is_refreshed_only_while_it_is_current(
    agent: Lamplighter, provider: Provider
) -> None:
    first = {"rejected_sha256": sha256("canary-access-1").upper()}

    assert [agent.ask("POST", REFRESH, first).status for _ in range(3)] == [200, 200, 200]
    assert provider.refreshes == 1
    assert agent.ask("POST", REFRESH, {"rejected_sha256": sha256("canary-access-2")}).status == 200
    assert provider.refreshes == 2


def test_many_that_were_turned_down_at_once_make_one_refresh(agent: Lamplighter, provider: Provider) -> None:
    let_go = provider.hold()
    replies: list[Reply] = []
    body = {"rejected_sha256": sha256("canary-access-1")}
    threads = [
        threading.Thread(target=lambda: replies.append(agent.ask("POST", REFRESH, body)), daemon=True) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    eventually(provider.token_requests)
    let_go()
    for thread in threads:
        thread.join(60)

    assert [reply.status for reply in replies] == [200] * 8
    assert provider.refreshes == 1


def test_a_client_that_goes_away_does_not_stop_the_refresh_that_it_asked_for(
    agent: Lamplighter, provider: Provider
) -> None:
    let_go = provider.hold()
    with agent.connect() as connected:
        connected.sendall(b"POST /v1/accounts/work/refresh HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually(provider.token_requests)
    let_go()
    eventually(lambda: agent.ask("GET", TOKEN).body["access_token"] == "canary-access-2")
    assert provider.reused == 0


# -- signing in and out


def test_a_sign_in_is_accepted_at_once_and_told_by_events(new: Lamplighter, provider: Provider) -> None:
    with new.events() as following:
        assert following()[1]["health"] == "signed-out"
        reply = new.ask("POST", LOGIN, {"browser": False})
        assert (reply.status, set(reply.body)) == (202, {"authorization_url"})
        assert following() == (
            "sign-in",
            {"account": "work", "state": "started", "message": "waiting for the browser"},
        )
        arrive(provider.approve(reply.body["authorization_url"]))
        told = [following(), following()]

    assert {kind for kind, _ in told} == {"health", "sign-in"}
    assert dict(told)["health"]["health"] == "fresh"
    assert dict(told)["sign-in"]["state"] == "done"
    assert new.ask("GET", TOKEN).body["access_token"] == "canary-access-1"


def test_a_sign_in_that_fails_is_told_as_an_event(new: Lamplighter, provider: Provider) -> None:
    with new.events() as following:
        following()
        url = new.ask("POST", LOGIN, {"browser": False, "flow": "browser"}).body["authorization_url"]
        following()
        arrive(provider.approve(url, code=None, error="access_denied"))
        kind, facts = following()

    assert (kind, facts["account"], facts["state"]) == ("sign-in", "work", "failed")
    assert "declined" in facts["message"]
    assert "Traceback" not in new.log


def test_the_browser_is_opened_by_the_applet_where_nothing_else_is_said(new: Lamplighter, provider: Provider) -> None:
    reply = new.ask("POST", LOGIN)  # there is none here, which is no reason to fail

    assert reply.status == 202
    arrive(provider.approve(reply.body["authorization_url"]))
    new.until_health("fresh")


def test_a_second_sign_in_replaces_the_first(new: Lamplighter, provider: Provider) -> None:
    first = new.ask("POST", LOGIN, {"browser": False}).body["authorization_url"]
    callback = provider.approve(first)
    assert listens(callback)
    second = new.ask("POST", LOGIN, {"browser": False}).body["authorization_url"]

    assert not listens(callback)
    arrive(provider.approve(second))
    new.until_health("fresh")


def test_a_sign_in_that_cannot_start_is_refused_with_its_reason(new: Lamplighter, provider: Provider) -> None:
    provider.server.metadata["code_challenge_methods_supported"] = ["plain"]
    assert_error(new.ask("POST", LOGIN, {"browser": False}), 500, "misconfigured")
    provider.down()
    assert_error(new.ask("POST", LOGIN, {"browser": False}), 503, "unavailable")


def test_a_sign_out_is_done_when_it_is_answered(agent: Lamplighter, provider: Provider) -> None:
    assert agent.ask("POST", LOGOUT).status == 200
    assert len(provider.server.to("/revoke")) == 2
    assert_error(agent.ask("GET", TOKEN), 409, "sign_in_needed")
    assert agent.health() == "signed-out"


def test_a_sign_out_during_a_refresh_leaves_nothing_alive(agent: Lamplighter, provider: Provider) -> None:
    let_go = provider.hold()
    refresh = threading.Thread(target=agent.ask, args=("POST", REFRESH), daemon=True)
    refresh.start()
    eventually(provider.token_requests)
    sign_out = threading.Thread(target=agent.ask, args=("POST", LOGOUT), daemon=True)
    sign_out.start()
    let_go()
    refresh.join(60)
    sign_out.join(60)

    assert agent.health() == "signed-out"
    assert "canary-refresh-2" in provider.server.to("/revoke")[0].body.decode()


# -- events


def test_every_account_is_told_at_the_start_and_at_each_change(lamplighter: Lamplighter, provider: Provider) -> None:
    lamplighter.given(provider)
    lamplighter.configure(provider.account(), provider.account("home"))
    with lamplighter.applet():
        with lamplighter.events() as following:
            first = [following(), following()]
            assert [(kind, facts["name"], facts["health"]) for kind, facts in first] == [
                ("health", "work", "fresh"),
                ("health", "home", "signed-out"),
            ]
            assert [facts for _, facts in first] == lamplighter.ask("GET", "/v1/status").body["accounts"]
            provider.answer(json_response(400, error="invalid_grant"))
            lamplighter.ask("POST", REFRESH)
            kind, facts = following()
        assert (kind, facts["health"], facts["last_error"]["kind"]) == ("health", "sign-in-needed", "refused")


def test_the_stream_ends_with_the_applet(lamplighter: Lamplighter, provider: Provider) -> None:
    lamplighter.configure('store = "memory"', provider.account())
    with lamplighter.applet() as applet, lamplighter.events() as following:
        following()
        assert lamplighter.ask("POST", "/v1/quit").status == 202
        with pytest.raises(AssertionError, match="the stream has ended"):
            following()
        assert applet.wait().code == 0


def test_a_listener_that_never_reads_costs_nothing(agent: Lamplighter, provider: Provider) -> None:
    with agent.connect() as connected:
        connected.sendall(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        for _ in range(3):
            assert agent.ask("POST", REFRESH).status == 200
    assert agent.ask("GET", "/v1/status").status == 200


def test_quit_is_accepted_and_the_applet_ends(keyless: Lamplighter) -> None:
    def ends(applet: Running) -> int:
        assert keyless.ask("POST", "/v1/quit").status == 202
        return applet.wait(10).code

    with keyless.applet() as applet:
        assert ends(applet) == 0
    assert not keyless.socket.exists()
