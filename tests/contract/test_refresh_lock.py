"""What `ports.RefreshLock` promises, and the applet's own lock: with other processes, which may be killed."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.keyring_session import eventually
from tray_app.adapters.store.locks import FileLock, InstanceLock
from tray_app.core.errors import StoreUnavailable

Holding = Callable[..., "subprocess.Popen[bytes]"]

HOLDER = """
import asyncio, pathlib, sys
from tray_app.adapters.store.locks import FileLock
async def main():
    async with FileLock(pathlib.Path(sys.argv[1])).held(sys.argv[2]):
        print("held", flush=True)
        sys.stdin.read()
asyncio.run(main())
"""

CLAIMER = """
import pathlib, sys
from tray_app.adapters.store.locks import FileLock
lock = FileLock(pathlib.Path(sys.argv[1]))
lock.claim(sys.argv[2], newer=True)
print("held", flush=True)
sys.stdin.readline()
lock.claim(sys.argv[2], newer=False)
print("given back", flush=True)
sys.stdin.read()
"""

FIRST = """
import pathlib, sys
from tray_app.adapters.store.locks import FileLock
lock = FileLock(pathlib.Path(sys.argv[1]))
print("held" if lock.lead() else "not first", flush=True)
sys.stdin.read()
"""

COUNTER = """
import asyncio, pathlib, sys
from tray_app.adapters.store.locks import FileLock
async def main():
    number = pathlib.Path(sys.argv[2])
    for _ in range(20):
        async with FileLock(pathlib.Path(sys.argv[1])).held("work"):
            before = int(number.read_text())
            await asyncio.sleep(0)
            number.write_text(str(before + 1))
asyncio.run(main())
"""


@pytest.fixture
def holding(tmp_path: Path) -> Iterator[Holding]:
    """Starts another process that holds an account's lock."""
    started = ExitStack()

    def start(account: str = "work", program: str = HOLDER) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path), account],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        started.enter_context(process)
        started.callback(process.kill)
        assert process.stdout is not None
        assert process.stdout.readline().split() == [b"held"]
        return process

    with started:
        yield start


async def test_who_waits_gets_the_lock_when_the_other_process_lets_go(tmp_path: Path, holding: Holding) -> None:
    other = holding()
    waiting = asyncio.create_task(held_once(FileLock(tmp_path)))
    done, _ = await asyncio.wait([waiting], timeout=0.3)
    assert not done

    other.stdin.close()
    await asyncio.wait_for(waiting, 20)


async def test_the_kernel_releases_the_lock_of_a_process_that_was_killed(tmp_path: Path, holding: Holding) -> None:
    other = holding()
    waiting = asyncio.create_task(held_once(FileLock(tmp_path)))
    await asyncio.wait([waiting], timeout=0.1)
    other.kill()
    await asyncio.wait_for(waiting, 20)


async def test_another_account_is_not_waited_for(tmp_path: Path, holding: Holding) -> None:
    holding("work")
    await asyncio.wait_for(held_once(FileLock(tmp_path), "home"), 20)


async def test_the_loop_goes_on_and_is_not_kept_busy_while_a_lock_is_waited_for(
    tmp_path: Path, holding: Holding
) -> None:
    holding()
    waiting = asyncio.create_task(held_once(FileLock(tmp_path)))
    await asyncio.sleep(0)
    spent, started, turns = time.process_time(), time.monotonic(), 0
    while time.monotonic() - started < 1:
        await asyncio.sleep(0.01)
        turns += 1
    waiting.cancel()

    assert turns > 20
    assert time.process_time() - spent < 0.5


async def test_a_cancelled_waiter_does_not_hold_the_lock(tmp_path: Path, holding: Holding) -> None:
    other = holding()
    lock = FileLock(tmp_path)
    waiting = [asyncio.create_task(held_once(lock)) for _ in range(3)]
    await asyncio.wait(waiting, timeout=0.1)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    other.stdin.close()

    await asyncio.wait_for(held_once(lock), 20)
    await asyncio.wait_for(held_once(FileLock(tmp_path)), 20)


async def test_a_holder_that_is_cancelled_or_fails_lets_go(tmp_path: Path) -> None:
    lock = FileLock(tmp_path)
    with pytest.raises(ZeroDivisionError):
        async with lock.held("work"):
            raise ZeroDivisionError
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05), lock.held("work"):
            await asyncio.Event().wait()

    await asyncio.wait_for(held_once(FileLock(tmp_path)), 20)


@pytest.mark.parametrize("locks", ["one for all", "one each"])
async def test_within_a_process_one_holds_it_at_a_time_and_each_gets_its_turn(tmp_path: Path, locks: str) -> None:
    lock, holders, most, turns = FileLock(tmp_path), 0, 0, []

    async def take(number: int) -> None:
        nonlocal holders, most
        async with (lock if locks == "one for all" else FileLock(tmp_path)).held("work"):
            holders += 1
            most = max(most, holders)
            await asyncio.sleep(0)
            turns.append(number)
            holders -= 1

    await asyncio.wait_for(asyncio.gather(*(take(number) for number in range(10))), 30)

    assert most == 1
    assert sorted(turns) == list(range(10))


def test_processes_that_contend_lose_nothing(tmp_path: Path) -> None:
    number = tmp_path / "number"
    number.write_text("0")
    processes = [subprocess.Popen([sys.executable, "-c", COUNTER, str(tmp_path), str(number)]) for _ in range(3)]

    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert number.read_text() == "60"


async def test_the_lock_file_is_for_this_user_alone_and_its_age_says_nothing(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        await held_once(FileLock(tmp_path / "locks"), "..")
    finally:
        os.umask(before)
    path = tmp_path / "locks" / "...lock"
    os.utime(path, (2**33, 2**33))
    await asyncio.wait_for(held_once(FileLock(tmp_path / "locks"), ".."), 20)

    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_where_no_lock_can_be_had_it_is_told_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreUnavailable, match="writable"):
            await held_once(FileLock(folder))


def test_one_applet_holds_the_instance_lock_and_the_next_takes_it_over(tmp_path: Path) -> None:
    path = tmp_path / "run" / "applet.lock"
    first, second = InstanceLock(path), InstanceLock(path)
    assert first.try_acquire()
    assert first.try_acquire()
    assert not second.try_acquire()

    first.release()
    assert second.try_acquire()
    assert os.name != "posix" or stat.S_IMODE(path.stat().st_mode) == 0o600
    second.release()
    second.release()


def test_the_instance_lock_of_a_killed_applet_is_free(tmp_path: Path, holding: Holding) -> None:
    lock = InstanceLock(tmp_path / "applet.lock")
    other = holding("applet")
    assert not lock.try_acquire()

    other.kill()
    eventually(lock.try_acquire)
    lock.release()


@pytest.mark.parametrize("end", ["gives it back", "is killed"])
def test_newer_tokens_than_the_store_s_are_claimed_until_they_are_stored_or_the_process_ends(
    tmp_path: Path, holding: Holding, end: str
) -> None:
    lock = FileLock(tmp_path)
    assert not lock.is_claimed("work")
    other = holding(program=CLAIMER)
    assert lock.is_claimed("work")
    assert not lock.is_claimed("mail")
    assert other.stdin is not None

    if end == "is killed":
        other.kill()
    else:
        other.stdin.write(b"\n")
        other.stdin.flush()

    eventually(lambda: not lock.is_claimed("work"))
    lock.claim("work", newer=True)
    lock.claim("work", newer=True)
    assert not lock.is_claimed("work")  # by another
    assert not FileLock(tmp_path).claim("work", newer=True)
    assert FileLock(tmp_path).is_claimed("work")
    lock.claim("work", newer=False)
    lock.claim("work", newer=False)
    assert not FileLock(tmp_path).is_claimed("work")


def test_who_was_there_first_stays_first_until_it_ends(tmp_path: Path, holding: Holding) -> None:
    other, lock = holding(program=FIRST), FileLock(tmp_path)
    while_it_lives = lock.lead(), lock.lead()
    other.kill()

    assert while_it_lives == (False, False)
    eventually(lock.lead)
    assert lock.lead()
    assert not FileLock(tmp_path).lead()
    lock.leave()
    assert FileLock(tmp_path).lead()


def test_where_no_lock_can_be_had_nobody_else_was_there_first(tmp_path: Path) -> None:
    (tmp_path / "locks").write_text("a file where the folder should be")

    assert FileLock(tmp_path / "locks").lead()


async def held_once(lock: FileLock, account: str = "work") -> None:
    async with lock.held(account):
        pass


async def test_two_processes_that_want_the_same_account_have_it_one_after_the_other(tmp_path: Path) -> None:
    held: list[str] = []

    async def refresh(lock: FileLock, name: str) -> None:
        async with lock.held("work"):
            held.append(f"{name} begins")
            await asyncio.sleep(0)
            held.append(f"{name} ends")

    await asyncio.gather(refresh(FileLock(tmp_path), "one"), refresh(FileLock(tmp_path), "other"))

    assert sorted([tuple(held[:2]), tuple(held[2:])]) == [("one begins", "one ends"), ("other begins", "other ends")]
