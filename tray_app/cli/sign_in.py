"""Sign-in from a terminal: by the running applet, or by an engine in this process.

Whoever sits elsewhere pastes the answer here. It is read beside all else: the browser's own answer may come first.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from tray_app.base.paths import person_s_umask, places
from tray_app.cli.client import here, watched_accounts
from tray_app.cli.pasted_line import read_line
from tray_app.core.errors import LamplighterError, SignInFailed, error_named
from tray_app.core.ports import Flow, SignInPrompt
from tray_app.engine.engine import Engine
from tray_app.interfaces.agent.client import AgentClient

Show = Callable[[SignInPrompt], bool]
"""Shows the person where to sign in; says whether an answer may be pasted now."""


def sign_in(account: str, flow: Flow, show: Show) -> None:
    """Signs in. Raises `LamplighterError`."""
    applet = AgentClient(places().socket)
    if account in watched_accounts():  # their program may have a question for the person at this terminal
        here(lambda engine: _watched(engine, account), start_program=_attached)
    elif applet.alive():
        _by_applet(applet, account, flow, show)
    else:
        here(lambda engine: _here(engine, account, flow, show), for_tokens=True)


async def _here(engine: Engine, account: str, flow: Flow, show: Show) -> None:
    prompt = await engine.sign_in(account, None, flow)
    signing_in = engine.sign_ins.under_way(account)  # first: the browser may be quick
    if await asyncio.to_thread(show, prompt):
        loop, pasted = asyncio.get_running_loop(), asyncio.Event()
        lines: list[str] = []

        def read(line: str) -> None:
            lines.append(line)
            with suppress(RuntimeError):  # the loop has ended: the answer came another way
                loop.call_soon_threadsafe(pasted.set)

        _read_line(read)
        reading = asyncio.create_task(pasted.wait())
        await asyncio.wait({signing_in, reading}, return_when=asyncio.FIRST_COMPLETED)
        reading.cancel()
        if lines and not signing_in.done() and _counts(lines[0], flow):
            _check(account, lines[0])
            await engine.paste(account, lines[0], bare=True)
    await asyncio.shield(signing_in)


async def _watched(engine: Engine, account: str) -> None:
    await engine.sign_in(account, None)
    await asyncio.shield(engine.sign_ins.under_way(account))


def _by_applet(applet: AgentClient, account: str, flow: Flow, show: Show) -> None:
    events = applet.events()
    next(events)  # subscribed: no event is missed from here on
    wrong: list[LamplighterError] = []

    def paste(line: str) -> None:
        if not _counts(line, flow):
            return
        try:
            _check(account, line)
            applet.ask("POST", applet.account(account, "answer"), {"answer": line.strip()})
        except LamplighterError as error:
            wrong.append(error)
            _cancel(applet, account)  # which ends the wait below

    try:
        asked = applet.ask("POST", applet.account(account, "login"), {"browser": False, "flow": flow})
        if show(_prompt_from(asked)):
            _read_line(paste)
        _await(account, events)
    except KeyboardInterrupt:
        _cancel(applet, account)
        raise
    except LamplighterError as error:
        raise wrong[0] if wrong else error from None


def _prompt_from(asked: dict[str, Any]) -> SignInPrompt:
    expires_at = asked.get("expires_at")
    return SignInPrompt(
        asked["authorization_url"] or "",
        asked.get("user_code"),
        asked.get("verification_uri"),
        datetime.fromisoformat(expires_at) if expires_at else None,
    )


def _await(account: str, events: Iterator[tuple[str, dict[str, Any]]]) -> None:
    is_ours = False
    for kind, facts in events:
        if kind != "sign-in" or facts["account"] != account:
            continue
        if facts["state"] == "done" and is_ours:
            return
        if facts["state"] == "failed" and is_ours:
            raise error_named(facts.get("error", ""), facts["message"])
        is_ours = is_ours or facts["state"] == "started"
    raise SignInFailed(f"{account}: the applet ended before the sign-in did", f"Try again: lamplighter login {account}")


def _cancel(applet: AgentClient, account: str) -> None:
    with suppress(LamplighterError):  # it may be gone; else its listener would wait for minutes
        applet.ask("DELETE", applet.account(account, "login"), seconds=5)


def _counts(line: str, flow: Flow) -> bool:
    """Whether the line ends the waiting: nothing at all does only where nothing else was asked for."""
    return bool(line.strip()) or flow == "paste"


def _check(account: str, line: str) -> None:
    if not line.strip():
        raise SignInFailed(f"{account}: nothing was pasted", f"Try again: lamplighter login {account} --paste")


def _read_line(read: Callable[[str], None]) -> None:
    """Calls with the next line of standard input, from a thread of its own."""
    threading.Thread(target=lambda: read(read_line()), name="pasted", daemon=True).start()


def _attached(argv: Sequence[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(argv, env={**os.environ, **environment}, umask=person_s_umask())
