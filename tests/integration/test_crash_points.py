"""The process dies at every step of sign-in, refresh and sign-out; the next one finds everything consistent.

Run with `-s` for the list of the steps, as they were found: nothing here names them by hand.
"""

from __future__ import annotations

import shutil
import sys

import pytest

from tests.crashing import Crasher
from tests.integration.hostile_server import form, json_response

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="only where processes fork")


class Environment:
    def __init__(self, home, provider, crasher):
        self.home = home
        self.provider = provider
        self.crasher = crasher
        self.steps = []
        """Where it died, in order."""

    def signed_in(self):
        """As after a sign-in: after the first one by its own files, which is quicker."""
        kept = self.home.with_name("signed-in")
        if kept.exists():
            shutil.rmtree(self.home)
            shutil.copytree(kept, self.home)
            self.provider.refresh_token = self.kept_token
            return
        outcome = self.crasher.run("login")
        assert (outcome.died_at, outcome.error, outcome.health) == (None, None, "fresh")
        shutil.copytree(self.home, kept)
        self.kept_token = self.provider.refresh_token

    def points(self, act, *, before):
        """Every step of `act`, each in a world that `before` has made, with what was left there."""
        for at in range(1, 1000):
            before()
            outcome = self.crasher.run(act, at)
            if outcome.died_at is None:
                assert at > 10, "the steps are not counted any more"
                assert outcome.error is None, outcome
                return
            self.steps.append(outcome.died_at)
            yield f"{act}, step {at}, {outcome.died_at}"
        pytest.fail("it never ended")

    def is_empty(self):
        """Of the account; what a store was probed with says nothing of anybody."""
        return not [path for path in (self.home / "keyring").iterdir() if "check" not in path.name]


@pytest.fixture
def world(tmp_path, provider):
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.toml").write_text(provider.account())
    with Crasher(home) as crasher:
        yield Environment(home, provider, crasher)


def forgiving(provider):
    """A provider that takes the refresh token before the last one once more, as many do for a while."""
    strict, before = provider._give, {"token": ""}

    async def endpoint(request):
        sent = form(request)
        current = provider.refresh_token
        if sent["grant_type"] == "refresh_token":
            if sent["refresh_token"] == before["token"]:
                return json_response(access_token="again", token_type="Bearer", expires_in=3600, refresh_token=current)
            before["token"] = current
        return await strict(request)

    provider.server.token = endpoint


def test_a_first_sign_in_that_dies_anywhere_leaves_tokens_that_work_or_none(world):
    def signed_out():
        for folder in ("keyring", "state"):
            shutil.rmtree(world.home / folder, ignore_errors=True)

    for point in world.points("login", before=signed_out):
        after = world.crasher.run("look")
        assert (after.error, after.health) in {(None, "fresh"), (None, "signed-out")}, point
        used = world.crasher.run("refresh" if after.health == "fresh" else "login")
        assert (used.error, used.health) == (None, "fresh"), point


def test_another_sign_in_that_dies_anywhere_leaves_the_old_tokens_or_the_new_ones(world):
    forgiving(world.provider)  # it gave new ones, which is what makes the old ones old
    for point in world.points("login", before=world.signed_in):
        after = world.crasher.run("look")
        assert (after.error, after.health) == (None, "fresh"), point
        assert world.crasher.run("token").token, point


def test_a_refresh_that_dies_anywhere_costs_nothing_where_the_provider_forgives(world):
    forgiving(world.provider)
    for point in world.points("refresh", before=world.signed_in):
        after = world.crasher.run("token")
        assert (after.error, after.health) == (None, "fresh"), point
        used = world.crasher.run("refresh")
        assert (used.error, used.health, used.kind) == (None, "fresh", None), point


def test_a_refresh_that_dies_anywhere_costs_a_sign_in_only_where_the_answer_was_lost_and_says_so(world):
    lost = []
    for point in world.points("refresh", before=world.signed_in):
        after = world.crasher.run("look")
        assert (after.error, after.health) == (None, "fresh"), point
        used = world.crasher.run("refresh")
        if used.error is None:
            assert (used.health, used.kind) == ("fresh", None), point
            continue
        lost.append(point.split(", ")[-1])
        assert (used.error, used.health, used.kind) == ("sign_in_needed", "sign-in-needed", "interrupted"), point
        assert world.is_empty(), point

    assert "after a request to the provider" in lost  # it has rotated, and nobody has what it gave
    assert "before a request to the provider" not in lost
    assert set(lost) <= {
        "after a request to the provider",
        "before a write in the keyring",
        "after a write in the keyring",
    }


def test_a_sign_out_that_dies_anywhere_can_be_done_again_and_leaves_nothing(world):
    for point in world.points("logout", before=world.signed_in):
        after = world.crasher.run("look")
        assert after.error is None, point
        assert after.health in {"fresh", "signed-out", "retrying"} or after.kind == "store", point
        again = world.crasher.run("logout")
        assert (again.error, again.health) == (None, "signed-out"), point
        assert world.is_empty(), point
        assert world.crasher.run("look").health == "signed-out", point
