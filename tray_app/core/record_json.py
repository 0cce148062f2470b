"""The part of a record that is stored on disk: everything except the tokens, as plain JSON values."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tray_app.core.failure import Failure, FailureKind
from tray_app.core.message import from_json, to_json
from tray_app.core.record import Record, dated_back
from tray_app.core.tokens import TELLABLE_YEARS, TokenSet


def facts_of(record: Record) -> dict[str, Any]:
    """The record without its tokens, as JSON values. Holds no secret."""
    failure = record.failure
    return {
        "attempts": record.attempts,
        "retry_at": _text(record.retry_at),
        "turned_away": record.turned_away,
        "turned_away_since": _text(record.turned_away_since),
        "last_refresh_at": _text(record.last_refresh_at),
        "spread": record.spread,
        "stored_as": _text(record.stored_as),
        "received_at": _text(record.tokens.received_at) if record.tokens and record.stored_as else None,
        "failure": failure
        and {
            "kind": str(failure.kind),
            "message": failure.message,
            "said": to_json(failure.message),
            "at": _text(failure.at),
            "code": failure.code,
            "not_before": _text(failure.not_before),
            "status": failure.status,
            "offline": failure.offline,
            "keeps_tokens": failure.keeps_tokens,
        },
    }


def record_with(mine: Record, tokens: TokenSet | None, facts: dict[str, Any], draw: float) -> Record:
    """The record made of `tokens` from the store and `facts` from disk, where they are newer than `mine`.

    `draw` from [0, 1) is their spread where none was noted.

    Without tokens only a refusal is kept: any other failure was about tokens that are gone.
    Unreadable facts count as absent.
    """
    failure = _failure(facts.get("failure"))
    if failure is not None and (failure.kind is FailureKind.STORE or failure.ends_sign_in != (tokens is None)):
        failure = None
    if tokens is not None and tokens.is_same_as(mine.tokens) and not _is_news(failure, mine.failure, tokens):
        return mine
    tokens, stored_as = _dated(tokens, facts)
    spread = _number(facts.get("spread", -1))
    return Record(
        tokens=tokens,
        failure=failure,
        attempts=int(_number(facts.get("attempts"))) if failure else 0,
        retry_at=_moment(facts.get("retry_at")) if failure else None,
        turned_away=int(_number(facts.get("turned_away"))) if failure else 0,
        turned_away_since=_moment(facts.get("turned_away_since")) if failure else None,
        last_refresh_at=_moment(facts.get("last_refresh_at")),
        spread=spread if 0 <= spread < 1 else draw,
        stored_as=stored_as,
        revision=mine.revision + 1,
    )


def _dated(tokens: TokenSet | None, facts: dict[str, Any]) -> tuple[TokenSet | None, datetime | None]:
    """The stored tokens, re-dated if the clock was set back since, and their time as the store has it."""
    stored_as, received_at = _moment(facts.get("stored_as")), _moment(facts.get("received_at"))
    if tokens is None or received_at is None or stored_as != tokens.received_at or received_at > stored_as:
        return tokens, None
    return dated_back(tokens, stored_as - received_at), stored_as


def _is_news(noted: Failure | None, mine: Failure | None, tokens: TokenSet) -> bool:
    """Whether the store was unreadable before, or another process has failed with these tokens since we did."""
    if mine is not None and mine.kind is FailureKind.STORE:
        return True
    return noted is not None and noted.at > (mine.at if mine else tokens.received_at)


def is_signed_in(facts: dict[str, Any]) -> bool:
    """Whether the facts describe a sign-in that has not ended: a sign-out erases them, a refusal is recorded."""
    failure = _failure(facts.get("failure"))
    return bool(facts.keys() - {"grant"}) and (failure is None or not failure.ends_sign_in)


def is_overtaken(mine: Record, facts: dict[str, Any]) -> bool:
    """Whether another process has refreshed since these tokens came: a rotating provider rejects them."""
    noted = _moment(facts.get("last_refresh_at"))
    if mine.tokens is None or noted is None or noted == mine.last_refresh_at:
        return False
    return noted > mine.tokens.received_at


def moment_in(facts: dict[str, Any], key: str) -> datetime | None:
    """The moment written under `key`, None where there is none."""
    return _moment(facts.get(key))


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if moment is None or moment.tzinfo is None or moment.year not in TELLABLE_YEARS:
        return None
    return moment.astimezone(UTC)


def _number(value: object) -> float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) and -1 <= value < 2**31 else 0


def _failure(value: object) -> Failure | None:
    if not isinstance(value, dict):
        return None
    at, code = _moment(value.get("at")), value.get("code")
    message = from_json(value.get("said")) or value.get("message")
    try:
        kind = FailureKind(str(value.get("kind")))
    except ValueError:
        return None
    if at is None or not isinstance(message, str):
        return None
    return Failure(
        kind,
        message,
        at,
        code if isinstance(code, str) else None,
        _moment(value.get("not_before")),
        int(_number(value.get("status"))) or None,
        value.get("offline") is True,
        value.get("keeps_tokens") is True,
    )
