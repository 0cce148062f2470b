"""Locks between processes. The kernel releases them when a process dies; no file's age counts.

One system call of our own: the library for it would be imported before the icon, for 10 ms and 1 MB (measured).
"""

from __future__ import annotations

import asyncio
import errno
import os
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tray_app.base.paths import private_folder
from tray_app.core.errors import LamplighterError, StoreUnavailable
from tray_app.core.message import msg

LOOK_AGAIN = 0.05
"""Seconds between two looks at a lock that another process holds: no event loop can wait for a kernel's lock."""

MOST_CLAIMS = 128
"""Each is an open file, and the keyring needs some as well."""


class FileLock:
    """One refresh at a time per account, in this process and across processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # Tasks of this process queue here, in order; only the first of them looks at the kernel's lock.
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._claims: dict[str, KernelLock] = {}
        self._leader = LeaderLock(folder / "lead")

    @asynccontextmanager
    async def held(self, account: str) -> AsyncIterator[None]:
        """Waits for the account's lock and holds it. Raises `StoreUnavailable` where no lock can be had at all.

        Each look is a system call that does not wait, so a cancelled waiter never holds the lock.
        """
        async with self._turns[account]:
            lock = KernelLock(self._folder / f"{account}.lock")
            while not lock.try_acquire():  # noqa: ASYNC110 - another process sets no asyncio.Event
                await asyncio.sleep(LOOK_AGAIN)
            try:
                yield
            finally:
                lock.release()

    def claim(self, account: str, *, newer: bool) -> bool:
        """Claims, for other processes to see, that this one has newer tokens than the store, or ends the claim.

        Says whether it holds the claim now: another one may. Its end ends it. Raises `StoreUnavailable` where no lock
        can be had at all.
        """
        if not newer:
            if account in self._claims:
                self._claims.pop(account).release()
        elif account not in self._claims:
            if len(self._claims) >= MOST_CLAIMS:
                raise _no_lock(self._folder, OSError(errno.EMFILE, os.strerror(errno.EMFILE)))
            claim = self._claim_of(account)
            if claim.try_acquire():
                self._claims[account] = claim
        return account in self._claims

    def is_claimed(self, account: str) -> bool:
        """Whether another living process has newer tokens than the store."""
        if account in self._claims or not (self._folder / f"{account}.newer").exists():
            return False
        claim = self._claim_of(account)
        is_free = claim.try_acquire()
        claim.release()
        return not is_free

    def lead(self) -> bool:
        """Whether this process is the leader, which it becomes where no other living process is."""
        return self._leader.lead()

    def leave(self) -> None:
        """Stops being the leader."""
        self._leader.release()

    def _claim_of(self, account: str) -> KernelLock:
        return KernelLock(self._folder / f"{account}.newer")


class KernelLock:
    """One file, locked for this process. No child inherits it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def try_acquire(self) -> bool:
        """Whether this process holds it now; does not wait. Raises `StoreUnavailable` where no lock can be had."""
        if self._descriptor is not None:
            return True
        try:
            private_folder(self._path.parent)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                if _locked(descriptor):
                    self._descriptor = descriptor
            finally:
                if self._descriptor is None:
                    os.close(descriptor)
        except OSError as error:
            raise _no_lock(self._path, error) from error
        except LamplighterError as error:  # the folder is another user's
            raise StoreUnavailable(error.what, error.remedy) from error
        return self._descriptor is not None

    def release(self) -> None:
        """Releases it where it is held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class LeaderLock(KernelLock):
    """Held by the one process that may refresh while the store cannot be read.

    Under the refresh lock a process reads the store again before it refreshes, so that it never sends a refresh token
    that another process has already used. While the store is locked it cannot do that: two processes, the applet and
    a command, would each send the token that they remember, and a rotating provider takes the second for theft and
    ends the sign-in. And what the store refuses to keep lives only as long as the process that received it.

    So one process is elected. The first one takes this lock and keeps it until it ends: the applet takes it at its
    start, and a command that comes later does not get it, waits, and reads the store when it opens. The applet is also
    the one most likely to live until then. The kernel frees the lock of a process that dies, so there is no vote, no
    time limit and no stale leader. A process whose own request was lost may repeat it without the lock: no other
    process has sent that token. The simulated years lose sign-ins without it (`tests/simulation`).
    """

    def lead(self) -> bool:
        """Whether this process is the leader, which it becomes where no other living process is.

        True where no lock can be had (a full disk): nobody can tell, and a token that is not refreshed ends.
        """
        try:
            return self.try_acquire()
        except StoreUnavailable:
            return True


class InstanceLock(KernelLock):
    """Held by the running applet for as long as it lives."""


if sys.platform == "win32":
    import msvcrt

    def _locked(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno not in {0, errno.EACCES}:  # another process has it; Wine has no number for that
                raise
            return False
        return True
else:
    import fcntl

    def _locked(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _no_lock(path: Path, error: OSError) -> StoreUnavailable:
    return StoreUnavailable(
        msg("The lock {path} cannot be had ({reason})", path=path, reason=error.strerror or error),
        msg("Make {path} writable", path=path.parent),
    )
