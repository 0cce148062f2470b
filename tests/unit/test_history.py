"""What is remembered of an account, and how little of it a long outage is."""

import json
import os
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.builders import NOW
from tests.integration.hostile_server import HandClock
from tray_app.adapters.store.history_file import LARGEST, History
from tray_app.core.events import HealthChanged, SignInChanged
from tray_app.core.failure import Failure, FailureKind
from tray_app.core.health import Health
from tray_app.core.history import MOST, entries_between, from_lines, to_line
from tray_app.core.status import AccountStatus, rfc3339


def facts(health="fresh", *, refreshed=None, error=None, name="work"):
    at = None if refreshed is None else rfc3339(NOW + timedelta(minutes=refreshed))
    return {"name": name, "health": health, "last_refresh_at": at, "last_error": error}


def error(minutes=0, kind="unreachable", message="login.example.com cannot be reached"):
    return {"kind": kind, "message": message, "at": rfc3339(NOW + timedelta(minutes=minutes))}


def changed(health="fresh", *, refreshed=None, failed=None):
    """An event of an account that was refreshed, and failed, so many minutes after `NOW`."""
    failure = None
    if failed is not None:
        failure = Failure(
            FailureKind.UNREACHABLE, "login.example.com cannot be reached", NOW + timedelta(minutes=failed)
        )
    at = None if refreshed is None else NOW + timedelta(minutes=refreshed)
    return HealthChanged(AccountStatus("work", Health(health), last_refresh_at=at, failure=failure))


def kinds(before, after):
    return [entry["kind"] for entry in entries_between(before, after, "now")]


def test_each_change_is_an_entry_of_its_own_kind():
    assert kinds(None, facts()) == ["health"]
    assert kinds(facts(), facts()) == []
    assert kinds(facts(), facts(refreshed=1)) == ["refresh"]
    assert kinds(facts(), facts("retrying", error=error())) == ["failure", "health"]
    assert kinds(facts(), facts("signed-out")) == ["sign-out", "health"]
    assert kinds(None, facts("signed-out")) == ["health"]
    assert kinds(facts(), facts("signed-out", error=error(kind="misconfigured"))) == ["failure", "health"]


def test_why_one_was_signed_out_is_in_it():
    refused = error(kind="refused", message="login.example.com no longer accepts this sign-in (invalid_grant)")

    failure, health = entries_between(facts(), facts("sign-in-needed", error=refused), rfc3339(NOW))

    assert (failure["failure"], failure["at"], failure["message"]) == ("refused", refused["at"], refused["message"])
    assert health["health"] == "sign-in-needed"


def history(tmp_path, clock=None):
    one = History(tmp_path / "state/history.jsonl", clock or HandClock())
    one.begin()
    return one


def test_an_outage_of_a_week_is_told_hourly(tmp_path):
    clock = HandClock()
    one = history(tmp_path, clock)
    for minutes in range(0, 7 * 24 * 60, 5):
        one.happened(changed("expired", failed=minutes))

    failures = [entry for entry in one.entries() if entry["kind"] == "failure"]

    assert 160 <= len(failures) <= 170


def test_a_restart_tells_nothing_twice(tmp_path):
    one = history(tmp_path)
    event = changed("retrying", refreshed=3, failed=5)
    one.happened(event)
    before = len(one.entries())
    one.end()

    again = history(tmp_path)
    again.happened(event)

    assert [entry["kind"] for entry in again.entries()[before:]] == ["stop", "start"]


@given(st.integers(0, 400))
def test_a_torn_line_costs_itself_alone(cut):
    lines = [to_line({"at": rfc3339(NOW), "kind": "refresh", "account": str(number)}) for number in range(4)]
    text = "".join(lines)[:cut]

    found = from_lines(text.split("\n"), NOW - timedelta(days=1))

    whole = [line for line in text.split("\n") if line + "\n" in lines]
    assert [entry["account"] for entry in found] == [json.loads(line)["account"] for line in whole]


def test_after_a_crash_within_a_line_the_next_one_is_whole(tmp_path):
    one = history(tmp_path)
    path = tmp_path / "state/history.jsonl"
    with path.open("a") as file:
        file.write('{"at": "2026-11-24T12:00:00Z", "kind": "refr')

    history(tmp_path).happened(SignInChanged("work", "done", ""))

    assert [entry["kind"] for entry in one.entries()] == ["start", "start", "sign-in"]


def test_what_is_older_than_thirty_days_goes_and_the_file_stays_small(tmp_path):
    clock = HandClock()
    one = history(tmp_path, clock)
    path = tmp_path / "state/history.jsonl"
    old = to_line({"at": rfc3339(clock.now() - timedelta(days=31)), "kind": "refresh", "account": "x" * 300})
    with path.open("a") as file:
        file.write(old * 3500)
    assert path.stat().st_size > LARGEST

    one.happened(changed())

    assert path.stat().st_size < LARGEST // 2
    assert [entry["kind"] for entry in one.entries()] == ["start", "health"]
    assert os.name != "posix" or path.stat().st_mode & 0o777 == 0o600


def test_it_is_bounded_however_much_happens(tmp_path):
    clock = HandClock()
    one = history(tmp_path, clock)
    path = tmp_path / "state/history.jsonl"
    line = to_line({"at": rfc3339(clock.now()), "kind": "failure", "account": "work", "message": "x" * 200})
    with path.open("a") as file:
        file.write(line * 6000)

    one.happened(changed())

    assert path.stat().st_size < LARGEST
    assert 0 < len(one.entries()) <= MOST
    assert one.entries()[-1]["kind"] == "health"


def test_a_file_that_is_none_of_ours_is_no_trouble(tmp_path):
    path = tmp_path / "state/history.jsonl"
    path.parent.mkdir(mode=0o700)
    path.write_bytes(b"\xff\x00[]\n{}\n[[[[\n" + b"[" * 100_000 + b"\n")
    assert [entry["kind"] for entry in history(tmp_path).entries()] == ["start"]
    path.unlink()
    path.symlink_to("/dev/zero")

    assert [entry["kind"] for entry in history(tmp_path).entries()] == ["start"]
    assert path.is_file()
    assert not path.is_symlink()
