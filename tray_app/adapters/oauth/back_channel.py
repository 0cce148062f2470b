"""What is sent straight to an authorization server, in the name of a client, and what its answers mean."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from urllib.parse import parse_qsl

from tray_app.adapters.oauth.client_auth import Client, Proof, host_of
from tray_app.adapters.oauth.http_client import HttpClient
from tray_app.adapters.oauth.token_response import new_refresh_token, token_answer, unusable
from tray_app.base.log import LOG
from tray_app.core.message import msg
from tray_app.core.ports import Clock, ProviderError
from tray_app.core.provider_errors import (
    CONFIGURATION,
    Answer,
    Failure,
    FailureKind,
    classify,
    error_code,
    members,
    server_time,
)
from tray_app.core.tokens import Secret, TokenAnswer

FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Tokens:
    """A token endpoint's success."""

    answer: TokenAnswer
    id_token: object
    """Unread; None where there is none."""
    server_now: datetime
    """The server's clock as it answered; ours where it does not tell."""


class BackChannel:
    """Requests of a client. Each takes the form to send, without what proves who the client is; `sent` are the
    secrets in it, which no message repeats. Raises `RefreshFailed`.
    """

    def __init__(self, transport: HttpClient, clock: Clock) -> None:
        self._transport = transport
        self._clock = clock
        self._sources: dict[str, str | None] = {}
        self._proofs: dict[tuple[str, str, str], Proof] = {}

    async def tokens(self, client: Client, body: str, *sent: Secret) -> Tokens:
        """What the token endpoint gives for the form (RFC 6749, 5)."""
        quirks, requested_at = client.account.quirks, self._clock.now()
        is_json = client.account.token_request == "json"  # noqa: S105 - a dialect
        answer = await self.ask(client, client.endpoints.token, body, is_json=is_json)
        tokens = token_answer(answer, requested_at, bearer_types=quirks.bearer_types)
        if tokens is None:
            raise self._no_tokens(client, answer, *sent)
        if tokens.lifetime is None:
            tokens = replace(tokens, lifetime=quirks.assumed_lifetime)
        self._log_source(client.account.name, tokens.lifetime_source)
        return Tokens(tokens, members(answer).get("id_token"), server_time(answer) or self._clock.now())

    def _no_tokens(self, client: Client, answer: Answer, *sent: Secret) -> ProviderError:
        found, endpoint = unusable(answer), client.endpoints.token
        if found is None:
            failure = self.meaning(client, endpoint, answer, *sent, from_token_endpoint=True)
            return ProviderError(failure, None if failure.ends_sign_in else new_refresh_token(answer))
        message = msg("{host} answered {how}", host=host_of(endpoint), how=found.reason)
        failure = Failure(FailureKind.UNREACHABLE, message, self._clock.now(), status=answer.status)
        return ProviderError(failure, found.refresh_token)

    def _log_source(self, account: str, source: str | None) -> None:
        """Says once for each account where a token's life is read, where that is not the standard's `expires_in`."""
        if source != "expires_in" and self._sources.get(account) != source:
            LOG.info("%s: the access token's life comes from %s", account, source or "nothing in the answer")
        self._sources[account] = source

    async def ask(self, client: Client, endpoint: str, body: str, *, is_json: bool = False) -> Answer:
        """The answer to the form, or to JSON of the same members.

        Where it turns down how the client proves who it is, and not the client, another way is tried once and kept
        while this process lives.
        """
        place = (client.account.name, client.id, endpoint)
        first = self._proofs.get(place, client.proof)
        answer = await self._ask(client, endpoint, body, first, is_json=is_json)
        if error_code(members(answer)) == "invalid_client":
            self._proofs.pop(place, None)  # what has worked may work no more
        for proof in client.other_proofs(first, answer):
            second = await self._ask(client, endpoint, body, proof, is_json=is_json)
            code = error_code(members(second))
            if second.status < 300 or (code is not None and code not in CONFIGURATION):
                LOG.info("%s: %s takes the client's secret another way (%s)", place[0], host_of(endpoint), proof.name)
                self._proofs[place] = proof
                return second
        return answer

    async def _ask(self, client: Client, endpoint: str, body: str, proof: Proof, *, is_json: bool) -> Answer:
        body, headers = client.authenticated(body, proof)
        if is_json:
            return await self._transport.post(endpoint, json.dumps(dict(parse_qsl(body))), _JSON, headers)
        return await self._transport.post(endpoint, body, FORM, headers)

    def meaning(
        self, client: Client, endpoint: str, answer: Answer, *sent: Secret, from_token_endpoint: bool = False
    ) -> Failure:
        """What an answer without success means."""
        secrets = [secret.reveal() for secret in (*sent, client.secret) if secret]
        return classify(
            _without(answer, secrets),
            self._clock.now(),
            host=host_of(endpoint),
            refused_codes=client.account.quirks.refused_codes,
            configuration_codes=client.account.quirks.configuration_codes,
            from_token_endpoint=from_token_endpoint,
        )


def _without(answer: Answer, secrets: list[str]) -> Answer:
    """The answer, reduced to its error code where it repeats a secret that we sent: messages are logged and shown."""
    body = members(answer)
    if not any(secret in str(value) for value in body.values() for secret in secrets):
        return answer
    code = error_code(body)
    if code and any(secret in code for secret in secrets):
        code = None
    reduced = json.dumps({"error": code}).encode()
    return Answer(answer.status, {**answer.headers, "content-type": _JSON}, reduced)
