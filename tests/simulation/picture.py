"""The figures as pictures: SVG, written by hand, since a picture of bars and lines needs no library."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape

from tests.simulation.counts import Counts
from tests.simulation.fleet import CAPACITY, Fleet
from tests.simulation.table import rate

OURS, OTHERS, INK, FAINT = "#e0a100", "#8a94a3", "#24292f", "#d0d7de"
WIDTH, NAMES = 760, 110
_FONT = 'font-family="system-ui,sans-serif" font-size="13"'


def years(tally: dict[str, Counts]) -> str:
    """Bars: needless sign-ins, requests answered, and how soon a network's return is followed by a fresh token."""
    panels: list[tuple[str, Callable[[Counts], float], Callable[[float], str]]] = [
        ("needless sign-ins a year", lambda one: sum(one.needless.values()) / one.years, rate),
        ("token requests answered", lambda one: one.answered / max(one.asked, 1), lambda value: f"{value:.3%}"),
        ("fresh 30 s after the network", _within_30, lambda value: f"{value:.0%}"),
    ]
    names, each = list(tally), (WIDTH - NAMES) / len(panels)
    height = 44 + 24 * len(names)
    parts = [_text(8, 48 + 24 * row, name) for row, name in enumerate(names)]
    for column, (title, value, words) in enumerate(panels):
        left, values = NAMES + each * column, [value(tally[name]) for name in names]
        most = max([*values, 1e-9])
        parts.append(_text(left, 20, title))
        for row, found in enumerate(values):
            length, top = (each - 84) * found / most, 34 + 24 * row
            parts.append(_box(left, top, max(length, 1), 18, OURS if row == 0 else OTHERS))
            parts.append(_text(left + max(length, 1) + 6, top + 14, words(found)))
    return _svg(height, parts)


def lines(fleets: Sequence[Fleet]) -> str:
    """Requests a second: after the power's return, and at the next refresh."""
    windows = [("after the power's return", 0, 240), ("at the next refresh", 2760, 3180)]
    each, bottom, top = WIDTH / len(windows), 200, 62
    parts = [_text(8, 18, f"requests a second; the provider can serve {CAPACITY:,}")]
    for column, (title, since, until) in enumerate(windows):
        left, width = each * column + 56, each - 84
        most = max(one.requests[second] for one in fleets for second in range(since, until))
        parts.append(_text(left, 48, title))
        for level in (0, most):
            height = bottom - (bottom - top) * level / most
            parts += [_box(left, height, width, 1, FAINT), _text(left - 48, height + 4, f"{level:,}")]
        minutes = range(since // 60, until // 60 + 1)
        parts += [
            _text(left + width * (one * 60 - since) / (until - since) - 6, bottom + 18, f"{one}") for one in minutes
        ]
        for one in fleets:
            points = _points(one, since, until, left, width, bottom, (bottom - top) / most)
            colour = OURS if one.gentle else OTHERS
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    legend = [_text(56, 244, "with spread and back-off", OURS), _text(236, 244, "without", OTHERS)]
    return _svg(256, [*parts, *legend, _text(WIDTH - 70, 244, "minutes")])


def _points(one: Fleet, since: int, until: int, left: float, width: float, bottom: float, scale: float) -> str:
    step = max(1, (until - since) // 150)
    points = []
    for second in range(since, until, step):
        worst = max(one.requests[number] for number in range(second, second + step))
        points.append(f"{left + width * (second - since) / (until - since):.1f},{bottom - worst * scale:.1f}")
    return " ".join(points)


def _within_30(counts: Counts) -> float:
    within = sum(number for bucket, number in counts.returns.items() if bucket != "more" and int(bucket) <= 30)
    return within / max(sum(counts.returns.values()), 1)


def _text(left: float, base: float, words: str, colour: str = INK) -> str:
    return f'<text x="{left:.1f}" y="{base:.1f}" fill="{colour}" {_FONT}>{escape(words)}</text>'


def _box(left: float, top: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'


def _svg(height: float, parts: Sequence[str]) -> str:
    body = "\n".join(part for part in parts if part)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}">\n'
        f"{_box(0, 0, WIDTH, height, '#ffffff')}\n{body}\n</svg>\n"
    )
