"""What a caller is told where there is no token for it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.builders import NOW, failure
from tray_app.core.time_phrasing import clock_time, day
from tray_app.engine.no_token import error_of


@pytest.mark.parametrize(("after", "has_day"), [(timedelta(hours=11), False), (timedelta(days=3), True)])
def test_when_it_is_tried_again_is_told_with_the_day_where_that_is_another(after, has_day):
    at = NOW + after

    said = str(error_of("work", failure(at=NOW), at))

    assert f"at {clock_time(at)}" in said
    assert (f"on {day(at, NOW)}" in said) is has_day
