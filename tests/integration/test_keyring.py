"""Our store against a real GNOME Keyring that is locked, frozen, killed or missing, and against others by name."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dbus_fast import Message
from dbus_fast.aio import MessageBus
from jeepney import HeaderFields
from jeepney import Message as JeepneyMessage
from jeepney.io.blocking import DBusConnection

from tests.keyring_session import KeyringSession, eventually, missing_part
from tray_app.adapters.store import keyring_store
from tray_app.adapters.store.keyring_store import KeyringStore
from tray_app.core.errors import StoreUnavailable
from tray_app.core.tokens import Secret, TokenSet

NAMES = ("work", "home", "a", "b")
ROOT = Path(__file__).parents[2]


def tokens(word: str = "one") -> TokenSet:
    return TokenSet(
        access_token=Secret(f"canary-{word}-access"),
        token_type="Bearer",
        received_at=datetime(2026, 11, 24, 1, 2, 3, tzinfo=UTC),
        lifetime=timedelta(hours=1),
        refresh_token=Secret(f"canary-{word}-refresh"),
        scopes=("openid",),
        subject=None,
        sign_in_ends_at=None,
        bound_to="https://login.example.com abc",
    )


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KeyringSession]:
    if missing := missing_part():
        pytest.skip(f"{missing} is not installed")
    session = KeyringSession(tmp_path / "session")
    for name in ("PYTHON_KEYRING_BACKEND", "XDG_CURRENT_DESKTOP"):
        monkeypatch.delenv(name, raising=False)
    for name, value in session.environment.items():
        monkeypatch.setenv(name, value)
    try:
        session.start()
        yield session
    finally:
        session.close()


@pytest.fixture
async def store(session: KeyringSession) -> AsyncIterator[KeyringStore]:
    store = KeyringStore(None)
    await store.save("work", tokens())
    yield store
    await store.close()


async def test_the_first_question_of_each_connection_is_one_that_does_gnome_keyring_no_harm(
    store: KeyringStore, session: KeyringSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[DBusConnection, list[str]] = {}

    def noted(bus: DBusConnection, message: JeepneyMessage, **options: Any) -> JeepneyMessage:
        fields = message.header.fields
        if fields[HeaderFields.destination] == "org.freedesktop.secrets":
            asked.setdefault(bus, []).append(f"{fields[HeaderFields.member]} {message.body[:1]}")
        return send(bus, message, **options)

    send = DBusConnection.send_and_get_reply
    monkeypatch.setattr(DBusConnection, "send_and_get_reply", noted)
    await store.check()
    await store.save("work", tokens("two"))
    found = await store.load("work")
    session.lock()
    with pytest.raises(StoreUnavailable):
        await store.load("work")

    assert found == tokens("two")
    assert len(asked) > 10
    assert {questions[0] for questions in asked.values()} == {"ReadAlias ('lamplighter',)", "ReadAlias ('nobody',)"}


PROMPTER = "org.gnome.keyring.internal.Prompter"


class Prompter:
    """The desktop's prompt: shown, and left open unless it is told to be dismissed at once."""

    def __init__(self, bus: MessageBus, *, dismiss: bool) -> None:
        self.shown = 0
        self._bus = bus
        self._dismiss = dismiss
        bus.add_message_handler(self._called)

    def _called(self, message: Message) -> Message | None:
        if message.interface != PROMPTER:
            return None
        if message.member == "BeginPrompting":
            self.shown += 1
        if self._dismiss and message.member in {"BeginPrompting", "PerformPrompt"}:
            ready = Message(
                destination=message.sender,
                path=message.body[0],
                interface=f"{PROMPTER}.Callback",
                member="PromptReady",
                signature="sa{sv}s",
                body=["no" if message.member == "PerformPrompt" else "", {}, ""],
            )
            asyncio.get_running_loop().call_soon(self._bus.send, ready)
        return Message.new_method_return(message)


@pytest.fixture
async def prompter(session: KeyringSession, request: pytest.FixtureRequest) -> AsyncIterator[Prompter]:
    bus = await MessageBus(bus_address=session.environment["DBUS_SESSION_BUS_ADDRESS"]).connect()
    prompter = Prompter(bus, dismiss=getattr(request, "param", "open") == "dismissed")
    await bus.request_name("org.gnome.keyring.SystemPrompter")
    yield prompter
    bus.disconnect()
    await bus.wait_for_disconnect()


async def reason_of(awaitable: Awaitable[object]) -> str:
    with pytest.raises(StoreUnavailable) as caught:
        await awaitable
    assert caught.value.what
    assert caught.value.remedy
    assert "canary" not in str(caught.value)
    return caught.value.reason


# Locked


async def test_a_locked_keyring_is_not_an_empty_one_and_serves_again_once_it_is_unlocked(
    session: KeyringSession, store: KeyringStore
) -> None:
    session.lock()
    started = time.monotonic()
    assert await reason_of(store.load("work")) == "locked"
    assert await reason_of(store.save("work", tokens("two"))) == "locked"
    assert await reason_of(store.erase("work")) == "locked"
    assert await reason_of(store.check()) == "locked"
    assert time.monotonic() - started < 10  # a moment for a prompt, once: four would be 12 s

    session.unlock()
    assert await store.load("work") == tokens()
    await store.save("work", tokens("two"))
    assert await store.load("work") == tokens("two")


async def test_a_keyring_that_is_locked_from_the_login_on_is_told_as_locked(
    session: KeyringSession, store: KeyringStore
) -> None:
    session.kill()
    session.start(unlocked=False)

    assert session.is_locked
    assert await reason_of(KeyringStore(None).load("work")) == "locked"


async def test_a_storm_of_background_reads_shows_one_prompt_and_a_sign_in_waits_for_that_one(
    session: KeyringSession, store: KeyringStore, prompter: Prompter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyring_store, "PATIENCE_OF_A_COMMAND", 0.5)
    monkeypatch.setattr(keyring_store, "PATIENCE_OF_A_SIGN_IN", 0.5)
    await asyncio.to_thread(session.lock)

    for _ in range(2):
        assert {await reason_of(task) for task in [store.load(name) for name in ("work", "home", "a", "b")]} == {
            "locked"
        }
    assert await reason_of(store.check()) == "locked"
    assert prompter.shown == 1

    await asyncio.to_thread(session.unlock)
    assert await store.load("work") == tokens()


@pytest.mark.parametrize("prompter", ["dismissed"], indirect=True)
async def test_a_dismissed_prompt_comes_back_for_a_sign_in_only(
    session: KeyringSession, store: KeyringStore, prompter: Prompter
) -> None:
    await asyncio.to_thread(session.lock)
    for _ in range(3):
        assert await reason_of(store.load("work")) == "locked"
    assert prompter.shown == 1

    assert await reason_of(store.check()) == "locked"
    assert prompter.shown == 2


@pytest.mark.parametrize("prompter", ["dismissed"], indirect=True)
async def test_a_keyring_that_was_unlocked_and_locked_again_may_prompt_once_more(
    session: KeyringSession, store: KeyringStore, prompter: Prompter
) -> None:
    for shown in (1, 2):
        await asyncio.to_thread(session.lock)
        assert await reason_of(store.load("work")) == "locked"
        assert await reason_of(store.load("work")) == "locked"
        assert prompter.shown == shown
        await asyncio.to_thread(session.unlock)
        assert await store.load("work") == tokens()


# Silent


async def test_a_frozen_keyring_is_told_within_the_limit_while_the_loop_goes_on(
    session: KeyringSession, store: KeyringStore
) -> None:
    frozen = KeyringStore(None, time_limit=3)
    await frozen.load("work")
    session.freeze()
    started, turns = time.monotonic(), 0
    asked = asyncio.gather(*(reason_of(frozen.load(name)) for name in ("work", "home", "a")))
    while not asked.done():
        await asyncio.sleep(0.01)
        turns += 1

    assert await asked == ["silent"] * 3
    assert 2.9 < time.monotonic() - started < 8  # together: one after the other would be 9 s
    assert turns > 20

    session.thaw()
    assert await frozen.load("work") == tokens()
    await frozen.close()


async def test_threads_do_not_pile_up_on_a_frozen_keyring_and_end_when_it_thaws(session: KeyringSession) -> None:
    before = threading.active_count()
    store = KeyringStore(None, time_limit=1)
    await store.save("work", tokens())
    session.freeze()
    for _ in range(8):
        assert await reason_of(store.load("work")) == "silent"
    started = time.monotonic()
    assert await reason_of(store.load("work")) == "silent"
    assert time.monotonic() - started < 0.8  # at once
    assert threading.active_count() - before <= keyring_store.MOST_STUCK

    session.thaw()
    await asyncio.to_thread(eventually, lambda: threading.active_count() - before <= 1)
    assert await store.load("work") == tokens()
    await store.close()


async def test_a_save_that_was_given_up_never_overwrites_the_one_after_it(session: KeyringSession) -> None:
    store = KeyringStore(None, time_limit=2)
    for round_ in range(3):
        await store.save("work", tokens("before"))
        session.freeze()
        assert await reason_of(store.save("work", tokens(f"given-up-{round_}"))) == "silent"
        session.thaw()
        try:
            await store.save("work", tokens(f"after-{round_}"))
        except StoreUnavailable:
            assert session.start_again_if_it_died()  # else it was there and should have taken it
            await store.save("work", tokens(f"after-{round_}"))
        await asyncio.to_thread(eventually, lambda: not any(worker.alive for worker in store._stuck))

        assert await KeyringStore(None).load("work") == tokens(f"after-{round_}")
        assert "given-up" not in session.stored()
    await store.close()


async def test_a_process_ends_although_the_keyring_is_frozen(session: KeyringSession, store: KeyringStore) -> None:
    session.freeze()
    started = time.monotonic()
    outcome = await asyncio.to_thread(in_a_process, time_limit=0.5)
    session.thaw()

    assert outcome["reason"] == "silent"
    assert time.monotonic() - started < 10


# Missing


async def test_a_keyring_that_died_is_missing_and_is_found_again_when_it_is_back(
    session: KeyringSession, store: KeyringStore
) -> None:
    session.kill()
    assert await reason_of(store.load("work")) == "missing"
    assert await reason_of(store.save("work", tokens("two"))) == "missing"

    session.start()
    assert await store.load("work") == tokens()
    await store.save("work", tokens("two"))
    assert await store.load("work") == tokens("two")


async def test_a_keyring_that_comes_later_than_we_is_found(session: KeyringSession) -> None:
    session.kill()
    store = KeyringStore(None)
    assert await reason_of(store.check()) == "missing"

    session.start()
    await store.check()
    await store.close()


@pytest.mark.parametrize("address", [None, "unix:path=/nonexistent/bus", "nonsense"])
async def test_without_a_session_bus_there_is_no_store(
    session: KeyringSession, address: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS")
    if address:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)

    assert await reason_of(KeyringStore(None).check()) == "missing"


# Killed

SAVER = """
import asyncio
from tray_app.adapters.store.keyring_store import KeyringStore
from tests.integration.test_keyring import tokens

async def main():
    store = KeyringStore(None)
    for number in range(1000):
        await store.save("work", tokens(str(number)))
        print(number, flush=True)

asyncio.run(main())
"""


def killed_while_it_saves(seconds: float) -> int:
    """The number of the last save that the killed process knew to be done."""
    with subprocess.Popen([sys.executable, "-c", SAVER], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "0\n"
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        process.kill()
        return [0, *map(int, process.stdout.read().split())][-1]


@pytest.mark.parametrize("milliseconds", [0, 3, 11, 23, 41, 67, 97, 131])
async def test_a_process_that_is_killed_while_it_saves_leaves_the_last_tokens_or_the_next(
    session: KeyringSession, milliseconds: int
) -> None:
    last = await asyncio.to_thread(killed_while_it_saves, milliseconds / 1000)
    store = KeyringStore(None)

    assert await store.load("work") in {tokens(str(last)), tokens(str(last + 1))}
    await store.save("work", tokens("next"))
    assert await store.load("work") == tokens("next")
    await store.close()


# Which backend: in a process of its own, as keyring keeps what it has found

SCRIPT = """
import asyncio, json, sys
from tray_app.core.errors import StoreUnavailable
from tray_app.adapters.store.keyring_backend import backend_name
from tray_app.adapters.store.keyring_store import KeyringStore
from tests.integration.test_keyring import tokens

async def main():
    store = KeyringStore(None, time_limit=float(sys.argv[1]))
    await store.check()
    await store.save("process", tokens())
    assert await store.load("process") == tokens()
    return {"name": backend_name()}

try:
    print(json.dumps(asyncio.run(main())))
except StoreUnavailable as error:
    print(json.dumps({"reason": error.reason, "what": error.what, "remedy": error.remedy}))
"""

PLAIN_TEXT = """
from keyring.backend import KeyringBackend

class PlaintextKeyring(KeyringBackend):
    priority = 20

    def get_password(self, service, username):
        try:
            with open(f"{__file__}.{username.replace('/', '-')}") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def set_password(self, service, username, password):
        with open(f"{__file__}.{username.replace('/', '-')}", "w") as file:
            file.write(password)

    def delete_password(self, service, username):
        import os
        os.remove(f"{__file__}.{username.replace('/', '-')}")
"""


def in_a_process(time_limit: float = 10, **environment: str) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(time_limit)],
        env={**os.environ, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A plain-text backend, installed as keyrings.alt would be: it only has to be there to be found."""
    folder = tmp_path / "site-packages"
    about = folder / "keyring_plain-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: keyring-plain\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[keyring.backends]\nplain = keyring_plain\n")
    (folder / "keyring_plain.py").write_text(PLAIN_TEXT)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return folder


def test_the_secret_service_is_found(session: KeyringSession) -> None:
    assert in_a_process() == {"name": "keyring.backends.SecretService.Keyring"}
    assert "canary-one-refresh" in session.stored()


def test_what_we_find_is_what_keyring_itself_would_take(session: KeyringSession) -> None:
    code = "import keyring; found = type(keyring.get_keyring()); print(f'{found.__module__}.{found.__qualname__}')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert in_a_process()["name"] == done.stdout.strip()


def test_on_kde_without_its_wallet_the_secret_service_is_found(session: KeyringSession) -> None:
    assert in_a_process(XDG_CURRENT_DESKTOP="KDE")["name"] == "keyring.backends.SecretService.Keyring"


def test_a_plain_text_backend_that_is_merely_found_is_not_taken(session: KeyringSession, plug_in: Path) -> None:
    session.kill()
    outcome = in_a_process()

    assert outcome["reason"] == "insecure"
    assert "keyring_plain.PlaintextKeyring" in outcome["what"]
    assert "PYTHON_KEYRING_BACKEND" in outcome["remedy"]
    assert "canary" not in "".join(path.read_text() for path in plug_in.glob("*.py*") if path.is_file())


def test_a_plain_text_backend_does_not_come_before_a_keyring_whatever_its_priority(
    session: KeyringSession, plug_in: Path
) -> None:
    assert in_a_process()["name"] == "keyring.backends.SecretService.Keyring"
    assert "canary" not in "".join(path.read_text() for path in plug_in.glob("*.py*") if path.is_file())


def test_a_plain_text_backend_that_was_chosen_by_name_is_obeyed(session: KeyringSession, plug_in: Path) -> None:
    outcome = in_a_process(PYTHON_KEYRING_BACKEND="keyring_plain.PlaintextKeyring")

    assert outcome == {"name": "keyring_plain.PlaintextKeyring"}
    assert "canary" in "".join(path.read_text() for path in plug_in.glob("*.py.*"))
    assert "canary" not in session.stored()


def test_a_backend_that_was_chosen_in_keyrings_own_file_is_obeyed(session: KeyringSession, plug_in: Path) -> None:
    folder = Path(session.environment["XDG_CONFIG_HOME"], "python_keyring")
    folder.mkdir(parents=True)
    (folder / "keyringrc.cfg").write_text("[backend]\ndefault-keyring=keyring_plain.PlaintextKeyring\n")

    assert in_a_process() == {"name": "keyring_plain.PlaintextKeyring"}


def test_the_null_backend_does_not_pass_for_a_store_even_when_it_was_chosen(session: KeyringSession) -> None:
    outcome = in_a_process(PYTHON_KEYRING_BACKEND="keyring.backends.null.Keyring")

    assert outcome["reason"] == "broken"
    assert "keyring.backends.null.Keyring" in outcome["what"]


@pytest.mark.parametrize(
    "name", ["keyring.backends.fail.Keyring", "nonsense", "no.such.Keyring", "keyring.backends.null.None", ""]
)
def test_a_name_that_is_no_keyring_is_told_and_nothing_else_is_taken(session: KeyringSession, name: str) -> None:
    outcome = in_a_process(PYTHON_KEYRING_BACKEND=name)

    assert outcome["reason"] == "missing"
    assert outcome["remedy"]
    assert "canary" not in session.stored()


def test_the_secret_service_chosen_by_name_does_not_prompt_in_the_background_either(session: KeyringSession) -> None:
    session.lock()
    outcome = in_a_process(PYTHON_KEYRING_BACKEND="keyring.backends.SecretService.Keyring")

    assert outcome["reason"] == "locked"


def test_keyring_is_imported_only_when_it_is_used() -> None:
    code = (
        "import sys, tray_app.adapters.store.keyring_store;"
        "print(sorted({'keyring', 'secretstorage'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
