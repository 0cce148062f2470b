"""Changes of the configuration as editors, shells and dotfile programs make them, on the real file system."""

import asyncio
import importlib.util
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tray_app.base import file_watcher as config_watch
from tray_app.base.file_watcher import LONGEST, FileWatcher, Inotify, Watchdog

PATIENCE = 20.0
ALONE = 1.5 * LONGEST
"""Seconds in which what is told twice would have been told twice."""


@pytest.fixture(
    params=[
        pytest.param(Inotify, marks=pytest.mark.skipif(sys.platform != "linux", reason="only on Linux")),
        pytest.param(
            Watchdog,
            marks=pytest.mark.skipif(not importlib.util.find_spec("watchdog"), reason="only on Windows and macOS"),
        ),
    ],
    autouse=True,
)
def system_events(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test is run on both; Linux has watchdog's other half as well."""
    for name in ("Inotify", "Watchdog"):
        monkeypatch.setattr(config_watch, name, request.param)


class Changes:
    """What was told, to be waited for."""

    def __init__(self) -> None:
        self.count = 0
        self._told = asyncio.Event()

    def changed(self) -> None:
        self.count += 1
        self._told.set()

    async def after(self, deed: Callable[[], object]) -> None:
        """Does it and returns when it was told."""
        self._told.clear()
        deed()
        async with asyncio.timeout(PATIENCE):
            await self._told.wait()

    async def heard_within(self, seconds: float) -> bool:
        self._told.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._told.wait()
        except TimeoutError:
            return False
        return True


@asynccontextmanager
async def watching(path: Path) -> AsyncIterator[Changes]:
    changes = Changes()
    watch = FileWatcher(path, changes.changed)
    watch.start(asyncio.get_running_loop())
    try:
        yield changes
    finally:
        watch.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "lamplighter" / "config.toml"
    path.parent.mkdir()
    path.write_text("old")
    return path


def replace(path: Path, text: str) -> None:
    """As editors and `write_private` do: another file takes its name."""
    temporary = path.with_name(".config.toml.new")
    temporary.write_text(text)
    temporary.replace(path)


def point(path: Path, target: Path) -> None:
    """Makes the path a symlink to the target, as `ln -sf` does."""
    link = path.with_name(".link")
    link.symlink_to(target)
    link.replace(path)


def read_and_meet_the_neighbours(path: Path) -> None:
    path.read_text()
    path.with_name("neighbour.toml").write_text("new")
    path.with_name("neighbour.toml").unlink()


async def test_a_save_in_place_is_told(path: Path) -> None:
    async with watching(path) as changes:
        await changes.after(lambda: path.write_text("new"))
        await changes.after(lambda: path.write_text("newer"))


async def test_a_save_by_rename_is_told_each_time(path: Path) -> None:
    async with watching(path) as changes:
        await changes.after(lambda: replace(path, "new"))
        await changes.after(lambda: replace(path, "newer"))


async def test_a_removal_and_the_files_return_are_told(path: Path) -> None:
    async with watching(path) as changes:
        await changes.after(path.unlink)
        await changes.after(lambda: path.write_text("new"))


async def test_a_folder_that_is_made_later_is_watched_from_then_on(tmp_path: Path) -> None:
    path = tmp_path / "made" / "later" / "config.toml"
    async with watching(path) as changes:
        assert not path.parent.parent.exists()
        await changes.after(lambda: (path.parent.mkdir(parents=True), path.write_text("new")))
        await changes.after(lambda: path.write_text("newer"))
        await changes.after(lambda: replace(path, "newest"))


async def test_a_folder_that_is_replaced_as_a_whole_is_watched_again(path: Path, tmp_path: Path) -> None:
    async with watching(path) as changes:
        await changes.after(lambda: shutil.rmtree(path.parent))
        await changes.after(lambda: (path.parent.mkdir(), path.write_text("new")))
        await changes.after(lambda: path.write_text("newer"))


@pytest.mark.parametrize("save", [Path.write_text, replace], ids=["in place", "by rename"])
async def test_a_save_of_the_file_behind_a_symlink_is_told(
    path: Path, tmp_path: Path, save: Callable[[Path, str], None]
) -> None:
    target = tmp_path / "dotfiles" / "lamplighter.toml"
    target.parent.mkdir()
    target.write_text("old")
    point(path, Path("..", "dotfiles", "lamplighter.toml"))
    async with watching(path) as changes:
        await changes.after(lambda: save(target, "new"))
        await changes.after(lambda: save(target, "newer"))


async def test_a_symlink_that_is_pointed_elsewhere_is_followed(path: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first" / "one.toml", tmp_path / "second" / "two.toml"
    for target in (first, second):
        target.parent.mkdir()
        target.write_text("old")
    point(path, first)
    async with watching(path) as changes:
        await changes.after(lambda: point(path, second))
        await changes.after(lambda: second.write_text("new"))


async def test_a_burst_is_told_once(path: Path) -> None:
    async with watching(path) as changes:
        await changes.after(lambda: [replace(path, f"{number}") for number in range(10)])

        assert not await changes.heard_within(ALONE)
        assert changes.count == 1


async def test_a_file_that_is_written_without_a_pause_is_told_all_the_same(path: Path) -> None:
    async with watching(path) as changes:
        async with asyncio.timeout(PATIENCE):
            while changes.count < 2:
                replace(path, "again")
                await asyncio.sleep(0.01)  # a writer that never lets the file rest for QUIET


async def test_reading_and_the_neighbours_are_nobodys_news(path: Path) -> None:
    async with watching(path) as changes:
        read_and_meet_the_neighbours(path)

        assert not await changes.heard_within(ALONE)


async def test_after_the_close_nothing_is_told(path: Path) -> None:
    async with watching(path) as changes:
        replace(path, "new")

    assert not await changes.heard_within(ALONE)


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux")
async def test_watching_and_watching_again_keeps_no_descriptor(path: Path) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a Path.iterdir is itself one of them

    before = descriptors()
    async with watching(path) as changes:
        await changes.after(lambda: path.write_text("1"))
        while_watching = descriptors()
        for text in "234":
            await changes.after(lambda text=text: path.write_text(text))

        assert descriptors() == while_watching
    assert descriptors() == before
