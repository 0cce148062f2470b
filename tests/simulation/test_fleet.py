"""Many lamps at once: spread and back-off are gentle on a provider that cannot serve them all; and the pictures."""

from __future__ import annotations

import pytest

from tests.simulation import fleet, picture
from tests.simulation.counts import Counts


@pytest.fixture
def small(monkeypatch) -> None:
    monkeypatch.setattr(fleet, "CAPACITY", 20)


@pytest.mark.usefixtures("small")
def test_a_fleet_with_spread_and_back_off_asks_less_at_once_and_all_of_it_becomes_fresh():
    gentle, rude = (fleet.fleet(gentle=gentle, lamps=2000) for gentle in (True, False))

    assert len(gentle.fresh_after) == len(rude.fresh_after) == 2000
    assert max(gentle.requests.values()) < max(rude.requests.values()) / 2
    assert gentle.refused < rude.refused / 4
    assert "refused per lamp" in fleet.told(gentle)


@pytest.mark.usefixtures("small")
def test_a_fleet_is_a_picture_with_a_line_for_each_way_and_window():
    drawn = picture.lines([fleet.fleet(gentle=True, lamps=200)])

    assert drawn.count("<polyline") == 2


def test_the_figures_are_a_picture_with_a_bar_for_each_policy_and_figure():
    counts = Counts(years=1, days=365, asked=10, answered=9)
    counts.returned(3)
    counts.returned(300)
    drawn = picture.years({"ours": counts, "another": counts})

    assert drawn.count(">90.000%<") == 2
    assert drawn.count(">50%<") == 2
