"""`canaille` as a running authorization server: a second one, by other hands, in a process of its own.

    with CanailleServer(redirect_uri="http://127.0.0.1:40999/callback", access_token_ttl=5) as server:
        server.issuer                 # "http://127.0.0.1:40123"
        server.client_id              # "tray": public, PKCE demanded; the redirect URI is compared letter by letter
        redirect = redirect_after_approval(authorization_url)      # from person.py: the user it logs in is there

It rotates refresh tokens, refuses a used one with invalid_grant, and lets the rest of the family live. It hands a
refresh token to every code grant (scope `openid` alone serves; `offline_access` it does not know), demands a nonce
with `openid`, and knows the prompts none, login, consent and select_account. RFC 7591 (without a token), 7009 and 7662
are served too. `canaille_missing()` says what the machine lacks for it.
"""

import importlib.util
import json
import os
import sys
from typing import Any

from tests.servers.own_process import OwnProcess, listening, serve


def canaille_missing() -> str | None:
    """What this environment lacks for the server, in words for a skip; None where it can start."""
    if importlib.util.find_spec("canaille"):
        return None
    return "canaille is not installed (python3 packaging/test.py installs it)"


class CanailleServer(OwnProcess):
    def __init__(self, *, redirect_uri: str = "http://127.0.0.1/callback", access_token_ttl: int = 300) -> None:
        super().__init__("tests.servers.canaille_server", redirect_uri=redirect_uri, access_token_ttl=access_token_ttl)


def _serve(options: dict[str, Any]) -> None:
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # http, on loopback
    from canaille import create_app  # type: ignore[import-untyped]  # it ships no types
    from canaille.app import models  # type: ignore[import-untyped]
    from canaille.backends import Backend  # type: ignore[import-untyped]
    from joserfc.jwk import JWKRegistry

    from tests.servers.person import LOGIN, PASSWORD

    listener, authority = listening()
    lives = dict.fromkeys(("authorization_code", "refresh_token"), options["access_token_ttl"])
    key = JWKRegistry.generate_key("RSA", 2048)
    key.ensure_kid()
    app = create_app(
        config={
            "ENV_FILE": None,
            "SECRET_KEY": "test",
            "PREFERRED_URL_SCHEME": "http",
            "SERVER_NAME": authority,
            "OAUTH2_TOKEN_EXPIRES_IN": lives,
            "CANAILLE": {"DATABASE": "memory", "JAVASCRIPT": False},
            "CANAILLE_OIDC": {"DYNAMIC_CLIENT_REGISTRATION_OPEN": True, "ACTIVE_JWKS": [key.as_dict(private=True)]},
        }
    )
    user = {"user_name": LOGIN, "family_name": "Lovelace", "emails": [f"{LOGIN}@example.test"], "password": PASSWORD}
    client = {
        "client_id": "tray",
        "client_name": "tray",
        "client_uri": f"http://{authority}",
        "redirect_uris": [options["redirect_uri"]],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "scope": ["openid", "email"],
    }
    with app.app_context():
        Backend.instance.save(models.User(**user))
        Backend.instance.save(tray := models.Client(**client))
        tray.audience = [tray]  # as its own registration does; without it id_tokens are for nobody
        Backend.instance.save(tray)
    serve(listener, app, f"http://{authority}")


if __name__ == "__main__":
    _serve(json.loads(sys.argv[1]))
