"""What other programs wait for, in short, with bounds that a busy machine keeps as well."""

from __future__ import annotations

import shutil
import sys

import pytest

from tests.bench.programs import agents, endurance, sizes, token_command

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="only on Linux: its kernel tells what a process costs"),
    pytest.mark.timeout(300),
]


def test_a_token_costs_hardly_more_than_the_start_of_an_interpreter() -> None:
    found = token_command(rounds=15)

    assert found.token <= 2 * found.nothing


def test_the_agent_keeps_pace_with_oidc_agent() -> None:
    """Which is written in C. It is quicker, by how much is among the figures; here others use the machine as well."""
    if shutil.which("oidc-agent") is None:
        pytest.skip("oidc-agent is not installed")
    for found in agents(1_000, rounds=3).values():
        assert found.ours.per_second > found.peer.per_second / 2
        assert found.kept.per_second > found.peer.per_second / 2


def test_twenty_thousand_answers_leave_nothing_behind() -> None:
    assert endurance(20_000, seconds=0).grown <= 2


def test_a_thousand_accounts_start_and_answer_like_one() -> None:
    one, many = sizes(rounds=2, seconds=0)

    assert many.start <= 6 * one.start  # the goal is 3, and `python -m tests.bench` says whether it is met
    assert many.status <= 6 * one.status
