"""The applet: builds its parts, runs them, and stops them in order. Tests replace clock, browser and store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from tray_app.adapters.config import parser as config
from tray_app.adapters.store.history_file import History
from tray_app.base.log import LOG
from tray_app.bootstrap import Environment, build_engine
from tray_app.core.account import Configuration
from tray_app.core.errors import LamplighterError, Misconfigured, UnconfirmedTokenHost, UnknownAccount
from tray_app.core.events import AccountGone, Event, HealthChanged, SignInChanged
from tray_app.core.message import joined, msg
from tray_app.core.phrasing import HEALTH_IN_WORDS
from tray_app.core.ports import Browser, Notifier, Quiet
from tray_app.interfaces.confirmations import Confirmations
from tray_app.interfaces.notifications.incidents import Incidents, NeverQuiet
from tray_app.interfaces.notifications.reminders import remind

if TYPE_CHECKING:
    from tray_app.interfaces.agent.server import Agent


class Presenter(Protocol):
    """Shows the applet: the tray."""

    def update(self, applet: Applet) -> None:
        """Something has changed: show it. Called in the loop."""

    def tick(self, applet: Applet) -> None:
        """Half a minute has passed. Called in the loop."""


class StatusPage(Protocol):
    """The status page."""

    async def open(self, applet: Applet, *, adding: bool) -> None:
        """Opens it in the browser; with `adding`, where an account is added. Raises `LamplighterError`."""

    async def close(self) -> None:
        """Serves it no longer."""


class Applet:
    """The running Lamplighter: engine, agent, configuration watch and notifications on one event loop.

    Made and run in the loop; `end` and `post` may be called from any thread.
    """

    def __init__(
        self,
        world: Environment,
        browser: Browser,
        notifier: Notifier,
        presenter: Presenter | None = None,
        page: StatusPage | None = None,
        *,
        quiet: Quiet | None = None,
        may_be_broken: bool = False,
    ) -> None:
        """Raises `Misconfigured` where the configuration is broken, unless it `may_be_broken`: the tray says so."""
        self.world = world
        self.browser = browser
        self._presenter = presenter
        self._page = page
        self.confirmations = Confirmations(world.places.state / "unconfirmed.json")
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._reloading = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._update: asyncio.TimerHandle | None = None
        self._agent: Agent | None = None
        broken: Misconfigured | None = None
        try:
            configuration = config.load(world.places.config_file)
        except Misconfigured as error:
            if not may_be_broken:
                raise
            configuration, broken = Configuration(), error
        self.engine = build_engine(world, configuration)
        if broken is not None:
            self.engine.tell_configuration_error(broken)
        self.incidents = Incidents(
            notifier,
            quiet or NeverQuiet(),
            world.clock,
            sign_in=self.sign_in,
            later_until=lambda name: self.engine.account(name).notes.later_until,
            set_later=lambda name, until: self.engine.account(name).notes.put_off(until),
            call_later=self._loop.call_later,
        )
        self._notifier = notifier
        self.history = History(world.places.state / "history.jsonl", world.clock)
        self.engine.events.call(self.history.happened)
        self.engine.events.call(self._happened)
        self.engine.scheduler.looked = self._looked

    # -- life

    async def run(self, started: Callable[[], None] = lambda: None) -> None:
        """Runs until `end`. Raises `LamplighterError` where the socket cannot be had."""
        from tray_app.base.file_watcher import FileWatcher
        from tray_app.interfaces.agent.server import Agent

        agent = Agent(self.engine, self.browser, self.end, self.present, self.world.clock)
        watch = FileWatcher(self.world.places.config_file, lambda: self._start(self._reload))
        agent.bind(self.world.places.socket)
        self.history.begin()
        self._agent = agent
        try:
            watch.start(self._loop)
            await self.engine.start()
            await agent.serve()  # only now: an account looks signed out before its tokens were read
            self._start(self._reload)  # for a change between our reading of the file and the watch
            self._show()
            started()
            await self._ended.wait()
        finally:
            watch.close()
            await self.engine.stop()
            await agent.close()
            await self.incidents.close()
            await self._notifier.close()
            self.history.end()
            if self._page is not None:
                await self._page.close()

    def end(self) -> None:
        """Ends the applet: an open refresh ends and is stored first."""
        self._loop.call_soon_threadsafe(self._ended.set)

    def post(self, act: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Runs `act` in the loop. What goes wrong is shown as a notification, since someone clicked."""
        self._loop.call_soon_threadsafe(self._start, act)

    # -- what a person can do

    def sign_in(self, name: str) -> None:
        """Starts the account's browser flow; of an account that was added on the page, only once that was confirmed."""
        if self._page is not None and self.confirmations.hosts(name) is not None:
            self.show_page()  # which names where it leads
            return
        self.post(lambda: self._sign_in(name))

    async def _sign_in(self, name: str) -> None:
        try:
            await self.engine.sign_in(name, self.browser)
        except UnconfirmedTokenHost:
            if self._page is None:
                raise
            await self._page.open(self, adding=False)  # which asks, with both hosts named

    def present(self) -> None:
        """Shows the status as a notification, whose click opens the page: someone started Lamplighter a second time."""
        lines = [joined(": ", (status.name, HEALTH_IN_WORDS[status.health])) for status in self.engine.statuses()]
        self.tell(
            "status",
            msg("Lamplighter is running"),
            joined(", ", lines) or msg("There is no account yet."),
            actions=[("open", msg("Open Lamplighter"))],
            chosen=lambda _action: self.show_page(),
        )

    def show_page(self, *, adding: bool = False) -> None:
        """Opens the status page, if there is one; with `adding`, where an account is added."""
        if (page := self._page) is not None:
            self.post(lambda: page.open(self, adding=adding))

    def tell(
        self,
        key: str,
        title: str,
        body: str,
        *,
        actions: Sequence[tuple[str, str]] = (),
        chosen: Callable[[str], None] = lambda _: None,
        otherwise: str = "",
    ) -> None:
        """Shows one notification. `otherwise` is said in addition where there are no buttons."""
        self._start(lambda: self.incidents.tell(key, title, body, actions=actions, chosen=chosen, otherwise=otherwise))

    def untell(self, key: str) -> None:
        """Takes such a notification away."""
        self._start(lambda: self.incidents.untell(key))

    # -- what happens

    def _happened(self, event: Event) -> None:
        match event:
            case HealthChanged():
                reason = event.reason or msg("The sign-in has ended")
                self.incidents.health_changed(event.account, event.status.health, reason)
            case SignInChanged(state="done" | "failed"):
                self.incidents.sign_in_ended(event.account)
            case AccountGone():
                self.incidents.forget(event.account)
            case _:
                pass  # a sign-in that has started
        if not isinstance(event, AccountGone):
            with suppress(UnknownAccount):  # a sign-in may begin in the moment in which its account goes
                remind(self, self.engine.account(event.account), event, self.world.clock.now())
        if self._update is None:  # several events of one moment are one update
            self._update = self._loop.call_later(0.01, self._show)

    def _looked(self, now: datetime) -> None:
        self.incidents.tick(now)
        if self._agent is not None and self._agent.is_cut_off():
            self._start(self._agent.reopen)
        if self._presenter is not None:
            self._presenter.tick(self)

    def _show(self) -> None:
        self._update = None
        if self._presenter is not None:
            self._presenter.update(self)

    async def _reload(self) -> None:
        async with self._reloading:  # one after the other, so that the last one saved is the last one applied
            try:
                configuration = await asyncio.to_thread(config.load, self.world.places.config_file)
            except Misconfigured as error:
                if self.engine.configuration_error != str(error):
                    self.engine.tell_configuration_error(error)
                    self.tell("configuration", msg("The configuration has a mistake"), error.sentence)
            else:
                await self.incidents.untell("configuration")
                if configuration != self.engine.configuration or self.engine.configuration_error:
                    await self.engine.apply(configuration)
        self._show()

    def _start(self, act: Callable[[], Coroutine[Any, Any, object]]) -> None:
        async def guarded() -> None:
            try:
                await act()
            except LamplighterError as error:
                await self.incidents.tell("problem", msg("That did not work"), error.sentence)

        task = asyncio.create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            LOG.error("something went wrong in a way that was not foreseen", exc_info=error)
