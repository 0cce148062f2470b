"""Tokens and client secrets in the operating system's keyring.

A locked keyring: `check`, which begins a person's sign-in, shows the desktop's own prompt and waits for the answer.
Everything else may come from the background: the first of it shows the prompt, once until it was answered with a
password, and waits a few seconds; later ones are refused at once as "locked", and work again once it is unlocked.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

from tray_app.adapters.store import keyring_backend, serialized
from tray_app.adapters.store.keyring_backend import Backend, store_error, unavailable
from tray_app.adapters.store.slots import REMEDY, Slots
from tray_app.adapters.store.worker import Worker
from tray_app.core.errors import StoreUnavailable
from tray_app.core.message import msg
from tray_app.core.tokens import Secret, TokenSet

T = TypeVar("T")

MOST_STUCK = 3
"""Maximum number of threads stuck in an unresponsive keyring; further calls then fail at once."""

PATIENCE_OF_A_COMMAND = 3.0
PATIENCE_OF_A_SIGN_IN = 60.0
"""Seconds that a call waits for the keyring to be unlocked."""


class KeyringStore:
    """Stores tokens in the keyring; its calls run on a separate thread, each with a deadline."""

    def __init__(
        self, home: Path | None, time_limit: float = 10.0, choose: Callable[[], Backend] = keyring_backend.choose
    ) -> None:
        self._prefix = "" if home is None else f"{hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:12]}:"
        self._time_limit = time_limit
        self._choose = choose
        self._backend: Backend | None = None
        self._worker: Worker | None = None
        self._stuck: list[Worker] = []
        self._prompt: Future[bool] | None = None

    async def load(self, account: str) -> TokenSet | None:
        """The stored tokens, or None where none were ever stored. Raises `StoreUnavailable`: locked is not absent."""
        text = await self._do(lambda slots: slots.read(self._prefix + account))
        try:
            return None if text is None else serialized.from_text(text)
        except ValueError as error:
            what = msg("What the keyring holds for this account is damaged ({reason})", reason=error)
            raise StoreUnavailable(what, REMEDY) from None

    async def save(self, account: str, tokens: TokenSet) -> None:
        """Keeps the tokens; returns once they were read back. Raises `StoreUnavailable`; the old ones then remain."""
        text = serialized.to_text(tokens)
        await self._do(lambda slots: slots.write(self._prefix + account, text))

    async def erase(self, account: str) -> None:
        """Erases the account's tokens, not its client secret. Raises `StoreUnavailable`."""
        await self._do(lambda slots: slots.erase(self._prefix + account))

    async def check(self) -> None:
        """Writes, reads back and clears a probe; asks the person to unlock the keyring. Raises `StoreUnavailable`."""
        name = f"{self._prefix}check/{secrets.token_hex(4)}"  # two processes may check at once

        def probe(slots: Slots) -> None:
            try:
                slots.write(name, "Lamplighter checks whether this keyring keeps what it is given.")
            finally:
                slots.erase(name)

        await self._do(probe, by_person=True)

    async def client_secret(self, account: str) -> Secret | None:
        """The account's client secret, or None. Raises `StoreUnavailable`."""
        text = await self._do(lambda slots: slots.read(f"{self._prefix}{account}/client-secret"))
        return None if text is None else Secret(text)

    async def set_client_secret(self, account: str, secret: Secret | None) -> None:
        """Keeps the client secret; None removes it. Raises `StoreUnavailable`."""
        name = f"{self._prefix}{account}/client-secret"
        await self._do(lambda slots: slots.erase(name) if secret is None else slots.write(name, secret.reveal()))

    async def registration(self, account: str) -> Secret | None:
        """The clients that were registered for the account, as text, or None. Raises `StoreUnavailable`."""
        text = await self._do(lambda slots: slots.read(f"{self._prefix}{account}/registration"))
        return None if text is None else Secret(text)

    async def set_registration(self, account: str, text: Secret | None) -> None:
        """Keeps them; None removes them. Raises `StoreUnavailable`."""
        name = f"{self._prefix}{account}/registration"
        await self._do(lambda slots: slots.erase(name) if text is None else slots.write(name, text.reveal()))

    async def close(self) -> None:
        """Waits, within the time limit, for running calls, then ends the thread."""
        if self._worker is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._time_limit):
                    await asyncio.wrap_future(self._worker.submit(lambda: None))
            self._worker.leave()
            self._worker = None

    async def _do(self, job: Callable[[Slots], T], *, by_person: bool = False) -> T:
        try:
            result = await self._work(job)
        except StoreUnavailable as error:
            if error.reason != "locked" or not await self._unlocked(by_person=by_person):
                raise
            result = await self._work(job)
        self._prompt = None
        return result

    async def _work(self, job: Callable[[Slots], T]) -> T:
        self._stuck = [worker for worker in self._stuck if worker.alive]
        if len(self._stuck) >= MOST_STUCK:
            raise unavailable("silent")
        if self._worker is None:
            self._worker = Worker()
        worker = self._worker
        future = asyncio.wrap_future(worker.submit(lambda: self._run(worker, job)))
        try:
            async with asyncio.timeout(self._time_limit):
                return await future
        except TimeoutError:
            if self._worker is worker:
                worker.leave_behind()
                self._stuck.append(worker)
                self._worker = None
            raise unavailable("silent") from None

    def _run(self, worker: Worker, job: Callable[[Slots], T]) -> T:
        """The job's result, on the worker's thread."""

        def still_wanted() -> None:
            if worker.left_behind:
                raise unavailable("silent")

        try:
            backend = self._backend = self._backend or self._choose()
            return job(Slots(backend, still_wanted))
        except Exception as error:
            if not worker.left_behind:
                self._backend = None  # chosen anew next time: it may have appeared, gone or been replaced
            raise store_error(error) from error

    async def _unlocked(self, *, by_person: bool) -> bool:
        """Whether the person unlocked the keyring at our prompt within the waiting time."""
        if self._prompt is None or (by_person and self._prompt.done()):
            prompt = Worker()  # a thread of its own: a prompt may stay open for hours
            self._prompt = prompt.submit(self._ask)
            prompt.leave()
        elif not by_person:
            return False
        try:
            async with asyncio.timeout(PATIENCE_OF_A_SIGN_IN if by_person else PATIENCE_OF_A_COMMAND):
                return await asyncio.wrap_future(self._prompt)
        except (TimeoutError, StoreUnavailable):
            return False

    def _ask(self) -> bool:
        try:
            return self._choose().unlock()
        except Exception as error:
            raise store_error(error) from error
