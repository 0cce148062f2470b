"""Starts the applet: the icon first, on the main thread; then the engine, whose imports are heavy, on its own."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING

from tray_app.adapters.platform.desktop_session import find_session
from tray_app.adapters.store.locks import InstanceLock
from tray_app.base.lean_imports import lean_imports
from tray_app.base.log import LOG
from tray_app.base.paths import Places, close_umask, places
from tray_app.core.errors import LamplighterError
from tray_app.core.failure import printable

if TYPE_CHECKING:
    from tray_app.core.ports import Tray
    from tray_app.interfaces.agent.client import AgentClient
    from tray_app.interfaces.applet import Applet

STARTING_SECONDS = 10.0
PR_SET_DUMPABLE = 4

Life = Callable[["Tray | None", Callable[["Applet"], None]], Awaitable[None]]
"""What runs on the event loop, with the tray if there is one; it passes on its applet as soon as that can be ended."""


def run_tray() -> int:
    """`lamplighter`: the applet in the tray, or without one where there is no desktop. Returns the exit code."""
    here = places()
    instance = InstanceLock(here.instance_lock)
    if not instance.try_acquire():
        return _second_start(here, tray=True)
    try:
        session = find_session()
        if session.tray == "no":
            _say(f"there is no desktop here ({'; '.join(session.reasons.values())}); running without a tray")
            return _run(lambda _tray, known: _life(here, None, known), None)
        from tray_app.interfaces.tray.backend import make_tray

        return _run(lambda tray, known: _life(here, tray, known), make_tray(session))
    finally:
        instance.release()


def run_headless() -> int:
    """`lamplighter run --headless`. Returns the exit code."""
    here = places()
    instance = InstanceLock(here.instance_lock)
    if not instance.try_acquire():
        return _second_start(here, tray=False)
    try:
        return _run(lambda _tray, known: _life(here, None, known), None)
    finally:
        instance.release()


def run(life: Life, *, tray: bool) -> int:
    """Runs something else than the usual applet: the demo. Returns the exit code."""
    if not tray:
        return _run(life, None)
    from tray_app.interfaces.tray.backend import make_tray

    return _run(life, make_tray(find_session()))


def _run(life: Life, tray: Tray | None) -> int:
    engine, signals = _EngineThread(life, tray), list[int]()

    def asked_to_end(number: int, _frame: object) -> None:
        signals.append(number)
        engine.end()

    for number in (signal.SIGTERM, signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGTERM)):
        signal.signal(number, asked_to_end)
    if tray is None:
        engine.live()
    else:
        tray.run(ready=engine.start)
        engine.join()
    if engine.error is not None:
        _say(str(engine.error))
        return engine.error.exit_code
    return 130 if signal.SIGINT in signals else 0


class _EngineThread:
    """The thread of the event loop. Where there is no tray, the main thread is it."""

    def __init__(self, life: Life, tray: Tray | None) -> None:
        self.error: LamplighterError | None = None
        self._life = life
        self._tray = tray
        self._applet: Applet | None = None
        self._ended = False
        self._thread = threading.Thread(target=self.live, name="engine")

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        if self._thread.ident is not None:
            self._thread.join()

    def live(self) -> None:
        try:
            asyncio.run(self._main())
        except LamplighterError as error:
            self.error = error
        except Exception:  # noqa: BLE001 - a bug: logged, reported by the exit code, and the icon is removed
            LOG.exception("the applet ended in a way that was not foreseen")
            self.error = LamplighterError("this should not have happened", "The log tells more")
        finally:
            if self._tray is not None:
                self._tray.stop()

    def end(self) -> None:
        """From a signal's handler or any thread; also before the applet is there."""
        self._ended = True
        if self._applet is not None:
            self._applet.end()
        elif self._thread.ident is None and self._tray is not None:
            self._tray.stop()

    async def _main(self) -> None:
        await self._life(self._tray, self._known)

    def _known(self, applet: Applet) -> None:
        self._applet = applet
        if self._ended:
            applet.end()


async def _life(here: Places, tray: Tray | None, known: Callable[[Applet], None]) -> None:
    from tray_app.base import log

    # For APScheduler's process pool, which is not used here: 0.5 MB (measured).
    processes = SimpleNamespace(BrokenProcessPool=ChildProcessError)
    with lean_imports({"concurrent.futures.process": processes, "multiprocessing": SimpleNamespace()}):
        from tray_app.bootstrap import Environment
        from tray_app.interfaces.applet import Applet
        from tray_app.interfaces.page.controller import StatusPage
    from tray_app.adapters.oauth.provider import import_libraries
    from tray_app.adapters.platform.browser import SystemBrowser
    from tray_app.adapters.platform.system_events import make_system_events
    from tray_app.interfaces.notifications.do_not_disturb import DoNotDisturb
    from tray_app.interfaces.notifications.notifier import make_notifier
    from tray_app.interfaces.tray.presenter import TrayPresenter, welcome

    log.to_file(here.log_file)
    presenter = TrayPresenter(tray) if tray is not None else None
    notifier = await make_notifier(tray.balloon if tray is not None else lambda _title, _body: False)
    applet = Applet(
        Environment(here),
        SystemBrowser(),
        notifier,
        presenter,
        StatusPage(),
        quiet=DoNotDisturb(),
        may_be_broken=tray is not None,
    )
    known(applet)
    is_new = tray is not None and not here.config_file.exists()

    events, watching = make_system_events(), set[asyncio.Task[None]]()

    def started() -> None:
        watching.add(asyncio.create_task(events.watch(applet.engine.system_state.happened), name="system events"))
        if is_new:
            welcome(applet)
        elif applet.engine.configuration.accounts:
            asyncio.get_running_loop().run_in_executor(None, import_libraries)

    try:
        await applet.run(started)
    finally:
        for task in watching:
            task.cancel()
            await asyncio.wait({task})
        await events.close()


def _second_start(here: Places, *, tray: bool) -> int:
    _say("Lamplighter is running already")
    if tray:
        try:
            running_applet(here).ask("POST", "/v1/present", seconds=5)
        except LamplighterError as error:
            _say(str(error))
    return 0


def running_applet(here: Places) -> AgentClient:
    """The applet that holds the instance lock, as soon as it listens: it may only just be starting."""
    from tray_app.interfaces.agent.client import AgentClient

    client, moment = AgentClient(here.socket), threading.Event()
    for _ in range(int(STARTING_SECONDS / 0.05)):
        if client.alive():
            break
        moment.wait(0.05)
    return client


def _say(words: str) -> None:
    if sys.stderr is not None:  # a GUI start on Windows has none
        print(printable(f"lamplighter: {words}"), file=sys.stderr)  # noqa: T201 - a command's word to the terminal


def keep_private() -> None:
    """Makes new files private to the user, and prevents core dumps with tokens in them.

    Child processes such as the browser would inherit a core limit, but not this setting (PR_SET_DUMPABLE(2const)).
    """
    close_umask()
    if sys.platform.startswith("linux"):
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    elif sys.platform != "win32":  # on macOS launchd starts programs, so no limit is inherited
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
