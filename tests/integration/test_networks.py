"""Networks that are not there, look into what is sent, or answer in the place of others; and clocks that are wrong."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from email.utils import format_datetime

import httpx
import pytest

from tests.integration.hostile_server import (
    AuthorizationServer,
    HandClock,
    answering,
    bytes_server,
    json_response,
)
from tests.integration.test_token_endpoint import failure, held, named, saying
from tray_app.adapters.oauth.provider import OAuthProvider
from tray_app.core.provider_errors import FailureKind


@pytest.fixture
async def server() -> AsyncIterator[AuthorizationServer]:
    async with AuthorizationServer() as one:
        yield one


@pytest.fixture
def provider() -> OAuthProvider:
    return OAuthProvider(HandClock())


async def test_no_dns_and_no_route_send_nothing_and_are_told_apart_from_a_port_that_is_closed(
    provider: OAuthProvider,
) -> None:
    async with bytes_server(saying(b"")) as origin:
        pass

    assert (await failure(provider, named("https://login.example.invalid"))).offline
    assert not (await failure(provider, named(origin))).offline


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root makes a network of its own")
def test_in_a_network_without_a_route_an_address_is_offline_and_loopback_is_there() -> None:
    asked = """
import asyncio
from tests.integration.hostile_server import AuthorizationServer, HandClock
from tests.integration.test_token_endpoint import failure, held, named
from tray_app.adapters.oauth.provider import OAuthProvider
async def main():
    provider = OAuthProvider(HandClock())
    found = await failure(provider, named("https://192.0.2.1"))
    async with AuthorizationServer() as server:
        account = named(server.issuer)
        await provider.refresh(account, held(account))
    print(found.offline, found.message)
asyncio.run(main())
"""
    command = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", sys.executable, "-c", asked]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.stdout.strip() == "True 192.0.2.1 cannot be reached (no network)", done.stderr


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (9, "maybe this computer's clock is wrong"),
        (10, "maybe this computer's clock is wrong"),
        (20, "the system must trust its certificate authority"),
        (62, "maybe a sign-in page of this network"),
    ],
)
async def test_a_certificate_that_does_not_verify_comes_with_a_hint(
    provider: OAuthProvider, code: int, hint: str
) -> None:
    error = ssl.SSLCertVerificationError()
    error.verify_code, error.verify_message = code, "it is so"

    told = httpx.ConnectError("no")
    told.__cause__ = error
    found = provider._transport._not_connected("login.example.com", told)

    assert found.kind is FailureKind.UNTRUSTED
    assert found.message.startswith("the certificate of login.example.com does not verify (it is so); ")
    assert hint in found.message


async def test_the_password_in_a_proxys_address_that_cannot_be_read_is_not_told(
    provider: OAuthProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://user:proxy-password@proxy.example:none")

    found = await failure(provider, named("https://login.example.invalid"))

    assert found.message == "login.example.invalid cannot be reached (the address of its proxy cannot be read)"


@pytest.mark.parametrize(("hours", "said"), [(2, "120 min behind"), (-2, "120 min ahead of"), (0.05, "")])
async def test_a_clock_that_is_wrong_is_said_once_and_kept_for_who_asks(
    server: AuthorizationServer,
    provider: OAuthProvider,
    caplog: pytest.LogCaptureFixture,
    hours: float,
    said: str | None,
) -> None:
    date = format_datetime(HandClock().now() + timedelta(hours=hours), usegmt=True)
    server.token = answering(
        json_response(200, ("Date", date), access_token="A1", token_type="Bearer", refresh_token="R1", expires_in=60)
    )
    account = named(server.issuer)
    caplog.clear()
    for _ in range(3):
        await provider.refresh(account, held(account))

    assert provider.clock_offset == timedelta(hours=hours)
    assert [said in record.getMessage() for record in caplog.records if said] == ([True] if said else [])
    assert len(caplog.records) == bool(said)
