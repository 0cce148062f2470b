"""`django-oauth-toolkit` as a running authorization server: a third one, as strict as RFC 9700 makes it.

    with DjangoServer(access_token_ttl=5) as server:
        server.issuer                 # "http://127.0.0.1:40123/o": an issuer with a path, as its manual mounts it
        server.client_id              # "tray": public, PKCE demanded, any port of 127.0.0.1
        redirect = redirect_after_approval(authorization_url)      # from person.py: the user it logs in is there

It rotates refresh tokens and ends the whole family when a used one comes again. It hands a refresh token to every code
grant. Its metadata differ by where they are asked for: those of RFC 8414 name the revocation endpoint, those of OpenID
Connect do not. Anybody may register a client (RFC 7591). `django_missing()` says what the machine lacks for it.
"""

import importlib.util
import json
import sys
from typing import Any

from tests.servers.own_process import OwnProcess, listening, serve

PAGES = {
    "registration/login.html": '<form method="post">{% csrf_token %}{{ form }}<input type="submit"></form>',
}
STRICT = (  # each is said to become the default in its next version
    "IMPLICIT_GRANT PASSWORD_GRANT PKCE_METHOD ACCESS_TOKEN_TRANSPORT AUTHZ_RESPONSE_ISS TOKEN_STORAGE REFRESH_TOKEN"
)


def django_missing() -> str | None:
    """What this environment lacks for the server, in words for a skip; None where it can start."""
    if importlib.util.find_spec("oauth2_provider"):
        return None
    return "django-oauth-toolkit is not installed (python3 packaging/test.py installs it)"


class DjangoServer(OwnProcess):
    def __init__(self, *, access_token_ttl: int = 300) -> None:
        super().__init__("tests.servers.django_server", access_token_ttl=access_token_ttl)


def _serve(options: dict[str, Any]) -> None:
    import django
    from django.conf import settings
    from django.core.management import call_command
    from django.core.wsgi import get_wsgi_application
    from jwcrypto.jwk import JWK

    listener, authority = listening()
    key = JWK.generate(kty="RSA", size=2048)
    applications = ("contenttypes", "sessions", "auth")
    settings.configure(
        SECRET_KEY="test",
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF="tests.servers.django_urls",
        INSTALLED_APPS=[*(f"django.contrib.{one}" for one in applications), "oauth2_provider"],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {
                    "loaders": [
                        ("django.template.loaders.locmem.Loader", PAGES),
                        "django.template.loaders.app_directories.Loader",
                    ]
                },
            }
        ],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        MIGRATION_MODULES=dict.fromkeys((*applications, "oauth2_provider")),  # the tables at once: no past to carry
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
        LOGIN_URL="/login/",
        LOGGING_CONFIG=None,
        OAUTH2_PROVIDER={
            "OIDC_ENABLED": True,
            "OIDC_RSA_PRIVATE_KEY": key.export_to_pem(private_key=True, password=None).decode(),
            "SCOPES": {"openid": "who you are", "read": "what you keep"},
            "ACCESS_TOKEN_EXPIRE_SECONDS": options["access_token_ttl"],
            "REFRESH_TOKEN_REUSE_PROTECTION": True,
            "DCR_ENABLED": True,
            "DCR_REGISTRATION_PERMISSION_CLASSES": ("oauth2_provider.dcr.AllowAllDCRPermission",),
            **{f"COMPLIANT_BCP_RFC9700_{one}": True for one in STRICT.split()},
        },
    )
    django.setup()
    call_command("migrate", run_syncdb=True, verbosity=0)
    _fill()
    serve(listener, get_wsgi_application(), f"http://{authority}/o")


def _fill() -> None:
    """The person, and the client."""
    from django.contrib.auth.models import User
    from oauth2_provider.models import Application

    from tests.servers.person import LOGIN, PASSWORD

    User.objects.create_user(LOGIN, password=PASSWORD)
    Application.objects.create(
        client_id="tray",
        name="tray",
        client_type=Application.CLIENT_PUBLIC,
        authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
        redirect_uris="http://127.0.0.1/callback",
        algorithm=Application.RS256_ALGORITHM,
    )


if __name__ == "__main__":
    _serve(json.loads(sys.argv[1]))
