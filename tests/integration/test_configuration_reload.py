"""A configuration that is changed while the applet runs: taken up, told where it is broken, and never a leak."""

from __future__ import annotations

import pytest

from tests.integration.hostile_server import json_response
from tests.integration.lamplighter_process import Lamplighter, Provider, arrive, eventually, listens

TAKEN_UP = 10.0
"""Seconds in which a saved change is taken up: three, where the machine has time; by the heartbeat alone it were 30."""


def names(lamplighter: Lamplighter) -> list[str]:
    return [account["name"] for account in lamplighter.ask("GET", "/v1/status").body["accounts"]]


def error(lamplighter: Lamplighter) -> str | None:
    found: str | None = lamplighter.ask("GET", "/v1/status").body["configuration_error"]
    return found


def test_accounts_come_and_go_with_the_file(keyless: Lamplighter, provider: Provider) -> None:
    work, home, club = (provider.account(name) for name in ("work", "home", "club"))
    with keyless.applet():
        assert names(keyless) == []
        for parts, expected in (
            ([work], ["work"]),
            ([home, work], ["home", "work"]),
            ([club, home], ["club", "home"]),
            ([], []),
        ):
            keyless.configure('store = "memory"', *parts)
            eventually(lambda: names(keyless) == expected, TAKEN_UP)  # noqa: B023 - asked within the turn
        keyless.configure('store = "memory"', work)
        eventually(lambda: names(keyless) == ["work"], TAKEN_UP)
        (keyless.home / "config.toml").unlink()
        eventually(lambda: names(keyless) == [], TAKEN_UP)
        assert error(keyless) is None


def test_a_file_that_is_written_in_place_is_taken_up_too(keyless: Lamplighter, provider: Provider) -> None:
    keyless.configure('store = "memory"', provider.account())
    with keyless.applet():
        with (keyless.home / "config.toml").open("a") as file:
            file.write(provider.account("home"))
        eventually(lambda: names(keyless) == ["work", "home"], TAKEN_UP)


def test_an_account_that_stays_keeps_its_tokens(lamplighter: Lamplighter, provider: Provider) -> None:
    lamplighter.given(provider)
    with lamplighter.applet():
        lamplighter.configure(provider.account(refresh_before="1m"), provider.account("home"))
        eventually(lambda: names(lamplighter) == ["work", "home"], TAKEN_UP)

        assert lamplighter.run("token", "work").out == "canary-access-1\n"
        assert provider.token_requests() == 0


def test_an_account_that_comes_back_has_its_tokens_again(lamplighter: Lamplighter, provider: Provider) -> None:
    lamplighter.given(provider)
    with lamplighter.applet():
        lamplighter.configure()
        eventually(lambda: names(lamplighter) == [], TAKEN_UP)
        assert lamplighter.ask("GET", "/v1/accounts/work/token").status == 404
        lamplighter.configure(provider.account())
        eventually(lambda: names(lamplighter) == ["work"], TAKEN_UP)

        assert lamplighter.run("token", "work").out == "canary-access-1\n"


def test_a_broken_change_leaves_the_last_good_one_in_force_and_is_told(
    lamplighter: Lamplighter, provider: Provider
) -> None:
    lamplighter.given(provider)
    with lamplighter.applet():
        lamplighter.configure(provider.account(), "[accounts.home]", "isuer = 1")
        eventually(lambda: error(lamplighter) is not None, TAKEN_UP)
        status = lamplighter.run("status", "--json")

        assert status.code == 0
        assert "config.toml, line 7, accounts.home" in status.json()["configuration_error"]
        assert "Did you mean `issuer`?" in status.json()["configuration_error"]
        assert "Did you mean `issuer`?" in lamplighter.run("status").err
        assert "config.toml, line 7" in lamplighter.log
        assert names(lamplighter) == ["work"]
        assert lamplighter.run("token", "work").out == "canary-access-1\n"
        assert lamplighter.run("config", "check").code == 5
        lamplighter.configure(provider.account())
        eventually(lambda: error(lamplighter) is None, TAKEN_UP)


def test_the_same_mistake_is_told_once(keyless: Lamplighter, provider: Provider) -> None:
    keyless.configure('store = "memory"', provider.account())
    with keyless.applet():
        for turn in range(3):
            keyless.configure("nonsense = 1", f"# {turn}")
            eventually(lambda: error(keyless) is not None, TAKEN_UP)
        keyless.configure("nonsense = 1\n[accounts")
        eventually(lambda: "line 2" in str(error(keyless)), TAKEN_UP)
        assert keyless.log.count("unknown key `nonsense`") == 1


def test_an_applet_does_not_start_on_a_broken_file(keyless: Lamplighter) -> None:
    keyless.configure('[accounts.work]\nissuer = 7\nclient_id = "tray"')
    found = keyless.run("run", "--headless")

    assert (found.code, found.out) == (5, "")
    assert "config.toml, line 2, accounts.work" in found.err
    assert not keyless.socket.exists()


@pytest.mark.parametrize("what", ["issuer", "client id"])
def test_tokens_are_not_sent_to_another_place_and_serve_again_when_the_change_is_taken_back(
    lamplighter: Lamplighter, provider: Provider, what: str
) -> None:
    lamplighter.given(provider)
    with Provider() as other, lamplighter.applet():
        moved = other.account() if what == "issuer" else provider.account(client_id="another")
        lamplighter.configure(moved)
        eventually(lambda: lamplighter.health() == "signed-out", TAKEN_UP)
        account = lamplighter.account()

        assert account["last_error"]["kind"] == "misconfigured"
        assert lamplighter.ask("GET", "/v1/accounts/work/token").status == 409
        assert lamplighter.ask("POST", "/v1/accounts/work/refresh").status == 409
        assert lamplighter.run("token", "work").code == 3
        assert other.server.requests == []
        assert provider.token_requests() == 0
        assert lamplighter.account() == account, "nothing has happened since"
        lamplighter.configure(provider.account())
        eventually(lambda: lamplighter.health() == "fresh", TAKEN_UP)
        assert lamplighter.account()["last_error"] is None
        assert lamplighter.run("refresh", "work").code == 0
    assert "signed-out, since its configuration was changed" in lamplighter.log


def test_a_new_sign_in_replaces_tokens_that_belong_elsewhere(lamplighter: Lamplighter, provider: Provider) -> None:
    lamplighter.given(provider)
    with Provider() as other, lamplighter.applet():
        other.name = "other"
        lamplighter.configure(other.account())
        eventually(lambda: lamplighter.health() == "signed-out", TAKEN_UP)
        lamplighter.sign_in("work", other)
        assert lamplighter.run("token", "work").out == "other-access-1\n"
        lamplighter.configure(provider.account())
        eventually(lambda: lamplighter.health() == "signed-out", TAKEN_UP)
    assert provider.token_requests() == 0


def test_the_answer_to_an_open_refresh_is_not_taken_for_the_new_issuer_s(
    lamplighter: Lamplighter, provider: Provider
) -> None:
    let_go = provider.hold()
    lamplighter.given(provider, life=600, age=700)
    with Provider() as other, lamplighter.applet():
        eventually(provider.token_requests)
        lamplighter.configure(other.account())
        eventually(lambda: lamplighter.health() == "signed-out", TAKEN_UP)
        let_go()
        eventually(lambda: provider.refresh_token == "canary-refresh-2")
        assert lamplighter.run("refresh", "work").code == 3
        assert (lamplighter.health(), other.server.requests) == ("signed-out", [])
        lamplighter.configure(provider.account())
        eventually(lambda: lamplighter.health() == "fresh", TAKEN_UP)
        assert lamplighter.run("token", "work").out == "canary-access-2\n"
    assert provider.reused == 0


def test_a_slow_provider_of_an_account_that_is_gone_does_not_hold_up_the_others(
    lamplighter: Lamplighter, provider: Provider
) -> None:
    let_go = provider.hold()
    lamplighter.given(provider, life=600, age=700)
    with lamplighter.applet():
        eventually(provider.token_requests)
        lamplighter.configure(provider.account("home"))
        eventually(lambda: names(lamplighter) == ["home"], TAKEN_UP)
        lamplighter.configure(provider.account("home"), provider.account())
        eventually(lambda: names(lamplighter) == ["home", "work"], TAKEN_UP)
        let_go()
        lamplighter.until_health("fresh")
    assert (provider.refreshes, provider.reused) == (1, 0)


def test_a_removed_account_s_open_sign_in_ends(keyless: Lamplighter, provider: Provider) -> None:
    keyless.configure('store = "memory"', provider.account())
    with keyless.applet():
        login = keyless.start("login", "work", "--no-browser")
        callback = provider.approve(login.line())
        keyless.configure('store = "memory"')

        assert login.wait().code == 3
        assert not listens(callback)


def test_a_configuration_that_the_provider_refused_is_tried_again_once_it_is_changed(
    lamplighter: Lamplighter, provider: Provider
) -> None:
    provider.answer(json_response(401, error="invalid_client"))
    lamplighter.given(provider, life=600, age=700)
    with lamplighter.applet():
        lamplighter.until_health("sign-in-needed")
        provider.behave()
        lamplighter.configure(provider.account(refresh_before="1m"))
        lamplighter.until_health("fresh", seconds=TAKEN_UP)


def test_another_store_is_taken_up(lamplighter: Lamplighter, provider: Provider) -> None:
    lamplighter.given(provider)
    with lamplighter.applet():
        lamplighter.configure('store = "memory"', provider.account())
        eventually(lambda: lamplighter.health() == "signed-out", TAKEN_UP)
        login = lamplighter.start("login", "work", "--no-browser")
        arrive(provider.approve(login.line()))
        assert login.wait().code == 0
        assert lamplighter.run("token", "work").out == "canary-access-2\n"
        lamplighter.configure(provider.account())
        eventually(lambda: lamplighter.run("token", "work").out == "canary-access-1\n", TAKEN_UP)
