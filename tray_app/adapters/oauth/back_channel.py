"""What is sent straight to an authorization server, in the name of a client, and what its answers mean."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Final
from urllib.parse import parse_qsl

from tray_app.adapters.oauth.client_auth import Client, host_of
from tray_app.adapters.oauth.http_client import HttpClient
from tray_app.adapters.oauth.token_response import token_answer
from tray_app.core.failure import Answer, Failure, classify, error_code, members
from tray_app.core.ports import Clock, ProviderError
from tray_app.core.tokens import Secret, TokenAnswer

FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = "application/json"


class BackChannel:
    """Requests of a client. Each takes the form to send, without what proves who the client is; `sent` are the
    secrets in it, which no message repeats. Raises `RefreshFailed`.
    """

    def __init__(self, transport: HttpClient, clock: Clock) -> None:
        self._transport = transport
        self._clock = clock

    async def tokens(self, client: Client, body: str, *sent: Secret) -> tuple[TokenAnswer, object]:
        """The tokens and the id_token, unread, that the token endpoint gives for the form (RFC 6749, 5)."""
        quirks, requested_at = client.account.quirks, self._clock.now()
        is_json = client.account.token_request == "json"  # noqa: S105 - a dialect
        answer = await self.ask(client, client.endpoints.token, body, is_json=is_json)
        tokens = token_answer(answer, requested_at)
        if tokens is None:
            raise ProviderError(self.meaning(client, client.endpoints.token, answer, *sent))
        if tokens.lifetime is None:  # a stated life of 0 is one
            tokens = replace(tokens, lifetime=quirks.assumed_lifetime)
        return tokens, members(answer).get("id_token")

    async def ask(self, client: Client, endpoint: str, body: str, *, is_json: bool = False) -> Answer:
        """The answer to the form, or to JSON of the same members."""
        body, headers = client.authenticated(body)
        if is_json:
            return await self._transport.post(endpoint, json.dumps(dict(parse_qsl(body))), _JSON, headers)
        return await self._transport.post(endpoint, body, FORM, headers)

    def meaning(self, client: Client, endpoint: str, answer: Answer, *sent: Secret) -> Failure:
        """What an answer without success means."""
        secrets = [secret.reveal() for secret in (*sent, client.secret) if secret]
        return classify(
            _without(answer, secrets),
            self._clock.now(),
            host=host_of(endpoint),
            refused_codes=client.account.quirks.refused_codes,
            configuration_codes=client.account.quirks.configuration_codes,
        )


def _without(answer: Answer, secrets: list[str]) -> Answer:
    """The answer, reduced to its error code where it repeats a secret that we sent: messages are logged and shown."""
    body = members(answer)
    if not any(secret in str(value) for value in body.values() for secret in secrets):
        return answer
    code = error_code(body)
    if code and any(secret in str(body["error"]) for secret in secrets):
        code = None
    reduced = json.dumps({"error": code}).encode()
    return Answer(answer.status, {**answer.headers, "content-type": _JSON}, reduced)
