"""Random histories of one account: the invariants of core/record.py."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.builders import BOUND, NOW, POLICY, failure, tokens
from tray_app.core import record as change
from tray_app.core.account import RetryPolicy
from tray_app.core.health import Health, health_of
from tray_app.core.provider_errors import ENDS_SIGN_IN, FailureKind
from tray_app.core.record import Record
from tray_app.core.schedule import next_due, retry_due

GETS_WORSE = [Health.FRESH, Health.ENDING, Health.RETRYING, Health.EXPIRED, Health.SIGN_IN_NEEDED]


class LifeOfASignIn(RuleBasedStateMachine):
    """Any history of sign-ins, refreshes, failures and time: what must hold, holds after each step."""

    @initialize()
    def begin(self):
        self.now = NOW
        self.record = Record()
        self.has_refresh_token = False
        self.revision = -1

    @rule(minutes=st.integers(1, 600), ends=st.booleans())
    def sign_in(self, minutes, ends):
        ends_at = self.now + timedelta(days=2) if ends else None
        new = tokens(minutes, life=timedelta(minutes=minutes), now=self.now, sign_in_ends_at=ends_at)
        self.record = change.signed_in(self.record, new, 0.5)
        self.has_refresh_token = True

    @precondition(lambda self: self.record.tokens is not None)
    @rule(minutes=st.integers(1, 600))
    def refresh(self, minutes):
        new = tokens(minutes, life=timedelta(minutes=minutes), now=self.now)
        self.record = change.refreshed(self.record, new, self.now, 0.5)

    @precondition(lambda self: self.record.tokens is not None)
    @rule(kind=st.sampled_from(FailureKind), draw=st.floats(0, 0.99))
    def fail(self, kind, draw):
        seen = failure(kind, self.now)
        before = health_of(self.record, BOUND, self.now)
        valid = self.record.tokens.valid_for(self.now) > timedelta(0)
        self.record = change.failed(self.record, seen, retry_due(seen, self.record.attempts + 1, RetryPolicy(), draw))
        self.has_refresh_token = self.has_refresh_token and kind not in ENDS_SIGN_IN
        if valid and kind not in ENDS_SIGN_IN:  # I2
            assert self.record.tokens is not None
            assert health_of(self.record, BOUND, self.now) in {Health.RETRYING, before, Health.SIGN_IN_NEEDED}

    @precondition(lambda self: self.record.tokens is not None)
    @rule(draw=st.floats(0, 0.99))
    def store_refuses(self, draw):
        seen = failure(FailureKind.STORE, self.now)
        self.record = change.unstored(self.record, seen, retry_due(seen, 1, RetryPolicy(), draw))

    @precondition(lambda self: self.record.unsaved)
    @rule()
    def store_takes_it(self):
        self.record = change.stored(self.record)

    @rule()
    def sign_out(self):
        self.record = change.signed_out(self.record)
        self.has_refresh_token = False

    @rule(minutes=st.integers(1, 10_000))
    def time_passes(self, minutes):
        before = health_of(self.record, BOUND, self.now)
        self.now += timedelta(minutes=minutes)
        after = health_of(self.record, BOUND, self.now)
        if before is Health.SIGNED_OUT:
            assert after is before
        else:  # I4
            assert GETS_WORSE.index(after) >= GETS_WORSE.index(before)
            assert after is not Health.SIGN_IN_NEEDED or before is Health.SIGN_IN_NEEDED or not self.has_refresh_token

    @invariant()
    def i1_the_refresh_token_is_kept(self):
        held = self.record.tokens
        assert (held is not None and held.refresh_token is not None) == self.has_refresh_token

    @invariant()
    def i3_there_is_always_a_next_due_time(self):
        if self.has_refresh_token:
            assert next_due(self.record, BOUND, POLICY) is not None

    @invariant()
    def what_is_unsaved_has_tokens(self):
        assert not self.record.unsaved or self.record.tokens is not None


TestLifeOfASignIn = LifeOfASignIn.TestCase
TestLifeOfASignIn.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


def test_each_change_raises_the_revision():
    record = Record()
    for step in (
        lambda r: change.signed_in(r, tokens(), 0.1),
        lambda r: change.refreshed(r, tokens(), NOW, 0.1),
        lambda r: change.failed(r, failure(), NOW),
        lambda r: change.unstored(r, failure(FailureKind.STORE), NOW),
        change.stored,
        change.signed_out,
    ):
        after = step(record)

        assert after.revision == record.revision + 1
        record = after


def test_a_success_forgets_the_failures_before_it():
    record = change.failed(change.signed_in(Record(), tokens(), 0.1), failure(), NOW)

    after = change.refreshed(record, tokens(60), NOW, 0.2)

    assert (after.failure, after.attempts, after.retry_at) == (None, 0, None)
    assert replace(after, revision=0) == replace(after, revision=0, spread=0.2)
