"""A token set as JSON text and back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tray_app.core.tokens import LONGEST_LIFETIME, TELLABLE_YEARS, Secret, TokenSet

_VERSION = 1


def to_text(tokens: TokenSet) -> str:
    """The tokens as one line of ASCII, so that splitting it never cuts a character in two."""
    return json.dumps(
        {
            "version": _VERSION,
            "access_token": tokens.access_token.reveal(),
            "token_type": tokens.token_type,
            "received_at": _moment_text(tokens.received_at),
            "lifetime": tokens.lifetime.total_seconds(),
            "refresh_token": tokens.refresh_token.reveal() if tokens.refresh_token is not None else None,
            "scopes": list(tokens.scopes),
            "subject": tokens.subject,
            "sign_in_ends_at": _moment_text(tokens.sign_in_ends_at) if tokens.sign_in_ends_at else None,
            "bound_to": tokens.bound_to,
            "issuer": tokens.issuer,
            "client_id": tokens.client_id,
            "revocation_endpoint": tokens.revocation_endpoint,
        }
    )


def from_text(text: str) -> TokenSet:
    """The token set that `to_text` wrote. Raises ValueError for anything else, without quoting it."""
    try:
        found = json.loads(text)
        if found["version"] != _VERSION:
            raise ValueError("these tokens were written by another version")
        refresh_token, ends_at = found["refresh_token"], found["sign_in_ends_at"]
        return TokenSet(
            access_token=Secret(_string(found["access_token"])),
            token_type=_string(found["token_type"]),
            received_at=_moment(found["received_at"]),
            lifetime=_life(found["lifetime"]),
            refresh_token=None if refresh_token is None else Secret(_string(refresh_token)),
            scopes=tuple(_string(scope) for scope in found["scopes"]),
            subject=_string_or_none(found["subject"]),
            sign_in_ends_at=None if ends_at is None else _moment(ends_at),
            bound_to=_string(found["bound_to"]),
            issuer=_string_or_none(found.get("issuer")),  # absent in what older versions wrote
            client_id=_string_or_none(found.get("client_id")),
            revocation_endpoint=_string_or_none(found.get("revocation_endpoint")),
        )
    except (TypeError, KeyError, OverflowError, RecursionError, json.JSONDecodeError):
        raise ValueError("not a token set") from None  # json quotes the whole text in its error


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _string_or_none(value: Any) -> str | None:
    return None if value is None else _string(value)


def _moment(value: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(_string(value))
    except ValueError:
        raise TypeError from None  # the original error quotes the text
    if moment.tzinfo is None or moment.year not in TELLABLE_YEARS:
        raise TypeError
    return moment.astimezone(UTC)


def _life(value: Any) -> timedelta:
    life = timedelta(seconds=value)
    if not timedelta(0) <= life <= LONGEST_LIFETIME:
        raise TypeError
    return life


def _moment_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
