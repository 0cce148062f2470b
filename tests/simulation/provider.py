"""The simulated authorization server, and the oracle that says who is to blame for a sign-in.

The oracle knows what the server did and what the network carried. It knows nothing of any policy. Its rule, asked at
the moment at which a program calls for the person:

1. The grant lives, and the newest refresh token that ever reached the machine would be honoured now: the sign-in is
   NEEDLESS, whatever the program has done with that token.
2. The grant lives, but the newest token that reached the machine has been used, the answer to that use was lost on its
   way, and no time is left in which it would serve again: unavoidable, `lost answer`. By the provider's rule the only
   token that still serves is one that the machine never saw.
3. The provider ended the grant since a used refresh token came again. Where no answer to its first use reached the
   machine: unavoidable, by what kept it away (`lost answer`, or `crash` where the process died first). But under a
   period of grace NEEDLESS, if within it the provider could be reached for 30 s on end after the loss could be
   noticed: whoever asked again in that time was saved; where the process died, only such time counts in which another
   one lived that had been able to read the keyring. Where an answer did reach the machine, the machine had a newer
   token and sent the older one: NEEDLESS, with one exception: the process ended before it can have been stored: it
   was killed within a second of the answer, or, in whatever way it ended, the keyring was locked as the answer came,
   and then open to an awake machine for less than 5 minutes (a locked one asks the person each time: nobody may try
   more often). A secret that no keyring takes ends with its process: unavoidable, `crash`. A process that ends in its
   own time is excused by this only if no other one lives on, which could have been told the secret: else by the
   other's end.
4. The provider ended the grant by its own limits (`idle`, `absolute`): unavoidable; but an `idle` end is NEEDLESS if
   between the end of the last access token and that of the grant the provider could be reached for 5 minutes on end:
   whoever keeps a sign-in alive had the time.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.simulation.life import Rules
from tray_app.core.provider_errors import Answer

JSON = {"content-type": "application/json"}
IN_GRACE = 30.0
WHILE_IDLE = 300.0
TO_STORE = 1.0


@dataclass(slots=True)
class RefreshToken:
    """One that was given, and what became of it."""

    number: int
    used_at: float | None = None
    successors: list[RefreshToken] = field(default_factory=list)
    reached_at: float | None = None
    """When the network brought it to a living process."""
    killed_at: float | None = None
    """When that process died, if it did."""
    lost_by: str = "lost answer"
    noticed_at: float = 0.0
    """When whoever waited for the lost answer could know."""


@dataclass(slots=True)
class Grant:
    """What one sign-in has given."""

    number: int
    began: float
    newest: RefreshToken
    used_at: float
    ended: str | None = None
    ended_at: float = 0.0
    blame: bool = False
    """The end was needless."""


class AuthorizationServer:
    """`reachable(since, until)` gives the longest and the whole time in which the machine could reach this server.

    `reachable_anew`: the same, of the time in which a living process had been able to read the keyring.
    """

    def __init__(self, rules: Rules, reachable: Callable[[float, float], tuple[float, float]]) -> None:
        self.rules = rules
        self.grant: Grant | None = None
        self.requests = 0
        self.kept_out: Callable[[float, float], bool] = lambda _since, _until: False
        """Whether the keyring was locked at that moment, and not open for long since."""
        self._reachable = self.reachable_anew = reachable
        self._tokens: dict[str, tuple[Grant, RefreshToken]] = {}
        self._access: dict[str, float] = {}
        self._count = 0

    def sign_in(self, now: float) -> tuple[Answer, RefreshToken]:
        """A new grant; the one before is forgotten."""
        self._tokens.clear()
        self._access.clear()
        self._count += 1
        token = RefreshToken(self._count, reached_at=now)
        self.grant = Grant(self._count, now, token, now)
        self._tokens[f"R{self._count}"] = self.grant, token
        return self._answer(token, now, first=True), token

    def refresh(self, presented: str, now: float) -> tuple[Answer, RefreshToken | None]:
        """What the token endpoint answers, and the refresh token that it gives."""
        self.requests += 1
        grant, token = self._tokens.get(presented, (None, None))
        if grant is None or token is None or grant is not self.grant:
            return refusal(), None
        self._end_by_limits(grant, now)
        if grant.ended is None and self.rules.rotation != "none" and not self._serves(token, now):
            self._end_by_reuse(grant, token, now)
        if grant.ended is not None:
            return refusal(), None
        grant.used_at = now
        if self.rules.rotation == "none":
            self._count += 1
            return self._answer(token, now), token
        token.used_at = now if token.used_at is None else token.used_at
        self._count += 1
        new = RefreshToken(self._count)
        token.successors.append(new)
        self._tokens[f"R{new.number}"] = grant, new
        return self._answer(new, now), new

    def reached(self, token: RefreshToken, now: float) -> None:
        """The network has brought it to a living process."""
        if self.grant is not None and (token.reached_at is None or self.rules.rotation == "none"):
            token.reached_at = now
            self.grant.newest = token

    def honours(self, access_token: str, now: float) -> bool:
        """Whether an API takes the access token: a grant that was ended for reuse takes it along (RFC 9700, 4.14)."""
        return self.grant is not None and self.grant.ended is None and self._access.get(access_token, 0.0) > now

    def is_fresh(self, now: float) -> bool:
        """Whether an access token that reached the machine is still good."""
        if self.grant is None or self.grant.ended is not None:
            return False
        reached_at = self.grant.newest.reached_at
        return reached_at is not None and reached_at <= now < reached_at + self.rules.life

    def blames(self, now: float) -> tuple[bool, str]:
        """Whether a call for the person at this moment is needless, and why: the oracle."""
        grant = self.grant
        if grant is None:
            return False, "first sign-in"
        self._end_by_limits(grant, now)
        if grant.ended is not None:
            return grant.blame, grant.ended
        if self._serves(grant.newest, now):
            return True, "honoured"
        return self._lost(grant.newest, now)

    def over_since(self, now: float) -> float | None:
        """Since when nothing that reached the machine serves any more, by no fault of the program; else None."""
        needless, _ = self.blames(now)
        grant = self.grant
        if grant is None:
            return now
        if needless:
            return None
        return grant.newest.used_at if grant.ended is None else grant.ended_at

    def _serves(self, token: RefreshToken, now: float) -> bool:
        used = token.used_at
        return used is None or (self.rules.rotation == "grace" and now <= used + self.rules.grace)

    def _end_by_limits(self, grant: Grant, now: float) -> None:
        if grant.ended is not None:
            return
        rules = self.rules
        if rules.absolute is not None and now > grant.began + rules.absolute:
            grant.ended, grant.ended_at = "absolute", grant.began + rules.absolute
        elif rules.idle is not None and now > grant.used_at + rules.idle:
            grant.ended, grant.ended_at = "idle", grant.used_at + rules.idle
            reached = self._reachable(grant.used_at + rules.life, grant.used_at + rules.idle)[0]
            grant.blame = reached >= WHILE_IDLE

    def _end_by_reuse(self, grant: Grant, token: RefreshToken, now: float) -> None:
        grant.blame, grant.ended = self._lost(token, now)
        grant.ended_at = now

    def _lost(self, token: RefreshToken, now: float) -> tuple[bool, str]:
        """Who is to blame that the machine holds a token that was used."""
        came = next((one for one in token.successors if one.reached_at is not None), None)
        if came is not None and came.reached_at is not None:
            killed = came.killed_at
            excused = killed is not None and (
                killed - came.reached_at <= TO_STORE or self.kept_out(came.reached_at, killed)
            )
            return (False, "crash") if excused else (True, "sent again")
        first = token.successors[0]
        if self.rules.rotation == "grace" and token.used_at is not None:
            reachable = self.reachable_anew if first.lost_by == "crash" else self._reachable
            longest, _ = reachable(max(token.used_at, first.noticed_at), token.used_at + self.rules.grace)
            if longest >= IN_GRACE:
                return True, "grace missed"
        return False, first.lost_by

    def _answer(self, token: RefreshToken, now: float, *, first: bool = False) -> Answer:
        access = f"A{self._count}"
        if len(self._access) > 50:
            self._access = {name: end for name, end in self._access.items() if end > now}
        self._access[access] = now + self.rules.life
        body = {"access_token": access, "token_type": "Bearer", "expires_in": int(self.rules.life)}
        if first or self.rules.rotation != "none":  # who does not rotate may leave it out (RFC 6749, 6)
            body["refresh_token"] = f"R{token.number}"
        if self.rules.tells_end and self.rules.absolute is not None and self.grant is not None:
            body["refresh_token_expires_in"] = int(self.grant.began + self.rules.absolute - now)
        return Answer(200, JSON, json.dumps(body).encode())


def refusal() -> Answer:
    """The only answer that ends a sign-in."""
    return Answer(400, JSON, b'{"error": "invalid_grant", "error_description": "expired or revoked"}')
