"""The id_token of a sign-in: who signed in, and that it was here and now (OpenID Connect Core, 3.1.3.7).

It comes from the token endpoint itself over verified TLS, which stands in for a check of its signature (item 6): keys
would have to be fetched, and what checks them costs more memory than all the rest. A token that is not signed at all,
or with what everybody could have, is refused all the same where the provider says how it signs.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tray_app.core.account import Offered
from tray_app.core.message import msg
from tray_app.core.tokens import Secret

TOLERANCE = timedelta(minutes=5)
"""How far the provider's clock and ours may be apart."""

OLDEST = timedelta(days=1)
"""An id_token is issued for the sign-in that brings it; an older one was kept and played back."""


class WrongIdToken(Exception):
    """The id_token is not for this sign-in; says why, to be read after "an id_token"."""


@dataclass(frozen=True, slots=True)
class Given:
    """What came with an id_token, and what is known of who gave it."""

    access_token: Secret
    secret: Secret | None = None
    """The client's own, with which a provider may sign as well."""
    offered: Offered | None = None


def verified_subject(
    id_token: object, given: Given, *, client_id: str, issuer: str | None, nonce: str | None, now: datetime
) -> str:
    """The `sub` of an id_token that belongs to this client, issuer, sign-in and access token. Raises `WrongIdToken`.

    `now` is the server's clock as it answered, where it tells it. `issuer` is None where the configuration names
    endpoints alone, `nonce` where none was sent. `{tid}` in the issuer stands for the claim of that name: Microsoft's
    many directories share one server.
    """
    claims = claims_of(id_token)
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject:
        raise WrongIdToken(msg("without a subject"))
    if issuer is not None and claims.get("iss") != issuer.replace("{tid}", str(claims.get("tid"))):
        raise WrongIdToken(msg("of another issuer"))
    _check_audience(claims, client_id)
    if nonce is not None and claims.get("nonce") is None:
        raise WrongIdToken(msg("without the nonce that was sent; for such a provider write scopes without `openid`"))
    if nonce is not None and not _same(claims.get("nonce"), nonce):
        raise WrongIdToken(msg("for another sign-in (its nonce differs)"))
    _check_times(claims, now)
    algorithm = _part(id_token, 0).get("alg")
    _check_algorithm(algorithm, given)
    if str(algorithm).startswith("HS") and given.secret is not None:
        _check_signature(str(id_token), str(algorithm), given.secret)
    _check_access_token(claims, algorithm, given.access_token)
    return subject


def claims_of(id_token: object) -> Mapping[str, Any]:
    """The claims as they stand, unchecked. Raises `WrongIdToken` where there are none to read."""
    return _part(id_token, 1)


def _part(id_token: object, index: int) -> Mapping[str, Any]:
    try:
        header, payload, _ = str(id_token).split(".")
        part = (header, payload)[index]
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError) as error:
        raise WrongIdToken(msg("that cannot be read")) from error
    if not isinstance(found, dict):
        raise WrongIdToken(msg("that cannot be read"))
    return found


def _check_algorithm(algorithm: object, given: Given) -> None:
    """None is no signature, and HS256 for a client without a secret is one that anybody can make (RFC 8725, 2.1)."""
    offered = given.offered
    if offered is None or not (offered.id_token_algorithms or offered.publishes_keys):
        return  # who says nothing of signatures is known by its certificate alone
    known = not offered.id_token_algorithms or algorithm in offered.id_token_algorithms
    is_signed = isinstance(algorithm, str) and algorithm.lower() not in {"", "none"}
    if not known or not is_signed or (str(algorithm).startswith("HS") and given.secret is None):
        raise WrongIdToken(msg("that is not signed as the provider says that it signs"))


def _check_signature(id_token: str, algorithm: str, secret: Secret) -> None:
    signed, _, signature = id_token.rpartition(".")
    hashing = _hash_of(algorithm)
    right = hmac.new(secret.reveal().encode(), signed.encode(), hashing).digest() if hashing else b""
    if not hashing or not hmac.compare_digest(_encoded(right).encode(), signature.encode("utf-8", "replace")):
        raise WrongIdToken(msg("that is not signed as the provider says that it signs"))


def _check_access_token(claims: Mapping[str, Any], algorithm: object, access_token: Secret) -> None:
    """Whether it came with this access token (3.1.3.6), where it says so: against one that was put in its place."""
    hashing = _hash_of(str(algorithm))
    if "at_hash" not in claims or hashing is None:
        return
    digest = hashing(access_token.reveal().encode()).digest()
    if not _same(claims["at_hash"], _encoded(digest[: len(digest) // 2])):
        raise WrongIdToken(msg("for another access token"))


def _hash_of(algorithm: str) -> Callable[..., Any] | None:
    """What RS256, ES384, HS512 and their like hash with; Ed25519 has SHA-512 in it."""
    if algorithm in {"EdDSA", "Ed25519"}:
        return hashlib.sha512
    return {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}.get(algorithm[2:])


def _encoded(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _check_audience(claims: Mapping[str, Any], client_id: str) -> None:
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    party = claims.get("azp")
    if client_id not in audiences or party not in {None, client_id} or (len(audiences) > 1 and party is None):
        raise WrongIdToken(msg("for another client"))


def _check_times(claims: Mapping[str, Any], now: datetime) -> None:
    tolerance, oldest = TOLERANCE.total_seconds(), OLDEST.total_seconds()
    if _number(claims, "exp") < now.timestamp() - tolerance:
        raise WrongIdToken(msg("that has ended; maybe this computer's clock is wrong"))
    ahead = _number(claims, "iat") - now.timestamp()
    if ahead > tolerance:
        raise WrongIdToken(msg("from the future; the clock of the provider or of this computer is wrong"))
    if ahead < -oldest:
        raise WrongIdToken(msg("from another time; maybe this computer's clock is wrong"))


def _number(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    try:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    except OverflowError:  # an integer of 400 digits
        pass
    raise WrongIdToken(msg("without the time {name}", name=repr(name)))


def _same(one: object, other: str) -> bool:
    return isinstance(one, str) and hmac.compare_digest(one.encode("utf-8", "replace"), other.encode())
