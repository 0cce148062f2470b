"""At most one sign-in of an account is open, however quickly the next one is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.integration.hostile_server import BOUND, AuthorizationServer, Browser, HandClock
from tray_app.adapters.oauth.authorization_code_flow import SignIn
from tray_app.adapters.oauth.provider import OAuthProvider
from tray_app.base.http.server import bind_loopback
from tray_app.core.account import Account
from tray_app.core.errors import SignInFailed
from tray_app.core.ports import Flow
from tray_app.core.tokens import TokenSet
from tray_app.engine.events import Events
from tray_app.engine.sign_ins import SignIns


@pytest.fixture
async def server() -> AsyncIterator[AuthorizationServer]:
    async with AuthorizationServer() as one:
        yield one


@pytest.fixture
def account(server: AuthorizationServer) -> Account:
    """With a port of its own in its redirect URI."""
    (free,) = bind_loopback("127.0.0.1", 0)
    with free:
        return server.account(redirect_uri=f"http://127.0.0.1:{free.getsockname()[1]}/callback")


class Begun:
    """Sign-ins, and what they kept. While `gate` is closed, one that is prepared is not handed over yet."""

    def __init__(self) -> None:
        self.provider = OAuthProvider(HandClock())
        self.sign_ins = SignIns(self._prepare, Events())
        self.kept: list[TokenSet] = []
        self.prepared = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def begin(self, account: Account) -> str:
        self.account = account
        return (await self.sign_ins.begin(self, None)).url

    async def check(self) -> None:
        """The store is in order."""

    async def signed_in(self, tokens: TokenSet) -> None:
        self.kept.append(tokens)

    async def _prepare(self, account: Account, _flow: Flow) -> SignIn:
        signing_in = await SignIn.prepare(account, self.provider)
        self.prepared.set()
        await self.gate.wait()
        return signing_in


@pytest.fixture
async def begun() -> AsyncIterator[Begun]:
    one = Begun()
    yield one
    await one.sign_ins.close()


async def listens(account: Account) -> bool:
    """Whether a stray request is answered there; the answer is read, so that nothing is left half open."""
    try:
        return (await Browser().get(account.redirect_uri)).status == 400
    except ConnectionRefusedError:
        return False


async def test_of_a_double_click_the_second_sign_in_stands_and_works(
    server: AuthorizationServer, account: Account, begun: Begun
) -> None:
    first, second = await asyncio.gather(begun.begin(account), begun.begin(account))
    assert first != second
    under_way = begun.sign_ins.under_way("work")
    stale = await Browser().get(server.approve(first))
    _, page = await Browser().follow(server.approve(second))
    async with asyncio.timeout(BOUND):
        await under_way

    assert stale.status == 400
    assert "Signed in" in page.text
    assert len(begun.kept) == 1
    assert not await listens(account)


async def test_a_double_click_leaves_no_listener_after_the_end(account: Account, begun: Begun) -> None:
    await asyncio.gather(begun.begin(account), begun.begin(account))
    assert await listens(account)

    await begun.sign_ins.close()

    assert not await listens(account)


async def test_a_sign_in_that_is_only_beginning_at_the_end_is_refused_and_stops_listening(
    account: Account, begun: Begun
) -> None:
    begun.gate.clear()
    beginning = asyncio.create_task(begun.begin(account))
    await asyncio.wait_for(begun.prepared.wait(), BOUND)
    assert await listens(account)
    await begun.sign_ins.close()
    begun.gate.set()

    with pytest.raises(SignInFailed):
        await beginning
    assert not begun.sign_ins.accounts
    assert not await listens(account)
