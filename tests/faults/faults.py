"""The faults: each is one change of the product that takes a promise away, and the tests that are to find it first."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """In `file`, below `tray_app`, `old` becomes `new`."""

    name: str
    file: str
    old: str
    new: str
    tests: str
    """Run first; the rest of the unit and contract tests follows."""


REFRESHER, STATE = "engine/refresher.py", "engine/system_state.py"

FAULTS = (
    Fault(
        "the refresh lock is dropped",
        REFRESHER,
        "async with self._lock.held(self.account.name):\n                await self._attempt_alone",
        "if True:\n                await self._attempt_alone",
        "unit/test_refresher.py",
    ),
    Fault(
        "what was written is not read back",
        "adapters/store/slots.py",
        "if kept is None or kept.text != text:",
        "if False:",
        "contract/test_token_store.py::test_a_keyring_that_swallows_what_it_is_given_is_told_and_what_was_there_remains",
    ),
    Fault(
        "a rotated token is not stored",
        REFRESHER,
        "await self._store.save(self.account.name, fresh)",
        "pass",
        "unit/test_refresher.py",
    ),
    Fault(
        "the store is not read again under the lock",
        REFRESHER,
        "unread = await self.load()",
        "unread = None",
        "unit/test_refresher.py",
    ),
    Fault(
        "an expired token is handed out",
        "engine/get_token.py",
        "return left > timedelta(0) and left >= min_ttl",
        "return True",
        "unit/test_get_token.py",
    ),
    Fault(
        "an answer without a refresh token loses the old one",
        "core/tokens.py",
        "refresh_token=new.refresh_token or (old.refresh_token if old else None),",
        "refresh_token=new.refresh_token,",
        "unit/test_tokens.py",
    ),
    Fault(
        "refused tokens are not erased",
        REFRESHER,
        "await self._store.erase(self.account.name)",
        "pass",
        "unit/test_refresher.py",
    ),
    Fault(
        "another user's program is answered at the socket",
        "interfaces/agent/peer.py",
        "return getuid is not None and int.from_bytes(found[4:8], sys.byteorder) == getuid()",
        "return True",
        "contract/test_agent.py",
    ),
    Fault(
        "a sign-in has no PKCE",
        "adapters/oauth/authorization_code_flow.py",
        '"code_challenge": client.create_code_challenge(self._verifier.reveal(), "S256"),',
        '"code_challenge": None,',
        "unit/test_authorization_code_flow.py",
    ),
    Fault(
        "refreshes begin while the machine falls asleep",
        STATE,
        "self._hold(SLEEP_BEGINS)",
        "pass",
        "unit/test_system_state.py",
    ),
    Fault(
        "tokens are sent although they are bound elsewhere",
        "adapters/oauth/provider.py",
        "if tokens.bound_to != account.bound_to:",
        "if False:",
        "unit/test_provider.py",
    ),
    Fault(
        "redirects are followed",
        "adapters/oauth/http_client.py",
        "follow_redirects=False",
        "follow_redirects=True",
        "unit/test_http_client.py",
    ),
    Fault(
        "a second caller does not join the refresh under way",
        REFRESHER,
        "if not self.busy:\n",
        "if True:\n",
        "unit/test_refresher.py",
    ),
    Fault(
        "the state is not compared",
        "adapters/oauth/loopback_listener.py",
        'not hmac.compare_digest(values.get("state", "").encode("utf-8", "replace"), state.encode())',
        "False",
        "unit/test_authorization_code_flow.py",
    ),
    Fault(
        "the issuer of the answer is not checked",
        "adapters/oauth/authorization_code_flow.py",
        "self._check_issuer(callback)\n",
        "pass\n",
        "unit/test_authorization_code_flow.py",
    ),
    Fault(
        "Retry-After is ignored",
        "core/failure.py",
        "retry_after(answer, now), answer.status)",
        "None, answer.status)",
        "unit/test_failure.py",
    ),
    Fault(
        "the lock's file may be read by others",
        "adapters/store/locks.py",
        "os.O_RDWR | os.O_CREAT, 0o600)",
        "os.O_RDWR | os.O_CREAT, 0o644)",
        "contract/test_refresh_lock.py",
    ),
    Fault(
        "a secret shows itself in logs",
        "core/tokens.py",
        'return "***"\n\n    __str__',
        "return self._value\n\n    __str__",
        "unit/test_tokens.py",
    ),
    Fault(
        "the back-off has no jitter",
        "core/schedule.py",
        "ceiling * draw",
        "ceiling",
        "unit/test_schedule.py",
    ),
    Fault(
        "a provider that asked to be left alone is asked all the same",
        REFRESHER,
        "self._refuse_too_early()\n        await",
        "await",
        "unit/test_refresher.py",
    ),
    Fault(
        "a clock that was set back is not noticed",
        STATE,
        "elif ahead < timedelta(0):",
        "elif False:",
        "unit/test_system_state.py",
    ),
)
