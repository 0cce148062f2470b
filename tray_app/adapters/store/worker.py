"""A thread for what may block for ever."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Worker:
    """Does one job after another, until it is left behind. A daemon: stuck, it does not keep the process alive."""

    def __init__(self) -> None:
        self.left_behind = False
        """What this thread still does must have no effect; its jobs look here between two steps."""
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="keyring", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread has not ended yet."""
        return self._thread.is_alive()

    def submit(self, job: Callable[[], T]) -> Future[T]:
        """The job's outcome, once its turn has come."""
        future: Future[T] = Future()
        self._jobs.put(lambda: _settle(future, job))
        return future

    def leave(self) -> None:
        """Ends the thread after what is queued, or as soon as it comes back from where it is stuck."""
        self._jobs.put(None)

    def leave_behind(self) -> None:
        """The same, and from now on its work must have no effect."""
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
