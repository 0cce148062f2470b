"""The open sign-ins, at most one per account; a second one replaces the first."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Literal, Protocol

from tray_app.base.log import LOG
from tray_app.core.account import Account
from tray_app.core.errors import LamplighterError, SignInFailed
from tray_app.core.events import SignInChanged
from tray_app.core.message import msg
from tray_app.core.ports import Browser, Flow, ProviderError, SignInPrompt
from tray_app.core.tokens import TokenSet
from tray_app.engine.error_mapping import error_of
from tray_app.engine.events import Events


class OpenSignIn(Protocol):
    """One sign-in that waits for the person's answer, through a browser or on another device (`adapters/oauth`)."""

    @property
    def prompt(self) -> SignInPrompt:
        """What the person needs; its address is empty where another program opens the browser."""

    async def run(self, keep: Keep, /) -> object:
        """Waits, exchanges, keeps. Raises `LamplighterError`."""

    def paste(self, text: str, *, bare: bool) -> bool:
        """Takes what a person has pasted; False where it does not belong to this sign-in. `bare`: a code alone does."""

    async def close(self) -> None:
        """Ends it without tokens."""


class SignInTarget(Protocol):
    """The account that is signed in."""

    @property
    def account(self) -> Account:
        """Its configuration."""

    async def check(self) -> None:
        """Raises `LamplighterError` where a sign-in could not be kept: nothing is opened then."""

    async def signed_in(self, tokens: TokenSet) -> None:
        """Keeps the tokens. Raises `LamplighterError`."""


Keep = Callable[[TokenSet], Awaitable[None]]
Prepare = Callable[[Account, Flow], Awaitable[OpenSignIn]]


class SignIns:
    """Starts sign-ins and publishes how they end. Belongs to the event loop's thread."""

    def __init__(self, prepare: Prepare, events: Events) -> None:
        self._prepare = prepare
        self._events = events
        self._open: dict[str, tuple[OpenSignIn, asyncio.Task[None]]] = {}
        self._opening: set[asyncio.Task[None]] = set()
        self._beginning: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._closed = False

    @property
    def accounts(self) -> frozenset[str]:
        """The accounts whose sign-in waits for an answer."""
        return frozenset(self._open)

    async def begin(self, target: SignInTarget, browser: Browser | None, flow: Flow = "browser") -> SignInPrompt:
        """Starts the sign-in, opens `browser` if one is given, and returns what the person needs.

        Without a store the sign-in stops here, before anything opens. Its end is published as an event. Raises
        `LamplighterError` where it cannot start, which is published, too.
        """
        async with self._beginning[target.account.name]:  # a double click: the second ends the first's
            return await self._begin(target, browser, flow)

    async def _begin(self, target: SignInTarget, browser: Browser | None, flow: Flow) -> SignInPrompt:
        name = target.account.name
        await self.cancel(name)
        try:
            await target.check()
            signing_in = await self._prepared(target.account, flow)
        except ProviderError as failed:
            error = error_of(name, failed.failure, None)
            self._publish(name, "failed", str(error), error.name)
            raise error from failed
        except LamplighterError as error:
            self._publish(name, "failed", str(error), error.name)
            raise
        task = asyncio.create_task(self._run(name, signing_in, target.signed_in), name=f"sign-in {name}")
        task.add_done_callback(_log_unforeseen)
        self._open[name] = signing_in, task
        prompt = signing_in.prompt
        where = "waiting for the code to be entered" if prompt.user_code else "waiting for the browser"
        self._publish(name, "started", where)
        if browser is not None and prompt.url:
            # Not waited for: a launcher takes a second to say that it has found none.
            opening = asyncio.create_task(self._open_browser(name, browser, prompt.url))
            self._opening.add(opening)
            opening.add_done_callback(self._opening.discard)
        return prompt

    def under_way(self, name: str) -> asyncio.Task[None]:
        """The account's open sign-in; raises the error that it ends with. Await it shielded."""
        return self._open[name][1]

    def prompt(self, name: str) -> SignInPrompt | None:
        """What the person needs for the account's open sign-in; None where none is open."""
        return self._open[name][0].prompt if name in self._open else None

    def paste(self, name: str, text: str, *, bare: bool) -> None:
        """Hands what a person has pasted to the account's open sign-in, which goes on where that does not belong to it.

        Raises `SignInFailed`.
        """
        if name not in self._open:
            raise SignInFailed(msg("{name}: no sign-in waits for an answer", name=name))
        if not self._open[name][0].paste(text, bare=bare):
            raise SignInFailed(msg("{name}: what was pasted is no answer to this sign-in", name=name))

    async def cancel(self, name: str) -> None:
        """Ends the account's open sign-in, if there is one."""
        if name in self._open:
            signing_in, task = self._open[name]
            await signing_in.close()
            await asyncio.gather(task, return_exceptions=True)

    async def close(self) -> None:
        """Ends them all, for good: one that is only beginning is refused."""
        self._closed = True
        await asyncio.gather(*map(self.cancel, self._open))

    async def _prepared(self, account: Account, flow: Flow) -> OpenSignIn:
        signing_in = await self._prepare(account, flow)
        if self._closed:
            await signing_in.close()
            raise SignInFailed(msg("{name}: the applet ended before the sign-in began", name=account.name))
        return signing_in

    async def _open_browser(self, name: str, browser: Browser, url: str) -> None:
        if not await asyncio.to_thread(browser.open, url):
            LOG.warning("%s: no browser could be started; sign in with: lamplighter login %s", name, name)
            self._publish(name, "started", "no browser could be started")

    async def _run(self, name: str, signing_in: OpenSignIn, keep: Keep) -> None:
        try:
            await signing_in.run(keep)
        except LamplighterError as error:
            self._forget(name, signing_in)
            LOG.warning("%s", error)
            self._publish(name, "failed", str(error), error.name)
            raise
        except BaseException:
            self._forget(name, signing_in)
            self._publish(name, "failed", f"{name}: the sign-in was cut off")
            raise
        self._forget(name, signing_in)
        self._publish(name, "done", f"{name}: signed in")

    def _forget(self, name: str, signing_in: OpenSignIn) -> None:
        if name in self._open and self._open[name][0] is signing_in:
            del self._open[name]

    def _publish(
        self, name: str, state: Literal["started", "done", "failed"], message: str, error: str | None = None
    ) -> None:
        self._events.publish(SignInChanged(name, state, message, error))


def _log_unforeseen(task: asyncio.Task[None]) -> None:
    """How a sign-in ended was published; only an unforeseen exception is left to be logged."""
    if not task.cancelled() and (error := task.exception()) and not isinstance(error, LamplighterError):
        LOG.error("a sign-in ended in a way that was not foreseen", exc_info=error)
