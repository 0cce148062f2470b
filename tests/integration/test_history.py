"""What the applet remembers: refreshes, failures and sign-ins with their times, and no secret."""

from __future__ import annotations

import json
import signal
from typing import Any

from tests.integration.hostile_server import json_response
from tests.integration.lamplighter_process import Lamplighter, Provider, eventually


def entries(lamplighter: Lamplighter) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (lamplighter.home / "state/history.jsonl").read_text().splitlines()]


def kinds(lamplighter: Lamplighter) -> list[str]:
    return [entry["kind"] for entry in entries(lamplighter)]


def test_a_life_is_told_from_the_sign_in_to_the_refusal(lamplighter: Lamplighter, provider: Provider) -> None:
    lamplighter.configure(provider.account())
    with lamplighter.applet():
        lamplighter.sign_in("work", provider)
        lamplighter.run("refresh", "work")
        provider.answer(json_response(400, error="invalid_grant", error_description="canary-description"))
        lamplighter.run("refresh", "work")
        lamplighter.until_health("sign-in-needed")
        provider.behave()
        lamplighter.sign_in("work", provider)
        lamplighter.run("logout", "work")
    text = (lamplighter.home / "state/history.jsonl").read_text()

    assert [kind for kind in kinds(lamplighter) if kind != "health"] == [
        "start", "sign-in", "refresh", "failure", "sign-in", "sign-out", "stop",
    ]  # fmt: skip
    healths = [entry["health"] for entry in entries(lamplighter) if entry["kind"] == "health"]
    assert healths == ["signed-out", "fresh", "sign-in-needed", "fresh", "signed-out"]
    assert "no longer accepts this sign-in" in text
    assert "canary-access" not in text
    assert "canary-refresh" not in text
    assert "canary-code" not in text


def test_a_kill_costs_nothing_that_was_told(lamplighter: Lamplighter, provider: Provider) -> None:
    lamplighter.given(provider)
    with lamplighter.applet() as running:
        lamplighter.run("refresh", "work")
        eventually(lambda: "refresh" in kinds(lamplighter))
        running.signal(signal.SIGKILL)
        running.wait()
    with lamplighter.applet():
        eventually(lambda: kinds(lamplighter).count("start") == 2)

    assert kinds(lamplighter) == ["start", "health", "refresh", "start", "stop"]
