"""The pages of the demo's authorization server: without script, without anything from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from importlib.resources import files
from string import Template

from tray_app.base.http.messages import Response
from tray_app.base.http.server import PAGE_HEADERS
from tray_app.base.translation import _, language, translated
from tray_app.core.message import msg
from tray_app.core.time_phrasing import span
from tray_app.demo.grants import SignIn

PRESSED = {
    "revoke": msg("You revoked the session"),
    "down": msg("You took us down"),
    "slow": msg("You made us slow"),
    "end": msg("You ended the refresh token"),
    "soon": msg("You let the sign-in end soon"),
    "recover": msg("You ended the trouble"),
}
"""The buttons of the control page by their names, in words for its list of what happened."""

_SCOPE_IN_WORDS = {
    "demo": msg("Use the demo account"),
    "offline_access": msg("Keep you signed in: renew its tokens without asking, until you revoke the session"),
}

_LAMP = """<svg class="lamp {lit}" viewBox="0 0 64 64" aria-hidden="true" fill="currentColor">
<path d="M32 4a20 20 0 0 0-12 36c2.600 2 4 4.500 4 7h16c0-2.500 1.400-5 4-7A20 20 0 0 0 32 4z"/>
<path d="M25 51h14v3a3 3 0 0 1-3 3h-1a3 3 0 0 1-6 0h-1a3 3 0 0 1-3-3z" opacity=".55"/></svg>"""


@dataclass(frozen=True, slots=True)
class View:
    """All that the control page shows at one moment."""

    issuer: str
    now: datetime
    sign_in: SignIn | None
    """The newest."""
    sign_ins: int
    ttl: int
    down: bool
    slow: bool
    outage: int
    delay: float
    recent: Sequence[tuple[datetime, str]]

    @property
    def left(self) -> timedelta:
        """How long the access token still lives."""
        return max(timedelta(0), self.sign_in.access_ends_at - self.now) if self.sign_in else timedelta(0)


def control(view: View, key: str, *, still: bool) -> Response:
    """The page with the state of things and the buttons; loaded again every 5 s unless `still`."""
    kind, state, meaning = _state(view)
    seconds = view.left.total_seconds()
    life = f"width:{100 * seconds / view.ttl:.1f}%;animation-duration:{seconds:.1f}s"
    refreshes = view.sign_in.refreshes if view.sign_in else 0
    troubles = "".join(_trouble(key, *each) for each in _troubles(view))
    happened = "".join(f"<li>{_time(at)}<span>{escape(translated(words))}</span></li>" for at, words in view.recent)
    every, stop = _("Every 5 s"), _("Stop updating")
    pause = f'<a href="/">{_("Update every 5 s")}</a>' if still else f'{every} &middot; <a href="/?still">{stop}</a>'
    rows = (
        (_("Sign-ins"), view.sign_ins),
        (_("Refreshes"), refreshes),
        (_("Token left"), translated(span(view.left)) if view.left else "&ndash;"),
    )
    facts = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in rows)
    about = _(
        "A real authorization server, on this computer alone, that Lamplighter keeps you signed in with. "
        "Make trouble here and watch the lamp in your tray."
    )
    life_of_tokens = _("tokens live {time}", time=span(timedelta(seconds=view.ttl)))
    nothing = f"<li>&ndash;<span>{_('Nothing yet')}</span></li>"
    lamp = _LAMP.format(lit="lit" if view.left else "")
    body = f"""<header>{lamp}<div><h1>{_("The sign-in provider of the demo")}</h1>
<p>{about}</p></div></header>
<section class="card" aria-label="{_("State")}"><div class="state {kind}">{state}</div><p>{meaning}</p>
<dl>{facts}</dl>
<div class="life"><i style="{life}"></i></div></section>
<div class="section"><h2>{_("Make trouble")}</h2></div>
<ul class="card troubles">{troubles}</ul>
<div class="section"><h2>{_("What happened")}</h2><span class="quiet">{pause}</span></div>
<ul class="card log">{happened or nothing}</ul>
<p class="quiet">{_("Issuer")} <code>{escape(view.issuer)}</code> &middot; {life_of_tokens}
&middot; {_("gone without a trace when the demo ends")}</p>"""
    return _page(200, _("Lamplighter demo"), body, size="wide", refresh=not still)


def approval(key: str, scopes: Sequence[str], origin: str) -> Response:
    """The page that asks the person; both answers lead to `origin`, which the policy therefore names."""
    wanted = "".join(f"<li>{escape(translated(_SCOPE_IN_WORDS[scope]))}</li>" for scope in scopes)
    title = _("Let Lamplighter sign you in?")
    after = _(
        "Approving is the whole sign-in: the demo has no passwords. "
        "Either way you go on to {place}, where Lamplighter waits."
    )
    after = escape(after).replace("{place}", f"<code>{escape(origin)}</code>")
    body = f"""<header>{_LAMP.format(lit="lit")}<div><h1>{title}</h1>
<p>{_("The program Lamplighter on this computer asks for your demo account.")}</p></div></header>
<section class="card"><h2>{_("It will be able to")}</h2><ul class="scopes">{wanted}</ul>
<form method="post" action="/authorize"><input type="hidden" name="key" value="{key}"><div class="choice">
<button name="decision" value="refuse">{_("Refuse")}</button>
<button name="decision" value="approve" class="main">{_("Approve")}</button></div></form></section>
<p class="quiet">{after}</p>"""
    return _page(200, title, body, form_action=origin)


def message(status: int, title: str, text: str, *, back: bool = False) -> Response:
    """A page that only says something."""
    title, text = translated(title), translated(text)
    link = f' <a href="/">{_("Back to the demo")}</a>' if back else ""
    body = f"<header>{_LAMP.format(lit='')}<div><h1>{escape(title)}</h1><p>{escape(text)}{link}</p></div></header>"
    return _page(status, title, body)


def _state(view: View) -> tuple[str, str, str]:
    """Kind, state and meaning, for the head of the page."""
    if view.down:
        return "down", _("Down"), _("Every call is answered with 503 until the trouble ends.")
    if view.sign_in is None:
        how = _("Click the lamp in your tray, or choose Sign In in its menu.")
        return "", _("Nobody is signed in"), how
    if view.sign_in.ended:
        why = _("Next refresh: refused, because {reason}.", reason=view.sign_in.ended)
        return "ended", _("The sign-in has ended"), escape(why)
    at = f"{view.sign_in.at.astimezone():%H:%M:%S}"
    if view.slow:
        seconds = f"{view.delay:.0f}"
        how_slow = _("Since {time}. Each answer takes {count} s.", time=at, count=seconds)
        return "down", _("Signed in; we are slow"), how_slow
    if view.sign_in.ends_soon:
        soon = _("Since {time}. Told with the next refresh; a new sign-in mends it.", time=at)
        return "down", _("Signed in, for two more days"), soon
    return "lit", _("Lamplighter is signed in"), _("Since {time}, with the demo account.", time=at)


def _troubles(view: View) -> list[tuple[str, str, str, bool]]:
    """Name, label, what will be seen and whether it can be pressed, of each button."""
    signed_in = view.sign_in is not None and not view.sign_in.ended
    ends_soon = view.sign_in is not None and view.sign_in.ends_soon
    buttons = [
        (
            "revoke",
            _("Revoke the session"),
            _(
                "As if you had signed out everywhere: red at the next refresh, and a notification offers Sign In.",
            ),
            signed_in,
        ),
        (
            "down",
            _("Be down for {count} s", count=view.outage),
            _("Amber when a refresh fails, orange when the token has ended; then green again, by itself."),
            not view.down,
        ),
        (
            "slow",
            _("Be slow for {count} s", count=2 * view.outage),
            _(
                "Each answer takes {count} s: still green, since a refresh begins early.",
                count=f"{view.delay:.0f}",
            ),
            not view.slow,
        ),
        (
            "end",
            _("End the refresh token"),
            _(
                "As if the sign-in had reached its age limit: "
                "red at the next refresh, and a notification offers Sign In."
            ),
            signed_in,
        ),
        (
            "soon",
            _("Let the sign-in end soon"),
            _("Two more days, says the next refresh: yellow. Sign in again when it suits you."),
            signed_in and not ends_soon,
        ),
    ]
    if view.down or view.slow or ends_soon:
        end = _("End the trouble"), _("Green again, at the next refresh at the latest.")
        buttons.insert(0, ("recover", *end, True))
    return buttons


def _trouble(key: str, name: str, label: str, expect: str, enabled: bool) -> str:  # noqa: FBT001 - a row of the table
    look = ' class="main"' if name == "recover" else ""
    return f"""<li><form method="post" action="/"><input type="hidden" name="key" value="{key}">
<button name="trouble" value="{name}" aria-describedby="{name}"{look}{"" if enabled else " disabled"}>{label}</button>
</form><p id="{name}">{expect}</p></li>"""


def _time(at: datetime) -> str:
    return f"<time>{at.astimezone():%H:%M:%S}</time>"


def _page(
    status: int, title: str, body: str, *, size: str = "small", refresh: bool = False, form_action: str = ""
) -> Response:
    frame = Template((files(__package__) / "page.html").read_text("utf-8"))
    text = frame.substitute(
        language=language(),
        title=escape(title),
        size=size,
        refresh='<meta http-equiv="refresh" content="5">' if refresh else "",
        body=body,
    )
    # A second policy beside that of PAGE_HEADERS; browsers obey both. Chromium holds form-action against the
    # redirect after the form as well, so the place to return must be named.
    policy = f"base-uri 'none'; form-action 'self' {form_action}".rstrip()
    headers = (*PAGE_HEADERS, ("Content-Security-Policy", policy))
    return Response(status, text.encode(), "text/html; charset=utf-8", headers)
