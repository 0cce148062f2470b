"""What a person reads is said in English, and told in the language of their desktop."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from gettext import GNUTranslations
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog

from tests.builders import NOW, failure, script, tokens
from tests.unit.test_menu import shown, status
from tray_app.adapters.oauth import pages
from tray_app.base import translation as language
from tray_app.base.translation import preferred, translated_with
from tray_app.core import record as change
from tray_app.core.errors import Unavailable
from tray_app.core.failure import Answer, FailureKind, classify
from tray_app.core.health import Health
from tray_app.core.message import Message, from_json, joined, msg, to_json
from tray_app.core.phrasing import span
from tray_app.core.record import Record
from tray_app.core.record_json import facts_of, record_with
from tray_app.demo.grants import SignIn
from tray_app.demo.page import PRESSED, View, control
from tray_app.demo.provider import Event

PACKAGE = Path(language.__file__).parents[1]
LANGUAGES = sorted(folder.name for folder in language.CATALOGS.iterdir())
PLACES = re.compile(r"\{\w+\}")


@pytest.fixture
def german(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("LC_ALL", "LC_MESSAGES", "LANGUAGE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "de_AT.UTF-8")
    language.language.cache_clear()
    yield
    language.language.cache_clear()


@pytest.fixture(scope="module")
def languages():
    return script("languages")


def german_of(text: str) -> str:
    return translated_with(text, language.catalog("de"))


# -- what is said


def test_what_was_said_is_english_wherever_it_is_not_told():
    sentence = msg("{name}: signed out", name="work")

    assert (sentence, f"{sentence}", json.dumps(sentence)) == ("work: signed out",) * 2 + ('"work: signed out"',)


def test_what_fills_a_sentence_is_told_too_and_text_of_strangers_is_left_alone():
    sentence = msg("{name}: {health}, {time} left", name="fresh", health=msg("fresh"), time=msg("{count} s", count=9))

    assert german_of(sentence) == "fresh: frisch, noch 9 s"


def test_a_stranger_cannot_fill_a_place_that_is_not_theirs():
    assert msg("{host}: {reason}", host="{reason}", reason="{name}") == "{reason}: {name}"


def test_parts_that_are_joined_keep_their_language_and_empty_ones_leave_no_trace():
    assert german_of(joined(", ", ("work", "", msg("signed out")))) == "work, abgemeldet"


def test_an_error_is_one_sentence_with_its_remedy_in_either_language():
    error = Unavailable(msg("{name}: no valid token for now", name="work"), msg("Unlock the keyring"))

    assert str(error) == "work: no valid token for now. Unlock the keyring"
    assert german_of(error.sentence) == "work: zurzeit kein gültiges Token. Entsperren Sie den Schlüsselbund"


def test_the_reason_that_is_kept_over_a_restart_is_told_in_the_persons_language_after_it():
    why = classify(Answer(503, {}, b""), NOW, host="login.example.com")
    record = change.failed(change.signed_in(Record(), tokens(), 0.1), why, NOW)

    again = record_with(Record(), tokens(), json.loads(json.dumps(facts_of(record))), 0.5)

    assert again.failure is not None
    assert again.failure.message == "login.example.com is out of order (HTTP 503)"
    assert german_of(again.failure.message) == "login.example.com ist gestört (HTTP 503)"


@pytest.mark.parametrize("value", [None, 3, [], ["{a}"], [1, {}], {"a": 1}], ids=str)
def test_what_is_no_sentence_on_disk_is_none(value):
    assert from_json(value) is None


def test_a_sentence_within_a_sentence_survives_the_disk():
    sentence = msg("{name}: {health}", name="work", health=msg("fresh"))

    assert german_of(from_json(json.loads(json.dumps(to_json(sentence)))) or "") == "work: frisch"


# -- which language


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, []),
        ({"LANG": "C.UTF-8"}, []),
        ({"LANG": "POSIX", "LANGUAGE": "de"}, []),
        ({"LANG": "de_AT.UTF-8"}, ["de_AT"]),
        ({"LANG": "de_DE@euro", "LC_MESSAGES": "en_GB"}, ["en_GB"]),
        ({"LANG": "de_DE", "LC_MESSAGES": "fr_FR", "LC_ALL": "C"}, []),
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "fr:de:en"}, ["fr", "de", "en"]),
    ],
    ids=str,
)
def test_the_environment_names_languages_in_the_order_of_gettext(environment, wanted):
    assert preferred(environment, lambda: "") == wanted


def test_the_platform_is_asked_where_the_environment_says_nothing():
    assert preferred({}, lambda: "de-DE") == ["de_DE"]


@pytest.mark.parametrize(
    ("languages", "found"),
    [("de_CH", "de"), ("fr:de", "de"), ("en_GB:de", "en"), ("fr", "en"), ("../de", "en"), ("", "de")],
)
def test_the_first_language_that_there_is_a_catalog_for_is_taken(german, monkeypatch, languages, found):
    monkeypatch.setenv("LANGUAGE", languages)

    assert language.language() == found


def test_an_english_desktop_reads_no_catalog_and_imports_no_gettext():
    code = (
        "import sys; from tray_app.base.translation import translated; from tray_app.core.message import msg;"
        "print(translated(msg('fresh')), 'gettext' in sys.modules)"
    )
    asked = subprocess.run(
        [sys.executable, "-c", code], env={"LANG": "en_US.UTF-8"}, capture_output=True, text=True, check=True
    )

    assert asked.stdout.split() == ["fresh", "False"]


# -- the catalogs


@pytest.mark.parametrize("name", LANGUAGES)
def test_every_sentence_is_translated_with_all_its_places(languages, name):
    catalog: Catalog = languages.updated(language.CATALOGS / name / "LC_MESSAGES" / "lamplighter.po")

    lacking = [message.id for message in catalog if message.id and not message.string]
    changed = [one.id for one in catalog if one.id and set(PLACES.findall(one.id)) != set(PLACES.findall(one.string))]

    assert not lacking, "run packaging/languages.py and translate them"
    assert not changed


@pytest.mark.parametrize("name", LANGUAGES)
def test_the_compiled_catalog_is_that_of_what_the_code_says_now(languages, name):
    po = language.CATALOGS / name / "LC_MESSAGES" / "lamplighter.po"
    written = {message.id: message.string for message in languages.updated(po) if message.id}

    with po.with_suffix(".mo").open("rb") as file:
        compiled = {key: text for key, text in GNUTranslations(file)._catalog.items() if key}

    assert compiled == written, "run packaging/languages.py"


# -- nothing is forgotten

SHOWN = {
    "MenuEntry": (0,),
    "Notification": (1, 2),
    "tell": (1, 2),
    "Failure": (1,),
    "SignInNeeded": (0, 1),
    "SignInFailed": (0, 1),
    "Unavailable": (0, 1),
    "UnknownAccount": (0, 1),
    "StoreUnavailable": (0, 1),
    "ok": (1, 2),
    "cannot": (1, 2),
    "skipped": (1, 2),
}
"""What makes something that a person sees in the tray, a notification or a page; where its texts stand."""
KEYWORDS = {"title", "body", "otherwise", "text", "what", "remedy", "message"}
IN_THE_TERMINAL = {"cli", "commands", "editor.py", "probe.py", "client.py", "__main__.py"}
"""What is only read there stays English, as logs do."""


def unsaid(code: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        places = SHOWN.get(name, ())
        texts = [node.args[place] for place in places if place < len(node.args)]
        if places:
            texts += [keyword.value for keyword in node.keywords if keyword.arg in KEYWORDS]
        for text in texts:
            for part in (text.body, text.orelse) if isinstance(text, ast.IfExp) else (text,):
                words = isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value
                template = isinstance(part, ast.JoinedStr) and any(
                    isinstance(one, ast.Constant) and re.search("[a-z]{2}", str(one.value)) for one in part.values
                )
                if words or template:
                    yield f"line {part.lineno}: {ast.unparse(part)}"


def test_no_sentence_that_a_person_sees_is_left_unsaid():
    rooms = [path for path in PACKAGE.rglob("*.py") if not IN_THE_TERMINAL & {path.name, path.parent.name}]

    assert [(room.name, line) for room in rooms for line in unsaid(room.read_text("utf-8"))] == [], "say it with `msg`"


@pytest.mark.parametrize(
    ("code", "is_found"),
    [
        ('MenuEntry("Quit")', True),
        ('Notification("key", f"Sign in to {name}", body)', True),
        ('raise StoreUnavailable(what, remedy="Unlock it" if locked else other)', True),
        ('MenuEntry(msg("Quit"))', False),
        ('Unavailable(error.what, f"{one}: {two}")', False),
    ],
)
def test_the_search_for_unsaid_sentences_finds_them(code, is_found):
    assert bool(list(unsaid(code))) is is_found


IN_ENGLISH = {"report_lines"}
"""What doctor says in the terminal alone."""
NO_SENTENCES = re.compile(r"(sudo|gnome-extensions|timedatectl|lamplighter|chmod) |Claude Code$|session bus$")
"""Commands, a name, and a key."""
WORDS = re.compile(r"[a-z]{2,}[,;:]? [A-Za-z]")
PART_OF_WORDS = re.compile(r"[a-z]{2,}[,;:]? | [a-z]{2,}")


def loose(code: str) -> Iterator[str]:
    """Texts of more than one word, wherever they stand, that are not said: doctor's findings go through variables and
    tables before they reach the eye. Documentation and log lines are passed over.
    """
    tree = ast.parse(code)
    passed: set[ast.AST] = set()
    for node in ast.walk(tree):
        name = ast.unparse(node.func) if isinstance(node, ast.Call) else getattr(node, "name", None) or ""
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            passed.add(node.value)
        elif isinstance(node, ast.Call) and name == "msg":
            passed.add(node.args[0])
        elif name in IN_ENGLISH or name.startswith("LOG."):
            passed |= set(ast.walk(node))
    parts = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in passed:
            is_loose = (PART_OF_WORDS if node in parts else WORDS).search(node.value)
            if is_loose and not NO_SENTENCES.match(node.value):
                yield f"line {node.lineno}: {node.value}"


def test_all_that_doctor_finds_can_be_told_in_another_language():
    rooms = [*(PACKAGE / "interfaces/doctor").glob("*.py"), PACKAGE / "adapters/platform/desktop_session.py"]

    assert [(room.name, line) for room in rooms for line in loose(room.read_text("utf-8"))] == [], "say it with `msg`"


@pytest.mark.parametrize(
    ("code", "is_found"),
    [
        ('remedy = "Look at the network"', True),
        ('says = f"{host} is not known"', True),
        ('says = f"{number} addresses"', True),
        ('places = {"KDE": "Right-click the panel, Add Widgets"}', True),
        ('says = msg("{host} is not known", host=host)', False),
        ('says = msg("{host} is not known ({reason})", reason="no such name")', True),
        ('LOG.exception("doctor: %s has failed", name)', False),
        ('return f"{install} {name}"', False),
        ('found = "sudo apt install"', False),
    ],
)
def test_the_search_in_doctor_follows_no_variables_and_needs_not(code, is_found):
    assert bool(list(loose(code))) is is_found


def hidden(template: str) -> str:
    """A language in which every letter is a box: letters that are left were never said."""
    return re.sub(r"\{\w+\}|[^\W\d_]", lambda one: one[0] if len(one[0]) > 1 else "▪", template)


@pytest.mark.parametrize("health", list(Health))
@pytest.mark.parametrize("signing_in", [(), ("work",)], ids=["", "signing in"])
def test_every_word_of_the_menu_can_be_told_in_another_language(health, signing_in):
    message = msg("{host} no longer accepts this sign-in ({reason})", host="HOST", reason="CODE")
    view, _ = shown(status(health=health, failure=failure(FailureKind.REFUSED, message=message)), signing_in=signing_in)
    entries = [one for entry in view.menu if entry for one in (entry, *(below for below in entry.below if below))]

    texts = [translated_with(text, hidden) for text in (view.tooltip, *(entry.text for entry in entries))]

    assert set(re.findall(r"[^\W\d_▪]+", " ".join(texts))) <= {"work", "HOST", "CODE", "Lamplighter"}


@pytest.mark.parametrize("ended", [None, "", msg("the session was revoked")], ids=["nobody", "signed in", "ended"])
@pytest.mark.parametrize("trouble", ["", "down", "slow"])
def test_every_word_of_the_demos_page_can_be_told_in_another_language(monkeypatch, ended, trouble):
    monkeypatch.setattr(language, "language", lambda: "boxes")
    monkeypatch.setattr(language, "catalog", lambda _name: hidden)
    sign_in = None if ended is None else SignIn("name", "demo", NOW, ended=ended)
    if sign_in is not None:
        sign_in.access_ends_at = NOW + timedelta(seconds=9)
    recent = [(NOW, Event.REFRESH.value), (NOW, PRESSED["down"])]
    view = View("", NOW, sign_in, 1, 20, trouble == "down", trouble == "slow", 25, 3.0, recent)

    page = control(view, "KEY", still=True).body.decode()

    text = re.sub(r"<(style|title)>.*?</\1>|<[^>]+>|&\w+;", " ", page, flags=re.DOTALL)
    assert re.findall(r"[^\W\d_▪]+", text) == []


def test_a_length_of_time_is_told_too(german):
    assert [
        language.translated(span(NOW.replace(day=28) - NOW.replace(day=24))),
        language.translated(span(NOW - NOW)),
    ] == [
        "4 Tage",
        "0 s",
    ]


def test_the_page_after_a_sign_in_says_its_language(german):
    page = pages.signed_in("work").decode()

    assert '<html lang="de">' in page
    assert "<h1>Angemeldet</h1>\n<p>work ist frisch.</p>" in page


def test_no_strangers_text_can_claim_our_success_in_any_language(german):
    page = pages.failed("work", "login.example.com: Sie sind angemeldet, you are signed in").decode()

    assert "Sie sind Anmeldung, you are Anmeldung." in page


def test_said_is_a_text_of_its_own_kind():
    assert isinstance(msg("fresh"), Message)
    assert not isinstance(msg("fresh").upper(), Message)
