from __future__ import annotations

import contextlib
import logging
import os
import signal
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tray_app.adapters.store.facts import FactsFolder, MemoryFacts
from tray_app.core.ports import Facts

POSIX = pytest.mark.skipif(os.name != "posix", reason="only on POSIX systems")
FACTS = {"attempts": 3, "failure": {"kind": "unreachable", "at": "2026-11-24T01:02:03Z"}, "names": ["ä", None]}


@pytest.fixture(params=["folder", "memory"])
def facts(request: pytest.FixtureRequest, tmp_path: Path) -> Facts:
    return FactsFolder(tmp_path / "accounts") if request.param == "folder" else MemoryFacts()


@pytest.mark.parametrize("account", ["work", ".", "..", "a.b", "-x", "A_1", "work.json"])
def test_what_was_saved_is_loaded(facts: Facts, account: str) -> None:
    facts.save(account, FACTS)

    assert facts.load(account) == FACTS


def test_there_is_nothing_of_an_account_that_was_never_saved(facts: Facts) -> None:
    assert facts.load("work") == {}


def test_an_erased_account_is_forgotten_and_its_neighbour_is_not(facts: Facts) -> None:
    facts.save("work", FACTS)
    facts.save("work.b", FACTS)
    facts.erase("work")
    facts.erase("work")

    assert facts.load("work") == {}
    assert facts.load("work.b") == FACTS


def test_what_was_handed_in_may_change_afterwards(facts: Facts) -> None:
    mine = {"names": ["a"]}
    facts.save("work", mine)
    mine["names"].append("b")

    assert facts.load("work") == {"names": ["a"]}


@pytest.mark.parametrize("account", [".", ".."])
def test_a_name_of_dots_stays_in_the_folder(tmp_path: Path, account: str) -> None:
    FactsFolder(tmp_path / "state" / "accounts").save(account, FACTS)

    assert [path.parent for path in tmp_path.rglob("*.json")] == [tmp_path / "state" / "accounts"]


@POSIX
def test_files_are_for_this_user_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        FactsFolder(tmp_path / "accounts").save("work", FACTS)
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "accounts").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "accounts" / "work.json").stat().st_mode) == 0o600


def nothing(path: Path) -> None:
    path.touch()


def random_bytes(path: Path) -> None:
    path.write_bytes(bytes(range(256)))


def much_too_large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(100_000_000)


def a_folder(path: Path) -> None:
    path.mkdir()


def a_link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_future_version(path: Path) -> None:
    path.write_text('{"version": 2, "facts": {}}')


def a_list(path: Path) -> None:
    path.write_text("[]")


def nested_without_end(path: Path) -> None:
    path.write_text("[" * 60_000)


@pytest.mark.parametrize(
    "made",
    [
        nothing,
        random_bytes,
        much_too_large,
        a_folder,
        pytest.param(a_link_to_a_device, marks=POSIX),
        pytest.param(a_pipe, marks=POSIX),
        a_future_version,
        a_list,
        nested_without_end,
    ],
)
def test_what_is_not_ours_is_moved_aside_and_counts_as_empty(
    tmp_path: Path, made: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "work.json"
    made(path)
    facts = FactsFolder(tmp_path)

    assert facts.load("work") == {}
    assert os.path.lexists(tmp_path / "work.json.broken")
    assert "moved aside" in caplog.text

    facts.save("work", FACTS)
    assert facts.load("work") == FACTS


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow beyond nothing, as on a full disk. Only around the calls in question: pytest writes, too."""
    resource = pytest.importorskip("resource", reason="only where file sizes can be limited")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_logged_once_and_the_old_facts_remain(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    facts = FactsFolder(tmp_path)
    facts.save("work", {"attempts": 1})
    with full_disk():
        facts.save("work", {"attempts": 2})
        facts.save("work", {"attempts": 3})

    assert facts.load("work") == {"attempts": 1}
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert list(tmp_path.iterdir()) == [tmp_path / "work.json"]


def test_a_place_that_is_no_folder_is_logged_and_not_raised(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    facts = FactsFolder(tmp_path / "file" / "accounts")
    facts.save("work", FACTS)
    facts.erase("work")

    assert facts.load("work") == {}
    assert len(caplog.records) == 1
