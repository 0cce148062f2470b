"""Why there is no token, as an error with an exit code: made from a failure or a health."""

from __future__ import annotations

from datetime import datetime, timedelta

from tray_app.core.account import Account
from tray_app.core.errors import LamplighterError, Misconfigured, SignInNeeded, StoreUnavailable, Unavailable
from tray_app.core.failure import Failure, FailureKind, configuration_remedy
from tray_app.core.health import Health, health_of
from tray_app.core.message import joined, msg
from tray_app.core.phrasing import clock_time, day
from tray_app.core.record import Record

_NEAR = timedelta(hours=12)
"""Up to here a time of day alone is unambiguous."""


def no_token(account: Account, record: Record, now: datetime) -> LamplighterError:
    """Why the account has no valid token, or none that lives as long as was asked for."""
    name, health = account.name, health_of(record, account.bound_to, now)
    sign_in = msg("Sign in: {command}", command=f"lamplighter login {name}")
    if health is Health.SIGNED_OUT:
        moved = msg("{name}: signed out since the issuer, token endpoint or client id was changed", name=name)
        return SignInNeeded(moved if record.tokens else msg("{name}: signed out", name=name), sign_in)
    if record.tokens is not None and record.tokens.valid_for(now) > timedelta(0):
        return Unavailable(msg("{name}: the token is valid, but not for as long as asked for", name=name))
    if record.failure is not None:
        return error_of(name, record.failure, record.retry_at)
    if health is Health.SIGN_IN_NEEDED:
        ended = msg("{name}: the access token has ended and there is no refresh token", name=name)
        return SignInNeeded(ended, sign_in)
    return Unavailable(msg("{name}: no valid token for now", name=name))


def error_of(name: str, failure: Failure, retry_at: datetime | None) -> LamplighterError:
    """The failure as an error: account, what happened, what happens next by itself, what you can do."""
    what = joined(": ", (name, failure.message))
    match failure.kind:
        case FailureKind.REFUSED | FailureKind.INTERRUPTED:
            return SignInNeeded(what, msg("Sign in: {command}", command=f"lamplighter login {name}"))
        case FailureKind.MISCONFIGURED:
            return Misconfigured(what, configuration_remedy(name, failure, f"lamplighter refresh {name}"))
        case FailureKind.STORE:
            return StoreUnavailable(what, reason=failure.code or "broken")
        case _:
            return Unavailable(what, _again(retry_at, failure.at) if retry_at else "", retry_at)


def _again(at: datetime, now: datetime) -> str:
    time = clock_time(at)
    if at - now < _NEAR:
        return msg("Trying again at {time}", time=time)
    return msg("Trying again on {day} at {time}", day=day(at, now), time=time)
