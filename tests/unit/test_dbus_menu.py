"""The menu's lines: ids that last, and the smallest change that the panel has to be told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tray_app.core.ports import MenuEntry
from tray_app.interfaces.tray.dbus_menu import ROOT, Line, Menu


def nothing() -> None:
    """Chosen."""


def account(words: str, *, sign_in: bool = True) -> MenuEntry:
    return MenuEntry(words, below=[MenuEntry("Sign In", nothing, enabled=sign_in), MenuEntry("Sign Out", nothing)])


def words(line: Line) -> dict[str, object]:
    return {name: value.value for name, value in line.properties.items()}


def ids(menu: Menu) -> list[int]:
    return list(menu.lines)


def test_underscores_are_no_mnemonics() -> None:
    menu = Menu()
    menu.replace([MenuEntry("my_account", nothing)])

    assert words(menu.root.below[0])["label"] == "my__account"


def test_lines_say_what_they_are() -> None:
    menu = Menu()
    menu.replace(
        [account("work"), None, MenuEntry("Start at Login", nothing, ticked=True), MenuEntry("-", enabled=False)]
    )

    assert [words(line) for line in menu.root.below] == [
        {"label": "work", "enabled": True, "children-display": "submenu"},
        {"type": "separator"},
        {"label": "Start at Login", "enabled": True, "toggle-type": "checkmark", "toggle-state": 1},
        {"label": "-", "enabled": False},
    ]
    assert [words(line)["label"] for line in menu.root.below[0].below] == ["Sign In", "Sign Out"]


def test_a_minute_that_passes_changes_one_label_and_no_layout() -> None:
    menu = Menu()
    menu.replace([account("work: 47 min left"), None, MenuEntry("Quit", nothing)])
    before = ids(menu)

    changed, relaid = menu.replace([account("work: 46 min left"), None, MenuEntry("Quit", nothing)])

    assert [words(line)["label"] for line in changed] == ["work: 46 min left"]
    assert relaid == []
    assert ids(menu) == before


def test_the_same_menu_again_is_no_change() -> None:
    menu = Menu()
    menu.replace([account("work"), None, MenuEntry("Quit", nothing)])

    assert menu.replace([account("work"), None, MenuEntry("Quit", nothing)]) == ([], [])


def test_a_line_does_what_the_newest_entry_says() -> None:
    done = []
    menu = Menu()
    menu.replace([MenuEntry("Quit", lambda: done.append("old"))])
    menu.replace([MenuEntry("Quit", lambda: done.append("new"))])

    act = menu.root.below[0].act
    assert act is not None
    act()

    assert done == ["new"]


def test_a_change_below_one_account_leaves_the_ids_of_the_other() -> None:
    menu = Menu()
    menu.replace([account("work"), account("home")])
    work, home = menu.root.below
    before = [line.id for line in home.all()]

    more = MenuEntry("work", below=[*account("work").below, MenuEntry("Copy Token", nothing)])
    _, relaid = menu.replace([more, account("home")])

    assert relaid == [work.id]
    assert [line.id for line in menu.root.below[1].all()] == before
    assert len(menu.root.below[0].below) == 3


def test_a_new_account_lays_the_whole_menu_anew_and_no_id_means_something_else() -> None:
    menu = Menu()
    menu.replace([account("work")])
    before = set(ids(menu)) - {ROOT}

    _, relaid = menu.replace([account("work"), account("home")])

    assert relaid == [ROOT]
    assert before.isdisjoint(ids(menu))


entries = st.deferred(
    lambda: st.lists(
        st.none()
        | st.builds(
            MenuEntry,
            text=st.sampled_from(["a", "b_c"]),
            act=st.sampled_from([None, nothing]),
            enabled=st.booleans(),
            ticked=st.sampled_from([None, True, False]),
            below=st.just(()) | entries,
        ),
        max_size=4,
    )
)


@given(st.lists(entries, max_size=5))
def test_after_any_history_a_panel_that_follows_the_changes_shows_the_newest_menu(
    history: list[list[MenuEntry | None]],
) -> None:
    menu = Menu()
    seen: dict[int, dict[str, object]] = {}
    below: dict[int, list[int]] = {}

    def ask_again(parent: Line) -> None:
        for line in parent.all():
            seen[line.id] = words(line)
            below[line.id] = [one.id for one in line.below]

    def shown(of: int) -> list[object]:
        return [(seen[one], shown(one)) for one in below[of]]

    def wanted(of: Line) -> list[object]:
        return [(words(one), wanted(one)) for one in of.below]

    ask_again(menu.root)
    for one in history:
        changed, relaid = menu.replace(one)
        for line in changed:
            seen[line.id] = words(line)
        for parent in relaid:
            ask_again(menu.lines[parent])
        fresh = Menu()
        fresh.replace(one)
        assert shown(ROOT) == wanted(fresh.root)
