"""The engine: the managed accounts, the scheduler over them, the sign-ins, and the events that come of it.

Belongs to one event loop. It shows nothing itself: tray, notifications, agent and commands call it and subscribe.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from tray_app._version import __version__
from tray_app.base.log import LOG
from tray_app.core.account import Account, Configuration, RetryPolicy
from tray_app.core.claude_code import is_watched
from tray_app.core.errors import Misconfigured, UnknownAccount
from tray_app.core.events import AccountGone, HealthChanged
from tray_app.core.health import Health, worst
from tray_app.core.message import msg
from tray_app.core.ports import Browser, Dependencies, Flow, SignInPrompt
from tray_app.core.status import AccountStatus
from tray_app.core.tokens import Secret, TokenSet
from tray_app.engine.events import Events
from tray_app.engine.hooks import run_command
from tray_app.engine.managed_account import ManagedAccount
from tray_app.engine.refresher import Refresher
from tray_app.engine.scheduler import Heartbeat, MakePlan, Scheduler
from tray_app.engine.sign_ins import Prepare, SignIns
from tray_app.engine.watched_account import WatchedAccount

ENDING_LIMIT = timedelta(seconds=30)
"""How long `stop` waits for refreshes under way to be stored (.github/CONTRACT.md, section 5)."""


class Engine:
    """Keeps the accounts of a configuration fresh."""

    def __init__(
        self,
        configuration: Configuration,
        make_dependencies: Callable[[Configuration], Dependencies],
        prepare: Prepare,
        make_plan: MakePlan = Heartbeat,
    ) -> None:
        """`prepare` prepares a sign-in; `make_plan` makes the timer."""
        self.events = Events()
        self.sign_ins = SignIns(prepare, self.events)
        self.configuration_error: str | None = None
        self._configuration = configuration
        self._make_dependencies = make_dependencies
        self._dependencies = make_dependencies(configuration)
        self._make_plan = make_plan
        self._accounts: dict[str, ManagedAccount] = {}
        self._last_status: dict[str, AccountStatus] = {}
        self._sign_outs: set[asyncio.Task[str | None]] = set()
        self._applying = asyncio.Lock()
        self.scheduler = Scheduler(self._dependencies.clock, self._accounts.values, self._publish_change)
        self.system_state = self.scheduler.system_state
        for account in configuration.accounts.values():
            self._accounts[account.name] = self._managed(account, configuration.retry)

    # -- life

    async def load(self) -> None:
        """Reads what is stored of every account."""
        await asyncio.gather(*(managed.load() for managed in self._accounts.values()))

    async def start(self) -> None:
        """Reads what is stored and keeps it fresh from now on."""
        self._dependencies.lock.lead()  # before any command that starts later
        await self.load()
        for managed in self._accounts.values():
            managed.start()
        self.scheduler.start(self._make_plan)

    async def stop(self) -> None:
        """Ends timer, jobs and listeners; a refresh under way ends and is stored first, within `ENDING_LIMIT`."""
        was_running = self.scheduler.running
        self.scheduler.stop()  # nothing new begins from here on
        await self.sign_ins.close()
        settling = [managed.settle(for_good=was_running) for managed in self._accounts.values()]
        try:
            async with asyncio.timeout(ENDING_LIMIT.total_seconds()):
                await asyncio.gather(*settling, *self.scheduler.tasks, *self._sign_outs, return_exceptions=True)
        except TimeoutError:
            LOG.warning("a refresh was still under way when the time to end was over")
        self._dependencies.lock.leave()
        self.events.close()

    async def apply(self, configuration: Configuration) -> None:
        """Applies a changed configuration: accounts come, go and change; tokens stay where they are."""
        async with self._applying:
            self.configuration_error = None
            stay = {name for name, managed in self._accounts.items() if _stays(managed.account, configuration)}
            if configuration.store != self._configuration.store:
                self._dependencies, stay = self._make_dependencies(configuration), set()
            for name in stay:
                self._accounts[name].configure(configuration.accounts[name], configuration.retry)
            new = {
                name: self._managed(account, configuration.retry)
                for name, account in configuration.accounts.items()
                if name not in stay
            }
            await asyncio.gather(*(managed.load() for managed in new.values()))  # first: else they look signed out
            self._configuration = configuration
            await self._replace(self._accounts.keys() - stay, new)
        LOG.info("configuration: %d accounts", len(configuration.accounts))
        self.scheduler.replan()

    def tell_configuration_error(self, error: Misconfigured) -> None:
        """A broken change of the configuration: the last good one stays in force."""
        self.configuration_error = error.sentence
        LOG.error("configuration: %s; the last good one stays in force", error)

    # -- reading it

    @property
    def configuration(self) -> Configuration:
        """The configuration in force."""
        return self._configuration

    def account(self, name: str) -> ManagedAccount:
        """The account of this name. Raises `UnknownAccount`."""
        if name not in self._accounts:
            known = ", ".join(self._accounts) or msg("none yet")
            remedy = msg("The accounts are: {names}", names=known)
            raise UnknownAccount(msg("no account is called `{name}`", name=name), remedy)
        return self._accounts[name]

    def statuses(self) -> list[AccountStatus]:
        """Every account as it is now, in the order of the configuration."""
        return [self._accounts[name].status() for name in self._configuration.accounts if name in self._accounts]

    def health(self) -> Health:
        """What the icon shows."""
        return worst(managed.health for managed in self._accounts.values())

    def status_json(self, *, running: bool) -> dict[str, Any]:
        """The whole of `status --json` (.github/CONTRACT.md, section 8)."""
        return {
            "version": __version__,
            "health": str(self.health()),
            "running": running,
            "configuration_error": self.configuration_error,
            "paused_until": None,
            "accounts": [status.as_json() for status in self.statuses()],
        }

    # -- what can be asked

    async def token(self, name: str, min_ttl: timedelta = timedelta(0), *, wait: bool = True) -> TokenSet:
        """A valid access token of the account. Raises `LamplighterError`."""
        managed = await self._settled_account(name)
        self.system_state.notice_clock()
        return await managed.token(min_ttl, wait=wait)

    def token_at_hand(self, name: str) -> TokenSet | None:
        """A valid access token of the account where nothing is due; None where `token` has to be asked."""
        managed = self._accounts.get(name)
        if managed is None:
            return None
        self.system_state.notice_clock()
        return managed.token_at_hand()

    async def refresh(self, name: str, rejected: Callable[[TokenSet], bool] | None = None) -> None:
        """Refreshes the account now; with `rejected`, only if that says so of the current tokens.

        Raises `LamplighterError`.
        """
        await (await self._settled_account(name)).refresh(rejected)

    async def sign_in(self, name: str, browser: Browser | None, flow: Flow = "browser") -> SignInPrompt:
        """Starts the account's sign-in; returns what the person needs. Its address is empty where another program
        opens its own.

        Raises `LamplighterError`.
        """
        return await self.sign_ins.begin(await self._settled_account(name), browser, flow)

    async def paste(self, name: str, text: str, *, bare: bool) -> None:
        """Hands what a person has pasted to the account's open sign-in. Raises `UnknownAccount`, `SignInFailed`."""
        await self._settled_account(name)
        self.sign_ins.paste(name, text, bare=bare)

    async def cancel_sign_in(self, name: str) -> None:
        """Ends the account's open sign-in, if there is one. Raises `UnknownAccount`."""
        await self._settled_account(name)
        await self.sign_ins.cancel(name)

    async def sign_out(self, name: str) -> str | None:
        """Signs the account out; says in words what could not be revoked. Raises `LamplighterError`."""
        managed = await self._settled_account(name)
        await self.sign_ins.cancel(name)
        task = asyncio.create_task(managed.sign_out(), name=f"sign-out {name}")
        self._sign_outs.add(task)  # `stop` waits for it, even if the caller has gone away
        task.add_done_callback(self._sign_outs.discard)
        return await asyncio.shield(task)

    async def set_client_secret(self, name: str, secret: Secret | None) -> str:
        """Keeps the account's client secret, and returns the name of the store. Raises `LamplighterError`."""
        await (await self._settled_account(name)).set_client_secret(secret)
        return self._configuration.store

    async def forget(self, name: str) -> None:
        """Removes what is kept of the account's client. Raises `LamplighterError`."""
        await (await self._settled_account(name)).forget()

    async def _settled_account(self, name: str) -> ManagedAccount:
        """As `account`, but waits for an account of a new configuration that is still being read."""
        if name not in self._accounts:
            async with self._applying:
                pass
        return self.account(name)

    # -- what changes

    def _managed(self, account: Account, retry: RetryPolicy) -> ManagedAccount:
        if is_watched(account):
            return WatchedAccount(account, self._dependencies, self._changed)
        return Refresher(account, self._dependencies, retry, self._changed)

    def _changed(self, managed: ManagedAccount) -> None:
        """The account itself says so; not while it is still being read."""
        if self._accounts.get(managed.account.name) is managed:
            self._publish_change(managed)
            self.scheduler.replan_soon()

    def _publish_change(self, managed: ManagedAccount) -> None:
        """Publishes the account's status if it is another one than last time."""
        status, name = managed.status(), managed.account.name
        before = self._last_status.get(name)
        if before == status:
            return
        if before is not None and status.last_refresh_at not in {None, before.last_refresh_at}:
            self.scheduler.begin(run_command(managed.account))
        self._last_status[name] = status
        self.events.publish(HealthChanged(status))

    async def _replace(self, gone: set[str], new: dict[str, ManagedAccount]) -> None:
        await asyncio.gather(*map(self.sign_ins.cancel, gone))
        for name in gone:
            self.events.publish(AccountGone(name))  # while subscribers can still ask about it
            managed = self._accounts.pop(name)
            self._last_status.pop(name, None)
            self.scheduler.begin(managed.settle(for_good=True))  # not waited for: a provider may be slow
        self._accounts.update(new)
        if self.scheduler.running:
            for managed in new.values():
                managed.start()


def _stays(account: Account, configuration: Configuration) -> bool:
    """Whether the account is still there, and its tokens are still kept by the same program."""
    found = configuration.accounts.get(account.name)
    return found is not None and is_watched(found) == is_watched(account)
