"""An account that is only watched: what its file says is shown, and nothing of it is kept, refreshed or handed out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.builders import NOW, account, tokens
from tests.fakes.one_account import Environment
from tray_app.core.account import RetryPolicy
from tray_app.core.claude_code import PROVIDER, Reading
from tray_app.core.errors import Misconfigured
from tray_app.core.health import Health
from tray_app.core.provider_errors import FailureKind
from tray_app.engine.watched_account import WatchedAccount

HALF_WRITTEN = ValueError("not a whole JSON object")


def until(**time):
    return Reading(NOW + timedelta(hours=1), NOW + timedelta(**time))


class File:
    """Another program's file: the next read returns or raises `says`."""

    may_be_in_keychain = False

    def __init__(self, path="/home/ada/.claude/.credentials.json"):
        self.path = path
        self.says = None
        self.changed = None

    def version(self):
        return id(self.says)

    def read(self):
        if isinstance(self.says, Exception):
            raise self.says
        return self.says

    def watch(self, changed):
        self.changed = changed

    def close(self):
        self.changed = None


class Watching:
    def __init__(self, folder):
        self.world = Environment(folder)
        self.clock = self.world.clock
        self.files = []
        self.news = []
        parts = replace(self.world.parts, credentials=self._open)
        self.watched = WatchedAccount(account("code", provider=PROVIDER), parts, self.news.append)

    @property
    def file(self):
        return self.files[-1]

    def _open(self, account):
        self.files.append(File(f"{account.directory}/.credentials.json"))
        return self.files[-1]

    async def reads(self, says):
        self.file.says = says
        await self.watched.load()
        return self.watched.health


@pytest.fixture
def one(tmp_path):
    return Watching(tmp_path)


async def test_its_health_follows_the_file_and_only_changes_are_published(one):
    healths = [await one.reads(says) for says in (None, until(days=9), until(days=9), until(days=2), until(days=-1))]

    assert healths == [Health.SIGNED_OUT, Health.FRESH, Health.FRESH, Health.ENDING, Health.SIGN_IN_NEEDED]
    assert len(one.news) == 3


async def test_a_half_written_file_leaves_the_last_reading_in_force(one):
    await one.reads(until(days=9))

    assert await one.reads(HALF_WRITTEN) is Health.FRESH
    assert one.watched.status().failure is None


async def test_a_file_that_cannot_be_read_is_not_an_absent_one(one):
    assert await one.reads(PermissionError(13, "Permission denied")) is Health.EXPIRED
    assert one.watched.status().failure.kind is FailureKind.STORE


async def test_where_there_is_a_keychain_a_missing_file_says_where_the_sign_in_is(one):
    one.file.may_be_in_keychain = True

    assert await one.reads(None) is Health.SIGNED_OUT
    assert "keychain" in one.watched.status().failure.message
    await one.reads(until(days=9))
    assert one.watched.status().failure is None


async def test_it_is_due_when_the_file_has_changed_or_time_changes_its_health(one):
    await one.reads(until(days=9))
    by_time = one.watched.due()
    one.file.says = until(days=10)

    assert by_time == NOW + timedelta(days=6)
    assert one.watched.due() == one.clock.time
    await one.watched.attend()
    assert one.watched.due() == NOW + timedelta(days=7)


async def test_after_the_clock_has_gone_back_its_warning_is_due_by_the_new_clock(one):
    one.clock.pass_by(days=7)
    await one.reads(until(days=9))
    one.clock.pass_by(days=-7)
    one.watched.set_back(timedelta(days=7))

    assert one.watched.due() == NOW + timedelta(days=6)


async def test_it_is_followed_from_the_start_to_the_end_also_when_it_moves(one):
    await one.watched.load()
    before = one.file.changed
    one.watched.start()
    first = one.file
    one.watched.configure(account("code", provider=PROVIDER, directory="/elsewhere"), RetryPolicy())

    assert before is None
    assert (first.changed, one.file is first) == (None, False)
    one.file.says = until(days=9)
    one.file.changed()
    assert one.watched.health is Health.FRESH
    await one.watched.settle()  # before sleep
    assert one.file.changed is not None
    await one.watched.settle(for_good=True)
    assert one.file.changed is None


async def test_it_hands_out_refreshes_keeps_and_ends_nothing(one):
    await one.reads(until(days=9))

    assert one.watched.token_at_hand() is None
    for asked in (
        one.watched.token(timedelta(0), wait=True),
        one.watched.refresh(),
        one.watched.signed_in(tokens()),
        one.watched.sign_out(),
        one.watched.set_client_secret(None),
    ):
        with pytest.raises(Misconfigured, match="Claude Code"):
            await asked
    await one.watched.forget()
    assert one.world.store.asked == 0
