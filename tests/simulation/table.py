"""The figures as a table for the README, and what each year held."""

from __future__ import annotations

from collections import Counter

from tests.simulation.counts import BUCKETS, Counts


def table(tally: dict[str, Counts]) -> str:
    """Markdown: a policy a column."""
    names = list(tally)
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for title, cell in ROWS:
        lines.append(f"| {title} | " + " | ".join(cell(tally[name]) for name in names) + " |")
    return "\n".join(lines)


def held(tally: dict[str, Counts]) -> str:
    """What the years held, by the first policy."""
    counts = next(iter(tally.values()))
    years = max(counts.years, 1)
    least = counts.least
    return (
        f"{counts.years} laptop-years, {counts.strict} on strict rotation. A year held on average (at the least) "
        f"{counts.suspends / years:.0f} ({least.get('suspends')}) suspends, "
        f"{counts.answers_lost / years:.0f} ({least.get('answers_lost')}) lost answers, "
        f"{counts.outages / years:.0f} ({least.get('outages')}) outages, "
        f"{counts.deaths_in_refresh / years:.0f} ({least.get('deaths_in_refresh')}) crashes in a refresh; and "
        f"{counts.requests_lost / years:.0f} lost requests, {counts.storms / years:.0f} storms of 429, "
        f"{(counts.deaths - counts.deaths_in_refresh) / years:.0f} other crashes, "
        f"{counts.clock_steps / years:.0f} settings of the clock, {counts.portals / years:.0f} captive portals, "
        f"{counts.second_processes / years:.0f} second processes, "
        f"{(counts.asked + counts.asked_in_vain) / years:.0f} token requests."
    )


def rate(number: float) -> str:
    """How often in a year; what is rare is not rounded to never, and never is plainly that."""
    return f"{number:.{2 if number >= 0.01 else 4}f}" if number else "0"


def _sum(counter: Counter[str]) -> int:
    return sum(counter.values())


def _causes(counter: Counter[str], years: int) -> str:
    return "; ".join(f"{name} {rate(number / years)}" for name, number in counter.most_common()) or "none"


def _needless(counts: Counts) -> str:
    return (
        f"{_sum(counts.needless)} ({rate(_sum(counts.needless) / counts.years)} a year)" if counts.needless else "**0**"
    )


def _within(counts: Counts, seconds: int) -> str:
    whole = _sum(counts.returns)
    within = sum(number for bucket, number in counts.returns.items() if bucket != "more" and int(bucket) <= seconds)
    return f"{within / whole:.1%}" if whole else "-"


def _median(counts: Counts) -> str:
    whole, seen = _sum(counts.returns), 0
    for bucket in BUCKETS:
        seen += counts.returns[str(bucket)]
        if seen * 2 >= whole:
            return f"at most {bucket} s"
    return "-"


def _notified(counts: Counts) -> str:
    incidents = max(counts.sign_ins, 1)
    return f"{(counts.notifications + counts.shown_more) / incidents:.2f}"


ROWS = (
    ("needless sign-ins", _needless),
    ("their causes, a year", lambda counts: _causes(counts.needless, counts.years)),
    (
        "sign-ins that the provider's rules made unavoidable, a year",
        lambda counts: f"{_sum(counts.unavoidable) / counts.years:.1f}",
    ),
    ("their causes, a year", lambda counts: _causes(counts.unavoidable, counts.years)),
    ("token requests answered within 2 s", lambda counts: f"{counts.answered / max(counts.asked, 1):.3%}"),
    ("requests to the provider a day", lambda counts: f"{counts.requests / counts.days:.1f}"),
    ("notifications an incident", _notified),
    ("fresh after the network's return: median", _median),
    ("within 30 s", lambda counts: _within(counts, 30)),
)
