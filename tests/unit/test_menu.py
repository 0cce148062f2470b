from datetime import timedelta

import pytest

from tests.builders import NOW, failure
from tests.integration.hostile_server import HandClock
from tray_app.core.health import Health
from tray_app.core.status import AccountStatus
from tray_app.interfaces.tray.menu import Acts, Situation, person_needed, view_of


class Clicks:
    def __init__(self):
        self.made = []

    def acts(self):
        def named(name):
            return lambda *account: self.made.append((name, *account))

        return Acts(**{name: named(name) for name in Acts.__dataclass_fields__})


def status(name="work", health=Health.FRESH, minutes=47, **changes):
    return AccountStatus(name, health, expires_at=NOW + timedelta(minutes=minutes), **changes)


def situation(*statuses, signing_in=(), error=None, autostart=False):
    return Situation(statuses, frozenset(signing_in), error, autostart, NOW)


def shown(*statuses, **changes):
    clicks = Clicks()
    clock = HandClock()
    clock.time = NOW + timedelta(minutes=5)
    return view_of(situation(*statuses, **changes), clicks.acts(), clock), clicks


def texts(entries):
    return [None if entry is None else entry.text for entry in entries]


def entry(entries, text):
    return next(one for one in entries if one is not None and one.text == text)


def default_of(entries):
    return [one for one in entries if one is not None and one.default]


def test_the_menu_has_a_line_per_account_and_the_program_below():
    view, _ = shown(status(), status("home", Health.SIGNED_OUT))

    assert texts(view.menu) == [
        "work: fresh, 47 min left",
        "home: signed out",
        None,
        "Open Lamplighter",
        "Add Account...",
        "Edit Configuration",
        None,
        "Start at Login",
        "Open Log",
        "About",
        "Quit",
    ]
    assert texts(view.menu[0].below) == ["Sign In", "Refresh Now", "Copy Token", "Sign Out"]


def test_each_entry_does_what_it_says():
    view, clicks = shown(status())
    for text in ("Sign In", "Refresh Now", "Copy Token", "Sign Out"):
        entry(view.menu[0].below, text).act()
    for text in (
        "Open Lamplighter",
        "Add Account...",
        "Edit Configuration",
        "Start at Login",
        "Open Log",
        "About",
        "Quit",
    ):
        entry(view.menu, text).act()

    assert clicks.made == [
        ("sign_in", "work"), ("refresh", "work"), ("copy_token", "work"), ("sign_out", "work"),
        ("open_page",), ("add_account",), ("edit_configuration",), ("toggle_autostart",), ("open_log",), ("about",),
        ("quit",),
    ]  # fmt: skip


def test_the_default_item_signs_in_to_the_worst_account_when_one_needs_it():
    view, clicks = shown(status(), status("bad", Health.SIGN_IN_NEEDED), status("off", Health.SIGNED_OUT))
    (default,) = default_of(view.menu)
    default.act()

    assert default.text == "Sign In to bad"
    assert clicks.made == [("sign_in", "bad")]
    assert view.health is Health.SIGN_IN_NEEDED


@pytest.mark.parametrize(
    ("statuses", "error", "click"),
    [
        pytest.param([], None, ("add_account",), id="no account yet"),
        pytest.param([], "line 3 is wrong", ("edit_configuration",), id="broken at the start"),
        pytest.param([status(health=Health.SIGNED_OUT)], None, ("sign_in", "work"), id="all signed out"),
        pytest.param([status()], None, ("open_page",), id="all is well"),
    ],
)
def test_there_is_always_exactly_one_default_item(statuses, error, click):
    view, clicks = shown(*statuses, error=error)
    (default,) = default_of(view.menu)
    default.act()

    assert clicks.made == [click]


def test_a_broken_file_at_the_start_is_red_with_the_error_as_tooltip():
    view, _ = shown(error="config.toml, line 3: unknown key `x`")

    assert view.health is Health.SIGN_IN_NEEDED
    assert "config.toml, line 3" in view.tooltip


def test_an_open_sign_in_is_shown_instead_of_the_health():
    view, _ = shown(status(health=Health.SIGN_IN_NEEDED), signing_in=["work"])

    assert view.signing_in
    assert view.menu[0].text == "work: waiting for the browser"


def test_the_reason_stands_above_the_entries_and_what_cannot_be_done_is_grey():
    view, _ = shown(status(health=Health.SIGN_IN_NEEDED, failure=failure()))
    below = view.menu[0].below

    assert texts(below)[:2] == ["unreachable it was", None]
    assert not entry(below, "Copy Token").enabled
    assert not entry(below, "Refresh Now").enabled
    assert entry(below, "Sign In").enabled


def test_the_tooltip_tells_a_time_and_not_a_time_left_so_that_it_stays_true():
    local = (NOW + timedelta(minutes=47)).astimezone().strftime("%H:%M")

    assert shown(status())[0].tooltip == f"Lamplighter: work: fresh until {local}"
    assert shown()[0].tooltip == "Lamplighter: no account yet"


def test_start_at_login_is_ticked_or_not():
    assert entry(shown(autostart=True)[0].menu, "Start at Login").ticked is True
    assert entry(shown()[0].menu, "Start at Login").ticked is False


def test_without_an_account_a_left_click_has_nobody_to_sign_in():
    assert person_needed([]) is None


def test_the_menu_tells_the_time_left_of_the_moment_it_is_opened():
    view, _ = shown(status(minutes=47))

    assert view.menu[0].text == "work: fresh, 47 min left"
    assert view.renewed().menu[0].text == "work: fresh, 42 min left"


def test_while_a_sign_in_is_open_its_link_can_be_copied_and_its_answer_pasted():
    view, clicks = shown(status(health=Health.SIGNED_OUT), signing_in=["work"])

    assert texts(view.menu[0].below)[:3] == ["Sign In", "Copy Sign-in Link", "Paste Answer"]
    for text in ("Copy Sign-in Link", "Paste Answer"):
        entry(view.menu[0].below, text).act()
    assert clicks.made == [("copy_link", "work"), ("paste_answer", "work")]
