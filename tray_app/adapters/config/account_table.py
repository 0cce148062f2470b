"""Parses one `[accounts.NAME]`, with defaults from its preset."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from types import MappingProxyType
from typing import cast, get_args
from urllib.parse import urlsplit

from tray_app.adapters.config.presets import Preset, preset
from tray_app.adapters.config.table import Table
from tray_app.core.account import (
    DEFAULT_REDIRECT_URI,
    RESERVED_PARAMETERS,
    Account,
    AuthMethod,
    Endpoints,
    RefreshPolicy,
)
from tray_app.core.claude_code import PROVIDER as CLAUDE_CODE

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
_METADATA = re.compile(r"/\.well-known/(oauth-authorization-server|openid-configuration|oauth-protected-resource)")
_KEYS = (
    "issuer", "client_id", "scopes", "resource", "provider", "tenant", "command", "directory",
    "authorization_endpoint", "token_endpoint", "revocation_endpoint", "device_authorization_endpoint",
    "redirect_uri", "token_request", "token_endpoint_auth_method", "authorization_parameters", "exchange_parameters",
    "refresh_before", "refresh_every", "refresh_parameters", "refused_codes", "allow_token_host", "on_refresh", "hosts",
)  # fmt: skip
_WATCHED = ("provider", "command", "directory")
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "revocation_endpoint", "device_authorization_endpoint")


def account_of(name: str, accounts: Table, others: Mapping[str, str]) -> Account:
    """The account of that name. `others` maps the lower-cased names read so far. Raises `Misconfigured`."""
    if not _NAME.fullmatch(name):
        raise accounts.wrong(name, "is not a name for an account", "Use letters, digits, '.', '_' and '-', 64 at most")
    if (twin := others.get(name.lower())) is not None:
        raise accounts.wrong(name, f"differs from `{twin}` in capitals alone", "Give one of them another name")
    table = accounts.table(name)
    table.known(_KEYS)
    if table.values.get("provider") == CLAUDE_CODE:
        return _watched(name, table)
    for key in ("command", "directory"):
        if key in table.values:
            raise table.wrong(key, f'belongs to provider = "{CLAUDE_CODE}"', "Take it out")
    usual = preset(table)
    where = _where(table, usual)
    dialect = table.choice("token_request", ("form", "json"), "form")
    policy = RefreshPolicy(
        table.duration("refresh_before", RefreshPolicy().refresh_before),
        table.duration("refresh_every", timedelta(0)) or None,
    )
    return Account(
        name=name,
        client_id=_client_id(table, where),
        issuer=where.issuer,
        endpoints=where.endpoints,
        resource=where.resource,
        provider=usual.name,
        scopes=table.texts("scopes", _check_scope) or usual.scopes,
        redirect_uri=_redirect_uri(table) or usual.redirect_uri or DEFAULT_REDIRECT_URI,
        token_request="json" if dialect == "json" else "form",
        authorization_parameters=_authorization_parameters(table, usual),
        exchange_parameters=table.texts("exchange_parameters", _one_of("state")),
        refresh_parameters=table.texts("refresh_parameters", _one_of("scope")) or usual.refresh_parameters,
        auth_method=_auth_method(table) or usual.auth_method,
        quirks=replace(
            usual.quirks, refused_codes=usual.quirks.refused_codes | frozenset(table.texts("refused_codes"))
        ),
        policy=policy,
        allow_token_host=_token_host(table),
        on_refresh=table.texts("on_refresh"),
        hosts=table.texts("hosts"),
    )


def _watched(name: str, table: Table) -> Account:
    for key in table.values:
        if key not in _WATCHED:
            remedy = f"Lamplighter only watches this account. Known here: {', '.join(_WATCHED)}"
            raise table.wrong(key, "has no meaning for Claude Code, which keeps its own sign-in", remedy)
    return Account(name, provider=CLAUDE_CODE, command=table.text("command"), directory=table.text("directory"))


@dataclass(frozen=True, slots=True)
class _Where:
    issuer: str | None
    endpoints: Endpoints | None
    resource: str | None


def _where(table: Table, usual: Preset) -> _Where:
    """Where the account's server is. What the file says of it replaces all that the preset says: never half of each."""
    issuer, resource, endpoints = _address(table, "issuer"), _address(table, "resource"), _endpoints(table)
    if issuer or endpoints:
        return _Where(issuer, endpoints, resource)
    if usual.issuer or usual.endpoints:
        return _Where(usual.issuer, usual.endpoints, resource)
    if resource is None:
        remedy = 'Write issuer = "https://...", or authorization_endpoint and token_endpoint'
        raise table.lacking("issuer", remedy)
    return _Where(None, None, resource)


def _address(table: Table, key: str) -> str | None:
    """The issuer or resource; the address of its metadata, pasted in its place, is told with what to write instead."""
    url = table.url(key)
    found = _METADATA.search(url or "")
    if url is not None and found:
        meant = (url[: found.start()] + url[found.end() :]).rstrip("/")
        raise table.wrong(key, "is the address of its metadata", f'Write {key} = "{meant}"')
    return url


def _client_id(table: Table, where: _Where) -> str | None:
    """Its client id; without one a client is registered (RFC 7591), which needs the server's metadata."""
    client_id = table.text("client_id")
    if client_id is None and (where.endpoints is not None or "provider" in table.values):
        raise table.lacking("client_id", 'Write the client id that your provider gave you: client_id = "..."')
    return client_id


def _endpoints(table: Table) -> Endpoints | None:
    named = {key: table.url(key) for key in _ENDPOINTS}
    if not any(named.values()):
        return None
    authorization, token = named["authorization_endpoint"], named["token_endpoint"]
    if authorization is None or token is None:
        missing = "authorization_endpoint" if authorization is None else "token_endpoint"
        raise table.lacking(missing, "Name both authorization_endpoint and token_endpoint, or only the issuer")
    return Endpoints(
        authorization=authorization,
        token=token,
        revocation=named["revocation_endpoint"],
        device_authorization=named["device_authorization_endpoint"],
        issuer=table.text("issuer"),
    )


def _redirect_uri(table: Table) -> str | None:
    uri = table.text("redirect_uri")
    if uri is None:
        return None
    try:
        parts = urlsplit(uri)
        good = parts.scheme == "http" and parts.hostname in {"127.0.0.1", "::1", "localhost"} and parts.port != 0
        good = good and not (parts.query or parts.fragment or parts.username or parts.password is not None)
    except ValueError:
        good = False
    if not good or not uri.isprintable() or " " in uri:
        remedy = f'Use an http address of this computer, such as "{DEFAULT_REDIRECT_URI}" or "http://localhost:8080/callback"'
        raise table.wrong("redirect_uri", "is not a loopback address", remedy)
    return uri


def _auth_method(table: Table) -> AuthMethod | None:
    key = "token_endpoint_auth_method"
    return cast("AuthMethod", table.choice(key, get_args(AuthMethod), "")) if key in table.values else None


def _authorization_parameters(table: Table, usual: Preset) -> Mapping[str, str]:
    parameters = table.table("authorization_parameters")
    for key in parameters.values:
        if key in RESERVED_PARAMETERS:
            raise parameters.wrong(key, "belongs to the protocol and cannot be set", "Take it out")
    own = {key: parameters.text(key) or "" for key in parameters.values}
    return MappingProxyType({**usual.authorization_parameters, **own})


def _check_scope(scope: str) -> str | None:
    return None if re.fullmatch(r"[\x21\x23-\x5b\x5d-\x7e]+", scope) else "one scope an entry, without spaces or quotes"


def _token_host(table: Table) -> str | None:
    host = table.text("allow_token_host")
    if host is not None and not re.fullmatch(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:]+", host):
        remedy = 'Write the name alone: allow_token_host = "tokens.example.com"'
        raise table.wrong("allow_token_host", "is no host", remedy)
    return host and host.lower()


def _one_of(*choices: str) -> Callable[[str], str | None]:
    return lambda text: None if text in choices else f"one of {', '.join(choices)}"
