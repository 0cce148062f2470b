"""oauthlib's half for clients. Its half for servers, which is imported along with it, a tray need not carry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tray_app.base.lean_imports import lean_imports

if TYPE_CHECKING:
    from oauthlib.oauth2 import WebApplicationClient

FOR_SERVERS: Final = (
    "oauthlib.oauth2.rfc6749.endpoints",
    "oauthlib.oauth2.rfc6749.endpoints.base",
    "oauthlib.oauth2.rfc6749.grant_types",
    "oauthlib.oauth2.rfc8628.endpoints",
    "oauthlib.oauth2.rfc8628.grant_types",
    "oauthlib.openid",
)
"""37 modules, 0.5 MB (measured)."""


class _Nothing:
    """A package in which every name is found, and means nothing."""

    __path__ = ()

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return object


def import_oauthlib() -> type[WebApplicationClient]:
    """The client of the authorization code, of refreshing and of revoking."""
    with lean_imports(dict.fromkeys(FOR_SERVERS, _Nothing())):
        from oauthlib.oauth2 import WebApplicationClient
    return WebApplicationClient
