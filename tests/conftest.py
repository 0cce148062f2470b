"""Where the machine was set up for the tests, one that cannot run has failed.

packaging/test.py sets LAMPLIGHTER_TEST_STRICT=1 once it has installed all that this platform's tests need; from then on
a skip means that something is broken. What is meant for another platform lacks nothing: its reason starts with "only".
"""

import os
import signal
import sys
from collections.abc import Generator
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings

collect_ignore = (
    []
    if sys.platform == "linux"
    else ["desktop", "unit/test_dbus_menu.py", "contract/test_notifier.py", "contract/test_tray.py"]
)
"""What speaks D-Bus or X11 cannot even be imported elsewhere."""

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

# How long an example takes is the machine's affair: a busy one must not fail a test that asserts nothing of time.
# `--hypothesis-profile=thorough` before a release; in between the other hundreds of runs find what one of 25 misses.
for profile, examples in (("lamplighter", 25), ("thorough", 500)):
    settings.register_profile(
        profile, max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
settings.load_profile("lamplighter")


def pytest_configure() -> None:
    """A shell starts what it puts into the background deaf to Ctrl-C, and programs hand that on to theirs."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return strict((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return strict((yield))


def strict(report: Report) -> Report:
    """`report`, as a failure where it is a skip for want of something."""
    if os.environ.get("LAMPLIGHTER_TEST_STRICT") == "1" and report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if not reason.startswith("only "):
            report.outcome = "failed"
            report.longrepr = f"skipped, although everything was installed for it: {reason}"
    return report
