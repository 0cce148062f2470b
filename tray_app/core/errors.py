"""Expected errors: shown as one sentence, without a traceback.

LamplighterError                exit code
├── SignInNeeded                3
│   └── SignInFailed            3   denied, abandoned, timed out, a wrong issuer
│       └── NoNewDate           3   another program's sign-in changed nothing
├── Unavailable                 4   for now: the provider cannot be reached or throttles
├── Misconfigured               5
│   ├── UnknownAccount          5
│   └── UnconfirmedTokenHost    5
├── StoreUnavailable            6
└── NoApplet                    7

Everything else is a bug: a traceback in the log and one plain line for the person.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from tray_app.core.message import joined


class LamplighterError(Exception):
    """What happened, and one thing to do about it."""

    exit_code: ClassVar[int] = 1
    name: ClassVar[str] = "failed"
    """Its name in the agent's responses (.github/CONTRACT.md, section 8)."""

    def __init__(self, what: str, remedy: str = "") -> None:
        self.sentence = joined(". ", (what, remedy))
        """Both, for a person; `str(error)` is the same in English."""
        super().__init__(self.sentence)
        self.what = what
        self.remedy = remedy


class SignInNeeded(LamplighterError):
    """The account needs a sign-in."""

    exit_code = 3
    name = "sign_in_needed"


class SignInFailed(SignInNeeded):
    """A sign-in was denied, abandoned, timed out, or ended by the answer of another issuer."""


class NoNewDate(SignInFailed):
    """Another program was started to sign in, and its credentials file did not change."""

    name = "no_new_date"


class Unavailable(LamplighterError):
    """No valid token for now; it is being retried."""

    exit_code = 4
    name = "unavailable"

    def __init__(self, what: str, remedy: str = "", retry_at: datetime | None = None) -> None:
        super().__init__(what, remedy)
        self.retry_at = retry_at


class Misconfigured(LamplighterError):
    """The configuration is wrong, or the provider refuses it."""

    exit_code = 5
    name = "misconfigured"


class UnknownAccount(Misconfigured):
    """No account of this name is configured."""

    name = "unknown_account"


class UnconfirmedTokenHost(Misconfigured):
    """The sign-in at one host would be handed to another one, and the person has not said that this is right."""

    def __init__(self, what: str, remedy: str, issuer: str, hosts: tuple[str, str]) -> None:
        super().__init__(what, remedy)
        self.issuer = issuer
        self.hosts = hosts
        """Of the authorization and of the token endpoint."""


class StoreUnavailable(LamplighterError):
    """The store cannot be read or written: locked, missing, full, or not responding. Locked is not empty.

    `reason` is one of "locked", "missing", "full", "silent", "insecure", "broken".
    """

    exit_code = 6
    name = "store_unavailable"

    def __init__(self, what: str, remedy: str = "", reason: str = "broken") -> None:
        super().__init__(what, remedy)
        self.reason = reason


class NoApplet(LamplighterError):
    """No applet is running."""

    exit_code = 7
    name = "no_applet"


def error_named(name: str, message: str) -> LamplighterError:
    """The error that the agent calls `name`, with its message."""
    kinds = (UnknownAccount, SignInNeeded, NoNewDate, Unavailable, Misconfigured, StoreUnavailable)
    return next((kind(message) for kind in kinds if kind.name == name), LamplighterError(message))
