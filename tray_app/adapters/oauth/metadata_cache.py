"""Where authorization servers listen: as configured, or found by their metadata and remembered for an hour."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

from tray_app.adapters.oauth.client_auth import host_of
from tray_app.adapters.oauth.discovery import WrongMetadata, endpoints_of, metadata_urls
from tray_app.adapters.oauth.http_client import HttpClient
from tray_app.adapters.oauth.resource import Resource, hinted_metadata_url, resource_metadata_url, resource_of
from tray_app.core.account import Account, Endpoints
from tray_app.core.message import joined, msg
from tray_app.core.ports import Clock, ProviderError
from tray_app.core.provider_errors import Answer, Failure, FailureKind, classify

METADATA_LIFE = timedelta(hours=1)
"""How long what was found is taken for granted: an endpoint that moves is found again within the hour."""

T = TypeVar("T")

_LASTING = frozenset({200, 400, 404, 405, 406, 410})
"""A place that answers so without metadata has none tomorrow either."""


def _joined(url: str, location: str) -> str:
    """Where the redirect leads; the URL itself where that is none."""
    try:
        target = urljoin(url, location)
        urlsplit(target)
    except ValueError:  # a stranger wrote it
        return url
    return target


class NoMetadata(ProviderError):
    """No place has metadata of the issuer. A refresh takes it for an outage, since the issuer had some before."""


class MetadataCache:
    """Finds servers. What was found is kept for an hour and then asked again; a worse answer later never replaces it.

    Raises `RefreshFailed` with the class and the reason.
    """

    def __init__(self, transport: HttpClient, clock: Clock) -> None:
        self._transport = transport
        self._clock = clock
        self._endpoints: dict[str, tuple[datetime, Endpoints]] = {}
        self._resources: dict[str, tuple[datetime, Resource]] = {}

    async def endpoints(self, account: Account, issuer: str | None = None) -> Endpoints:
        """Where the account's server listens. `issuer` is who gave its tokens, where the configuration names nobody."""
        if account.endpoints is not None:
            return replace(account.endpoints, issuer=account.endpoints.issuer or account.issuer)
        issuer = account.issuer or issuer
        if issuer is None:
            resource = await self.resource(account)
            if resource is None:
                what = msg("the configuration names neither an issuer nor endpoints")
                raise self._failed(FailureKind.MISCONFIGURED, what)
            issuer = resource.issuer
        configured = account.issuer or account.resource or issuer
        return await self._remembered(
            self._endpoints, f"{configured} {issuer}", lambda _: self._discover(issuer, configured)
        )

    async def resource(self, account: Account) -> Resource | None:
        """What the account's resource says of itself (RFC 9728); None where the configuration names none."""
        if account.resource is None:
            return None
        return await self._remembered(self._resources, account.resource, self._ask_resource)

    async def _remembered(
        self, known: dict[str, tuple[datetime, T]], name: str, find: Callable[[str], Awaitable[T]]
    ) -> T:
        now = self._clock.now()
        found_at, found = known.get(name, (None, None))
        if found_at is None or found is None or not timedelta(0) <= now - found_at < METADATA_LIFE:
            try:
                found = await find(name)
            except ProviderError:
                if found is None:
                    raise
            known[name] = (now, found)
        return found

    async def _discover(self, issuer: str, configured: str) -> Endpoints:
        """Every place is asked, since a server may answer at one of them for another issuer than ours, or not at all.

        Raises `NoMetadata` where none has any, and asking again will not change that.
        """
        wrong: list[Failure] = []
        asked: list[tuple[str, Failure]] = []
        for url in metadata_urls(issuer):
            try:
                answer = await self._get(url)
                found = endpoints_of(answer, issuer, configured)
            except WrongMetadata as error:
                reason = joined(" ", (host_of(url), error.args[0]))
                wrong.append(self._failed(FailureKind.MISCONFIGURED, reason).failure)
            except ProviderError as error:
                asked.append((url, error.failure))
            else:
                if found is not None:
                    return found
                asked.append((url, self._no_metadata(url, answer)))
        if wrong:
            raise ProviderError(wrong[0])
        raise self._nowhere(issuer, asked)

    def _no_metadata(self, url: str, answer: Answer) -> Failure:
        if answer.status in _LASTING:
            return Failure(FailureKind.MISCONFIGURED, msg("no metadata"), self._clock.now(), status=answer.status)
        # Without its body: whatever stands where the metadata should be says nothing about any grant.
        asked = msg("{host}, asked for its metadata,", host=host_of(url))
        return classify(replace(answer, body=b""), self._clock.now(), host=asked)

    def _nowhere(self, issuer: str, asked: list[tuple[str, Failure]]) -> ProviderError:
        passing = [failure for _, failure in asked if failure.kind is not FailureKind.MISCONFIGURED]
        if passing and all(failure.status is None for _, failure in asked):
            return ProviderError(passing[0])  # nothing was answered, so there is nothing to tell of each place
        places = joined(
            "; ", tuple(f"{url}: {f'HTTP {one.status}' if one.status else one.message}" for url, one in asked)
        )
        if passing:
            what = msg("{failure} ({places})", failure=passing[0].message, places=places)
            return ProviderError(replace(passing[0], message=what))
        what = msg(
            "{host} does not say where to sign in ({places}); check the issuer, or name authorization_endpoint and "
            "token_endpoint by hand",
            host=host_of(issuer),
            places=places,
        )
        return NoMetadata(Failure(FailureKind.MISCONFIGURED, what, self._clock.now()))

    async def _get(self, url: str) -> Answer:
        """The answer at a well-known place. A redirect within its origin is followed once, and no other."""
        answer = await self._transport.get(url)
        if answer.status in {301, 302, 303, 307, 308}:
            target = _joined(url, answer.headers.get("location", ""))
            if target != url and urlsplit(target)[:2] == urlsplit(url)[:2]:
                return await self._transport.get(target)
        return answer

    async def _ask_resource(self, resource: str) -> Resource:
        """Its well-known place, then the one that it names where it turns us down (RFC 9728, 3.1 and 5.1)."""
        failures = list[Failure]()
        for find in (self._well_known, self._hinted):
            url = await find(resource)
            if url is not None:
                answer = await self._get(url)
                found = self._read(lambda answer: resource_of(answer, resource), answer, url, failures)
                if found is not None:
                    return found
        raise ProviderError(failures[0])

    async def _well_known(self, resource: str) -> str | None:
        return resource_metadata_url(resource)

    async def _hinted(self, resource: str) -> str | None:
        try:
            return hinted_metadata_url(await self._transport.get(resource), resource)
        except ProviderError:  # it may stream without end to whoever asks; what is known already is told
            return None

    def _read(self, read: Callable[[Answer], T | None], answer: Answer, url: str, failures: list[Failure]) -> T | None:
        host = host_of(url)
        try:
            found = read(answer)
        except WrongMetadata as error:
            failures.insert(0, self._failed(FailureKind.MISCONFIGURED, joined(" ", (host, error.args[0]))).failure)
            return None
        if found is None:
            # Without its body: whatever stands where the metadata should be says nothing about any grant.
            asked = msg("{host}, asked for its metadata,", host=host)
            failures.append(classify(replace(answer, body=b""), self._clock.now(), host=asked))
        return found

    def _failed(self, kind: FailureKind, message: str) -> ProviderError:
        return ProviderError(Failure(kind, message, self._clock.now()))
