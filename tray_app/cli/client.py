"""Carries out commands: asks the running applet or, where there is none, runs an engine in this process."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from tray_app.base.paths import places
from tray_app.core.errors import Misconfigured, StoreUnavailable
from tray_app.core.failure import printable
from tray_app.core.tokens import Secret
from tray_app.interfaces.agent.client import AgentClient

if TYPE_CHECKING:
    from tray_app.adapters.claude_code.sign_in import Start
    from tray_app.core.tokens import TokenSet
    from tray_app.engine.engine import (
        Engine,  # with the scheduler, which a command that asks the applet need not wait for
    )
    from tray_app.engine.managed_account import ManagedAccount

T = TypeVar("T")
LOOK_SECONDS = 5.0
"""How often `watch` reads the store where no applet reports changes."""


def sign_out(account: str) -> str | None:
    """Signs out; returns a sentence about what could not be revoked. Raises `LamplighterError`."""
    applet = AgentClient(places().socket)
    if applet.alive():
        unrevoked: str | None = applet.ask("POST", applet.account(account, "logout")).get("unrevoked")
        return unrevoked
    return here(lambda engine: engine.sign_out(account), for_tokens=True)


def refresh(account: str, rejected_sha256: str | None = None) -> None:
    """Refreshes now; with the digest of a token that a server rejected, only if that is still the current one.

    Raises `LamplighterError`.
    """
    applet = AgentClient(places().socket)
    if applet.alive():
        applet.ask("POST", applet.account(account, "refresh"), {"rejected_sha256": rejected_sha256})
        return
    from tray_app.core.tokens import has_digest

    def rejected(tokens: TokenSet) -> bool:
        return rejected_sha256 is None or has_digest(tokens, rejected_sha256)

    async def act(engine: Engine) -> ManagedAccount:
        await engine.refresh(account, rejected)
        return engine.account(account)

    if (lost := _lost(here(act, for_tokens=True))) is not None:
        raise lost


def token(account: str, min_ttl: int, *, wait: bool) -> dict[str, Any]:
    """A valid access token as `token --json` has it, with `min_ttl` seconds left. Raises `LamplighterError`."""
    return token_of(running_applet(), account, min_ttl, wait=wait)


def running_applet() -> AgentClient | None:
    """The applet that answers at the socket; None where none runs. Raises `LamplighterError`."""
    applet = AgentClient(places().socket)
    return applet if applet.alive() else None


def hosts(applet: AgentClient | None) -> dict[str, list[str]]:
    """Each account's `hosts`, from whoever hands out its tokens: this applet, or where there is none the configuration.

    Raises `LamplighterError`.
    """
    if applet is not None:
        accounts = applet.ask("GET", "/v1/status")["accounts"]
        return {str(account["name"]): [str(host) for host in account.get("hosts", [])] for account in accounts}
    from tray_app.adapters.config import parser as config

    return {name: list(account.hosts) for name, account in config.load(places().config_file).accounts.items()}


def token_of(applet: AgentClient | None, account: str, min_ttl: int, *, wait: bool) -> dict[str, Any]:
    """As `token`, from this applet and no other; where there is none, from an engine in this process."""
    if applet is not None:
        return applet.ask("GET", applet.account(account, f"token?min_ttl={min_ttl}&wait={int(wait)}"))
    from tray_app.interfaces.agent.server import token_json

    asked: list[ManagedAccount] = []

    async def act(engine: Engine) -> TokenSet:
        asked.append(engine.account(account))
        return await engine.token(account, timedelta(seconds=min_ttl), wait=wait)

    try:
        return token_json(here(act, for_tokens=True))
    finally:  # even if it expires too soon, it is the newest
        for lost in filter(None, map(_lost, asked)):
            sys.stderr.write(printable(f"lamplighter: {lost}\n"))


def _lost(managed: ManagedAccount) -> StoreUnavailable | None:
    """The error where the store refused the newest tokens, which are lost with this engine."""
    name, failure = managed.account.name, managed.unsaved
    if failure is None:
        return None
    what = f"{name}: the new tokens could not be kept: {failure.message}"
    return StoreUnavailable(what, f"If the provider then takes the old ones no more: lamplighter login {name}")


def set_client_secret(account: str, secret: Secret) -> str:
    """Stores the account's client secret; returns the store's name. Raises `LamplighterError`."""
    applet = AgentClient(places().socket)
    if applet.alive():
        body = {"client_secret": secret.reveal()}
        return str(applet.ask("POST", applet.account(account, "secret"), body)["store"])
    return here(lambda engine: engine.set_client_secret(account, secret), for_tokens=True)


def keeps_tokens() -> bool:
    """Whether there is a store that outlives a command: not where tokens are in an applet that does not run."""
    from tray_app.adapters.config import parser as config

    return AgentClient(places().socket).alive() or config.load(places().config_file).store != "memory"


def forget(account: str) -> None:
    """Removes the account's client secret and registration. Raises `LamplighterError`."""
    applet = AgentClient(places().socket)
    if applet.alive():
        applet.ask("POST", applet.account(account, "forget"))
    else:
        here(lambda engine: engine.forget(account), for_tokens=True)


def status() -> dict[str, Any]:
    """The whole of `status --json`. Raises `LamplighterError`."""
    applet = running_applet()
    if applet is None:
        return here(_status)
    found = applet.ask("GET", "/v1/status")
    return found | {"accounts": [public(account) for account in found["accounts"]]}


def public(account: dict[str, Any]) -> dict[str, Any]:
    """The agent's object of an account as `status --json` has it (contract, section 8)."""
    return {name: value for name, value in account.items() if name not in {"hosts", "resource"}}


def watch(tell: Callable[[list[dict[str, Any]]], None]) -> None:
    """Calls `tell` with the accounts every few seconds, until an applet runs that reports each change.

    Raises `LamplighterError`.
    """
    applet = AgentClient(places().socket)

    async def act(engine: Engine) -> None:
        while not applet.alive():
            tell(engine.status_json(running=False)["accounts"])
            await asyncio.sleep(LOOK_SECONDS)
            await engine.load()

    if not applet.alive():
        here(act)


def watched_accounts() -> frozenset[str]:
    """The configured accounts whose tokens another program keeps; none where the configuration cannot be read."""
    from tray_app.adapters.config import parser as config
    from tray_app.core.claude_code import is_watched

    with suppress(Misconfigured):
        accounts = config.load(places().config_file).accounts.values()
        return frozenset(account.name for account in accounts if is_watched(account))
    return frozenset()


def here(act: Callable[[Engine], Awaitable[T]], *, for_tokens: bool = False, start_program: Start | None = None) -> T:
    """Runs `act` on an engine in this process. An open refresh ends and is stored, also after a signal.

    `start_program` starts another program that signs in.
    """
    from tray_app.adapters.config import parser as config
    from tray_app.base import log
    from tray_app.bootstrap import Environment, build_engine

    home = places()
    found = config.load(home.config_file)
    if for_tokens and found.store == "memory":
        raise Misconfigured(
            'the configuration says store = "memory": tokens live in the applet alone, and none is running',
            "Start it: lamplighter",
        )
    log.to_file(home.log_file)

    async def life() -> T:
        engine = build_engine(Environment(home, start_program=start_program), found)
        _end_once(signals)
        try:
            await engine.load()
            return await act(engine)
        finally:
            signals.append(0)  # a signal from now on changes nothing
            await engine.stop()

    signals: list[int] = []
    try:
        return asyncio.run(life())
    except asyncio.CancelledError:
        sys.exit(128 + signals[0])


def _end_once(signals: list[int]) -> None:
    """The first signal cancels this task; further ones do nothing: a closing terminal sends two."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()

    def end(number: int) -> None:
        signals.append(number)
        if len(signals) == 1 and task is not None:
            task.cancel()

    if sys.platform != "win32" and threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, end, number)


async def _status(engine: Engine) -> dict[str, Any]:
    return engine.status_json(running=False)
