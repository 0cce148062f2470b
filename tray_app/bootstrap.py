"""Puts the parts together: the engine on the real store, provider, lock and clock.

Tests come in here too, with clock, draw or store replaced.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tray_app.base.clock import WallClock
from tray_app.base.paths import Places
from tray_app.core.account import Account, Configuration
from tray_app.core.claude_code import is_watched
from tray_app.core.ports import Clock, Dependencies, Facts, Flow, ProviderError, SecretStore, WatchedCredentials
from tray_app.engine.engine import Engine
from tray_app.engine.error_mapping import error_of
from tray_app.engine.scheduler import Heartbeat, MakePlan
from tray_app.engine.sign_ins import OpenSignIn

if TYPE_CHECKING:
    from tray_app.adapters.claude_code.sign_in import Start
    from tray_app.adapters.oauth.probe import Look
    from tray_app.adapters.oauth.token_hosts import TokenHosts


@dataclass(frozen=True)
class Environment:
    """What a process runs in; each part can be replaced."""

    places: Places
    clock: Clock = field(default_factory=WallClock)
    draw: Callable[[], float] = random.random
    store: SecretStore | None = None
    """None: the one that the configuration names."""
    make_plan: MakePlan = Heartbeat
    start_program: Start | None = None
    """How another program's sign-in is started; None: detached."""


def build_engine(world: Environment, configuration: Configuration) -> Engine:
    """The engine on the world's parts."""
    parts = Parts(world)
    return Engine(configuration, parts.dependencies, parts.prepare_sign_in, world.make_plan)


class Parts:
    """The adapters of one engine."""

    def __init__(self, world: Environment) -> None:
        from tray_app.adapters.oauth.provider import OAuthProvider
        from tray_app.adapters.store.locks import FileLock

        self._world = world
        self._provider = OAuthProvider(world.clock, token_hosts=token_hosts(world.places))
        self._lock = FileLock(world.places.state / "locks")

    def dependencies(self, configuration: Configuration) -> Dependencies:
        """What the engine works with under this configuration, which names the store."""
        world = self._world
        store, facts = _store(world, configuration)
        self._provider.store = store
        return Dependencies(store, facts, self._provider, self._lock, world.clock, world.draw, _credentials)

    async def prepare_sign_in(self, account: Account, flow: Flow) -> OpenSignIn:
        """A sign-in that is ready to run. Raises `ProviderError`, `LamplighterError`."""
        if is_watched(account):
            from tray_app.adapters.claude_code.sign_in import ClaudeSignIn

            return ClaudeSignIn.prepare(account, self._world.clock, self._world.start_program)
        from tray_app.adapters.oauth.flows import prepared

        return await prepared(account, self._provider, flow, self._world.clock)


def token_hosts(places: Places) -> TokenHosts:
    """The token hosts that the person has confirmed, kept in the state folder."""
    from tray_app.adapters.oauth.token_hosts import TokenHosts

    return TokenHosts(places.state / "token_hosts.json")


def _store(world: Environment, configuration: Configuration) -> tuple[SecretStore, Facts]:
    from tray_app.adapters.store.facts import FactsFolder, MemoryFacts

    if configuration.store == "memory":
        from tray_app.adapters.store.memory_store import MemoryStore

        return world.store or MemoryStore(), MemoryFacts()
    from tray_app.adapters.store.keyring_store import KeyringStore

    return world.store or KeyringStore(world.places.home), FactsFolder(world.places.state / "accounts")


def _credentials(account: Account) -> WatchedCredentials:
    from tray_app.adapters.claude_code.credentials import ClaudeCredentials  # few have such an account

    return ClaudeCredentials(account)


def first_look(account: Account) -> Look:
    """What the provider of an account that is being added says of itself. Raises `LamplighterError`."""
    import asyncio

    from tray_app.adapters.oauth import probe
    from tray_app.adapters.oauth.provider import OAuthProvider

    if is_watched(account):
        return probe.Look()
    clock = WallClock()
    try:
        return asyncio.run(probe.look(account, clock, OAuthProvider(clock)))
    except ProviderError as error:
        raise error_of(account.name, error.failure, None) from error
