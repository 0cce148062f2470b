"""Signing in where no browser is: pasted answers, codes for another device, and the choice between them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.integration.hostile_server import form, json_response
from tests.integration.lamplighter_process import Lamplighter, Provider, Running, arrive, listens
from tests.keyring_session import eventually
from tray_app.base.http.server import Request, Response

CODES = {"device_code": "canary-device", "user_code": "WDJB-MJHT", "interval": 1, "expires_in": 300}


@pytest.fixture(params=["without an applet", "by the applet"])
def home(request: pytest.FixtureRequest, lamplighter: Lamplighter, provider: Provider) -> Iterator[Lamplighter]:
    lamplighter.configure(provider.account())
    with lamplighter.applet() if request.param == "by the applet" else nullcontext():
        yield lamplighter


class Devices:
    """Teaches a provider the device flow: pending until somebody agrees."""

    def __init__(self, provider: Provider, **codes: Any) -> None:
        self.agreed = False
        self.polls = 0
        self._usual = provider.server.token
        issuer = provider.issuer
        self._codes = {**CODES, "verification_uri": f"{issuer}/device", **codes}
        provider.server.metadata["device_authorization_endpoint"] = f"{issuer}/codes"
        provider.server.other["/codes"] = self._give
        provider.server.token = self._token

    async def _give(self, _: Request) -> Response:
        return json_response(**self._codes)

    async def _token(self, request: Request) -> Response:
        if "device_code" not in form(request):
            return await self._usual(request)
        self.polls += 1
        return await self._usual(request) if self.agreed else json_response(400, error="authorization_pending")


def paste(home: Lamplighter, *words: str) -> tuple[Running, str]:
    running = home.start("login", "work", *(words or ("--paste",)), stdin=subprocess.PIPE)
    url = running.line()
    assert url.startswith("http"), running.wait()
    return running, url


@pytest.mark.parametrize("form_of_answer", ["code", "code#state", "address"])
def test_what_the_browser_was_sent_to_can_be_pasted(home: Lamplighter, provider: Provider, form_of_answer: str) -> None:
    running, url = paste(home)
    address = provider.approve(url)
    answer = dict(parse_qsl(urlsplit(address).query))
    texts = {"code": answer["code"], "code#state": f"{answer['code']}#{answer['state']}", "address": address}
    running.type(texts[form_of_answer])

    finished = running.wait()

    assert (finished.code, finished.out) == (0, f"{url}\n"), finished
    assert home.health() == "fresh"
    assert provider.token_requests() == 1


def test_whoever_has_the_browser_here_needs_not_paste(home: Lamplighter, provider: Provider) -> None:
    running, url = paste(home)
    assert arrive(provider.approve(url)) == 200

    assert running.wait().code == 0
    assert home.health() == "fresh"


@pytest.mark.parametrize("text", ["", "canary-code#another-state", "two words"], ids=["nothing", "state", "no code"])
def test_what_is_no_answer_ends_it_with_3_and_sends_nothing(home: Lamplighter, provider: Provider, text: str) -> None:
    running, url = paste(home)
    running.type(text)

    finished = running.wait()

    assert finished.code == 3, finished
    assert "past" in finished.err.splitlines()[-1]
    assert provider.token_requests() == 0
    assert not listens(provider.approve(url))


def test_an_error_in_the_pasted_address_is_told_as_one(home: Lamplighter, provider: Provider) -> None:
    running, url = paste(home)
    running.type(provider.approve(url, code=None, error="access_denied"))

    finished = running.wait()

    assert finished.code == 3, finished
    assert "declined (access_denied)" in finished.err


def test_a_code_for_another_device_is_shown_and_waited_for(home: Lamplighter, provider: Provider) -> None:
    devices = Devices(provider)
    running = home.start("login", "work", "--device")

    assert (running.line(), running.line()) == (f"{provider.issuer}/device", "WDJB-MJHT")
    eventually(lambda: devices.polls)
    devices.agreed = True
    finished = running.wait()
    assert finished.code == 0, finished
    assert "canary-device" not in finished.err + finished.out + home.log
    assert home.health() == "fresh"


def test_an_address_with_the_code_in_it_is_shown_first(lamplighter: Lamplighter, provider: Provider) -> None:
    complete = f"{provider.issuer}/device?user_code=WDJB-MJHT"
    Devices(provider, verification_uri_complete=complete).agreed = True
    lamplighter.configure(provider.account())

    finished = lamplighter.run("login", "work", "--device")

    assert (finished.code, finished.out) == (0, f"{complete}\nWDJB-MJHT\n"), finished
    assert "shows this code" in finished.err


def test_a_provider_without_device_sign_in_is_5_with_the_other_way(home: Lamplighter) -> None:
    finished = home.run("login", "work", "--device")

    assert (finished.code, finished.out) == (5, ""), finished
    assert "lamplighter login work --paste" in finished.err


@pytest.mark.parametrize(
    ("variables", "reason"),
    [({}, "display"), ({"SSH_CONNECTION": "192.0.2.1 5 192.0.2.2 22", "DISPLAY": ":0"}, "SSH session")],
    ids=["no display", "SSH"],
)
def test_without_a_browser_login_says_so_and_takes_the_device_flow(
    home: Lamplighter, provider: Provider, variables: dict[str, str], reason: str
) -> None:
    home.environment |= variables
    Devices(provider).agreed = True

    finished = home.run("login", "work")

    assert (finished.code, finished.out) == (0, f"{provider.issuer}/device\nWDJB-MJHT\n"), finished
    assert reason in finished.err


def test_without_a_browser_and_without_device_sign_in_the_answer_is_pasted(
    home: Lamplighter, provider: Provider
) -> None:
    running, url = paste(home, "--")
    running.type(provider.approve(url))

    finished = running.wait()
    assert (finished.code, finished.out) == (0, f"{url}\n"), finished
    assert "display" in finished.err


def test_a_client_that_may_not_use_devices_pastes(lamplighter: Lamplighter, provider: Provider) -> None:
    Devices(provider)

    async def refused(_: Request) -> Response:
        return json_response(400, error="unauthorized_client")

    provider.server.other["/codes"] = refused
    lamplighter.configure(provider.account())
    running, url = paste(lamplighter, "--")
    running.type(provider.approve(url))

    assert running.wait().code == 0


def test_without_a_browser_and_with_nothing_on_standard_input_the_listener_is_still_waited_for(
    home: Lamplighter, provider: Provider
) -> None:
    running = home.start("login", "work")
    url = running.line()
    assert arrive(provider.approve(url)) == 200

    assert running.wait().code == 0


def test_a_browser_that_cannot_be_started_is_no_dead_end(lamplighter: Lamplighter, provider: Provider) -> None:
    lamplighter.environment["BROWSER"] = "/bin/false"
    lamplighter.configure(provider.account())
    running, url = paste(lamplighter, "--")
    running.type(provider.approve(url))

    finished = running.wait()
    assert finished.code == 0, finished
    assert "no browser could be started" in finished.err


def test_one_way_at_a_time(keyless: Lamplighter) -> None:
    finished = keyless.run("login", "work", "--paste", "--device")

    assert (finished.code, finished.out) == (2, "")


def test_programs_ask_the_applet_for_a_code_and_hand_it_an_answer(lamplighter: Lamplighter, provider: Provider) -> None:
    lamplighter.configure(provider.account())
    devices = Devices(provider)
    login, answer = "/v1/accounts/work/login", "/v1/accounts/work/answer"
    with lamplighter.applet():
        assert lamplighter.ask("POST", answer, {"answer": "C1"}).status == 409
        reply = lamplighter.ask("POST", login, {"flow": "device"})
        expires_at = reply.body.pop("expires_at")
        assert (reply.status, reply.body) == (
            202,
            {
                "authorization_url": f"{provider.issuer}/device",
                "user_code": "WDJB-MJHT",
                "verification_uri": f"{provider.issuer}/device",
                "verification_uri_complete": None,
            },
        )
        assert expires_at.endswith("Z")
        url = lamplighter.ask("POST", login, {"flow": "paste"}).body["authorization_url"]  # it replaces the other one
        assert lamplighter.ask("POST", answer, {"answer": "C1#wrong"}).body["error"] == "sign_in_needed"
        assert lamplighter.ask("POST", answer, {"answer": provider.approve(url)}).status == 200
        lamplighter.until_health("fresh")
        assert not devices.agreed

        assert lamplighter.ask("POST", login, {"flow": "telepathy"}).status == 400
        assert lamplighter.ask("POST", answer, {"answer": 5}).status == 400
        assert "canary-device" not in lamplighter.log + json.dumps(lamplighter.ask("GET", "/v1/status").body)
