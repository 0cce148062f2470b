"""Sleep, network and clock: what the system tells, and that what is due is refreshed promptly, safely and once."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.builders import account, failure, tokens
from tests.fakes.hand_plan import HandPlan
from tests.fakes.notification_daemon import bare_bus
from tests.fakes.one_account import Environment
from tests.fakes.system_bus import CONNECTED, CONNECTING, DISCONNECTED, OtherUser, SystemBus
from tests.fakes.waiting import until
from tests.keyring_session import eventually
from tray_app.adapters.platform import linux_kernel_events as kernel_events
from tray_app.adapters.platform.linux_kernel_events import ClockSet
from tray_app.adapters.platform.linux_logind import Logind
from tray_app.adapters.platform.system_events import AllSources
from tray_app.core.account import Configuration
from tray_app.core.errors import Unavailable
from tray_app.core.failure import FailureKind
from tray_app.core.health import Health
from tray_app.engine.engine import Engine

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux")


# -- what the system tells


@pytest.fixture
def bus(tmp_path):
    with bare_bus(tmp_path) as address:
        yield address


class Heard(list):
    """What was told, in order; the ends of sleeps are waited for as long as `go_on` says."""

    def __init__(self):
        super().__init__()
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def __call__(self, kind):
        self.append(kind)
        if kind == "suspend":
            await self.go_on.wait()


@contextlib.asynccontextmanager
async def watched(bus, *, network_manager=True):
    system = await SystemBus.start(bus, network_manager=network_manager)
    heard, events = Heard(), AllSources([Logind(bus)])
    try:
        await events.watch(heard)
        yield system, heard
    finally:
        await events.close()
        await system.close()


@LINUX
async def test_the_machine_sleeps_only_once_what_was_under_way_is_stored(bus):
    async with watched(bus) as (system, heard):
        delayed_at_first = system.login.delayed
        heard.go_on.clear()
        system.falls_asleep()
        await until(lambda: heard)
        while_under_way = system.login.delayed
        heard.go_on.set()
        await until(lambda: not system.login.delayed)
        system.wakes_up()
        await until(lambda: system.login.delayed)

    assert (delayed_at_first, while_under_way) == (True, True)
    assert system.login.asked == [("sleep:shutdown", "delay")] * 2


@LINUX
async def test_after_sleep_the_network_is_told_when_networkmanager_has_it_and_not_before(bus):
    async with watched(bus) as (system, heard):
        system.falls_asleep()
        await until(lambda: not system.login.delayed)
        system.wakes_up()
        await until(lambda: "resume" in heard and system.login.delayed)
        for state in (DISCONNECTED, CONNECTING):
            system.network.StateChanged(state)
        await asyncio.sleep(0.2)  # time for what should not come
        too_early = list(heard)
        system.network.StateChanged(CONNECTED)
        await until(lambda: "network" in heard)

    assert too_early == ["suspend", "resume"]
    assert heard == ["suspend", "resume", "network"]


@LINUX
async def test_where_nobody_knows_the_network_it_is_told_a_second_after_sleep(bus):
    async with watched(bus, network_manager=False) as (system, heard):
        system.falls_asleep()
        system.wakes_up()
        await until(lambda: "network" in heard)

    assert heard == ["suspend", "resume", "network"]


LOGIN1, MANAGER = "/org/freedesktop/login1", "org.freedesktop.login1.Manager"
NETWORK_MANAGER, NETWORK = "/org/freedesktop/NetworkManager", "org.freedesktop.NetworkManager"
DBUS = ("/org/freedesktop/DBus", "NameOwnerChanged")


@LINUX
@pytest.mark.parametrize("network_manager", [True, False])
async def test_signals_of_another_user_are_not_believed(bus, caplog, network_manager):
    caplog.set_level("WARNING")
    async with watched(bus, network_manager=network_manager) as (system, heard):
        attacker = await OtherUser.join(bus, system)
        for member in ("PrepareForSleep", "PrepareForShutdown"):
            for begins in (True, False):
                await attacker.send(LOGIN1, member, "b", [begins], interface=MANAGER)
        await attacker.send(NETWORK_MANAGER, "StateChanged", "u", [CONNECTED], interface=NETWORK)
        own = attacker.name
        for body in (["org.freedesktop.login1", "", own], ["org.freedesktop.NetworkManager", "", own]):
            await attacker.send(*DBUS, "sss", body, interface="org.freedesktop.DBus")
        await attacker.send(LOGIN1, "PrepareForSleep", "b", [True], interface=MANAGER)
        await attacker.send(NETWORK_MANAGER, "StateChanged", "u", [CONNECTED], interface=NETWORK)
        for signature, body in (("", []), ("s", ["x"]), ("u", [1]), ("as", [[]])):
            for path, member, interface in (
                (*DBUS, "org.freedesktop.DBus"),
                (LOGIN1, "PrepareForSleep", MANAGER),
                (NETWORK_MANAGER, "StateChanged", NETWORK),
            ):
                await attacker.send(path, member, signature, body, interface=interface)
        still_delayed = system.login.delayed
        system.falls_asleep()  # comes after all that
        await until(lambda: heard and not system.login.delayed)
        await attacker.close()

    assert heard == ["suspend"]
    assert still_delayed
    assert caplog.text == ""


@LINUX
async def test_descriptors_that_others_send_are_closed_and_the_lock_is_kept(bus):
    async with watched(bus) as (system, heard):
        attacker = await OtherUser.join(bus, system)
        before = _open_descriptors()
        for _ in range(20):
            for interface, member in ((MANAGER, "PrepareForSleep"), ("a.b", "Anything")):
                await attacker.send(LOGIN1, member, "hhh", [0, 1, 2], interface=interface, unix_fds=[0, 1, 2])
        still_delayed = system.login.delayed
        system.falls_asleep()
        await until(lambda: heard)
        after = _open_descriptors()
        await attacker.close()

    assert after <= before
    assert still_delayed


def _open_descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


@LINUX
async def test_a_logind_that_starts_anew_is_believed_again(bus):
    async with watched(bus) as (system, heard):
        await system.close()
        again = await SystemBus.start(bus)
        again.network.StateChanged(CONNECTED)
        await until(lambda: heard)
        await again.close()

    assert heard == ["network"]


@LINUX
async def test_a_machine_without_a_system_bus_is_watched_as_far_as_it_goes(tmp_path, caplog):
    caplog.set_level("INFO")
    events, clock = AllSources([Logind(f"unix:path={tmp_path}/none"), ClockSet()]), Heard()
    await events.watch(clock)
    await events.close()

    assert "Logind is not watched: there is no system bus" in caplog.text


@LINUX
async def test_a_clock_that_is_set_is_told_once_and_listened_for_again(monkeypatch):
    """The kernel's own word is not verified here: it would take setting this machine's clock."""
    source, heard = ClockSet(), Heard()
    await source.start(heard)
    before = source._descriptor

    def cancelled(_descriptor, _size):
        raise OSError(errno.ECANCELED, "the clock was set")

    monkeypatch.setattr(kernel_events.os, "read", cancelled)
    source._read()
    source._read()
    monkeypatch.undo()
    await until(lambda: heard)
    await source.close()

    assert heard == ["clock"]
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(before)


@LINUX
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root makes a network of its own")
def test_a_route_that_comes_is_told_once_it_has_settled():
    script = """
import asyncio, subprocess
from tray_app.adapters.platform.linux_kernel_events import Routes
async def main():
    heard, came = [], asyncio.Event()
    async def happened(kind):
        heard.append(kind)
        came.set()
    source = Routes()
    await source.start(happened)
    for words in ("link set lo up", "address add 192.0.2.7/24 dev lo", "route add 198.51.100.0/24 dev lo"):
        await asyncio.to_thread(subprocess.run, ["ip", *words.split()], check=True)
    await asyncio.wait_for(came.wait(), 20)
    came.clear()
    await asyncio.to_thread(subprocess.run, ["ip", "route", "delete", "198.51.100.0/24"], check=True)
    await asyncio.sleep(0.6)
    await source.close()
    print(heard)
asyncio.run(main())
"""
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.stdout.strip() == "['network']", done.stderr


# -- what comes of it


class Steady:
    """A hand-moved wall clock beside one that cannot be set."""

    def __init__(self, clock):
        self._clock = clock
        self.set_by = timedelta(0)

    @property
    def time(self):
        return self._clock.time + self.set_by

    def now(self):
        return self.time

    def since_boot(self):
        return self._clock.time.timestamp()


class Stage:
    """The engine on parts that misbehave, with an account far away and one on loopback."""

    def __init__(self, folder):
        self.world = Environment(folder)
        self.clock = self.world.clock
        self.steady = self.world.provider.clock = Steady(self.clock)
        self.world.parts = replace(self.world.parts, clock=self.steady)
        here = account("here", issuer="http://127.0.0.1:9")
        self.engine = Engine(
            Configuration({"work": self.world.account, "here": here}), lambda _: self.world.parts, None, self._plan
        )

    def _plan(self, look, clock):
        self.plan = HandPlan(look, clock)
        return self.plan

    async def signed_in(self, *names):
        await self.engine.start()
        for name in names:
            refresher = self.engine.account(name)
            await refresher.signed_in(
                tokens(60, now=self.steady.time, bound_to=refresher.account.bound_to, refresh_token="R0")
            )

    async def happened(self, kind):
        await self.engine.system_state.happened(kind)
        await self.settled()

    async def settled(self):
        await until(lambda: not self.engine.scheduler.tasks)
        await asyncio.sleep(0)

    def health(self, name="work"):
        return self.engine.account(name).health


@pytest.fixture
async def stage(tmp_path):
    stage = Stage(tmp_path)
    yield stage
    await stage.engine.stop()


async def test_a_night_on_which_the_token_ended_is_one_refresh_once_the_network_is_there(stage):
    await stage.signed_in("work")
    await stage.happened("suspend")
    stage.clock.pass_by(hours=9)
    await stage.happened("resume")
    stage.engine.scheduler.replan()  # the heartbeat may come in between
    await stage.settled()
    before = list(stage.world.provider.seen)
    await stage.happened("network")

    assert before == []
    assert stage.world.provider.seen == ["R0"]
    assert stage.health() is Health.FRESH


async def test_loopback_does_not_wait_for_a_network(stage):
    await stage.signed_in("work", "here")
    await stage.happened("suspend")
    stage.clock.pass_by(hours=9)
    await stage.happened("resume")

    assert (stage.health("here"), stage.health("work")) == (Health.FRESH, Health.EXPIRED)


async def test_nothing_is_begun_while_the_machine_falls_asleep_and_what_is_under_way_ends_first(stage):
    await stage.signed_in("work")
    stage.clock.pass_by(minutes=51)
    stage.world.provider.go_on.clear()
    stage.engine.scheduler.replan()
    while not stage.world.provider.seen:  # noqa: ASYNC110 - another task sets no event
        await asyncio.sleep(0)
    sleeping = asyncio.create_task(stage.engine.system_state.happened("suspend"))
    await asyncio.sleep(0)
    waits = not sleeping.done()
    stage.world.provider.go_on.set()
    await sleeping
    stored = stage.world.held()
    stage.clock.pass_by(minutes=55)
    stage.engine.scheduler.replan()
    await stage.settled()

    assert (waits, stored) == (True, "R1")
    assert stage.world.provider.seen == ["R0"]


async def test_a_sleep_that_never_comes_and_a_network_that_nobody_tells_of_are_not_waited_for_long(stage, monkeypatch):
    monkeypatch.setattr("tray_app.engine.system_state.NETWORK_COMES", 0.05)
    await stage.signed_in("work")
    stage.clock.pass_by(hours=2)
    await stage.happened("resume")
    await until(lambda: stage.health() is Health.FRESH)

    assert stage.world.provider.seen == ["R0"]


async def test_what_failed_far_into_its_back_off_is_tried_within_two_seconds_of_the_network_s_return(stage):
    await stage.signed_in("work")
    stage.clock.pass_by(minutes=51)
    refresher = stage.engine.account("work")
    stage.world.provider.failures = [failure(FailureKind.UNREACHABLE, stage.steady.time) for _ in range(12)]
    for _ in range(12):
        await refresher.attempt(forced=True)
    await stage.happened("network")
    due = refresher.due() - stage.steady.time
    stage.clock.pass_by(seconds=2)
    stage.engine.scheduler.replan()
    await stage.settled()

    assert due < timedelta(seconds=2)
    assert stage.health() is Health.FRESH


async def test_those_who_get_the_network_back_together_do_not_ask_together(tmp_path):
    dues = []
    for draw in (0.0, 0.3, 0.9):
        world = Environment(tmp_path / str(draw))
        world.parts = replace(world.parts, draw=lambda draw=draw: draw)
        refresher = await world.signed_in()
        world.provider.failures = [failure(FailureKind.UNREACHABLE, world.clock.time)]
        await refresher.attempt(forced=True)
        refresher.hurry()
        dues.append((refresher.due() - world.clock.time).total_seconds())

    assert dues == [0, 0.3, 0.9]


@pytest.mark.parametrize("hours", [0.5, 24 * 365], ids=["half an hour", "a year"])
async def test_a_clock_that_goes_back_lets_no_token_live_longer_than_its_life(stage, hours):
    await stage.signed_in("work")
    stage.clock.pass_by(minutes=30)
    stage.steady.set_by = -timedelta(hours=hours)
    held = await stage.engine.token("work")
    left = held.valid_for(stage.steady.time)
    stage.world.provider.failures = [failure(FailureKind.UNREACHABLE, stage.steady.time)] * 9
    stage.clock.pass_by(minutes=31)

    assert left == timedelta(minutes=30)
    with pytest.raises(Unavailable):
        await stage.engine.token("work", wait=False)


async def test_a_clock_that_goes_ahead_is_a_refresh_and_no_sign_in(stage):
    await stage.signed_in("work")
    stage.steady.set_by = timedelta(days=365)
    await stage.happened("clock")
    stage.steady.set_by = timedelta(0)
    await stage.happened("clock")

    assert stage.health() is Health.FRESH
    assert stage.world.held() == "R1"


async def test_a_dead_battery_s_clock_is_waited_out_and_corrected(stage):
    """It is 1970 at boot: the stored tokens are from the future, and no certificate verifies."""
    await stage.signed_in("work")
    stage.clock.pass_by(minutes=10)
    await stage.engine.stop()
    stage.steady.set_by = -timedelta(days=365 * 50)
    again = Engine(Configuration({"work": stage.world.account}), lambda _: stage.world.parts, None, stage._plan)
    stage.world.provider.failures = [failure(FailureKind.UNTRUSTED, stage.steady.time)]
    await again.start()
    refresher = again.account("work")
    await until(lambda: refresher.record.failure and not refresher.busy)
    at_boot = refresher.health
    stage.steady.set_by = timedelta(0)
    await again.system_state.happened("clock")
    stage.clock.pass_by(seconds=1)
    again.scheduler.replan()
    await until(lambda: refresher.health is Health.FRESH)
    await again.stop()

    assert at_boot is Health.EXPIRED
    assert stage.world.provider.seen == ["R0", "R0"]


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
async def test_a_journey_to_another_time_zone_changes_nothing(stage, monkeypatch, zone):
    import time

    await stage.signed_in("work")
    left = stage.engine.statuses()[0].expires_at
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        stage.engine.scheduler.replan()
        await stage.settled()
        assert stage.engine.statuses()[0].expires_at == left
        assert stage.world.provider.seen == []
    finally:
        monkeypatch.undo()
        time.tzset()


# -- the applet itself


class _SystemOfItsOwn:
    """The fake system bus in a thread, for a process that is tested."""

    def __init__(self, address):
        self._address = address
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        self.system = self.do(SystemBus.start(self._address))
        return self

    def __exit__(self, *_):
        self.do(self.system.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def do(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def call(self, act):
        async def in_loop():
            return act()

        return self.do(in_loop())


@LINUX
def test_a_running_applet_lets_its_refresh_end_before_sleep_and_wakes_up_fresh(lamplighter, provider, bus):
    lamplighter.environment["DBUS_SYSTEM_BUS_ADDRESS"] = bus
    lamplighter.given(provider, life=60, age=30)
    with _SystemOfItsOwn(bus) as own, lamplighter.applet():
        eventually(lambda: own.call(lambda: own.system.login.delayed))
        provider.life = 6
        go_on = provider.hold()
        asking = lamplighter.start("refresh", "work")
        eventually(lambda: provider.token_requests() == 1)
        own.call(own.system.falls_asleep)
        threading.Event().wait(0.3)
        under_way = own.call(lambda: own.system.login.delayed)
        go_on()
        asking.wait()
        eventually(lambda: not own.call(lambda: own.system.login.delayed))
        threading.Event().wait(6)  # a night in which the token ends
        asleep = provider.refreshes
        provider.life = 3600
        provider.behave()
        own.call(own.system.wakes_up)
        eventually(lambda: provider.refreshes == asleep + 1)  # by the heartbeat alone it may take 30 s
        lamplighter.until_health("fresh")

    assert under_way
    assert (asleep, provider.reused) == (1, 0)
