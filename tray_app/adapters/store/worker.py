"""A thread for calls that may block for ever."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Worker:
    """Runs jobs one after another until it is abandoned. A daemon thread: stuck, it does not keep the process alive."""

    def __init__(self) -> None:
        self.left_behind = False
        """Whether it was abandoned: its jobs check this between steps and must then have no more effect."""
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="keyring", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread has not ended yet."""
        return self._thread.is_alive()

    def submit(self, job: Callable[[], T]) -> Future[T]:
        """A future with the job's result."""
        future: Future[T] = Future()
        self._jobs.put(lambda: _settle(future, job))
        return future

    def leave(self) -> None:
        """Ends the thread after the queued jobs, or when a stuck one returns."""
        self._jobs.put(None)

    def leave_behind(self) -> None:
        """The same, and from now on its jobs must have no effect."""
        self.left_behind = True
        self.leave()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def _settle(future: Future[Any], job: Callable[[], Any]) -> None:
    if future.set_running_or_notify_cancel():
        try:
            result = job()
        except BaseException as error:  # noqa: BLE001 - it is handed to whoever awaits the future
            future.set_exception(error)
        else:
            future.set_result(result)
