"""The commands while no applet runs, by the letter of their exit codes and of what they print."""

from __future__ import annotations

import re
import signal
import stat
import sys
import urllib.parse
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from tests.integration.hostile_server import json_response
from tests.integration.lamplighter_process import (
    COMMAND,
    Finished,
    Lamplighter,
    Provider,
    arrive,
    eventually,
    listens,
)
from tests.keyring_session import KeyringSession
from tray_app.base.http.server import Response

COMMANDS = [
    "run",
    "accounts",
    "secret",
    "login",
    "logout",
    "refresh",
    "token",
    "status",
    "config",
    "autostart",
    "quit",
    "demo",
]
OF_AN_ACCOUNT = ["login", "logout", "refresh", "token"]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@pytest.fixture
def signed_in(lamplighter: Lamplighter, provider: Provider) -> Lamplighter:
    lamplighter.given(provider)
    return lamplighter


@pytest.fixture
def ended(lamplighter: Lamplighter, provider: Provider) -> Lamplighter:
    """With an access token whose life is over, and a sign-in that may still be good."""
    lamplighter.given(provider, life=600, age=700)
    return lamplighter


def assert_told(finished: Finished, code: int, *words: str) -> None:
    """That code, nothing on standard output, and one line of words without a traceback."""
    assert (finished.code, finished.out) == (code, ""), finished
    assert finished.err.startswith("lamplighter: "), finished
    assert len(finished.err.splitlines()) == 1, finished
    for word in words:
        assert word in finished.err, finished


# -- words


def test_every_command_has_a_help(keyless: Lamplighter) -> None:
    every = [[], *([command] for command in COMMANDS), ["config", "check"], ["config", "path"]]
    for found in keyless.run_all(*([*words, "--help"] for words in every)):
        assert (found.code, found.err) == (0, "")
        assert found.out.startswith("Usage: lamplighter")
    assert not keyless.home.exists()


def test_the_version_is_told(keyless: Lamplighter) -> None:
    assert re.fullmatch(r"lamplighter \d+\.\d+\.\d+\S*\n", keyless.run("--version").out)


def test_words_that_do_not_fit_are_usage_errors(keyless: Lamplighter) -> None:
    lines = ["nonsense", "--nonsense", "login", "token", "token work more", "token work --min-ttl -1"]
    lines += ["token work --min-ttl soon", "autostart maybe", "config nonsense", "config", "demo --ttl 0"]
    for found in keyless.run_all(*(line.split() for line in lines)):
        assert (found.code, found.out) == (2, "")
        assert found.err
    assert not keyless.home.exists()


def test_with_nothing_but_a_path_and_a_home_the_commands_work(keyless: Lamplighter) -> None:
    keyless.environment = {name: keyless.environment[name] for name in ("PATH", "LAMPLIGHTER_HOME")}

    assert keyless.run("--help").code == 0
    assert keyless.run("--version").code == 0
    assert keyless.run("config", "path").out == f"{keyless.home}/config.toml\n"
    assert keyless.run("status", "--json").json()["accounts"] == []
    assert_told(keyless.run("quit"), 7, "no applet")


@pytest.mark.parametrize("program", [[str(COMMAND)], [sys.executable, "-m", "tray_app"]], ids=["script", "module"])
def test_modules_that_lie_in_the_working_directory_are_not_imported(
    keyless: Lamplighter, tmp_path: Path, program: list[str]
) -> None:
    trap = tmp_path / "trap"
    trap.mkdir()
    for name in ("keyring", "httpx", "ssl", "click", "json", "platformdirs", "filelock", "logging", "asyncio"):
        (trap / f"{name}.py").write_text("raise SystemExit('trapped')")
    keyless.configure('[accounts.work]\nissuer = "http://127.0.0.1:1"\nclient_id = "tray"\n')

    found = keyless.run("status", "--json", program=program, cwd=trap)

    assert (found.code, found.err) == (0, "")


# -- status and configuration


def test_the_status_of_nothing_has_every_key(keyless: Lamplighter) -> None:
    found = keyless.run("status", "--json")

    assert (found.code, found.err) == (0, "")
    assert found.json() == {
        "version": keyless.run("--version").out.split()[1],
        "health": "signed-out",
        "running": False,
        "configuration_error": None,
        "paused_until": None,
        "accounts": [],
    }


def test_the_status_of_a_fresh_account_has_every_key_with_its_type(
    lamplighter: Lamplighter, provider: Provider
) -> None:
    provider.more = {"refresh_token_expires_in": 86400 * 30, "scope": "openid mail"}
    lamplighter.configure(provider.account())
    lamplighter.sign_in("work", provider)
    found = lamplighter.run("status", "--json").json()
    (account,) = found["accounts"]

    assert (found["health"], found["running"], found["configuration_error"]) == ("fresh", False, None)
    for key in ("expires_at", "refresh_due_at", "sign_in_ends_at"):
        assert TIME.fullmatch(account.pop(key)), key
    assert account == {
        "name": "work",
        "health": "fresh",
        "last_refresh_at": None,
        "scopes": ["openid", "mail"],
        "subject": None,
        "last_error": None,
    }


def test_a_sign_in_that_ends_within_three_days_is_told(lamplighter: Lamplighter, provider: Provider) -> None:
    provider.more = {"refresh_token_expires_in": 86400 * 2}
    lamplighter.configure(provider.account())
    lamplighter.sign_in("work", provider)

    assert lamplighter.run("status", "--json").json()["health"] == "ending"


def test_a_failure_in_the_status_has_every_key_with_its_type(signed_in: Lamplighter, provider: Provider) -> None:
    provider.down()
    signed_in.run("refresh", "work")
    signed_in.run("refresh", "work")
    error = signed_in.account()["last_error"]

    assert set(error) == {"kind", "message", "at", "attempts"}
    assert (error["kind"], error["attempts"]) == ("unreachable", 2)
    assert TIME.fullmatch(error["at"])
    assert "127.0.0.1" in error["message"]


def test_status_in_words_names_account_health_and_time_left(signed_in: Lamplighter) -> None:
    found = signed_in.run("status")

    assert (found.code, found.out) == (0, "work: fresh, 59 min left\n")
    assert "no applet is running" in found.err


def test_a_good_configuration_is_checked(keyless: Lamplighter, provider: Provider) -> None:
    assert keyless.run("config", "check").code == 0
    keyless.configure(provider.account())

    found = keyless.run("config", "check")

    assert (found.code, found.err) == (0, "")


def test_a_broken_configuration_ends_every_command_with_5(keyless: Lamplighter) -> None:
    keyless.configure('[accounts.work]\nissuer = "https://login.example.com"\nclient_id = "x"\nrefesh_before = "1m"')
    lines = ["config check", "status", "status --json", "run --headless", *(f"{one} work" for one in OF_AN_ACCOUNT)]
    for found in keyless.run_all(*(line.split() for line in lines)):
        assert_told(found, 5, "config.toml, line 4, accounts.work", "`refesh_before`", "Did you mean `refresh_before`?")
    assert keyless.run("config", "path").code == 0


def test_an_unknown_account_is_5(keyless: Lamplighter, provider: Provider) -> None:
    keyless.configure(provider.account())
    for found in keyless.run_all(*([one, "wrok"] for one in OF_AN_ACCOUNT)):
        assert_told(found, 5, "`wrok`", "work")


def test_a_signed_out_account_is_3(lamplighter: Lamplighter, provider: Provider) -> None:
    lamplighter.configure(provider.account())
    for found in lamplighter.run_all(["token", "work"], ["token", "work", "--no-wait"], ["refresh", "work"]):
        assert_told(found, 3, "work: signed out", "lamplighter login work")
    assert provider.server.requests == []


def test_tokens_that_would_live_in_the_applet_alone_are_5_without_it(keyless: Lamplighter, provider: Provider) -> None:
    keyless.configure('store = "memory"', provider.account())
    for found in keyless.run_all(*([one, "work"] for one in OF_AN_ACCOUNT)):
        assert_told(found, 5, "memory", "none is running")
    assert provider.server.requests == []


def test_without_an_applet_there_is_none_to_quit(keyless: Lamplighter) -> None:
    assert_told(keyless.run("quit"), 7, "no applet is running")


def test_start_at_login_is_switched_on_and_off(keyless: Lamplighter, tmp_path: Path) -> None:
    assert keyless.run("autostart", "status").out == "off\n"
    assert keyless.run("autostart", "on").code == 0
    assert keyless.run("autostart", "status").out == "on\n"
    assert [file.name for file in (tmp_path / ".config/autostart").iterdir()]
    assert keyless.run("autostart", "off").code == 0
    assert keyless.run("autostart", "status").out == "off\n"


# -- tokens


def test_a_token_is_printed_and_nothing_else(signed_in: Lamplighter, provider: Provider) -> None:
    found = signed_in.run("token", "work")

    assert (found.code, found.out, found.err) == (0, "canary-access-1\n", "")
    assert provider.refreshes == 0


def test_a_token_as_json_has_its_type_end_and_scopes(signed_in: Lamplighter) -> None:
    found = signed_in.run("token", "work", "--json").json()

    assert TIME.fullmatch(found.pop("expires_at"))
    assert found == {"access_token": "canary-access-1", "token_type": "Bearer", "scopes": ["openid"]}


def test_a_token_that_has_ended_is_refreshed_first(ended: Lamplighter, provider: Provider) -> None:
    assert ended.run("token", "work", "--no-wait").code == 4
    assert provider.refreshes == 0
    assert ended.run("token", "work").out == "canary-access-2\n"
    assert ended.run("token", "work", "--no-wait").out == "canary-access-2\n"
    assert provider.refreshes == 1
    assert TIME.fullmatch(ended.account()["last_refresh_at"])


def test_a_token_with_too_little_left_is_refreshed_once(lamplighter: Lamplighter, provider: Provider) -> None:
    lamplighter.given(provider, life=600)

    assert lamplighter.run("token", "work", "--min-ttl", "60").out == "canary-access-1\n"
    assert lamplighter.run("token", "work", "--min-ttl", "600").out == "canary-access-2\n"
    assert lamplighter.run("token", "work", "--min-ttl", "3000").out == "canary-access-2\n"
    assert provider.refreshes == 1


@pytest.mark.parametrize("seconds", ["4000", "1" + 30 * "0"])
def test_more_life_than_a_new_token_has_is_4(signed_in: Lamplighter, seconds: str) -> None:
    assert_told(signed_in.run("token", "work", "--min-ttl", seconds), 4, "work")


def test_ten_commands_at_once_make_one_refresh(ended: Lamplighter, provider: Provider) -> None:
    ten = [ended.start("token", "work") for _ in range(10)]

    assert {running.wait().out for running in ten} == {"canary-access-2\n"}
    assert (provider.refreshes, provider.reused) == (1, 0)


def test_a_token_that_was_never_stated_to_end_lives_an_hour(lamplighter: Lamplighter, provider: Provider) -> None:
    provider.more = {"expires_in": ...}
    lamplighter.configure(provider.account())
    lamplighter.sign_in("work", provider)

    assert lamplighter.run("status").out == "work: fresh, 59 min left\n"


def test_a_refresh_is_made_at_once(signed_in: Lamplighter, provider: Provider) -> None:
    found = signed_in.run("refresh", "work")

    assert (found.code, found.out) == (0, "")
    assert provider.refreshes == 1
    assert signed_in.run("token", "work").out == "canary-access-2\n"


def test_an_answer_without_a_refresh_token_keeps_the_old_one(signed_in: Lamplighter, provider: Provider) -> None:
    for number, said in enumerate((..., None, ""), 2):
        provider.more = {"refresh_token": said, "scope": said}
        assert signed_in.run("refresh", "work").code == 0
        assert signed_in.run("token", "work").out == f"canary-access-{number}\n"
    assert (provider.refreshes, provider.reused) == (3, 0)
    assert signed_in.account()["scopes"] == ["openid"]


def test_without_a_refresh_token_the_end_of_the_token_needs_a_sign_in(
    lamplighter: Lamplighter, provider: Provider
) -> None:
    lamplighter.given(provider, life=60, age=61, refreshable=False)

    assert lamplighter.health() == "sign-in-needed"
    assert_told(lamplighter.run("token", "work"), 3, "lamplighter login work")
    assert_told(lamplighter.run("refresh", "work"), 3, "lamplighter login work")


@pytest.mark.parametrize(
    "numbers",
    [(signal.SIGTERM,), (signal.SIGINT,), (signal.SIGINT, signal.SIGINT), (signal.SIGHUP, signal.SIGTERM)],
    ids=["terminated", "Ctrl-C", "Ctrl-C twice", "the terminal is closed"],
)
def test_signals_let_an_open_refresh_end_and_be_stored(
    signed_in: Lamplighter, provider: Provider, numbers: tuple[signal.Signals, ...]
) -> None:
    let_go = provider.hold()
    refresh = signed_in.start("refresh", "work")
    eventually(provider.token_requests)
    for number in numbers:
        refresh.signal(number)
    let_go()

    assert refresh.wait().code in {128 + number for number in numbers}  # two at once may come in either order
    assert signed_in.run("token", "work").out == "canary-access-2\n"


# -- failures by class

PAGE = Response(200, b"<title>Welcome to our wireless network</title>", "text/html")
UNREACHABLE = {
    "500": Response(500),
    "a captive portal": PAGE,
    "a redirect": Response(302, headers=[("Location", "https://portal.example/")]),
    "401 without a body": Response(401),
    "404": Response(404),
    "JSON without a token": json_response(token_type="Bearer"),
    "server_error": json_response(400, error="server_error"),
    "an unknown error": json_response(400, error="out_of_coffee"),
}


def test_an_answer_that_is_not_the_provider_s_verdict_leaves_everything_as_it_was(
    signed_in: Lamplighter, provider: Provider
) -> None:
    for name, answer in UNREACHABLE.items():
        provider.answer(answer)
        assert_told(signed_in.run("refresh", "work"), 4, "work: 127.0.0.1")
        assert '"kind": "unreachable"' in signed_in.facts(), name
    status = signed_in.account()

    assert (status["health"], status["last_error"]["kind"]) == ("retrying", "unreachable")
    assert status["last_error"]["attempts"] == len(UNREACHABLE)
    assert signed_in.run("token", "work").out == "canary-access-1\n"


def test_what_could_not_be_reached_is_fresh_as_soon_as_it_can(ended: Lamplighter, provider: Provider) -> None:
    provider.down()

    assert_told(ended.run("token", "work"), 4, "connection refused")
    assert_told(ended.run("refresh", "work"), 4, "connection refused", "Trying again at")
    assert ended.health() == "expired"
    provider.up()
    assert ended.run("refresh", "work").code == 0
    assert (ended.health(), ended.account()["last_error"]) == ("fresh", None)


def test_a_token_can_be_had_as_soon_as_the_provider_is_back(ended: Lamplighter, provider: Provider) -> None:
    provider.down()
    assert ended.run("token", "work").code == 4
    provider.up()

    assert ended.run("token", "work").out == "canary-access-2\n"


@pytest.mark.parametrize(("status", "form"), [(429, "seconds"), (503, "date")])
def test_a_provider_that_asks_to_wait_is_not_asked_before(
    signed_in: Lamplighter, provider: Provider, status: int, form: str
) -> None:
    at = datetime.now(UTC) + timedelta(seconds=300)  # noqa: TID251 - the process under test has no other clock
    wait = "300" if form == "seconds" else format_datetime(at, usegmt=True)
    provider.answer(Response(status, headers=[("Retry-After", wait)]))
    first = signed_in.run("refresh", "work")
    asked = provider.token_requests()
    second = signed_in.run("refresh", "work")

    for found in (first, second):
        assert_told(found, 4, "Trying again at")
    near = {f"at {at.astimezone() + timedelta(seconds=seconds):%H:%M:%S}" for seconds in range(-20, 21)}
    assert any(time in second.err for time in near), second.err
    assert provider.token_requests() == asked
    assert signed_in.account()["last_error"]["kind"] == "throttled"
    assert signed_in.run("token", "work").out == "canary-access-1\n"


def test_ten_commands_do_not_ask_a_provider_that_asked_to_wait(ended: Lamplighter, provider: Provider) -> None:
    provider.answer(Response(429, headers=[("Retry-After", "300")]))
    before = provider.token_requests()

    ten = [ended.start("token", "work") for _ in range(10)]

    assert {running.wait().code for running in ten} == {4}
    assert provider.token_requests() == before + 1


@pytest.mark.parametrize("status", [200, 403])
def test_a_refusal_is_final_whatever_its_status(signed_in: Lamplighter, provider: Provider, status: int) -> None:
    provider.answer(json_response(status, error="invalid_grant", error_description="gone"))
    found = signed_in.run("refresh", "work")
    asked = provider.token_requests()
    account = signed_in.account()

    assert_told(found, 3, "invalid_grant", "lamplighter login work")
    assert (account["health"], account["last_error"]["kind"]) == ("sign-in-needed", "refused")
    assert_told(signed_in.run("token", "work"), 3, "invalid_grant", "lamplighter login work")
    assert_told(signed_in.run("refresh", "work"), 3)
    assert provider.token_requests() == asked


def test_a_refusal_erases_the_dead_tokens(
    lamplighter: Lamplighter, provider: Provider, keyring: KeyringSession
) -> None:
    provider.name = "dead"
    lamplighter.given(provider)
    assert "dead-refresh-1" in keyring.stored()
    provider.answer(json_response(400, error="invalid_grant"))
    lamplighter.run("refresh", "work")

    assert "dead-" not in keyring.stored()


def test_a_sign_in_after_a_refusal_makes_all_good(signed_in: Lamplighter, provider: Provider) -> None:
    provider.answer(json_response(400, error="invalid_grant"))
    signed_in.run("refresh", "work")
    provider.behave()
    signed_in.sign_in("work", provider)

    assert (signed_in.health(), signed_in.account()["last_error"]) == ("fresh", None)
    assert signed_in.run("token", "work").out == "canary-access-2\n"


def test_a_refused_configuration_needs_you_after_three_attempts_and_keeps_the_token(
    signed_in: Lamplighter, provider: Provider
) -> None:
    healths = []
    for code in ("invalid_client", "invalid_scope", "unsupported_grant_type"):
        provider.answer(json_response(401, error=code))
        assert_told(signed_in.run("refresh", "work"), 5, code)
        healths.append(signed_in.health())

    assert healths == ["retrying", "retrying", "sign-in-needed"]
    assert signed_in.account()["last_error"]["kind"] == "misconfigured"
    assert signed_in.run("token", "work").out == "canary-access-1\n"
    provider.behave()
    assert signed_in.run("refresh", "work").code == 0
    assert signed_in.health() == "fresh"


def test_a_refused_configuration_without_a_valid_token_is_5(ended: Lamplighter, provider: Provider) -> None:
    provider.answer(json_response(401, error="invalid_client"))
    for _ in range(3):
        ended.run("refresh", "work")

    assert ended.health() == "sign-in-needed"
    assert_told(ended.run("token", "work"), 5, "invalid_client")


def test_a_refresh_that_was_killed_is_told_as_the_cause_of_the_refusal(
    signed_in: Lamplighter, provider: Provider
) -> None:
    provider.hold()
    refresh = signed_in.start("refresh", "work")
    eventually(provider.token_requests)
    refresh.kill()
    provider.answer(json_response(400, error="invalid_grant"))

    assert_told(signed_in.run("refresh", "work"), 3, "cut off")
    assert signed_in.account()["last_error"]["kind"] == "interrupted"


# -- signing in


def test_the_address_to_open_stands_alone_on_standard_output(lamplighter: Lamplighter, provider: Provider) -> None:
    lamplighter.configure(provider.account())
    login = lamplighter.start("login", "work", "--no-browser")
    url = login.line()
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))

    assert url.startswith(f"{provider.issuer}/authorize?")
    assert (query["response_type"], query["code_challenge_method"], query["scope"]) == ("code", "S256", "openid")
    assert {"state", "nonce", "code_challenge", "client_id", "redirect_uri"} <= set(query)
    assert query["redirect_uri"].startswith("http://127.0.0.1:")
    assert listens(query["redirect_uri"])
    arrive(provider.approve(url))
    finished = login.wait()
    assert (finished.code, finished.out) == (0, f"{url}\n")
    assert finished.err == "lamplighter: work: signed in\n"
    assert not listens(query["redirect_uri"])


def test_whatever_is_not_the_answer_leaves_the_sign_in_waiting(lamplighter: Lamplighter, provider: Provider) -> None:
    lamplighter.configure(provider.account())
    login = lamplighter.start("login", "work", "--no-browser")
    genuine = provider.approve(login.line())

    assert 400 <= arrive(genuine.replace("state=", "state=x")) < 500
    assert 400 <= arrive(genuine.partition("?")[0]) < 500
    assert 400 <= arrive(genuine.replace("/callback", "/elsewhere")) < 500
    assert 400 <= arrive(genuine, host="evil.example") < 500
    assert provider.token_requests() == 0
    assert arrive(genuine) == 200
    assert login.wait().code == 0


DENIALS: dict[str, dict[str, str | None]] = {
    "denied": {"code": None, "error": "access_denied"},
    "a wrong iss": {"iss": "https://evil.example"},
    "denied by somebody else": {"code": None, "error": "access_denied", "iss": "https://evil.example"},
}


def test_a_sign_in_that_was_denied_is_3_and_leaves_the_tokens_that_were_there(
    signed_in: Lamplighter, provider: Provider
) -> None:
    for name, answer in DENIALS.items():
        login = signed_in.start("login", "work", "--no-browser")
        url = login.line()
        arrive(provider.approve(url, **answer))
        finished = login.wait()
        assert (finished.code, finished.out) == (3, f"{url}\n"), name
        assert "signed in\n" not in finished.err

    assert provider.token_requests() == 0
    assert signed_in.run("token", "work").out == "canary-access-1\n"


@pytest.mark.parametrize(
    ("answer", "code"),
    [(PAGE, 4), (json_response(400, error="invalid_grant"), 3), (json_response(401, error="invalid_client"), 5)],
    ids=["a page", "invalid_grant", "invalid_client"],
)  # fmt: skip
def test_a_code_that_gives_no_tokens_fails_the_sign_in(
    signed_in: Lamplighter, provider: Provider, answer: Response, code: int
) -> None:
    login = signed_in.start("login", "work", "--no-browser")
    url = login.line()
    provider.answer(answer)
    arrive(provider.approve(url))

    assert login.wait().code == code
    assert signed_in.run("token", "work").out == "canary-access-1\n"
    assert signed_in.health() == "fresh"


def test_a_promised_iss_that_is_missing_ends_the_sign_in(lamplighter: Lamplighter, provider: Provider) -> None:
    provider.server.metadata["authorization_response_iss_parameter_supported"] = True
    lamplighter.configure(provider.account())
    login = lamplighter.start("login", "work", "--no-browser")
    arrive(provider.approve(login.line()))

    assert login.wait().code == 3
    assert provider.token_requests() == 0


def test_ctrl_c_ends_a_sign_in_with_130_and_nobody_listens_any_more(
    lamplighter: Lamplighter, provider: Provider
) -> None:
    lamplighter.configure(provider.account())
    login = lamplighter.start("login", "work", "--no-browser")
    callback = provider.approve(login.line())
    assert listens(callback)
    login.signal(signal.SIGINT)

    assert login.wait().code == 130
    assert not listens(callback)
    assert "Traceback" not in login.err + lamplighter.log


def test_a_provider_that_cannot_be_reached_ends_a_sign_in_before_it_begins(
    lamplighter: Lamplighter, provider: Provider
) -> None:
    lamplighter.configure(provider.account())
    provider.down()

    assert_told(lamplighter.run("login", "work", "--no-browser"), 4, "127.0.0.1")


def test_a_sign_in_that_the_browser_denies_at_once_is_not_taken_for_a_good_one(
    lamplighter: Lamplighter, provider: Provider, tmp_path: Path
) -> None:
    browser = tmp_path / "browser"
    browser.write_text(
        f"#!{sys.executable}\n"
        "import sys, urllib.error, urllib.parse, urllib.request\n"
        "asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(sys.argv[1]).query))\n"
        "answer = urllib.parse.urlencode({'error': 'access_denied', 'state': asked['state']})\n"
        "urllib.request.urlopen(asked['redirect_uri'] + '?' + answer)\n"
    )
    browser.chmod(0o755)
    lamplighter.environment["BROWSER"] = str(browser)
    lamplighter.configure(provider.account())

    finished = lamplighter.run("login", "work")

    assert finished.code == 3, finished
    assert "signed in" not in finished.err


def test_without_a_keyring_a_sign_in_stops_before_the_address_is_told(keyless: Lamplighter, provider: Provider) -> None:
    keyless.configure(provider.account())

    assert_told(keyless.run("login", "work", "--no-browser"), 6, "no keyring", 'store = "memory"')
    assert provider.server.requests == []
    assert_told(keyless.run("token", "work"), 6, "no keyring")
    account = keyless.run("status", "--json").json()["accounts"][0]
    assert (account["health"], account["last_error"]["kind"]) == ("expired", "store")


def test_a_keyring_that_keeps_nothing_is_found_out(keyless: Lamplighter, provider: Provider) -> None:
    keyless.configure(provider.account())
    keyless.environment["PYTHON_KEYRING_BACKEND"] = "keyring.backends.null.Keyring"

    found = keyless.run("login", "work", "--no-browser")

    assert (found.code, found.out) == (6, "")


@pytest.fixture
def plain(keyless: Lamplighter, provider: Provider, tmp_path: Path) -> Lamplighter:
    """Signed in, with a keyring chosen by name that is a file, and can refuse writes."""
    (tmp_path / "plain_file_keyring.py").write_text(PLAIN_FILE_KEYRING)
    keyless.environment |= {
        "PYTHON_KEYRING_BACKEND": "plain_file_keyring.PlainFile",
        "PYTHONPATH": str(tmp_path),
        "PLAIN_FILE": str(tmp_path / "secrets.json"),
    }
    keyless.configure(provider.account())
    keyless.sign_in("work", provider)
    return keyless


def test_a_keyring_that_was_chosen_by_name_is_obeyed(plain: Lamplighter) -> None:
    assert plain.run("token", "work").out == "canary-access-1\n"


def test_a_refresh_whose_tokens_the_keyring_refuses_is_6(plain: Lamplighter) -> None:
    plain.environment["PLAIN_FILE_REFUSES"] = "1"

    assert_told(plain.run("refresh", "work"), 6, "work: the new tokens could not be kept", "lamplighter login work")


def test_a_token_that_the_keyring_refuses_is_handed_out_with_a_word(plain: Lamplighter, provider: Provider) -> None:
    plain.configure(provider.account(refresh_every="1s"))
    plain.environment["PLAIN_FILE_REFUSES"] = "1"
    done: list[Finished] = []
    eventually(lambda: done.append(plain.run("token", "work")) or provider.refreshes)

    assert (done[-1].code, done[-1].out) == (0, "canary-access-2\n")
    assert "the new tokens could not be kept" in done[-1].err


PLAIN_FILE_KEYRING = """
import json, os
from pathlib import Path
from keyring.backend import KeyringBackend
from keyring.errors import PasswordSetError

class PlainFile(KeyringBackend):
    priority = 0.1
    _file = Path(os.environ["PLAIN_FILE"])

    def _all(self):
        return json.loads(self._file.read_text()) if self._file.exists() else {}

    def get_password(self, service, username):
        return self._all().get(f"{service}/{username}")

    def set_password(self, service, username, password):
        if "PLAIN_FILE_REFUSES" in os.environ:
            raise PasswordSetError("the disk is full")
        self._file.write_text(json.dumps(self._all() | {f"{service}/{username}": password}))

    def delete_password(self, service, username):
        entries = self._all()
        entries.pop(f"{service}/{username}", None)
        self._file.write_text(json.dumps(entries))
"""


def test_a_locked_keyring_is_6_and_not_signed_out(
    signed_in: Lamplighter, provider: Provider, keyring: KeyringSession
) -> None:
    keyring.lock()
    try:
        found = signed_in.run("token", "work")
        account = signed_in.account()
    finally:
        keyring.unlock()

    assert_told(found, 6, "locked")
    assert (account["health"], account["last_error"]["kind"]) == ("expired", "store")
    assert signed_in.run("token", "work").out == "canary-access-1\n"


# -- signing out


def test_a_sign_out_revokes_both_tokens_and_erases_them(
    lamplighter: Lamplighter, provider: Provider, keyring: KeyringSession
) -> None:
    provider.name = "leaving"
    lamplighter.given(provider)
    found = lamplighter.run("logout", "work")
    revoked = [urllib.parse.parse_qs(request.body.decode())["token"] for request in provider.server.to("/revoke")]

    assert (found.code, found.out) == (0, "")
    assert "revoked" in found.err
    assert revoked == [["leaving-refresh-1"], ["leaving-access-1"]]
    assert "leaving-" not in keyring.stored()
    assert (lamplighter.health(), lamplighter.account()["last_error"]) == ("signed-out", None)
    assert lamplighter.run("token", "work").code == 3


def test_a_provider_that_cannot_be_reached_does_not_keep_anybody_signed_in(
    signed_in: Lamplighter, provider: Provider
) -> None:
    provider.down()
    found = signed_in.run("logout", "work")

    assert (found.code, found.out) == (0, "")
    assert "not revoked" in found.err or "nothing was revoked" in found.err
    assert signed_in.health() == "signed-out"


def test_who_is_not_signed_in_can_sign_out_and_hears_no_lie(lamplighter: Lamplighter, provider: Provider) -> None:
    lamplighter.configure(provider.account())
    found = lamplighter.run("logout", "work")

    assert (found.code, found.out) == (0, "")
    assert "has revoked" not in found.err
    assert provider.server.requests == []


# -- what the tokens belong to


def test_tokens_are_not_sent_to_another_issuer_and_serve_again_when_it_is_taken_back(
    signed_in: Lamplighter, provider: Provider
) -> None:
    with Provider() as other:
        signed_in.configure(other.account())
        for command in ("token", "refresh"):
            assert_told(signed_in.run(command, "work"), 3, "work")
        account = signed_in.account()

        assert (account["health"], account["last_error"]["kind"]) == ("signed-out", "misconfigured")
        assert other.server.requests == []
    signed_in.configure(provider.account())
    assert (signed_in.health(), signed_in.account()["last_error"]) == ("fresh", None)
    assert signed_in.run("refresh", "work").code == 0


def test_another_client_id_is_another_sign_in(signed_in: Lamplighter, provider: Provider) -> None:
    asked = provider.token_requests()
    signed_in.configure(provider.account(client_id="another"))

    assert_told(signed_in.run("token", "work"), 3, "client id")
    assert_told(signed_in.run("refresh", "work"), 3, "client id")
    assert provider.token_requests() == asked


def test_a_sign_out_of_tokens_that_belong_elsewhere_says_that_they_were_not_revoked(
    signed_in: Lamplighter, provider: Provider
) -> None:
    with Provider() as other:
        signed_in.configure(other.account())
        found = signed_in.run("logout", "work")

        assert found.code == 0
        assert "nothing was revoked" in found.err
        assert other.server.requests == []
    signed_in.configure(provider.account())
    assert signed_in.health() == "signed-out"


def test_each_home_has_entries_of_its_own_in_the_keyring(signed_in: Lamplighter, provider: Provider) -> None:
    other = Lamplighter(signed_in.home.with_name("other"), signed_in.environment)
    other.environment["LAMPLIGHTER_HOME"] = str(other.home)
    other.configure(provider.account())

    assert other.run("token", "work").code == 3
    assert other.run("logout", "work").code == 0
    assert signed_in.run("token", "work").out == "canary-access-1\n"


# -- files


def test_folders_are_0700_and_files_0600_whatever_the_umask(lamplighter: Lamplighter, provider: Provider) -> None:
    lamplighter.configure(provider.account())
    lamplighter.home.chmod(0o755)
    lamplighter.start = _with_umask(lamplighter)  # type: ignore[method-assign]  # every command of this test
    lamplighter.sign_in("work", provider)
    lamplighter.run("refresh", "work")

    modes = {
        path.relative_to(lamplighter.home): stat.S_IMODE(path.stat().st_mode)
        for path in (lamplighter.home, *lamplighter.home.rglob("*"))
        if path.name != "config.toml"
    }
    assert {mode for path, mode in modes.items() if (lamplighter.home / path).is_dir()} == {0o700}, modes
    assert {mode for path, mode in modes.items() if (lamplighter.home / path).is_file()} == {0o600}, modes


def test_without_a_home_of_its_own_everything_lies_where_the_platform_says(
    lamplighter: Lamplighter, provider: Provider, tmp_path: Path
) -> None:
    del lamplighter.environment["LAMPLIGHTER_HOME"]
    places = {name: tmp_path / name.lower() for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR")}
    lamplighter.environment |= {name: str(path) for name, path in places.items()}
    config = places["XDG_CONFIG_HOME"] / "lamplighter/config.toml"
    assert lamplighter.run("config", "path").out == f"{config}\n"
    config.parent.mkdir(parents=True)
    config.write_text(provider.account())
    lamplighter.socket = places["XDG_RUNTIME_DIR"] / "lamplighter/agent.sock"
    with lamplighter.applet():
        lamplighter.sign_in("work", provider)

    state = places["XDG_STATE_HOME"] / "lamplighter"
    assert {file.name for file in state.rglob("*") if file.is_file()} >= {"work.json", "work.lock", "lamplighter.log"}
    for path in (state, *state.rglob("*"), lamplighter.socket.parent):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def _with_umask(lamplighter: Lamplighter) -> Any:
    start = lamplighter.start
    return lambda *words, **options: start(*words, umask=0, **options)


def test_a_folder_in_the_place_of_the_log_is_no_reason_to_fail(signed_in: Lamplighter) -> None:
    (signed_in.home / "log/lamplighter.log").mkdir(parents=True)

    found = signed_in.run("token", "work")

    assert (found.code, found.out) == (0, "canary-access-1\n")
    assert "Traceback" not in found.err


def test_where_no_lock_can_be_had_a_valid_token_is_handed_out_and_none_is_refreshed(
    signed_in: Lamplighter, provider: Provider
) -> None:
    (signed_in.home / "state").mkdir()
    (signed_in.home / "state/locks").write_text("in the way")

    assert signed_in.run("token", "work").out == "canary-access-1\n"
    assert_told(signed_in.run("refresh", "work"), 6, "lock")
    assert provider.refreshes == 0
