"""The engine: every account's keeper, the scheduler over them, the sign-ins, and what they tell.

Belongs to one event loop. It has no face: the tray, the notifications, the agent and the commands watch and ask.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any

from tray_app._version import __version__
from tray_app.adapters.claude_code.account import WatchedAccount, is_watched
from tray_app.base.log import LOG
from tray_app.core.account import Configuration
from tray_app.core.errors import Misconfigured, SignInNeeded, UnknownAccount
from tray_app.core.health import Health, worst
from tray_app.core.message import msg
from tray_app.core.ports import Browser, Dependencies, Flow, ProviderError, SignInPrompt
from tray_app.core.status import AccountStatus
from tray_app.core.tokens import Secret, TokenSet
from tray_app.engine.error_mapping import error_of
from tray_app.engine.events import Event, Events
from tray_app.engine.get_token import at_hand, token_of
from tray_app.engine.hooks import run_command
from tray_app.engine.lookout import Lookout
from tray_app.engine.managed_account import ManagedAccount, is_same, new_account
from tray_app.engine.refresher import Refresher
from tray_app.engine.scheduler import MakePlan, Plan, Scheduler
from tray_app.engine.sign_ins import Prepare, SignIns
from tray_app.engine.system_state import SystemState

ENDING_LIMIT = timedelta(seconds=30)
"""How long an ending waits for open refreshes to be stored (contract, section 5)."""


class Engine:
    """Keeps the accounts of a configuration."""

    def __init__(
        self,
        configuration: Configuration,
        parts: Callable[[Configuration], Dependencies],
        prepare: Prepare,
        make_plan: MakePlan = Scheduler,
    ) -> None:
        self.events = Events()
        self.sign_ins = SignIns(prepare, self.events)
        self.configuration_error: str | None = None
        self.looked: Callable[[datetime], None] = lambda _: None
        """Called with the time at every look, thus at least at every heartbeat."""
        self._configuration = configuration
        self._make_parts = parts
        self._dependencies = parts(configuration)
        self._managed: dict[str, ManagedAccount] = {}
        self._told: dict[str, AccountStatus] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._sign_outs: set[asyncio.Task[str | None]] = set()
        self._taking_up = asyncio.Lock()
        self.system_state = SystemState(self._dependencies.clock, self._refreshing, self.replan)
        self._lookout = Lookout(
            self._dependencies.clock, self._managed.values, self.system_state, self._start, self._tell
        )
        self._replanning: asyncio.Handle | None = None
        self._make_plan = make_plan
        self._plan: Plan | None = None
        for account in configuration.accounts.values():
            self._managed[account.name] = new_account(
                account, self._dependencies, self._configuration.retry, self._changed
            )

    # -- life

    async def load(self) -> None:
        """Reads what is stored of every account."""
        await asyncio.gather(*(refresher.load() for refresher in self._managed.values()))

    async def start(self) -> None:
        """Reads what is stored and keeps it fresh from now on."""
        self._dependencies.lock.lead()  # a command that comes while this runs must not be first
        await self.load()
        for refresher in self._managed.values():
            if not isinstance(refresher, WatchedAccount):
                refresher.log()
        self._plan = self._make_plan(self._look, self._dependencies.clock)
        self._plan.start()

    async def stop(self) -> None:
        """Ends timer, jobs and listeners; an open refresh ends and is stored first, within `ENDING_LIMIT`."""
        plan, self._plan = self._plan, None  # whatever ends from here on begins nothing new
        if plan is not None:
            plan.stop()
        self.system_state.close()
        await self.sign_ins.close()
        settling = [refresher.settle(for_good=plan is not None) for refresher in self._managed.values()]
        try:
            async with asyncio.timeout(ENDING_LIMIT.total_seconds()):
                await asyncio.gather(*settling, *self._tasks, *self._sign_outs, return_exceptions=True)
        except TimeoutError:
            LOG.warning("a refresh was still under way when the time to end was over")
        self._dependencies.lock.leave()
        self.events.close()

    async def apply(self, configuration: Configuration) -> None:
        """Takes up a changed configuration: accounts come, go and change; tokens stay where they are."""
        async with self._taking_up:
            self.configuration_error = None
            stay = {name for name, kept in self._managed.items() if is_same(kept, configuration)}
            if configuration.store != self._configuration.store:
                self._dependencies, stay = self._make_parts(configuration), set()
            for name in stay:
                self._managed[name].configure(configuration.accounts[name], configuration.retry)
            new = {
                name: new_account(account, self._dependencies, configuration.retry, self._changed)
                for name, account in configuration.accounts.items()
                if name not in stay
            }
            await asyncio.gather(*(refresher.load() for refresher in new.values()))  # first: else they look signed out
            self._configuration = configuration
            await self._exchange(self._managed.keys() - stay, new)
        LOG.info("configuration: %d accounts", len(configuration.accounts))
        self.replan()

    # -- what is known

    @property
    def configuration(self) -> Configuration:
        """The configuration in force."""
        return self._configuration

    def account(self, name: str) -> ManagedAccount:
        """The account's keeper, or what watches it. Raises `UnknownAccount`."""
        if name not in self._managed:
            known = ", ".join(self._managed) or msg("none yet")
            remedy = msg("The accounts are: {names}", names=known)
            raise UnknownAccount(msg("no account is called `{name}`", name=name), remedy)
        return self._managed[name]

    def statuses(self) -> list[AccountStatus]:
        """Every account as it is now, in the order of the configuration."""
        return [self._managed[name].status() for name in self._configuration.accounts if name in self._managed]

    def health(self) -> Health:
        """What the icon shows."""
        return worst(refresher.health for refresher in self._managed.values())

    def status_json(self, *, running: bool) -> dict[str, Any]:
        """The whole of `status --json` (contract, section 8)."""
        return {
            "version": __version__,
            "health": str(self.health()),
            "running": running,
            "configuration_error": self.configuration_error,
            "accounts": [status.as_json() for status in self.statuses()],
        }

    # -- what can be asked

    async def token(self, name: str, min_ttl: timedelta = timedelta(0), *, wait: bool = True) -> TokenSet:
        """A valid access token of the account. Raises `LamplighterError`."""
        refresher = await self._kept(name)
        if isinstance(refresher, WatchedAccount):
            raise refresher.hands_out_none()
        self.system_state.notice_clock()
        return await token_of(refresher, self._dependencies.clock, min_ttl, wait=wait)

    def token_at_hand(self, name: str) -> TokenSet | None:
        """A valid access token of the account, where nothing of it is due; None where `token` has to see to it."""
        refresher = self._managed.get(name)
        if not isinstance(refresher, Refresher):
            return None
        self.system_state.notice_clock()
        return at_hand(refresher, self._dependencies.clock)

    async def sign_in(self, name: str, browser: Browser | None, flow: Flow = "browser") -> SignInPrompt:
        """Starts the account's sign-in; returns what the person needs. Its address is empty where another program
        opens its own.

        Raises `LamplighterError`.
        """
        refresher = await self._kept(name)
        ready = refresher if isinstance(refresher, WatchedAccount) else self._dependencies.store
        return await self.sign_ins.begin(refresher.account, ready, refresher.signed_in, browser, flow)

    async def answer(self, name: str, text: str, *, bare: bool) -> None:
        """Hands what a person has pasted to the account's open sign-in. Raises `UnknownAccount`, `SignInFailed`."""
        await self._kept(name)
        self.sign_ins.answer(name, text, bare=bare)

    async def set_client_secret(self, name: str, secret: Secret | None) -> str:
        """Keeps the account's client secret, and returns where; a provider that refused the last is asked at once.

        Raises `UnknownAccount`, `StoreUnavailable`.
        """
        refresher = await self._kept(name)
        if isinstance(refresher, WatchedAccount):
            raise refresher.hands_out_none()
        await self._dependencies.store.set_client_secret(name, secret)
        refresher.configure(refresher.account, refresher.retry, anew=True)
        return self._configuration.store

    async def forget(self, name: str) -> None:
        """Lets go of all that is kept of an account's client. Raises `LamplighterError`."""
        account = (await self._kept(name)).account
        if is_watched(account):
            return
        await self._dependencies.store.set_client_secret(name, None)
        try:
            await self._dependencies.provider.forget(account)
        except ProviderError as error:
            raise error_of(name, error.failure, None) from error

    async def cancel_sign_in(self, name: str) -> None:
        """Ends the account's open sign-in, if there is one. Raises `UnknownAccount`."""
        await self._kept(name)
        await self.sign_ins.cancel(name)

    async def sign_out(self, name: str) -> str | None:
        """Signs the account out; says in words what could not be revoked. Raises `LamplighterError`."""
        refresher = await self._kept(name)
        await self.sign_ins.cancel(name)
        task = asyncio.create_task(
            refresher.sign_out(), name=f"sign-out {name}"
        )  # `stop` waits for it, whoever goes away
        self._sign_outs.add(task)
        task.add_done_callback(self._sign_outs.discard)
        return await asyncio.shield(task)

    async def refresh(self, name: str, rejected: Callable[[TokenSet], bool] | None = None) -> None:
        """Refreshes the account now. Raises `LamplighterError`."""
        refresher = await self._kept(name)
        if refresher.record.tokens is not None and refresher.record.tokens.refresh_token is None:
            remedy = msg("Sign in: {command}", command=f"lamplighter login {name}")
            raise SignInNeeded(msg("{name}: there is no refresh token", name=name), remedy)
        await refresher.refresh(rejected)

    def tell_configuration_error(self, error: Misconfigured) -> None:
        """A broken change of the configuration: the last good one stays in force."""
        self.configuration_error = error.sentence
        LOG.error("configuration: %s; the last good one stays in force", error)

    async def _kept(self, name: str) -> ManagedAccount:
        """As `keeper`, but waits for an account of a new configuration that is still being read."""
        if name not in self._managed:
            async with self._taking_up:
                pass
        return self.account(name)

    # -- what is due

    def replan(self) -> None:
        """Looks again, since something has changed."""
        self._replanning = None
        self._lookout.disturb()
        if self._plan is not None:
            self._plan.plan(self._look())

    def _refreshing(self) -> list[Refresher]:
        return [kept for kept in self._managed.values() if isinstance(kept, Refresher)]

    def _look(self) -> datetime | None:
        moment = self._lookout.look()
        self.looked(self._dependencies.clock.now())
        return moment

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            LOG.error("a refresh ended in a way that was not foreseen", exc_info=error)
            return  # the next heartbeat tries again; at once it would fail at once
        self._replan_soon()

    def _changed(self, refresher: ManagedAccount) -> None:
        if self._managed.get(refresher.account.name) is refresher:
            self._tell(refresher)
            self._replan_soon()

    def _replan_soon(self) -> None:
        """Once, however many accounts change in one moment: when the network is back, a thousand may."""
        if self._replanning is None:
            self._replanning = asyncio.get_running_loop().call_soon(self.replan)

    def _tell(self, refresher: ManagedAccount) -> None:
        status = refresher.status()
        before = self._told.get(refresher.account.name)
        if before == status:
            return  # most looks find nothing new: the JSON is made for those that do
        if before is not None and status.last_refresh_at not in {None, before.last_refresh_at}:
            self._start(run_command(refresher.account))
        self._told[refresher.account.name] = status
        self.events.tell(Event("health", status.as_json()))

    async def _exchange(self, gone: set[str], new: dict[str, ManagedAccount]) -> None:
        await asyncio.gather(*map(self.sign_ins.cancel, gone))
        for name in gone:
            self.events.tell(Event("gone", {"name": name}))  # while whoever listens can still ask about it
            refresher = self._managed.pop(name)
            self._told.pop(name, None)
            self._start(refresher.settle(for_good=True))  # not waited for: a slow provider must not hold up the rest
        self._managed.update(new)
