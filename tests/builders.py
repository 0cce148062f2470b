"""Values for tests, with defaults, so that a test writes only what matters to it."""

from __future__ import annotations

import importlib.util
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

from tray_app.core.account import Account, Endpoints, RefreshPolicy
from tray_app.core.failure import Failure, FailureKind
from tray_app.core.tokens import Secret, TokenSet

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ISSUER = "https://login.example.com"
BOUND = f"issuer={ISSUER} client_id=tray"


def account(name: str = "work", **changes: object) -> Account:
    """An account at `ISSUER`."""
    facts: dict[str, object] = {"name": name, "client_id": "tray", "issuer": ISSUER, "scopes": ("openid",)}
    return Account(**(facts | changes))  # type: ignore[arg-type]  # a builder takes what the test gives


def endpoints(base: str, **changes: object) -> Endpoints:
    """Endpoints below `base`, by their usual names."""
    facts: dict[str, object] = {"authorization": f"{base}/authorize", "token": f"{base}/token"}
    return Endpoints(**(facts | changes))  # type: ignore[arg-type]  # as above


def tokens(
    minutes_left: float = 47,
    *,
    life: timedelta = timedelta(hours=1),
    now: datetime = NOW,
    refresh_token: str | None = "R0",
    access_token: str = "A0",
    sign_in_ends_at: datetime | None = None,
    bound_to: str = BOUND,
) -> TokenSet:
    """Tokens of an hour's life with 47 minutes left."""
    return TokenSet(
        access_token=Secret(access_token),
        token_type="Bearer",
        received_at=now + timedelta(minutes=minutes_left) - life,
        lifetime=life,
        refresh_token=Secret(refresh_token) if refresh_token else None,
        scopes=("openid",),
        subject=None,
        sign_in_ends_at=sign_in_ends_at,
        bound_to=bound_to,
    )


def failure(kind: FailureKind = FailureKind.UNREACHABLE, at: datetime = NOW, **changes: object) -> Failure:
    """A failure of the kind."""
    facts: dict[str, object] = {"kind": kind, "message": f"{kind} it was", "at": at}
    return Failure(**(facts | changes))  # type: ignore[arg-type]  # as above


POLICY = RefreshPolicy()


def script(name: str) -> ModuleType:
    """A script of `packaging`, which is no package, as a module."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / "packaging" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    sys.path.append(str(Path(spec.origin or "").parent))  # its neighbours
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
