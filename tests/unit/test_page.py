"""Who may see the status page, and that all it says can be said in another language."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tray_app.base.http.messages import Request
from tray_app.interfaces.page import gate as room
from tray_app.interfaces.page.gate import KEY_SECONDS, MOST_KEYS, Gate
from tray_app.interfaces.page.translations import WORDS

ORIGIN = "http://127.0.0.1:4711"
FOLDER = Path(room.__file__).parent


class Time:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def gate(time):
    return Gate(ORIGIN, time)


def request(method="GET", path="/", query="", **headers):
    given = {"host": "127.0.0.1:4711", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return Request(method, path, query, tuple((name, value) for name, value in given.items() if value is not None), b"")


def visit(gate, address, **headers):
    parts = urlsplit(address)
    return gate.exchange(request(path=parts.path, query=parts.query, **headers))


def cookie(gate):
    answer = visit(gate, gate.address())
    return dict(answer.headers)["Set-Cookie"].partition(";")[0]


def test_a_key_serves_once(gate):
    address = gate.address()

    assert visit(gate, address).status == 303
    assert visit(gate, address).status == 403


def test_a_key_ends_and_there_are_never_many(gate, time):
    first, *others = [gate.address() for _ in range(MOST_KEYS + 1)]
    assert visit(gate, first).status == 403
    assert visit(gate, others[0]).status == 303
    time.now += KEY_SECONDS + 1

    assert visit(gate, others[1]).status == 403


def test_the_cookie_is_for_this_page_and_no_script(gate):
    answer = visit(gate, gate.address("#add"))
    headers = dict(answer.headers)

    assert headers["Location"] == gate.base
    assert re.fullmatch(
        rf"lamplighter=[\w-]{{43}}; Path={re.escape(gate.base)}; HttpOnly; SameSite=Strict", headers["Set-Cookie"]
    )


def test_by_another_name_a_key_is_not_even_used_up(gate):
    address = gate.address()
    assert visit(gate, address, host="evil.example:4711") is None
    assert visit(gate, address, host=None) is None

    assert visit(gate, address).status == 303


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        pytest.param({}, None, id="the page's own"),
        pytest.param({"host": "evil.example:4711"}, 421, id="DNS rebinding"),
        pytest.param({"host": "localhost:4711"}, 421, id="another name of this computer"),
        pytest.param({"host": "127.0.0.1:4712"}, 421, id="another port"),
        pytest.param({"host": None}, 421, id="no host"),
        pytest.param({"cookie": None}, 403, id="no cookie"),
        pytest.param({"cookie": "lamplighter=guess"}, 403, id="a guess"),
        pytest.param({"origin": "https://evil.example"}, 403, id="another origin"),
        pytest.param({"origin": "null"}, 403, id="no origin of its own"),
        pytest.param({"origin": ORIGIN}, None, id="its own origin"),
        pytest.param({"sec_fetch_site": "cross-site"}, 403, id="asked for by another site"),
        pytest.param({"sec_fetch_site": "same-site"}, 403, id="by another port of this computer"),
        pytest.param({"sec_fetch_site": "none"}, None, id="typed by the person"),
    ],
)
def test_only_this_page_s_own_requests_are_answered(gate, changes, status):
    refused = gate.refusal(request(path=gate.base, **{"cookie": cookie(gate), **changes}))

    assert (refused and refused.status) == status


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        pytest.param({}, None, id="the page's own"),
        pytest.param({"origin": None}, 403, id="no origin"),
        pytest.param({"origin": "https://evil.example"}, 403, id="another origin"),
        pytest.param({"content_type": "text/plain"}, 403, id="what a form can send"),
        pytest.param({"content_type": None}, 403, id="nothing"),
    ],
)
def test_a_form_of_another_page_does_nothing(gate, changes, status):
    given = {"cookie": cookie(gate), "origin": ORIGIN, "content_type": "application/json", **changes}
    refused = gate.refusal(request("POST", f"{gate.base}demo", **given))

    assert (refused and refused.status) == status


def test_a_cookie_of_the_same_name_from_another_server_of_this_computer_changes_nothing(gate):
    right = cookie(gate)

    assert gate.refusal(request(path=gate.base, cookie=f"lamplighter=x; {right}")) is None
    assert gate.refusal(request(path=gate.base, cookie=f"{right}; lamplighter=x")) is None
    assert gate.refusal(request(path=gate.base, cookie=f"other=1; {right}")) is None
    assert gate.refusal(request(path=gate.base, cookie="lamplighter=x; lamplighter=y")).status == 403


def said_on_the_page():
    html = (FOLDER / "page.html").read_text()
    yield from re.findall(r"data-t(?: hidden)?>([^<]+)<", html)
    yield from re.findall(r'aria-label="([^"]+)"[^>]*data-t-label', html)
    scripts = "".join(path.read_text() for path in FOLDER.glob("*.js"))
    yield from re.findall(r'\bt\(\s*"([^"]+)"', scripts)
    for table in re.findall(r"const (?:HEALTH|TOLD) = \{(.*?)\};", scripts, re.DOTALL):
        yield from re.findall(r':\s*"([^"]+)"', table)
    yield from re.findall(r'\["([A-Z][^"]+)",', scripts)
    yield from re.findall(r'\["[▼●❘]", "[^"]+", "([^"]+)"\]', scripts)


def test_all_that_the_page_says_can_be_translated():
    missing = set(said_on_the_page()) - set(map(str, WORDS))

    assert missing == set()


def test_the_page_has_no_script_or_style_in_it_and_nothing_from_elsewhere():
    html = (FOLDER / "page.html").read_text()

    assert not re.search(r"\son\w+=|style=|<style|javascript:", html)
    assert re.findall(r"<script([^>]*)>([^<]*)</script>", html) == [(' type="module" src="page.js"', "")]
    for path in (*FOLDER.glob("*.js"), *FOLDER.glob("*.css"), FOLDER / "page.html"):
        text = path.read_text().replace("http://www.w3.org/2000/svg", "").replace("https://login.example.com", "")
        assert not re.search(r"https?://|innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text), path
