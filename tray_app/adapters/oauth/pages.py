"""The one page that a browser shows at the end of a sign-in: it went well, the person declined, or it failed."""

from __future__ import annotations

import re
from pathlib import Path
from string import Template

from tray_app.base.translation import _, language, translated
from tray_app.core.provider_errors import escaped

_CLAIMS = re.compile(r"signed\W*in|angemeldet", re.IGNORECASE)
"""Our success in the languages of the catalogs."""


def signed_in(account: str) -> bytes:
    """The page of a sign-in whose tokens are kept."""
    return _page("lit", _("Signed in"), _("{name} is fresh.", name=account))


def declined(account: str, what: str) -> bytes:
    """The page of a sign-in that the person did not want after all, as the provider says."""
    otherwise = _("To sign in after all, click Sign In in the menu of the lamp.")
    title = _("Sign-in to {name} declined", name=account)
    return _page("declined", title, _harmless(account, what), _("Nothing has changed."), otherwise)


def failed(account: str, what: str, remedy: str = "") -> bytes:
    """The page of a sign-in that failed: what happened, and what to do.

    Part of it may be a stranger's text. It is escaped, and it cannot make the page look like our success.
    """
    sentences = [_harmless(account, text) for text in (what, remedy) if text]
    return _page("failed", _("Could not sign in to {name}", name=account), *sentences)


def _harmless(account: str, text: str) -> str:
    sentence = translated(text).removeprefix(f"{account}: ")
    return f"{_CLAIMS.sub(_('sign-in'), sentence)}."


def _page(lamp: str, title: str, *sentences: str) -> bytes:
    template = Template(Path(__file__).with_name("landing.html").read_text("utf-8"))
    text = "\n".join(f"<p>{escaped(sentence)}</p>" for sentence in sentences)
    page = template.substitute(
        language=language(),
        lamp=lamp,
        title=escaped(title),
        text=text,
        next=escaped(_("You can close this tab.")),
        origin=escaped(_("from your own computer")),
    )
    return page.encode()
