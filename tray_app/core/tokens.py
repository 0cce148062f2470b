"""What a token endpoint gave, as values that cannot be printed by accident."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

ASSUMED_LIFETIME = timedelta(hours=1)
"""Assumed lifetime where none was ever stated (RFC 6749, 5.1 only recommends expires_in)."""

LONGEST_LIFETIME = timedelta(days=3650)
"""A stated lifetime beyond ten years is wrong or an overflow; the cap keeps date arithmetic safe."""


TELLABLE_YEARS = range(1900, 9901)
"""Datetimes outside these years overflow when something is added to them: a stored one is damaged."""

CLOCK_TOLERANCE = timedelta(minutes=1)
"""A smaller correction of the clock does not count as a clock that was set back."""


_living: WeakValueDictionary[int, Secret] = WeakValueDictionary()
_SHORTEST_MASKED = 4
"""A shorter secret is in half of all words, and masking it would tell what it is."""


class Secret:
    """A string that shows itself only when asked by name.

    `str`, `repr`, f-strings and tracebacks give "***", so a token cannot reach a log by accident;
    `reveal()` is the one word to search for when a leak is suspected.
    """

    __slots__ = ("__weakref__", "_value")

    def __init__(self, value: str) -> None:
        self._value = value
        _living[id(self)] = self

    def reveal(self) -> str:
        """The string itself. Pass it only to a store, a request or the program that asked for it."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return "***"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str:
        message = "a Secret is not pickled"
        raise TypeError(message)


def masked(text: str) -> str:
    """The text without any secret that this process holds, for logs and tracebacks."""
    references = _living.valuerefs()  # copied in one step: other threads make secrets meanwhile
    values = {one.reveal() for reference in references if (one := reference()) is not None}
    for value in sorted(values, key=len, reverse=True):
        if len(value) >= _SHORTEST_MASKED and value in text:
            text = text.replace(value, "***")
    return text


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """A successful token response (RFC 6749, 5.1); members that it omitted are None."""

    access_token: Secret
    token_type: str
    requested_at: datetime
    """When the request was sent: the lifetime counts from there, since the response may have been slow."""
    lifetime: timedelta | None = None
    refresh_token: Secret | None = None
    scopes: tuple[str, ...] | None = None
    subject: str | None = None
    sign_in_lifetime: timedelta | None = None
    lifetime_source: str | None = field(default=None, compare=False)
    """What told the life: a member of the answer, or the token itself."""


@dataclass(frozen=True, slots=True)
class TokenSet:
    """The tokens of one account and all that is needed to use them again after a restart."""

    access_token: Secret
    token_type: str
    received_at: datetime
    lifetime: timedelta
    refresh_token: Secret | None
    scopes: tuple[str, ...]
    subject: str | None
    sign_in_ends_at: datetime | None
    bound_to: str
    """The part of the configuration that they were issued for; if it changes, they are no longer sent anywhere."""
    issuer: str | None = None
    """The issuer, if not configured but discovered from a resource's metadata (RFC 9728)."""
    client_id: str | None = None
    """Whom they were given to, where the configuration does not say: a registered client (RFC 7591)."""
    revocation_endpoint: str | None = None
    """Where the configuration said that they are revoked when they came; None: it named no such place."""

    @property
    def expires_at(self) -> datetime:
        """When the access token expires: its stated lifetime after the request (aware, UTC)."""
        return self.received_at + self.lifetime

    def is_same_as(self, other: TokenSet | None) -> bool:
        """Whether both are from the same token response, even if a clock change has re-dated one of them."""
        mine = self.access_token, self.refresh_token
        return other is not None and mine == (other.access_token, other.refresh_token)

    def valid_for(self, now: datetime) -> timedelta:
        """How long the access token may still be handed out; zero or less when it may not.

        A token from the future means that the clock was set back: its age is unknown, so it counts as expired.
        """
        return timedelta(0) if self.received_at > now + CLOCK_TOLERANCE else self.expires_at - now


def merged(old: TokenSet | None, new: TokenAnswer, *, requested_scopes: tuple[str, ...], bound_to: str) -> TokenSet:
    """The response `new`, with what it omitted taken from `old`.

    A provider that does not rotate may leave the refresh token out (RFC 6749, 6), and may leave out the scope
    where it is what was asked for (5.1): dropping either would sign the person out one lifetime later.
    """
    lifetime = new.lifetime if new.lifetime is not None else (old.lifetime if old else ASSUMED_LIFETIME)
    sign_in_ends_at: datetime | None
    if new.sign_in_lifetime is not None:
        sign_in_ends_at = new.requested_at + min(new.sign_in_lifetime, LONGEST_LIFETIME)
    else:
        sign_in_ends_at = old.sign_in_ends_at if old else None
    return TokenSet(
        access_token=new.access_token,
        token_type=new.token_type,
        received_at=new.requested_at,
        lifetime=min(lifetime, LONGEST_LIFETIME),
        refresh_token=new.refresh_token or (old.refresh_token if old else None),
        scopes=new.scopes or (old.scopes if old else requested_scopes),
        subject=new.subject or (old.subject if old else None),
        sign_in_ends_at=sign_in_ends_at,
        bound_to=bound_to,
        issuer=old.issuer if old else None,
        client_id=old.client_id if old else None,
        revocation_endpoint=old.revocation_endpoint if old else None,
    )


def newer(mine: TokenSet | None, theirs: TokenSet | None) -> TokenSet | None:
    """The later of two token sets of one account: another process may have refreshed in the meantime."""
    if mine is None or theirs is None:
        return theirs or mine
    return theirs if theirs.received_at > mine.received_at else mine


def has_digest(tokens: TokenSet, sha256: str) -> bool:
    """Whether the access token is the one with this SHA-256, in hexadecimal digits of either case."""
    digest = hashlib.sha256(tokens.access_token.reveal().encode()).hexdigest()
    return hmac.compare_digest(digest.encode(), sha256.lower().encode())
