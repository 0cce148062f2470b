"""The figures in short, with bounds that a busy machine keeps as well. `python -m tests.bench` has the real goals."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.bench.figures import Starts, Use, starts, use
from tests.bench.peer import REQUIREMENT, installed

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="only on Linux: icons are seen in panels there"),
    pytest.mark.timeout(600),
]
SECONDS = 65.0
HEARTBEAT = 30.0


@pytest.fixture(scope="module")
def beside() -> None:
    try:
        installed()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"not installed: {REQUIREMENT} ({error})")


@pytest.fixture(scope="module")
def start(beside: None) -> Starts:
    return starts(rounds=5)


@pytest.fixture(scope="module")
def used(beside: None) -> Use:
    return use(rounds=3, seconds=SECONDS)


def test_the_icon_is_there_within_two_starts_of_a_minimal_pystray_program(start: Starts) -> None:
    assert start.ours <= 2 * start.minimal


def test_at_rest_it_is_as_small_as_email_oauth2_proxy(used: Use) -> None:
    assert used.refreshes >= 2
    assert used.ours.resident <= 1.05 * used.peers.resident


def test_at_rest_nothing_but_the_heartbeat_wakes_it_up(used: Use) -> None:
    assert 1 <= used.ours.wakes.total() <= used.ours.seconds / HEARTBEAT + 1, used.ours.wakes


def test_a_click_on_sign_in_starts_the_browser_in_about_the_time_of_a_program(start: Starts, used: Use) -> None:
    assert used.notification_to_browser <= 3 * start.minimal
    assert used.lamp_to_browser <= 5 * start.minimal
