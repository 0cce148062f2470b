"""What a person pastes where the redirect could not reach this machine. Pure."""

from __future__ import annotations

import hmac
import re
from urllib.parse import urlsplit

from tray_app.adapters.oauth.loopback_listener import Callback, callback_of
from tray_app.core.tokens import Secret

_CODE = re.compile(r"[\x21-\x7e]+")
_LONGEST = 16_384


def pasted_answer(text: str, state: str, *, bare: bool) -> Callback | None:
    """The answer in the text: the whole redirect URL, its query, `code#state` or, with `bare`, a code alone.

    None where it is none, or belongs to another sign-in. A code alone is taken from the person's own hand only, never
    from a clipboard: whatever lies there would be sent to the provider.
    """
    text = text.strip().strip("<>\"'")
    if len(text) > _LONGEST or not _CODE.fullmatch(text):
        return None
    if "://" in text or text.startswith("?") or "state=" in text:
        query = text.lstrip("?")
        if "://" in text:
            try:
                query = urlsplit(text).query
            except ValueError:
                return None
        return callback_of(query, state)
    code, mark, found = text.rpartition("#")
    if mark:
        return _bare(code) if hmac.compare_digest(found.encode(), state.encode()) else None
    return _bare(text) if bare else None


def _bare(code: str) -> Callback | None:
    return Callback(Secret(code), None, None, None, is_whole=False) if code else None
