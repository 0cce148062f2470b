"""What `provider = "..."` stands for: read from `presets.toml`, where each preset names its source."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from tray_app.adapters.config.table import Table
from tray_app.core.account import NOTHING, STANDARD, AuthMethod, Endpoints, Quirks
from tray_app.core.claude_code import PROVIDER as CLAUDE_CODE

FILE = Path(__file__).with_name("presets.toml")


@dataclass(frozen=True, slots=True)
class Preset:
    """What a provider's accounts have in common."""

    name: str | None = None
    title: str = ""
    registration: str = ""
    """Where a person registers a client there."""
    tenant: str = ""
    """The tenant in the provider's URLs; empty where it has none."""
    issuer: str | None = None
    endpoints: Endpoints | None = None
    scopes: tuple[str, ...] = ()
    redirect_uri: str | None = None
    authorization_parameters: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    refresh_parameters: tuple[str, ...] = ()
    auth_method: AuthMethod | None = None
    quirks: Quirks = STANDARD


def preset_names() -> list[str]:
    """What `provider` can be."""
    return [*_all(), CLAUDE_CODE]


def offered() -> list[Preset]:
    """The presets of accounts that Lamplighter signs in itself."""
    return [_preset(name, facts, facts.get("tenant", "")) for name, facts in _all().items()]


def preset(table: Table) -> Preset:
    """The preset that the account's table names, or an empty one. Raises `Misconfigured`."""
    name = table.text("provider")
    if name is None:
        if "tenant" in table.values:
            raise table.wrong("tenant", "belongs to a provider", 'Write provider = "microsoft" with it, or take it out')
        return Preset()
    facts = _all().get(name)
    if facts is None:
        raise table.wrong("provider", f"is `{name}`, which is no preset", f"Choose one of: {', '.join(preset_names())}")
    return _preset(name, facts, _tenant(table, facts))


def _all() -> dict[str, dict[str, Any]]:
    return tomllib.loads(FILE.read_text("utf-8"))


def _tenant(table: Table, facts: dict[str, Any]) -> str:
    tenant = table.text("tenant")
    if tenant is not None and "tenant" not in facts:
        raise table.wrong("tenant", "is nothing that this provider knows", "Take it out")
    if tenant is not None and not tenant.replace("-", "").replace(".", "").isalnum():
        raise table.wrong("tenant", f"is `{tenant}`", "Write the directory's id or domain, such as contoso.com")
    return tenant or facts.get("tenant", "")


def _preset(name: str, facts: dict[str, Any], tenant: str) -> Preset:
    def url(key: str) -> str | None:
        found = facts.get(key)
        return found and str(found).replace("{tenant}", tenant)

    authorization, token = url("authorization_endpoint"), url("token_endpoint")
    endpoints = None
    if authorization and token:
        endpoints = Endpoints(authorization, token, url("revocation_endpoint"), url("device_authorization_endpoint"))
    hours = facts.get("assumed_lifetime_hours")
    return Preset(
        name=name,
        title=facts.get("title", name),
        registration=url("registration") or "",
        tenant=tenant,
        issuer=url("issuer"),
        endpoints=endpoints,
        scopes=tuple(facts.get("scopes", ())),
        redirect_uri=facts.get("redirect_uri"),
        authorization_parameters=facts.get("authorization_parameters", NOTHING),
        refresh_parameters=tuple(facts.get("refresh_parameters", ())),
        auth_method=cast("AuthMethod | None", facts.get("token_endpoint_auth_method")),
        quirks=Quirks(
            refused_codes=frozenset(facts.get("refused_codes", ())),
            bearer_types=frozenset(facts.get("bearer_types", ())),
            configuration_codes=frozenset(facts.get("configuration_codes", ())),
            assumed_lifetime=timedelta(hours=hours) if hours else None,
            id_token_issuer=url("id_token_issuer"),
            token_hosts=frozenset(facts.get("token_hosts", ())),
            needs_client_secret=bool(facts.get("needs_client_secret")),
        ),
    )
