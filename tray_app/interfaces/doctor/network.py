"""The connection to each account's provider: DNS, proxy, certificate, discovery; and its clock compared with ours."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

from tray_app.core.account import Account
from tray_app.core.failure import Answer, FailureKind
from tray_app.core.message import msg
from tray_app.core.phrasing import span
from tray_app.core.ports import Clock, ProviderError
from tray_app.core.urls import is_loopback
from tray_app.interfaces.doctor import advice
from tray_app.interfaces.doctor.blocking import in_thread
from tray_app.interfaces.doctor.finding import Finding, cannot, ok, skipped

DEADLINE: Final = 10.0
MOST_OFFSET: Final = timedelta(seconds=60)
"""With a larger error fresh tokens look expired, or expired ones fresh."""


@dataclass(frozen=True, slots=True)
class Offset:
    """By how much a server's clock is ahead of ours."""

    host: str
    ahead: timedelta


async def of_account(account: Account, clock: Clock) -> tuple[list[Finding], Offset | None]:
    """DNS, proxy, TLS and discovery of one account, in that order; each is skipped if the one before failed."""
    url = _url(account)
    host = urlsplit(url).hostname or ""
    name = account.name
    proxy = await _proxy(host, name)
    if proxy.says == "none":
        dns = await _dns(host, name)
    else:
        dns = skipped("DNS", msg("{host} is looked up by the proxy", host=host), account=name)
    if dns.verdict == "cannot":
        says = msg("without DNS there is no way to {host}", host=host)
        rest = [skipped(each, says, account=name) for each in ("TLS", "discovery")]
        return [dns, proxy, *rest], None
    tls, answer = await _reach(url, host, name, clock)
    offset = _offset(host, answer, clock) if answer else None
    if tls.verdict == "cannot":
        found = skipped("discovery", msg("{host} cannot be asked", host=host), account=name)
    else:
        found = await _discovery(account, clock)
    return [dns, proxy, tls, found], offset


def clock_finding(offsets: list[Offset]) -> Finding:
    """Whether this computer's clock is right, compared with the providers' clocks."""
    if not offsets:
        return skipped("clock", msg("no provider could be asked for the time"))
    nearest = min(offsets, key=lambda one: abs(one.ahead))  # one server may be wrong; not all of them
    if abs(nearest.ahead) <= MOST_OFFSET:
        return ok("clock", msg("as {host} has it", host=nearest.host))
    time = span(abs(nearest.ahead))
    if nearest.ahead > timedelta(0):
        says = msg("it is {time} behind that of {host}", time=time, host=nearest.host)
    else:
        says = msg("it is {time} ahead of that of {host}", time=time, host=nearest.host)
    return cannot("clock", says, advice.clock())


def _url(account: Account) -> str:
    endpoint = account.endpoints.token if account.endpoints else ""
    return account.issuer or endpoint or account.resource or ""


async def _proxy(host: str, name: str) -> Finding:
    from tray_app.adapters.oauth.http_client import proxy_for

    if is_loopback(host):
        return ok("proxy", msg("none"), account=name)
    try:
        proxy = await in_thread(lambda: proxy_for(host))
    except ValueError as error:
        remedy = msg("Set HTTPS_PROXY to http://HOST:PORT, or unset it")
        return cannot("proxy", error.args[0], remedy, account=name)
    if proxy is None:
        return ok("proxy", msg("none"), account=name)
    parts = urlsplit(proxy)
    return ok("proxy", f"{parts.scheme}://{parts.hostname}:{parts.port or 80}", account=name)  # not its password


async def _dns(host: str, name: str) -> Finding:
    try:
        found = await in_thread(lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or msg("not a name")
        says = msg("{host} is not known ({reason})", host=host, reason=why)
        return cannot("DNS", says, msg("Look at the network, and at the name"), account=name)
    addresses = {one[4][0] for one in found}
    return ok("DNS", msg("{host} has {count} addresses", host=host, count=len(addresses)), account=name)


async def _reach(url: str, host: str, name: str, clock: Clock) -> tuple[Finding, Answer | None]:
    from tray_app.adapters.oauth.http_client import HttpClient

    try:
        answer = await HttpClient(clock, DEADLINE).get(url)
    except ProviderError as error:
        failure = error.failure
        if failure.kind is FailureKind.UNTRUSTED:
            remedy = msg(
                "If your company inspects TLS, install its certificate into the system; else do not trust this network"
            )
            return cannot("TLS", failure.message, remedy, account=name), None
        remedy = msg("Look at the network, the firewall and the proxy")
        return cannot("TLS", failure.message, remedy, account=name), None
    if url.startswith("http:"):
        return skipped("TLS", msg("loopback needs none"), account=name), answer
    return ok("TLS", msg("the certificate of {host} verifies", host=host), account=name), answer


async def _discovery(account: Account, clock: Clock) -> Finding:
    from tray_app.adapters.oauth.provider import OAuthProvider

    if account.endpoints is not None:
        return skipped("discovery", msg("the endpoints are named"), account=account.name)
    try:
        found = await OAuthProvider(clock, deadline=DEADLINE).endpoints(account)
    except ProviderError as error:
        remedy = msg("Mend the issuer of accounts.{name}, or name the endpoints", name=account.name)
        return cannot("discovery", error.failure.message, remedy, account=account.name)
    says = msg("{host} is the token endpoint's host", host=urlsplit(found.token).hostname)
    return ok("discovery", says, account=account.name)


def _offset(host: str, answer: Answer, clock: Clock) -> Offset | None:
    """By its Date header (RFC 9110, 6.6.1), which is cut to seconds."""
    try:
        date = parsedate_to_datetime(answer.headers["date"])
    except (KeyError, ValueError):
        return None
    msg = date if date.tzinfo else date.replace(tzinfo=UTC)
    return Offset(host, _whole(msg) - _whole(clock.now()))


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
