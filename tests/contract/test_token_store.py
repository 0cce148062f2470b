"""What `ports.TokenStore` promises, on each implementation and on keyrings with the limits of each platform."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.keyring_session import KeyringSession, missing_part
from tray_app.adapters.store.keyring_backend import Backend, _prepared
from tray_app.adapters.store.keyring_store import KeyringStore
from tray_app.adapters.store.memory_store import MemoryStore
from tray_app.core.errors import StoreUnavailable
from tray_app.core.tokens import Secret, TokenSet


def tokens(word: str = "one", *, size: int = 0, **changes: Any) -> TokenSet:
    """A token set whose secrets hold `canary-WORD` and are `size` characters longer."""
    made = TokenSet(
        access_token=Secret(f"canary-{word}-access" + "A" * size * 2),
        token_type="Bearer",
        received_at=datetime(2026, 11, 24, 1, 2, 3, 456789, tzinfo=UTC),
        lifetime=timedelta(hours=1),
        refresh_token=Secret(f"canary-{word}-refresh" + "R" * size),
        scopes=("openid", "offline_access"),
        subject="someone",
        sign_in_ends_at=datetime(2026, 12, 24, tzinfo=UTC),
        bound_to="https://login.example.com abc",
    )
    return replace(made, **changes)


Opened = Callable[..., Any]


@dataclass(frozen=True)
class Place:
    """Somewhere to keep tokens: `opened` as a process does that has just started, `stored` all that lies there."""

    opened: Opened
    stored: Callable[[], str]
    outlives_the_process: bool = True


class Died(BaseException):
    """The process was killed here."""


class DeleteThenAdd:
    """A keyring in memory that writes as keyring does on macOS: deletes first, then adds. It can die at any step."""

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], str] = {}
        self.steps_to_live = 10**9

    def _step(self) -> None:
        self.steps_to_live -= 1
        if self.steps_to_live < 0:
            raise Died

    def get_password(self, service: str, username: str) -> str | None:
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._step()
        self.entries.pop((service, username), None)
        self._step()
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._step()
        del self.entries[service, username]


class WindowsError(Exception):
    """As pywin32 raises it."""

    def __init__(self, winerror: int, funcname: str, strerror: str) -> None:
        super().__init__(winerror, funcname, strerror)
        self.winerror, self.funcname, self.strerror = winerror, funcname, strerror


class Credentials(ModuleType):
    """`win32cred` over a dictionary, with the limit of the Windows Credential Manager and its indifference to case."""

    CRED_TYPE_GENERIC, CRED_PERSIST_LOCAL_MACHINE, CRED_PERSIST_ENTERPRISE = 1, 2, 3

    def __init__(self) -> None:
        super().__init__("win32cred")
        self.held: dict[str, dict[str, Any]] = {}

    def CredWrite(self, credential: dict[str, Any], _flags: int) -> None:  # noqa: N802 - pywin32's name
        blob = credential["CredentialBlob"].encode("utf-16-le")
        if len(blob) > 2560:
            raise WindowsError(1783, "CredWrite", "The stub received bad data")
        self.held[credential["TargetName"].lower()] = {**credential, "CredentialBlob": blob}

    def CredRead(self, Type: int, TargetName: str) -> dict[str, Any]:  # noqa: N802, N803 - pywin32's names
        if TargetName.lower() not in self.held:
            raise WindowsError(1168, "CredRead", "Element not found")
        return dict(self.held[TargetName.lower()])

    def CredDelete(self, Type: int, TargetName: str) -> None:  # noqa: N802, N803 - pywin32's names
        if self.held.pop(TargetName.lower(), None) is None:
            raise WindowsError(1168, "CredDelete", "Element not found")


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Credentials]]:
    """The Windows backend of keyring, over a Credential Manager that is a dictionary."""
    from keyring.backend import KeyringBackend

    win32cred, pywintypes = Credentials(), ModuleType("pywintypes")
    pywintypes.error = WindowsError
    package, pywin32 = ModuleType("win32ctypes"), ModuleType("win32ctypes.pywin32")
    pywin32.win32cred, pywin32.pywintypes = win32cred, pywintypes
    monkeypatch.setitem(sys.modules, "win32ctypes", package)
    monkeypatch.setitem(sys.modules, "win32ctypes.pywin32", pywin32)
    monkeypatch.delitem(sys.modules, "keyring.backends.Windows", raising=False)
    before = set(KeyringBackend._classes)
    from keyring.backends.Windows import WinVaultKeyring

    yield WinVaultKeyring(), win32cred
    KeyringBackend._classes.intersection_update(before)
    del sys.modules["keyring.backends.Windows"]


@pytest.fixture(scope="module")
def gnome_keyring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyringSession]:
    if missing := missing_part():
        pytest.skip(f"{missing} is not installed")
    session = KeyringSession(tmp_path_factory.mktemp("keyring"))
    try:
        session.start()
        yield session
    finally:
        session.close()


KEYRINGS = ("GNOME Keyring", "Windows", "macOS")


@pytest.fixture(params=["memory", *KEYRINGS])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Place:
    if request.param == "memory":
        store = MemoryStore()
        return Place(lambda _home=None: store, lambda: "", outlives_the_process=False)
    if request.param == "Windows":
        entries, win32cred = request.getfixturevalue("credentials")
        return Place(
            lambda home=None: KeyringStore(home, choose=lambda: _prepared(entries)),
            lambda: "".join(one["CredentialBlob"].decode("utf-16-le") for one in win32cred.held.values()),
        )
    if request.param == "macOS":
        mac: Any = DeleteThenAdd()
        return Place(
            lambda home=None: KeyringStore(home, choose=lambda: Backend(mac, "macOS")),
            lambda: "".join(mac.entries.values()),
        )
    session: KeyringSession = request.getfixturevalue("gnome_keyring")
    monkeypatch.delenv("PYTHON_KEYRING_BACKEND", raising=False)
    for name, value in session.environment.items():
        monkeypatch.setenv(name, value)
    return Place(KeyringStore, session.stored)


@pytest.fixture
async def opened(place: Place) -> AsyncIterator[Opened]:
    """Opens stores at the place, and afterwards leaves nothing in it."""
    stores: list[Any] = []

    def open_one(home: Path | None = None) -> Any:
        stores.append(place.opened(home))
        return stores[-1]

    yield open_one
    for store in stores:
        await store.erase("work")
        await store.set_client_secret("work", None)
        await store.set_registration("work", None)
        await store.close()


NAMES = ("work", "work.b", "work.", ".", "..", "-", "_", "0", "b", "check", "client-secret", "W" * 100)

NASTY = {
    "a refresh token of 4 kB": tokens(size=4096),
    "exactly as long as a part": tokens(size=1100),
    "scopes in four scripts": tokens(scopes=("läsa", "读取", "чтение", "\U0001d4b6\U0001f5dd")),
    "half a character": tokens(subject="\ud800"),
    "quotes, line breaks and a null": tokens(subject="\"\\\n\r\0\u2028'%s{}"),
    "another issuer and client": tokens(issuer="https://a.example", client_id="c" * 300),
    "nothing optional": tokens(refresh_token=None, scopes=(), subject=None, sign_in_ends_at=None),
    "empty strings": tokens(access_token=Secret(""), refresh_token=Secret("")),
}


async def test_there_is_nothing_of_an_account_that_was_never_saved(opened: Opened) -> None:
    assert await opened().load("work") is None


@pytest.mark.parametrize("saved", NASTY.values(), ids=NASTY.keys())
async def test_what_was_saved_is_loaded_by_the_next_process(opened: Opened, saved: TokenSet) -> None:
    await opened().save("work", saved)

    assert await opened().load("work") == saved


@pytest.mark.parametrize("after", range(0, 5000, 613))
async def test_each_save_replaces_the_one_before_whatever_their_sizes(opened: Opened, after: int) -> None:
    store = opened()
    for number, size in enumerate((2000, after, 700, 5000, after)):
        await store.save("work", tokens(str(number), size=size))
        assert await opened().load("work") == tokens(str(number), size=size)


async def test_of_the_tokens_before_nothing_is_left(opened: Opened, place: Place) -> None:
    store = opened()
    for word in ("one", "two", "three"):
        await store.save("work", tokens(word, size=2000))

    assert "canary-one" not in place.stored()
    assert "canary-two" not in place.stored()
    assert "canary-three-refresh" in place.stored() or not place.outlives_the_process


async def test_accounts_do_not_see_each_other(opened: Opened, place: Place) -> None:
    store = opened()
    for name in NAMES:
        await store.save(name, tokens(name))
        await store.set_client_secret(name, Secret(f"canary {name}"))

    assert {name: await store.load(name) for name in NAMES} == {name: tokens(name) for name in NAMES}
    assert [(await store.client_secret(name)).reveal() for name in NAMES] == [f"canary {name}" for name in NAMES]

    await store.erase("work")
    assert await store.load("work.b") == tokens("work.b")

    for name in NAMES:
        await store.erase(name)
        await store.set_client_secret(name, None)
    assert "canary" not in place.stored()


async def test_nothing_is_left_of_what_was_erased(opened: Opened, place: Place) -> None:
    store = opened()
    for word in ("one", "two"):
        await store.save("work", tokens(word, size=3000))
    await store.erase("work")
    await store.erase("work")

    assert await opened().load("work") is None
    assert "canary" not in place.stored()


async def test_a_registration_is_kept_beside_the_client_secret_until_it_is_removed(
    opened: Opened, place: Place
) -> None:
    store = opened()
    await store.set_registration("work", Secret("canary-" + "r" * 3000))
    await store.set_client_secret("work", Secret("canary-secret"))
    await store.erase("work")
    assert await opened().registration("work") == Secret("canary-" + "r" * 3000)

    await store.set_registration("work", None)
    assert await opened().registration("work") is None
    assert await opened().client_secret("work") == Secret("canary-secret")
    await store.set_client_secret("work", None)
    assert "canary" not in place.stored()


async def test_a_client_secret_is_kept_through_sign_outs_until_it_is_removed(opened: Opened, place: Place) -> None:
    store = opened()
    await store.set_client_secret("work", Secret("canary-old"))
    await store.set_client_secret("work", Secret("canary-" + "s" * 3000))
    await store.save("work", tokens())
    await store.erase("work")
    assert await opened().client_secret("work") == Secret("canary-" + "s" * 3000)

    await store.set_client_secret("work", None)
    await store.set_client_secret("work", None)
    assert await opened().client_secret("work") is None
    assert "canary" not in place.stored()


async def test_a_check_leaves_nothing_behind(opened: Opened, place: Place) -> None:
    store = opened()
    await store.save("work", tokens())
    before = place.stored()
    await store.check()

    assert place.stored() == before
    assert await store.load("work") == tokens()


@pytest.mark.parametrize("place", KEYRINGS, indirect=True)
async def test_two_homes_do_not_see_each_other(opened: Opened, tmp_path: Path) -> None:
    mine, yours, default = opened(tmp_path / "mine"), opened(tmp_path / "yours"), opened()
    await mine.save("work", tokens("mine"))

    assert await yours.load("work") is None
    assert await default.load("work") is None
    await yours.erase("work")
    assert await opened(tmp_path / "mine").load("work") == tokens("mine")


@pytest.mark.parametrize("part_size", [None, 1200], ids=["one entry", "several entries"])
@pytest.mark.parametrize("sizes", [(0, 0), (4000, 4000), (4000, 100), (100, 4000)], ids=str)
async def test_a_kill_at_any_step_of_a_save_leaves_the_old_tokens_or_the_new_ones(
    part_size: int | None, sizes: tuple[int, int]
) -> None:
    old, new, newest = tokens("old", size=sizes[0]), tokens("new", size=sizes[1]), tokens("newest", size=sizes[0])
    outcomes = []
    for steps in range(10**6):
        entries: Any = DeleteThenAdd()

        def opened(entries: Any = entries) -> KeyringStore:
            return KeyringStore(None, choose=lambda: Backend(entries, "macOS", part_size))

        first, died = opened(), False
        await first.save("work", old)
        entries.steps_to_live = steps
        try:
            await first.save("work", new)
        except Died:
            died = True
        entries.steps_to_live = 10**9

        second = opened()
        outcomes.append(await second.load("work"))
        await second.save("work", newest)
        assert await second.load("work") == newest
        assert "canary-old" not in "".join(entries.entries.values())
        await second.erase("work")
        assert entries.entries == {}
        await first.close()
        await second.close()
        if not died:
            break

    assert outcomes[0] == old
    assert outcomes[-1] == new
    assert set(outcomes) == {old, new}


async def test_a_kill_at_any_step_of_a_sign_out_leaves_nothing_that_the_next_one_does_not_erase() -> None:
    for steps in range(10**6):
        entries: Any = DeleteThenAdd()
        store = KeyringStore(None, choose=lambda entries=entries: Backend(entries, "Windows", 1200))
        await store.save("work", tokens(size=4000))
        entries.steps_to_live = steps
        try:
            await store.erase("work")
        except Died:
            entries.steps_to_live = 10**9
            await store.erase("work")
            assert entries.entries == {}
        else:
            assert steps > 1
            break
        finally:
            await store.close()


@pytest.mark.parametrize("part_size", [None, 1200], ids=["one entry", "several entries"])
async def test_tokens_that_were_damaged_are_not_taken_for_absent_and_can_be_replaced(part_size: int | None) -> None:
    entries: Any = DeleteThenAdd()
    store = KeyringStore(None, choose=lambda: Backend(entries, "macOS", part_size))
    await store.save("work", tokens(size=4000))
    last = max(entries.entries)
    entries.entries[last] = entries.entries[last].replace("R", "Q", 1)

    with pytest.raises(StoreUnavailable, match="damaged") as caught:
        await store.load("work")
    assert caught.value.reason == "broken"

    await store.save("work", tokens("two"))
    assert await store.load("work") == tokens("two")
    await store.close()


async def test_on_windows_every_entry_has_its_own_target_stays_on_this_machine_and_fits(
    credentials: tuple[Any, Credentials],
) -> None:
    entries, win32cred = credentials
    store = KeyringStore(None, choose=lambda: _prepared(entries))
    await store.save("work", tokens(size=4000))
    await store.save("home", tokens(size=4000))
    await store.close()

    assert len(win32cred.held) > 10
    assert "lamplighter" not in win32cred.held
    assert {one["Persist"] for one in win32cred.held.values()} == {win32cred.CRED_PERSIST_LOCAL_MACHINE}
    assert max(len(one["CredentialBlob"]) for one in win32cred.held.values()) <= 2400


async def test_an_entry_that_windows_refuses_for_its_size_is_told_as_full_and_the_old_tokens_remain(
    credentials: tuple[Any, Credentials],
) -> None:
    entries, _ = credentials
    store = KeyringStore(None, choose=lambda: _prepared(entries))
    await store.save("work", tokens())
    unlimited = KeyringStore(None, choose=lambda: replace(_prepared(entries), part_size=None))

    with pytest.raises(StoreUnavailable) as caught:
        await unlimited.save("work", tokens("two", size=4000))

    assert caught.value.reason == "full"
    assert caught.value.remedy
    assert await store.load("work") == tokens()
    await store.close()
    await unlimited.close()


class Swallows(DeleteThenAdd):
    """A keyring that says yes to every write, and from `swallows` on keeps none of them."""

    swallows = False

    def set_password(self, service: str, username: str, password: str) -> None:
        if not self.swallows:
            super().set_password(service, username, password)


@pytest.mark.parametrize("before", [None, tokens("before")], ids=["nothing", "older tokens"])
async def test_a_keyring_that_swallows_what_it_is_given_is_told_and_what_was_there_remains(
    before: TokenSet | None,
) -> None:
    entries = Swallows()
    store = KeyringStore(None, choose=lambda: Backend(entries, "tests.Swallows"))  # type: ignore[arg-type]  # as much of one as is asked
    if before is not None:
        await store.save("work", before)
    entries.swallows = True

    with pytest.raises(StoreUnavailable, match="did not keep"):
        await store.save("work", tokens("after"))
    with pytest.raises(StoreUnavailable, match="did not keep"):
        await store.check()
    assert await store.load("work") == before
    await store.close()
