"""`lamplighter accounts` and `secret`: comments are kept, the provider is asked, nothing is asked of a script."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest

from tests.integration.hostile_server import form, json_response
from tests.integration.lamplighter_process import Finished, Lamplighter, Provider
from tray_app.base.http.server import Request, Response

WRITTEN = """\
# my accounts
store = "keyring"   # where tokens are

[accounts.old]  # the first
issuer = "https://login.example.com"
client_id = "c"
# only what is needed
scopes = ["openid"]

[retry]
first = "1s"  # quick
"""


def written(home: Lamplighter) -> str:
    return (home.home / "config.toml").read_text()


def account(home: Lamplighter, name: str = "work") -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads(written(home))["accounts"][name]
    return found


def add(home: Lamplighter, *words: str) -> Finished:
    return home.run("accounts", "add", *words)


@pytest.fixture
def registering(provider: Provider) -> Provider:
    """A provider that registers clients, and an MCP server that trusts it."""

    async def register(_: Request) -> Response:
        return json_response(201, client_id="registered")

    async def resource(_: Request) -> Response:
        return json_response(resource=f"{provider.issuer}/mcp", authorization_servers=[provider.issuer])

    provider.server.metadata["registration_endpoint"] = f"{provider.issuer}/register"
    provider.server.other["/register"] = register
    provider.server.other["/.well-known/oauth-protected-resource/mcp"] = resource
    return provider


def test_from_nothing_to_the_first_token_of_an_mcp_server_in_three_steps(
    lamplighter: Lamplighter, registering: Provider
) -> None:
    added = add(lamplighter, "mcp", "--resource", f"{registering.issuer}/mcp")
    assert (added.code, added.out) == (0, ""), added
    assert account(lamplighter, "mcp") == {"resource": f"{registering.issuer}/mcp"}
    lamplighter.sign_in("mcp", registering)
    token = lamplighter.run("token", "mcp")

    assert (token.code, token.out) == (0, "canary-access-1\n"), token
    assert form(registering.server.to("/token")[0])["client_id"] == "registered"
    assert registering.server.asked["resource"] == f"{registering.issuer}/mcp"
    assert lamplighter.run("refresh", "mcp").code == 0  # another process knows the client, too
    assert len(registering.server.to("/register")) == 1


def test_what_is_added_keeps_every_comment(lamplighter: Lamplighter, provider: Provider) -> None:
    lamplighter.configure(WRITTEN)

    finished = add(
        lamplighter, "work", "--issuer", provider.issuer, "--client-id", "tray", "--scope", "openid", "--scope", "a"
    )

    assert (finished.code, finished.out) == (0, ""), finished
    assert "lamplighter login work" in finished.err
    assert account(lamplighter) == {"issuer": provider.issuer, "client_id": "tray", "scopes": ["openid", "a"]}
    for line in WRITTEN.splitlines():
        assert line in written(lamplighter)
    assert (lamplighter.home / "config.toml").stat().st_mode & 0o777 == 0o600


def test_the_scopes_of_a_refresh_token_are_written_where_the_provider_knows_them(
    keyless: Lamplighter, provider: Provider
) -> None:
    provider.server.metadata["scopes_supported"] = ["openid", "offline_access", "email"]

    assert add(keyless, "work", "--issuer", provider.issuer, "--client-id", "tray").code == 0

    assert account(keyless)["scopes"] == ["openid", "offline_access"]
    assert account(keyless)["authorization_parameters"] == {"prompt": "consent"}


def test_a_preset_with_a_client_id_needs_no_network(keyless: Lamplighter) -> None:
    finished = add(keyless, "git", "--preset", "github", "--client-id", "Iv1.x", "--scope", "repo")

    assert finished.code == 0, finished
    assert account(keyless, "git") == {"provider": "github", "client_id": "Iv1.x", "scopes": ["repo"]}


def test_a_provider_that_cannot_be_reached_is_a_warning(keyless: Lamplighter) -> None:
    finished = add(keyless, "work", "--issuer", "http://127.0.0.1:1", "--client-id", "tray")

    assert (finished.code, finished.out) == (0, ""), finished
    assert "could not be asked yet" in finished.err
    assert account(keyless)["issuer"] == "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["work"], 2, "--issuer"),
        (["work", "--issuer", "http://a.example"], 2, "https"),
        (["work", "--issuer", "javascript:alert(1)"], 2, "https"),
        (["a/b", "--issuer", "https://a.example"], 2, "name"),
        (["work", "--preset", "gitbub", "--client-id", "c"], 2, "github"),
        (["work", "--preset", "github"], 2, "client_id"),
        (["work", "--issuer", "https://a.example", "--scope", "a b"], 2, "scope"),
        (["old", "--issuer", "https://a.example"], 5, "already"),
        (["OLD", "--issuer", "https://a.example"], 5, "accounts remove old"),
    ],
)
def test_what_cannot_be_is_told_and_nothing_is_written(
    keyless: Lamplighter, words: list[str], code: int, said: str
) -> None:
    keyless.configure(WRITTEN)

    finished = add(keyless, *words)

    assert (finished.code, finished.out) == (code, ""), finished
    assert said in finished.err
    assert written(keyless) == WRITTEN


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"issuer": "https://evil.example"}, "calls itself by another issuer"),
        ({"token_endpoint": "http://evil.example/t"}, "token_endpoint"),
        ({}, "registers no clients"),
    ],
)
def test_a_provider_that_cannot_serve_is_told_and_nothing_is_written(
    keyless: Lamplighter, provider: Provider, metadata: dict[str, str], said: str
) -> None:
    provider.server.metadata |= metadata

    finished = add(keyless, "work", "--issuer", provider.issuer)

    assert finished.code == 5, finished
    assert said in finished.err
    assert not (keyless.home / "config.toml").exists()


def test_a_broken_file_is_not_touched(keyless: Lamplighter) -> None:
    keyless.configure("[accounts.work\n")

    assert add(keyless, "more", "--issuer", "https://a.example", "--client-id", "c").code == 5
    assert keyless.run("accounts", "remove", "work").code == 5
    assert written(keyless) == "[accounts.work\n"


def test_a_running_applet_knows_the_account_when_the_command_ends(lamplighter: Lamplighter, provider: Provider) -> None:
    with lamplighter.applet():
        assert add(lamplighter, "work", "--issuer", provider.issuer, "--client-id", "tray").code == 0
        lamplighter.sign_in("work", provider)
        lamplighter.until_health("fresh")


def test_accounts_are_listed_with_where_they_sign_in(keyless: Lamplighter) -> None:
    assert keyless.run("accounts", "list").out == ""
    keyless.configure(WRITTEN, '[accounts.mcp]\nresource = "https://mcp.example/mcp"')

    assert keyless.run("accounts", "list").out == "old\thttps://login.example.com\nmcp\thttps://mcp.example/mcp\n"


@pytest.mark.parametrize("by_applet", [False, True], ids=["without an applet", "by the applet"])
def test_what_is_removed_is_signed_out_first_and_nothing_of_it_is_left(
    lamplighter: Lamplighter, provider: Provider, *, by_applet: bool
) -> None:
    lamplighter.configure(WRITTEN, provider.account(), "[accounts.work.authorization_parameters]\nhd = 'x'")
    lamplighter.sign_in("work", provider)
    assert lamplighter.feed("canary-secret\n", "secret", "set", "work").code == 0
    if by_applet:
        with lamplighter.applet():
            finished = lamplighter.run("accounts", "remove", "work")
    else:
        finished = lamplighter.run("accounts", "remove", "work")

    assert (finished.code, finished.out) == (0, ""), finished
    assert len(provider.server.to("/revoke")) == 2
    assert tomllib.loads(written(lamplighter)) == tomllib.loads(WRITTEN)
    for line in WRITTEN.splitlines():
        assert line in written(lamplighter)
    lamplighter.configure(provider.account())
    assert lamplighter.run("token", "work").code == 3
    assert lamplighter.run("accounts", "remove", "nobody").code == 5


def test_a_client_secret_comes_from_standard_input_and_is_sent_to_the_provider_alone(
    lamplighter: Lamplighter, provider: Provider
) -> None:
    provider.server.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    lamplighter.configure(provider.account())
    found = lamplighter.feed("canary-secret\n", "secret", "set", "work")
    lamplighter.sign_in("work", provider)

    assert (found.code, found.out) == (0, ""), found
    assert form(provider.server.to("/token")[0])["client_secret"] == "canary-secret"
    everything = (
        found.err + lamplighter.log + json.dumps(lamplighter.run("status", "--json").json()) + written(lamplighter)
    )
    assert "canary-secret" not in everything


def test_a_secret_set_while_the_provider_refuses_the_client_is_tried_at_once(
    lamplighter: Lamplighter, provider: Provider
) -> None:
    provider.server.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    lamplighter.given(provider, life=600, age=700)
    usual = provider.server.token

    async def guarded(request: Request) -> Response:
        right = form(request).get("client_secret") == "right"
        return await usual(request) if right else json_response(401, error="invalid_client")

    provider.server.token = guarded
    with lamplighter.applet():
        lamplighter.until_health("sign-in-needed")
        assert lamplighter.feed("right", "secret", "set", "work").code == 0
        lamplighter.until_health("fresh")


@pytest.mark.parametrize(("text", "name", "code"), [("", "work", 2), ("a\nb\n", "work", 2), ("s", "nobody", 5)])
def test_a_secret_that_is_none_is_told(
    lamplighter: Lamplighter, provider: Provider, text: str, name: str, code: int
) -> None:
    lamplighter.configure(provider.account())

    assert lamplighter.feed(text, "secret", "set", name).code == code


def test_a_secret_in_memory_is_not_said_to_be_in_the_keyring(keyless: Lamplighter, provider: Provider) -> None:
    keyless.configure('store = "memory"', provider.account())
    with keyless.applet():
        found = keyless.feed("canary-secret", "secret", "set", "work")

    assert found.code == 0, found
    assert "in the memory of the applet, and ends with it" in found.err


def test_without_a_keyring_a_secret_is_kept_nowhere(keyless: Lamplighter, provider: Provider) -> None:
    keyless.configure(provider.account())

    found = keyless.feed("canary-secret", "secret", "set", "work")

    assert found.code == 6, found
    assert "canary-secret" not in found.err + keyless.log
