"""A sign-in of Claude Code: the person's own `claude auth login`, and the file that it writes.

What counts is a new date in the file. The program's exit code says nothing: it may succeed without a sign-in, and fail
after one. It is started without a shell, outlives us, and is never ended by us: it holds its own tokens.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import threading
from collections.abc import Callable, Sequence
from typing import Final

from tray_app.adapters.claude_code.command import command_of, environment_of, name_it
from tray_app.adapters.claude_code.credentials_file import credentials_file, read
from tray_app.core.account import Account
from tray_app.core.claude_code import Reading, is_new_sign_in
from tray_app.core.errors import Misconfigured, NoNewDate, SignInFailed
from tray_app.core.message import msg
from tray_app.core.ports import Clock, SignInPrompt

PATIENCE: Final = 300.0
"""Seconds for a sign-in, as with every other."""
GRACE: Final = 5.0
"""Seconds after the program's end in which its file may still come."""

Start = Callable[[Sequence[str], dict[str, str]], subprocess.Popen[bytes]]


class ClaudeSignIn:
    """One run of `claude auth login`. Starts nothing before `run`."""

    prompt = SignInPrompt("")
    """No address is known: the program opens the browser itself."""

    def __init__(self, account: Account, argv: list[str], clock: Clock, start: Start | None = None) -> None:
        self._account = account
        self._argv = argv
        self._clock = clock
        self._start = start
        self._news = asyncio.Event()
        self._is_closed = False

    @classmethod
    def prepare(cls, account: Account, clock: Clock, start: Start | None = None) -> ClaudeSignIn:
        """Finds the program. `start` starts it otherwise than detached. Raises `Misconfigured` where it is nowhere."""
        return cls(account, command_of(account), clock, start)

    async def run(self, _keep: object) -> None:
        """Starts the program; returns once a new sign-in is in the file.

        Raises `NoNewDate` where the program has ended, or `PATIENCE` has, and the file has none.
        """
        from tray_app.base.file_watcher import FileWatcher
        from tray_app.base.processes import start_detached

        path = credentials_file(self._account)
        before = self._read()
        watch = FileWatcher(path, self._news.set)
        watch.start(asyncio.get_running_loop())
        try:
            try:
                start = self._start or start_detached
                program = await asyncio.to_thread(start, self._argv, environment_of(self._account))
            except OSError as error:
                what = msg(
                    "{name}: {program} could not be started ({reason})",
                    name=self._account.name,
                    program=self._argv[0],
                    reason=error.strerror,
                )
                raise Misconfigured(what, name_it(self._account)) from error
            _call_at_end(program, self._news.set)
            await self._wait(before, program)
        finally:
            watch.close()

    def paste(self, _text: str, *, bare: bool) -> bool:  # noqa: ARG002 - as the other sign-ins have it
        """Nothing can be pasted here."""
        return False

    async def close(self) -> None:
        """Stops waiting. The program goes on: it is the person's."""
        self._is_closed = True
        self._news.set()

    async def _wait(self, before: Reading | None, program: subprocess.Popen[bytes]) -> None:
        now = asyncio.get_running_loop().time
        deadline, has_ended = now() + PATIENCE, False
        while not self._has_new(before):
            if self._is_closed:
                raise SignInFailed(msg("{name}: the sign-in was given up", name=self._account.name))
            if program.returncode is not None and not has_ended:
                deadline, has_ended = now() + GRACE, True
            try:
                async with asyncio.timeout_at(deadline):
                    await self._news.wait()
            except TimeoutError as error:
                why = msg("has ended") if has_ended else msg("has not ended yet")
                what = msg(
                    "{name}: `claude auth login` {why}, and there is no new sign-in of Claude Code",
                    name=self._account.name,
                    why=why,
                )
                raise NoNewDate(what, msg("Run it in a terminal: {command}", command="claude auth login")) from error
            self._news.clear()

    def _has_new(self, before: Reading | None) -> bool:
        return is_new_sign_in(before, self._read(), self._clock.now())

    def _read(self) -> Reading | None:
        try:
            return read(credentials_file(self._account))
        except (ValueError, OSError):
            return None  # it is being written


def _call_at_end(program: subprocess.Popen[bytes], call: Callable[[], None]) -> None:
    """Calls in the loop, if that still runs, once the program has ended: a thread sleeps in waitpid and wakes once."""
    loop = asyncio.get_running_loop()

    def wait() -> None:
        program.wait()
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(call)

    threading.Thread(target=wait, name="claude", daemon=True).start()
