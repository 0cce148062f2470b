"""Puts the parts together: the engine on the store, the provider, the lock and the clock that are really used.

Tests come in here too, with clock, draw or store replaced.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tray_app.adapters.claude_code.account import is_watched
from tray_app.base.clock import WallClock
from tray_app.base.paths import Places
from tray_app.core.account import Account, Configuration
from tray_app.core.errors import StoreUnavailable
from tray_app.core.ports import Clock, Dependencies, Facts, Flow, ProviderError, SecretStore
from tray_app.core.tokens import Secret
from tray_app.engine.engine import Engine
from tray_app.engine.error_mapping import error_of
from tray_app.engine.scheduler import MakePlan, Scheduler
from tray_app.engine.sign_ins import OpenSignIn

if TYPE_CHECKING:
    from tray_app.adapters.claude_code.sign_in import Start
    from tray_app.adapters.oauth.probe import Look


@dataclass(frozen=True)
class Environment:
    """What surrounds the engine; each part can be replaced."""

    places: Places
    clock: Clock = field(default_factory=WallClock)
    draw: Callable[[], float] = random.random
    store: SecretStore | None = None
    """None: the one that the configuration names."""
    make_plan: MakePlan = Scheduler
    start_program: Start | None = None
    """How another program's sign-in is started; None: detached."""


def build_engine(world: Environment, configuration: Configuration) -> Engine:
    """The engine on the world's parts."""
    from tray_app.adapters.oauth.flows import prepared
    from tray_app.adapters.oauth.provider import OAuthProvider
    from tray_app.adapters.store.locks import FileLock

    stores: list[SecretStore] = []  # the one in force is the last: the configuration may change it

    secrets: dict[str, Secret | None] = {}

    async def client_secret(account: str) -> Secret | None:
        try:
            secrets[account] = await stores[-1].client_secret(account)
        except StoreUnavailable:
            if account not in secrets:
                raise
        return secrets[account]  # a store that cannot say now stops no refresh

    provider = OAuthProvider(world.clock, client_secret, lambda: stores[-1])
    lock = FileLock(world.places.state / "locks")

    def parts(configuration: Configuration) -> Dependencies:
        store, facts = _store(world, configuration)
        stores.append(store)
        return Dependencies(store, facts, provider, lock, world.clock, world.draw)

    async def prepare(account: Account, flow: Flow) -> OpenSignIn:
        if is_watched(account):
            from tray_app.adapters.claude_code.sign_in import ClaudeSignIn

            return ClaudeSignIn.prepare(account, world.clock, world.start_program)
        return await prepared(account, provider, flow, world.clock)

    return Engine(configuration, parts, prepare, world.make_plan)


def _store(world: Environment, configuration: Configuration) -> tuple[SecretStore, Facts]:
    from tray_app.adapters.store.facts import FactsFolder, MemoryFacts

    if configuration.store == "memory":
        from tray_app.adapters.store.memory_store import MemoryStore

        return world.store or MemoryStore(), MemoryFacts()
    from tray_app.adapters.store.keyring_store import KeyringStore

    return world.store or KeyringStore(world.places.home), FactsFolder(world.places.state / "accounts")


def first_look(account: Account) -> Look:
    """What the provider of an account that is being added says of itself. Raises `LamplighterError`."""
    import asyncio

    from tray_app.adapters.oauth import probe
    from tray_app.adapters.oauth.provider import OAuthProvider

    async def no_secret(_: str) -> None:
        return None

    if is_watched(account):
        return probe.Look()
    clock = WallClock()
    try:
        return asyncio.run(probe.look(account, clock, OAuthProvider(clock, no_secret)))
    except ProviderError as error:
        raise error_of(account.name, error.failure, None) from error
