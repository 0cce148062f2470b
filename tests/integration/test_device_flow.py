"""A sign-in on another device (RFC 8628), as the server and the person may play it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.integration.hostile_server import (
    BOUND,
    AuthorizationServer,
    HandClock,
    form,
    json_response,
    tokens,
)
from tray_app.adapters.oauth.device_flow import DeviceSignIn
from tray_app.adapters.oauth.provider import OAuthProvider
from tray_app.base.http.server import Request, Response
from tray_app.core.errors import LamplighterError, Misconfigured, SignInFailed, Unavailable
from tray_app.core.ports import ProviderError
from tray_app.core.tokens import Secret, TokenSet

CODES = {
    "device_code": "D-canary",
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://a.example/device",
    "expires_in": 60,
}
PENDING = json_response(400, error="authorization_pending")


class Device:
    """A server that knows devices, a clock that its waits move, and the waits."""

    def __init__(self, server: AuthorizationServer) -> None:
        self.server = server
        self.clock = HandClock()
        self.waits: list[float] = []
        self.answers: list[Response] = []
        self.codes: dict[str, Any] = dict(CODES)
        self.provider = OAuthProvider(self.clock)
        self.kept: list[TokenSet] = []
        server.metadata["device_authorization_endpoint"] = f"{server.issuer}/device"
        server.other["/device"] = self._device
        server.token = self._token

    async def prepare(self, **changes: Any) -> DeviceSignIn:
        return await DeviceSignIn.prepare(self.server.account(**changes), self.provider, self.clock, self._sleep)

    async def run(self, **changes: Any) -> TokenSet:
        async with asyncio.timeout(BOUND):
            return await (await self.prepare(**changes)).run(self._keep)

    async def failure(self) -> LamplighterError:
        with pytest.raises(LamplighterError) as caught:
            await self.run()
        assert not self.kept
        assert "D-canary" not in str(caught.value)
        return caught.value

    async def _device(self, _: Request) -> Response:
        return json_response(**self.codes)

    async def _token(self, _: Request) -> Response:
        return self.answers.pop(0)

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.clock.pass_by(seconds=seconds)
        await asyncio.sleep(0)

    async def _keep(self, found: TokenSet) -> None:
        self.kept.append(found)


@pytest.fixture
async def device() -> AsyncIterator[Device]:
    async with AuthorizationServer() as server:
        yield Device(server)


async def test_the_person_agrees_and_the_tokens_are_kept(device: Device) -> None:
    device.answers = [PENDING, tokens()]

    found = await device.run(scopes=("mail", "offline_access"))

    assert device.kept == [found]
    assert found.refresh_token == Secret("R1")
    assert device.waits == [5, 5]
    (asked,) = device.server.to("/device")
    assert form(asked) == {"scope": "mail offline_access", "client_id": "tray"}
    assert form(device.server.to("/token")[0]) == {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": "D-canary",
        "client_id": "tray",
    }


async def test_slow_down_adds_five_seconds_for_good(device: Device) -> None:
    slower = json_response(400, error="slow_down")
    device.codes["interval"] = 2
    device.answers = [PENDING, slower, PENDING, slower, PENDING, tokens()]

    await device.run()

    assert device.waits == [2, 2, 7, 7, 12, 12]


async def test_github_s_errors_with_status_200_are_understood(device: Device) -> None:
    device.answers = [
        json_response(error="authorization_pending"),
        json_response(error="slow_down", interval=10),
        tokens(),
    ]

    await device.run()

    assert device.waits == [5, 5, 10]


async def test_a_server_in_trouble_is_asked_ever_more_rarely(device: Device) -> None:
    device.answers = [Response(502, b"<h1>Bad gateway</h1>", "text/html"), Response(500), tokens()]

    await device.run()

    assert device.waits == [5, 10, 20]


async def test_nothing_is_asked_after_the_code_s_end(device: Device) -> None:
    device.answers = [PENDING] * 100

    found = await device.failure()

    assert isinstance(found, SignInFailed)
    assert "before it ended" in str(found)
    assert len(device.server.to("/token")) == 11  # after 5, 10, ... 55 seconds; at 60 it is over


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        ("access_denied", SignInFailed, "declined"),
        ("expired_token", SignInFailed, "before it ended"),
        ("invalid_grant", SignInFailed, "invalid_grant"),
        ("invalid_client", Misconfigured, "invalid_client"),
        ("authorization_declined", SignInFailed, "declined"),
        ("bad_verification_code", SignInFailed, "bad_verification_code"),
        ("incorrect_device_code", SignInFailed, "incorrect_device_code"),
    ],
)
async def test_any_other_error_ends_it(device: Device, error: str, kind: type, words: str) -> None:
    device.answers = [json_response(400, error=error)]

    found = await device.failure()

    assert isinstance(found, kind)
    assert words in str(found)
    assert len(device.server.to("/token")) == 1


async def test_a_word_that_nobody_knows_is_asked_again_until_the_code_ends(device: Device) -> None:
    device.answers = [json_response(400, error="unheard_of")] * 20

    assert "before it ended" in str(await device.failure())
    assert len(device.server.to("/token")) > 1


async def test_the_device_code_is_a_secret_that_no_message_repeats(device: Device) -> None:
    device.answers = [json_response(400, error="invalid_grant", error_description="D-canary is not known")]

    await device.failure()


async def test_it_can_be_called_off(device: Device) -> None:
    device.answers = [PENDING] * 100
    sign_in = await device.prepare()

    async def never(_: float) -> None:
        await asyncio.Event().wait()

    sign_in._sleep = never
    running = asyncio.create_task(sign_in.run(device._keep))
    await asyncio.sleep(0)
    await sign_in.close("replaced by a newer sign-in")

    with pytest.raises(SignInFailed, match="replaced by a newer"):
        await running


async def test_a_provider_without_it_is_told_with_another_way(device: Device) -> None:
    del device.server.metadata["device_authorization_endpoint"]

    with pytest.raises(Misconfigured, match="--paste"):
        await device.prepare()


async def test_a_client_that_may_not_do_so_is_told(device: Device) -> None:
    async def refused(_: Request) -> Response:
        return json_response(400, error="unauthorized_client")

    device.server.other["/device"] = refused

    with pytest.raises(ProviderError, match="unauthorized_client"):
        await device.prepare()


async def test_an_id_token_counts_there_as_well(device: Device) -> None:
    device.server.asked = {}
    device.answers = [tokens(id_token=device.server.id_token(aud="another"))]

    found = await device.failure()

    assert "for another client" in str(found)
    assert not isinstance(found, Unavailable)
