"""Facts on disk that anybody may have written: what is no fact is as if it had not been written."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import BOUND, NOW, account, failure, tokens
from tray_app.adapters.store.facts import FactsFolder, MemoryFacts
from tray_app.core.failure import FailureKind
from tray_app.core.health import health_of, is_turned_away
from tray_app.core.record import Record, failed, set_back
from tray_app.core.record_json import facts_of, is_overtaken, is_signed_in, moment_in, record_with
from tray_app.core.schedule import health_changes_at, is_from_the_future
from tray_app.core.status import status_of
from tray_app.engine.account_notes import AccountNotes, log_change

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=10)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner)
)
MOMENTS = st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.isoformat()) | st.sampled_from(
    ["0001-01-01T00:00:00+00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-11-24T12:00:00"]
)
SAID = st.recursive(
    SCALARS,
    lambda inner: st.tuples(
        st.sampled_from(["{a}", "{a} {b}", "{", "{}", "}{0}"]), st.dictionaries(st.text(max_size=1), inner)
    ).map(list),
    max_leaves=5,
)
FAILURES = st.fixed_dictionaries(
    {"kind": st.sampled_from([*map(str, FailureKind)]) | ANYTHING, "at": MOMENTS | ANYTHING},
    optional={
        "message": ANYTHING,
        "said": SAID | ANYTHING,
        "code": ANYTHING,
        "not_before": MOMENTS | ANYTHING,
        "status": ANYTHING,
        "offline": ANYTHING,
    },
)
FACTS = st.fixed_dictionaries(
    {"failure": FAILURES | ANYTHING},
    optional={
        "attempts": ANYTHING,
        "retry_at": MOMENTS | ANYTHING,
        "turned_away": ANYTHING,
        "turned_away_since": MOMENTS | ANYTHING,
        "last_refresh_at": MOMENTS | ANYTHING,
        "spread": ANYTHING,
        "unsaved": MOMENTS | ANYTHING,
        "refreshing": MOMENTS | ANYTHING,
        "later_until": MOMENTS | ANYTHING,
        "warned_of": ANYTHING,
    },
)


@given(FACTS, st.booleans(), st.integers(0, 50))
def test_whatever_is_noted_there_is_an_account_that_can_be_told_and_noted_again(facts, held, hours):
    found = tokens() if held else None
    record = record_with(Record(), found, facts, 0.5)
    now = NOW + timedelta(hours=hours)

    assert record.tokens is found
    assert 0 <= record.spread < 1
    told = status_of(account(), record, now, NOW).as_json()
    for name in ("expires_at", "refresh_due_at", "last_refresh_at"):
        assert told[name] is None or datetime.fromisoformat(told[name]).tzinfo is not None
    assert told["health"] == health_of(record, BOUND, now)
    json.dumps(told).encode()
    assert log_change(account(), Record(), record, now, None) == told["health"]
    for each in (record, failed(record, failure(at=now), now), set_back(record, timedelta(days=800_000))):
        is_turned_away(each, now)
        is_from_the_future(each, now)
        health_changes_at(each, now)
    is_signed_in(facts)
    is_overtaken(record, facts)
    again = record_with(Record(), found, json.loads(json.dumps(facts_of(record))), 0.5)
    assert again == record


@given(FACTS)
def test_a_note_with_anything_in_it_can_be_read_and_written(facts):
    kept = MemoryFacts()
    kept.save("work", facts)
    notes = AccountNotes("work", kept)

    moment_in(facts, "later_until")
    assert notes.later_until is None or notes.later_until.tzinfo is UTC
    notes.note(record_with(Record(), tokens(), facts, 0.5), tokens())
    assert notes.facts()["refreshing"] == tokens().received_at.isoformat()
    assert notes.is_news("warned_of", "x") or facts["warned_of"] == "x"
    notes.forget("warned_of")
    notes.put_off(NOW)
    assert notes.later_until == NOW


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("facts")


@given(st.binary() | ANYTHING.map(lambda value: json.dumps({"version": 1, "facts": value}).encode()))
def test_a_file_of_any_bytes_is_facts_or_nothing(folder, content):
    (folder / "work.json").write_bytes(content)

    assert isinstance(FactsFolder(folder).load("work"), dict)


@pytest.mark.parametrize("depth", [3, 5_000])
def test_a_sentence_within_sentences_without_end_does_no_harm(depth):
    said: object = "x"
    for _ in range(depth):
        said = ["so: {a}", {"a": said}]
    noted = {"failure": {"kind": "unreachable", "at": NOW.isoformat(), "message": "m", "said": said}}

    record = record_with(Record(), tokens(), noted, 0.5)

    assert record.failure is not None
    assert record.failure.message == "so: so: so: x" or record.failure.message.endswith("so: {a}")
    json.dumps(facts_of(record))
