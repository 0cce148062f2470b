"""A keyring that holds anything at all where our entries lie."""

from __future__ import annotations

import asyncio
import itertools
import json

from hypothesis import given
from hypothesis import strategies as st

from tests.builders import tokens
from tray_app.adapters.store.keyring_backend import Backend
from tray_app.adapters.store.keyring_store import KeyringStore
from tray_app.adapters.store.serialized import to_text
from tray_app.adapters.store.slots import Slots
from tray_app.core.errors import StoreUnavailable

WHOLE = to_text(tokens())
PART = 300
TEXTUAL = ["access_token", "refresh_token", "token_type", "received_at", "bound_to"]


class Entries:
    """A keyring in memory."""

    def __init__(self, held: dict[str, str]) -> None:
        self.held = held

    def get_password(self, _service: str, name: str) -> str | None:
        return self.held.get(name)

    def set_password(self, _service: str, name: str, value: str) -> None:
        self.held[name] = value

    def delete_password(self, _service: str, name: str) -> None:
        del self.held[name]


def backend(entries: Entries, part_size: int | None) -> Backend:
    return Backend(entries, "tests.Entries", part_size)  # type: ignore[arg-type]  # as much of one as is asked


def written(part_size: int | None) -> dict[str, str]:
    """What a keyring holds after two sign-ins, the first of which was not removed."""
    entries = Entries({})
    slots = Slots(backend(entries, part_size), lambda: None)
    slots.write("work", WHOLE)
    first = dict(entries.held)
    slots.write("work", to_text(tokens(30, access_token="A1", refresh_token="R1")))
    return first | entries.held


GOOD = {PART: written(PART), None: written(None)}
NAMES = st.sampled_from(sorted({*GOOD[PART], "work/a/9", "work/b/9"}))
TEXTS = (
    st.text(st.characters())
    | st.builds(
        "{} {} {}\n{}".format, st.integers(-1), st.integers(-1, 99), st.text("0123456789abcdef", max_size=64), st.text()
    )
    | st.sampled_from([*GOOD[PART].values(), *GOOD[None].values()]).flatmap(
        lambda text: st.integers(0, len(text)).map(lambda cut: text[:cut])
    )
)


@given(st.sampled_from([PART, None]), st.dictionaries(NAMES, TEXTS | st.none(), max_size=4))
def test_what_lies_in_the_keyring_is_tokens_or_none_or_damaged_and_can_be_replaced(part_size, changes):
    held = {name: text for name, text in (GOOD[part_size] | changes).items() if text is not None}
    store = KeyringStore(None, choose=lambda: backend(Entries(held), part_size))

    async def used() -> None:
        try:
            found = await store.load("work")
        except StoreUnavailable as error:
            assert "A0" not in str(error)
        else:
            assert found is None or found.access_token.reveal() in {"A0", "A1"}
        await store.save("work", tokens(access_token="A2"))
        assert (await store.load("work")).access_token.reveal() == "A2"
        await store.erase("work")
        assert await store.load("work") is None
        await store.close()

    asyncio.run(used())


@given(st.permutations(TEXTUAL))
def test_values_in_each_others_places_are_never_told(order):
    members = json.loads(WHOLE) | {"access_token": "canary-access", "refresh_token": "canary-refresh"}
    moved = {name: members[other] for name, other in zip(TEXTUAL, order, strict=True)}
    if "canary" in f"{moved['token_type']}{moved['bound_to']}":
        return  # it cannot be known that these are no type and no issuer
    text = json.dumps(members | moved)
    entries = Entries({})
    Slots(backend(entries, None), lambda: None).write("work", text)
    store = KeyringStore(None, choose=lambda: backend(entries, None))

    async def told() -> str:
        try:
            return repr(await store.load("work"))
        except StoreUnavailable as error:
            return f"{error} {error.what} {error.remedy}"
        finally:
            await store.close()

    assert "canary" not in asyncio.run(told())


class Watched(Entries):
    """Notes each of its changes."""

    def __init__(self, held: dict[str, str]) -> None:
        super().__init__(held)
        self.changes: list[tuple[str, str | None]] = []

    def set_password(self, service: str, name: str, value: str) -> None:
        self.changes.append((name, value))
        super().set_password(service, name, value)

    def delete_password(self, service: str, name: str) -> None:
        self.changes.append((name, None))
        super().delete_password(service, name)


class Overtaken(Entries):
    """Another process makes so many of its changes before each reading, and the rest before the one after these."""

    def __init__(self, held: dict[str, str], changes: list[tuple[str, str | None]], pace: list[int]) -> None:
        super().__init__(held)
        self._changes = iter(changes)
        self._pace = iter(pace)

    def get_password(self, service: str, name: str) -> str | None:
        for changed, value in itertools.islice(self._changes, next(self._pace, None)):
            self.held[changed] = value or ""
            if value is None:
                del self.held[changed]
        return super().get_password(service, name)


@given(st.sampled_from([PART, None]), st.integers(1, 2), st.lists(st.integers(0, 3), max_size=15))
def test_who_reads_while_another_process_writes_finds_the_old_tokens_or_the_new(part_size, writes, pace):
    held = Entries({})
    for _ in range(writes):  # the next one goes into slot b, or into slot a
        Slots(backend(held, part_size), lambda: None).write("work", WHOLE)
    other = Watched(dict(held.held))
    fresh = to_text(tokens(access_token="A1", refresh_token="R1"))
    Slots(backend(other, part_size), lambda: None).write("work", fresh)

    reader = Slots(backend(Overtaken(held.held, other.changes, pace), part_size), lambda: None)

    assert reader.read("work") in {WHOLE, fresh}
