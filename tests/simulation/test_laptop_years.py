"""Laptop-years of ours: `python -m tests.simulation --replay NUMBER` tells the story of one that fails here."""

from __future__ import annotations

import os

import pytest

from tests.simulation.run import added, run

YEARS = 52


@pytest.mark.timeout(600)  # half a minute on two cores that have nothing else to do
def test_no_year_costs_a_needless_sign_in_and_programs_are_answered():
    counts = added(tally for _, tally in run(YEARS, ["Lamplighter"], None, os.cpu_count() or 1))["Lamplighter"]

    assert (counts.years, counts.strict) == (YEARS, YEARS // 2)
    assert not counts.needless
    assert (counts.shown_more, counts.unforeseen) == (0, 0)
    assert counts.answered / counts.asked > 0.9998
    assert counts.least["suspends"] >= 200
    assert counts.least["answers_lost"] >= 50
    assert counts.least["outages"] >= 20
    assert counts.least["deaths_in_refresh"] >= 5
