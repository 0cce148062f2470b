"""The commands while an applet runs, and the applet's own start and end."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import stat
import sys
import tempfile
from pathlib import Path

import pytest

from tests.integration.hostile_server import json_response
from tests.integration.lamplighter_process import Finished, Lamplighter, Provider, arrive, eventually, listens
from tests.keyring_session import KeyringSession
from tray_app.base.http.server import Response


def on_memory(lamplighter: Lamplighter, provider: Provider) -> Lamplighter:
    """Configured to keep its tokens in the applet alone, which needs no keyring."""
    lamplighter.configure('store = "memory"', provider.account())
    return lamplighter


def assert_told(finished: Finished, code: int, *words: str) -> None:
    assert (finished.code, finished.out) == (code, ""), finished
    for word in words:
        assert word in finished.err, finished


# -- what a running applet is asked


def test_what_is_kept_in_memory_works_with_an_applet_and_ends_with_it(keyless: Lamplighter, provider: Provider) -> None:
    on_memory(keyless, provider)
    with keyless.applet():
        assert_told(keyless.run("token", "work"), 3, "work: signed out")
        keyless.sign_in("work", provider)

        assert keyless.run("token", "work").out == "canary-access-1\n"
        assert keyless.run("refresh", "work").code == 0
        assert keyless.run("token", "work", "--json").json()["access_token"] == "canary-access-2"
        status = keyless.run("status", "--json").json()
        assert (status["running"], status["health"]) == (True, "fresh")
        assert keyless.run("status").err == ""
        assert keyless.run("logout", "work").code == 0
        assert len(provider.server.to("/revoke")) == 2
        assert_told(keyless.run("token", "work"), 3, "work: signed out")
    assert not (keyless.home / "state/accounts").exists()


def test_the_exit_codes_are_the_same_with_an_applet(lamplighter: Lamplighter, provider: Provider) -> None:
    lamplighter.given(provider)
    with lamplighter.applet():
        assert_told(lamplighter.run("token", "wrok"), 5, "`wrok`")
        assert_told(lamplighter.run("token", "work", "--min-ttl", "4000"), 4)
        assert_told(lamplighter.run("token", "work", "--min-ttl", "1" + 30 * "0"), 4)
        provider.answer(Response(500))
        assert_told(lamplighter.run("refresh", "work"), 4, "HTTP 500")
        assert lamplighter.run("token", "work").out == "canary-access-1\n"
        provider.answer(Response(429, headers=[("Retry-After", "300")]))
        assert_told(lamplighter.run("refresh", "work"), 4, "Trying again at")
        asked = provider.token_requests()
        assert_told(lamplighter.run("refresh", "work"), 4, "Trying again at")
        assert provider.token_requests() == asked


def test_a_refusal_is_3_with_an_applet(lamplighter: Lamplighter, provider: Provider) -> None:
    lamplighter.given(provider)
    with lamplighter.applet():
        provider.answer(json_response(400, error="invalid_grant"))
        assert_told(lamplighter.run("refresh", "work"), 3, "invalid_grant", "lamplighter login work")
        assert_told(lamplighter.run("token", "work"), 3, "invalid_grant")
        assert lamplighter.health() == "sign-in-needed"
        provider.behave()
        lamplighter.sign_in("work", provider)
        assert (lamplighter.health(), lamplighter.account()["last_error"]) == ("fresh", None)


def test_a_refused_configuration_is_tried_three_times_and_is_5_without_a_token(
    lamplighter: Lamplighter, provider: Provider
) -> None:
    provider.answer(json_response(401, error="invalid_client"))
    lamplighter.given(provider, life=600, age=700)
    with lamplighter.applet():
        lamplighter.until_health("sign-in-needed")
        assert_told(lamplighter.run("token", "work"), 5, "invalid_client")
        assert provider.token_requests() == 3


def test_an_expired_token_is_refreshed_by_the_applet_itself(lamplighter: Lamplighter, provider: Provider) -> None:
    lamplighter.given(provider, life=600, age=700)
    with lamplighter.applet():
        lamplighter.until_health("fresh")
        assert lamplighter.run("token", "work", "--no-wait").out == "canary-access-2\n"
        assert (provider.refreshes, provider.reused) == (1, 0)


def test_an_outage_ends_by_itself_once_the_provider_is_back(lamplighter: Lamplighter, provider: Provider) -> None:
    lamplighter.given(provider, life=600, age=700)
    provider.down()
    with lamplighter.applet():
        lamplighter.until_health("expired")
        assert_told(lamplighter.run("token", "work"), 4, "connection refused")
        provider.up()
        lamplighter.until_health("fresh")
        assert provider.reused == 0


def test_ten_commands_at_once_are_one_refresh_of_the_applet(lamplighter: Lamplighter, provider: Provider) -> None:
    let_go = provider.hold()
    lamplighter.given(provider, life=600, age=700)
    with lamplighter.applet():
        ten = [lamplighter.start("token", "work") for _ in range(10)]
        eventually(provider.token_requests)
        let_go()
        assert {running.wait().out for running in ten} == {"canary-access-2\n"}
        assert provider.refreshes == 1


def test_a_keyring_that_refuses_the_write_costs_nobody_a_token(
    lamplighter: Lamplighter, provider: Provider, keyring: KeyringSession
) -> None:
    lamplighter.given(provider)
    lamplighter.configure(provider.account(), '[retry]\nlimit = "2s"')
    with lamplighter.applet():
        assert lamplighter.run("refresh", "work").code == 0
        keyring.lock()
        try:
            assert lamplighter.ask("POST", "/v1/accounts/work/refresh").status == 200
            assert lamplighter.run("token", "work").out == "canary-access-3\n"
            account = lamplighter.account()
            assert (account["health"], account["last_error"]["kind"]) == ("retrying", "store")
            assert "locked" in account["last_error"]["message"]
        finally:
            keyring.unlock()
        lamplighter.until_health("fresh")
    assert lamplighter.run("token", "work").out == "canary-access-3\n"
    assert lamplighter.run("refresh", "work").code == 0
    assert provider.reused == 0


def test_an_applet_that_starts_with_a_locked_keyring_waits_and_is_fresh_once_it_is_unlocked(
    lamplighter: Lamplighter, provider: Provider, keyring: KeyringSession
) -> None:
    lamplighter.given(provider, life=600, age=700)
    keyring.lock()
    try:
        with lamplighter.applet():
            eventually(lambda: (lamplighter.account()["last_error"] or {}).get("attempts", 0) >= 2)
            account = lamplighter.account()
            assert (account["health"], account["last_error"]["kind"]) == ("expired", "store")
            assert "locked" in account["last_error"]["message"]
            assert_told(lamplighter.run("token", "work"), 6, "locked")
            assert provider.token_requests() == 0
            keyring.unlock()
            lamplighter.until_health("fresh")
            assert lamplighter.run("token", "work").out == "canary-access-2\n"
    finally:
        keyring.unlock()

    assert (provider.refreshes, provider.reused) == (1, 0)


def test_where_no_lock_can_be_had_the_applet_says_so_and_does_not_spin(
    lamplighter: Lamplighter, provider: Provider
) -> None:
    lamplighter.given(provider, life=600, age=700)
    (lamplighter.home / "state").mkdir()
    (lamplighter.home / "state/locks").write_text("in the way")
    with lamplighter.applet():
        eventually(lambda: (lamplighter.account()["last_error"] or {}).get("attempts", 0) >= 3)
        account = lamplighter.account()
        assert (account["health"], account["last_error"]["kind"]) == ("expired", "store")
        assert len(lamplighter.log.splitlines()) < 10
        assert_told(lamplighter.run("token", "work"), 6, "lock")
        (lamplighter.home / "state/locks").unlink()
        assert lamplighter.run("refresh", "work").code == 0
        assert lamplighter.health() == "fresh"
    assert provider.refreshes == 1


# -- signing in through the applet


def test_a_second_sign_in_replaces_the_first(keyless: Lamplighter, provider: Provider) -> None:
    with on_memory(keyless, provider).applet():
        first = keyless.start("login", "work", "--no-browser")
        first_url = first.line()
        second = keyless.start("login", "work", "--no-browser")
        second_url = second.line()

        assert first.wait().code == 3
        assert not listens(provider.approve(first_url))
        arrive(provider.approve(second_url))
        assert second.wait().code == 0
        assert keyless.health() == "fresh"


@pytest.mark.parametrize(
    "answer", [{"code": None, "error": "access_denied"}, {"iss": "https://evil.example"}], ids=["denied", "wrong iss"]
)
def test_a_sign_in_that_failed_is_3_and_leaves_what_was_there(
    keyless: Lamplighter, provider: Provider, answer: dict[str, str | None]
) -> None:
    with on_memory(keyless, provider).applet():
        keyless.sign_in("work", provider)
        login = keyless.start("login", "work", "--no-browser")
        arrive(provider.approve(login.line(), **answer))

        assert login.wait().code == 3
        assert keyless.run("token", "work").out == "canary-access-1\n"
        assert keyless.health() == "fresh"


def test_ctrl_c_ends_a_sign_in_of_the_applet_and_nobody_listens_any_more(
    keyless: Lamplighter, provider: Provider
) -> None:
    with on_memory(keyless, provider).applet():
        login = keyless.start("login", "work", "--no-browser")
        callback = provider.approve(login.line())
        login.signal(signal.SIGINT)

        assert login.wait().code == 130
        eventually(lambda: not listens(callback))
        keyless.sign_in("work", provider)


def test_a_sign_in_ends_with_the_applet(keyless: Lamplighter, provider: Provider) -> None:
    with on_memory(keyless, provider).applet() as applet:
        login = keyless.start("login", "work", "--no-browser")
        callback = provider.approve(login.line())
        applet.signal(signal.SIGTERM)

        assert login.wait().code == 3
        assert applet.wait().code == 0
        assert not listens(callback)


def test_without_a_keyring_the_applet_stops_a_sign_in_before_the_address_is_told(
    keyless: Lamplighter, provider: Provider
) -> None:
    keyless.configure(provider.account())
    with keyless.applet():
        assert_told(keyless.run("login", "work", "--no-browser"), 6, "no keyring")
        assert_told(keyless.run("token", "work"), 6, "no keyring")
        assert provider.server.requests == []


# -- beginning and end


def test_where_there_is_no_desktop_the_bare_command_says_so_and_runs(keyless: Lamplighter, provider: Provider) -> None:
    with on_memory(keyless, provider).applet("run", "--headless"):
        pass
    running = keyless.start()
    keyless.until_it_answers(running)

    assert "no desktop" in running.err
    assert keyless.run("quit").code == 0
    assert running.wait().code == 0


def test_a_second_start_finds_the_first(keyless: Lamplighter, provider: Provider) -> None:
    with on_memory(keyless, provider).applet() as first:
        for words in (["run", "--headless"], []):
            second = keyless.run(*words)
            assert (second.code, second.out) == (0, "")
            assert "running already" in second.err
        assert first.process.poll() is None


def test_two_starts_at_the_same_moment_are_one_applet(keyless: Lamplighter, provider: Provider) -> None:
    on_memory(keyless, provider)
    four = [keyless.start(*words) for words in ([], ["run", "--headless"], [], ["run", "--headless"])]
    eventually(lambda: sum(one.process.poll() is not None for one in four) == 3)
    (running,) = [one for one in four if one.process.poll() is None]
    ended = [one.wait() for one in four if one is not running]
    keyless.until_it_answers(running)

    assert [one.code for one in ended] == [0, 0, 0], ended
    assert keyless.run("quit").code == 0
    assert running.wait().code == 0


def test_quit_returns_when_the_applet_is_gone(keyless: Lamplighter, provider: Provider) -> None:
    with on_memory(keyless, provider).applet() as applet:
        assert_told(keyless.run("quit"), 0)
        assert applet.wait().code == 0
        assert not keyless.socket.exists()
        assert_told(keyless.run("quit"), 7, "no applet")


def test_an_applet_that_is_just_starting_can_be_ended(keyless: Lamplighter, provider: Provider) -> None:
    on_memory(keyless, provider)
    applet = keyless.start("run", "--headless")
    eventually((keyless.home / "run/applet.lock").exists)

    assert keyless.run("quit").code == 0
    assert applet.wait().code == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_lets_an_open_refresh_end_and_be_stored(
    lamplighter: Lamplighter, provider: Provider, number: signal.Signals, code: int
) -> None:
    let_go = provider.hold()
    lamplighter.given(provider, life=600, age=700)
    with lamplighter.applet() as applet:
        waiting = lamplighter.start("token", "work")
        eventually(provider.token_requests)
        applet.signal(number)
        let_go()
        assert applet.wait().code == code
    assert not lamplighter.socket.exists()
    assert waiting.wait().out == "canary-access-2\n"
    assert lamplighter.run("token", "work").out == "canary-access-2\n"
    assert (provider.refreshes, provider.reused) == (1, 0)


def test_quit_lets_an_open_refresh_end_and_be_stored(lamplighter: Lamplighter, provider: Provider) -> None:
    let_go = provider.hold()
    lamplighter.given(provider, life=600, age=700)
    with lamplighter.applet() as applet:
        eventually(provider.token_requests)
        sign_in = lamplighter.ask("POST", "/v1/accounts/work/login", {"browser": False}).body["authorization_url"]
        quitting = lamplighter.start("quit")
        eventually(lambda: not listens(provider.approve(sign_in)))  # the end has begun
        assert (applet.process.poll(), quitting.process.poll()) == (None, None)
        let_go()
        assert quitting.wait().code == 0
        assert applet.wait().code == 0
    assert lamplighter.run("token", "work").out == "canary-access-2\n"


def test_an_applet_that_was_killed_leaves_nothing_in_the_way(lamplighter: Lamplighter, provider: Provider) -> None:
    lamplighter.given(provider)
    with lamplighter.applet() as applet:
        applet.kill()
    assert lamplighter.socket.exists()

    assert lamplighter.run("status", "--json").json()["running"] is False
    assert lamplighter.run("token", "work").out == "canary-access-1\n"
    assert_told(lamplighter.run("quit"), 7)
    with lamplighter.applet():
        assert lamplighter.run("token", "work").out == "canary-access-1\n"


def test_an_applet_that_was_killed_during_a_refresh_says_so_if_the_provider_then_refuses(
    lamplighter: Lamplighter, provider: Provider
) -> None:
    provider.hold()
    lamplighter.given(provider, life=600, age=700)
    with lamplighter.applet() as applet:
        eventually(provider.token_requests)
        applet.kill()
    provider.answer(json_response(400, error="invalid_grant"))
    with lamplighter.applet():
        lamplighter.until_health("sign-in-needed")
        assert lamplighter.account()["last_error"]["kind"] == "interrupted"


def test_a_token_asked_for_while_the_applet_starts_is_not_answered_with_signed_out(
    lamplighter: Lamplighter, provider: Provider, keyring: KeyringSession
) -> None:
    lamplighter.given(provider)
    keyring.freeze()
    try:
        applet = lamplighter.start("run", "--headless")
        eventually(lambda: is_there(lamplighter))
        asked = lamplighter.start("token", "work")
        with lamplighter.connect(0.5) as connected:
            connected.sendall(b"GET /v1/accounts/work/token HTTP/1.1\r\nHost: x\r\n\r\n")
            with pytest.raises(TimeoutError):
                connected.recv(1)
    finally:
        keyring.thaw()

    assert asked.wait().out == "canary-access-1\n"
    applet.signal(signal.SIGTERM)
    assert applet.wait().code == 0


def is_there(lamplighter: Lamplighter) -> bool:
    with contextlib.suppress(OSError), lamplighter.connect():
        return True
    return False


# -- the socket


def test_the_socket_is_for_its_user_alone_whatever_the_umask(keyless: Lamplighter, provider: Provider) -> None:
    on_memory(keyless, provider)
    applet = keyless.start("run", "--headless", umask=0)
    keyless.until_it_answers(applet)

    assert stat.S_IMODE(keyless.socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(keyless.socket.parent.stat().st_mode) == 0o700
    modes = {stat.S_IMODE(file.stat().st_mode) for file in keyless.home.rglob("*") if file.suffix in {".log", ".lock"}}
    assert modes == {0o600}


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="only root can become another user")
def test_another_user_is_not_answered(provider: Provider) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        lamplighter = on_memory(Lamplighter(Path(folder, "home"), {}), provider)
        with lamplighter.applet():
            for path in (Path(folder), lamplighter.home, lamplighter.socket.parent, lamplighter.socket):
                path.chmod(0o777)
            other = lamplighter.run("65534", str(lamplighter.socket), program=[sys.executable, "-c", AS_ANOTHER_USER])
            assert other.out == "connected, answered b''\n", other
            assert lamplighter.ask("GET", "/v1/status").status == 200


AS_ANOTHER_USER = """
import os, socket, sys
os.setgroups([]); os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[1]))
with socket.socket(socket.AF_UNIX) as one:
    one.connect(sys.argv[2])
    try:
        one.sendall(b"GET /v1/status HTTP/1.1\\r\\nHost: lamplighter\\r\\n\\r\\n")
        answer = one.recv(100)
    except OSError:
        answer = b""
print("connected, answered", answer)
"""


def test_what_is_no_socket_is_left_where_it_is(keyless: Lamplighter, provider: Provider) -> None:
    on_memory(keyless, provider)
    keyless.socket.parent.mkdir(mode=0o700)
    keyless.socket.write_text("my own file")

    assert_told(keyless.run("run", "--headless"), 1, str(keyless.socket), "no socket")
    assert keyless.socket.read_text() == "my own file"


def test_a_path_that_is_too_long_for_a_socket_is_told(keyless: Lamplighter, provider: Provider, tmp_path: Path) -> None:
    on_memory(keyless, provider)
    keyless.environment["LAMPLIGHTER_SOCKET"] = str(tmp_path / ("long" * 30) / "agent.sock")

    assert_told(keyless.run("run", "--headless"), 1, "longer than 107 bytes", "LAMPLIGHTER_SOCKET")


def test_a_socket_of_another_name_in_a_shared_folder_leaves_that_folder_alone(
    keyless: Lamplighter, provider: Provider, tmp_path: Path
) -> None:
    on_memory(keyless, provider)
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    keyless.socket = shared / "lamp.sock"
    keyless.environment["LAMPLIGHTER_SOCKET"] = str(keyless.socket)
    with keyless.applet():
        assert stat.S_IMODE(shared.stat().st_mode) == 0o1777
        assert stat.S_IMODE(keyless.socket.stat().st_mode) == 0o600
        assert keyless.run("status", "--json").json()["running"] is True
    assert not keyless.socket.exists()


def test_a_socket_that_somebody_else_answers_is_not_taken_away(keyless: Lamplighter, provider: Provider) -> None:
    on_memory(keyless, provider)
    keyless.socket.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(keyless.socket))
        other.listen()
        assert_told(keyless.run("run", "--headless"), 1, "another program answers")
        assert keyless.socket.exists()


# -- the demo


def test_the_story_of_the_demo_plays_by_itself(keyless: Lamplighter, tmp_path: Path) -> None:
    keyless.environment["TMPDIR"] = str(tmp_path)
    told = keyless.run("demo", "--story", "--ttl", "5")
    healths = re.findall(r"^\d\d:\d\d:\d\d  demo  (\S+)", told.out, re.MULTILINE)

    assert told.code == 0, told
    assert healths == ["signed-out", "fresh", "retrying", "expired", "fresh", "sign-in-needed", "fresh"]
    assert not list(tmp_path.glob("lamplighter-demo-*"))
    assert not keyless.home.exists()


def test_the_demo_prints_its_address_and_is_gone_after_sigterm(keyless: Lamplighter, tmp_path: Path) -> None:
    keyless.environment |= {"TMPDIR": str(tmp_path), "LAMPLIGHTER_SOCKET": str(tmp_path / "mine.sock")}
    demo = keyless.start("demo", "--no-browser")
    url = demo.line()
    (home,) = tmp_path.glob("lamplighter-demo-*")

    assert url.startswith("http://127.0.0.1:")
    assert listens(url)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert (home / "run/agent.sock").is_socket()
    assert not (tmp_path / "mine.sock").exists()
    demo.signal(signal.SIGTERM)
    assert demo.wait().code == 0
    assert not home.exists()
    assert not listens(url)
    assert "Traceback" not in demo.err


def test_the_status_is_a_json_object_that_any_program_reads(keyless: Lamplighter, provider: Provider) -> None:
    with on_memory(keyless, provider).applet():
        asked = keyless.run("status", "--json")
        found = keyless.ask("GET", "/v1/status").body
        for account in found["accounts"]:
            del account["hosts"], account["resource"]  # the agent's alone
        assert json.loads(asked.out) == found
        assert asked.err == ""
