"""What is advised: one setting, its value, and another one, from what was measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantpool.core.autoscale import AutoscaleLimits
from tenantpool.core.limits import TenantLimits
from tenantpool.errors import Reason
from tenantpool.manager.advice import Advice, Server, advise
from tenantpool.manager.health import Status, assess
from tenantpool.manager.recent import Recent
from tenantpool.manager.stats import ManagerStats, TenantStats

MAIN = Server("main", capacity=100)
BASIC = TenantLimits("basic", cap=10)


def measured(
    arrivals: float, hold: float, name: str = "acme", limits: TenantLimits = BASIC, **more: Any
) -> Recent:
    """Five minutes of a tenant that asked so often, per second, and held for so long."""
    requests = round(arrivals * 300)
    values: dict[str, Any] = {
        "tenant": name,
        "database": "main",
        "pool": name,
        "limits": limits,
        "seconds": 300.0,
        "requests": requests,
        "leases": requests,
        "held": requests * hold,
        "waited": 0.0,
        "leaks": 0,
        "refused": {},
        "peak": round(arrivals * hold) + 1,
    }
    return Recent(**(values | more))


def advice_for(*tenants: Recent, server: Server = MAIN, well: str = "") -> list[Advice]:
    """Of tenants that all wait too long, but for the one that is *well*."""
    unhappy = frozenset(tenant.tenant for tenant in tenants) - {well}
    return advise([server], tenants, unhappy)


def words(*tenants: Recent, server: Server = MAIN) -> list[str]:
    return [str(advice) for advice in advice_for(*tenants, server=server)]


# -- the cap ---------------------------------------------------------------------------------------


def test_who_needs_more_than_its_cap_on_average_is_to_get_it() -> None:
    assert words(measured(28.4, 0.5, peak=16)) == [
        "acme: tiers.basic.cap 10 → 16: 14.2 connections were needed on average over the last"
        " 5 min (28.4 requests/s × 0.5 s), and up to 16 at a time"
    ]


def test_a_queue_that_is_always_full_says_nothing_of_bursts() -> None:
    [advice] = advice_for(measured(22, 0.5, peak=110))
    assert (advice.setting, advice.to) == ("tiers.basic.cap", "18")  # 11 + 2 √11


def test_those_that_were_refused_count_among_those_who_came() -> None:
    tenant = measured(28.4, 0.5)
    halved = replace(tenant, leases=tenant.leases // 2, held=tenant.held / 2)
    assert halved.needed == pytest.approx(tenant.needed)


def test_a_cap_is_raised_to_twice_what_it_is_at_most() -> None:
    [advice] = advice_for(measured(100, 0.5))
    assert advice.to == "20"


def test_who_needs_more_only_in_bursts_gets_what_bursts_need() -> None:
    [advice] = advice_for(measured(2, 0.5, peak=13))
    assert (advice.now, advice.to) == ("10", "13")
    assert "1.0 connections were needed on average" in advice.why
    assert "up to 13 at a time" in advice.why


def test_of_a_tier_the_tenant_that_needs_most_speaks() -> None:
    [advice] = advice_for(measured(22, 0.5, "a", peak=12), measured(30, 0.5, "b", peak=17))
    assert advice.tenants == ("b", "a")
    assert str(advice).startswith("b: tiers.basic.cap 10 → 17: ")
    assert str(advice).endswith(" (and 1 more tenant)")


def test_a_cap_on_trial_is_no_cause() -> None:
    on_trial = replace(BASIC, trial=frozenset({"cap"}))
    assert not any(
        "cap" in advice.setting for advice in advice_for(measured(28.4, 0.5, limits=on_trial))
    )


def test_a_cap_that_is_scaled_grows_by_itself_up_to_its_ceiling() -> None:
    scaled = replace(BASIC, autoscale=AutoscaleLimits(floor=2, ceiling=40))
    assert advice_for(measured(28.4, 0.5, limits=scaled)) == []
    at_the_top = replace(scaled, cap=10, autoscale=AutoscaleLimits(floor=2, ceiling=10))
    [advice] = advice_for(measured(28.4, 0.5, peak=16, limits=at_the_top))
    assert (advice.setting, advice.to) == ("tiers.basic.autoscale.ceiling", "16")


# -- the database ----------------------------------------------------------------------------------


def test_where_the_database_is_short_a_cap_would_not_help() -> None:
    tenants = [measured(16, 0.5, "a", peak=9), measured(30, 0.5, "b", peak=17)]
    server = replace(MAIN, capacity=18)
    assert words(*tenants, server=server) == [
        "b: databases.main.capacity 18 → 23: 18.0 connections were needed on average over the last"
        " 5 min by 2 tenants (and 1 more tenant)"
    ]


def test_a_capacity_that_is_auto_is_that_of_the_server() -> None:
    [advice] = advice_for(measured(28.4, 0.5), server=replace(MAIN, capacity=10, is_auto=True))
    assert "it is auto: raise max_connections of the server" in advice.why


def test_a_database_that_cannot_be_reached_is_all_there_is_to_say() -> None:
    error = "connection failed: Connection refused"
    server = replace(MAIN, breaker="open", error=error)
    assert words(measured(28.4, 0.5, refused={Reason.QUEUE_FULL: 9}), server=server) == [
        "main: connects fail (connection failed: Connection refused): check that PostgreSQL runs"
        " and can be reached from here with this conninfo; the breaker closes by itself then"
    ]


# -- other causes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "check"),
    [
        ('FATAL:  database "x" does not exist', "create it"),
        ('FATAL:  password authentication failed for user "x"', "correct the password"),
        ("FATAL:  no pg_hba.conf entry for host", "a line in pg_hba.conf"),
        ("FATAL:  sorry, too many clients already", "raise max_connections"),
        ("", "check that PostgreSQL runs"),
    ],
)
def test_a_breaker_that_is_open_says_what_to_check(error: str, check: str) -> None:
    [advice] = advice_for(measured(28.4, 0.5, breaker="open", error=error))
    assert advice.setting == ""
    assert check in str(advice)
    assert error in str(advice)


def test_a_leak_is_mended_first_as_it_makes_all_else_look_short() -> None:
    limits = replace(BASIC, leak_after=60.0)
    [text] = words(measured(28.4, 0.5, leaks=2, limits=limits))
    assert text.startswith("acme: 2 leases held for more than leak_after (60 s) in the last 5 min")


def test_requests_above_the_rate_ask_for_a_higher_rate() -> None:
    limits = replace(BASIC, rate=10.0)
    tenant = measured(13.2, 0.01, refused={Reason.RATE_LIMIT: 900}, limits=limits)
    assert words(tenant) == [
        "acme: tiers.basic.rate 10 → 14: 13.2 requests/s were asked for over the last 5 min"
    ]


def test_a_queue_that_is_full_in_bursts_only_is_to_be_longer() -> None:
    limits = replace(BASIC, max_waiting=5)
    [advice] = advice_for(measured(2, 0.5, refused={Reason.QUEUE_FULL: 30}, peak=9, limits=limits))
    assert (advice.setting, advice.now, advice.to) == ("tiers.basic.max_waiting", "5", "10")


def test_connects_that_wait_for_each_other_ask_for_more_at_a_time() -> None:
    [advice] = advice_for(measured(2, 0.5, refused={Reason.CONNECT_TIMEOUT: 30}))
    assert (advice.setting, advice.to) == ("databases.main.connect_concurrency", "8")


def test_waits_for_connections_that_are_opened_anew_ask_for_some_to_be_kept() -> None:
    [advice] = advice_for(measured(5, 0.5))
    assert (advice.setting, advice.to) == ("tiers.basic.min_size", "3")


# -- nothing, and less -----------------------------------------------------------------------------


def test_where_all_is_well_there_is_nothing_to_say() -> None:
    assert advise([MAIN], [measured(10, 0.5)], frozenset()) == []


def test_a_moment_is_too_short_to_advise_on() -> None:
    assert advice_for(measured(28.4, 0.5, seconds=5.0)) == []


def test_a_cap_of_which_no_tenant_uses_a_third_could_be_lower() -> None:
    tenants = [measured(2, 0.5, "a", peak=4), measured(1, 0.5, "b", peak=3)]
    [advice] = advise([MAIN], tenants, frozenset())
    assert str(advice) == (
        "a: tiers.basic.cap 10 → 4: it could be lower: no more than 1.0 connections were needed on"
        " average over the last 5 min (2.0 requests/s × 0.5 s), at most 4 at a time"
    )


@pytest.mark.parametrize(
    "other",
    [
        measured(28.4, 0.5, "b"),
        measured(4, 0.5, "b", peak=11),
        measured(8, 0.5, "b"),
        measured(1, 0.5, "b", leaks=1, limits=replace(BASIC, leak_after=1.0)),
    ],
)
def test_a_cap_that_another_tenant_needs_is_not_to_be_lowered(other: Recent) -> None:
    found = advice_for(measured(2, 0.5, "a"), other, well="a")
    assert not any("lower" in advice.why for advice in found)


def test_a_cap_is_not_lowered_below_a_guarantee() -> None:
    limits = replace(BASIC, guarantee=6)
    [advice] = advise([MAIN], [measured(2, 0.5, limits=limits)], frozenset())
    assert advice.to == "6"


def test_a_tier_that_was_hardly_asked_for_says_nothing() -> None:
    assert advise([MAIN], [measured(0.1, 0.5)], frozenset()) == []


tenants = st.builds(
    lambda name, tier, arrivals, hold, peak, refused, leaks: measured(
        arrivals,
        hold,
        name,
        replace(BASIC, tier=tier, rate=5.0, leak_after=1.0),
        peak=peak,
        refused={refused: 50} if refused else {},
        leaks=leaks,
    ),
    st.sampled_from("abcdef"),
    st.sampled_from(["basic", "pro"]),
    st.floats(0, 100),
    st.floats(0, 2),
    st.integers(0, 120),
    st.sampled_from([None, *Reason]),
    st.sampled_from([0, 0, 0, 2]),
)


@given(
    st.lists(tenants, max_size=6, unique_by=lambda tenant: tenant.tenant),
    st.frozensets(st.sampled_from("abcdef")),
    st.integers(1, 60),
)
def test_it_never_contradicts_itself(
    found: list[Recent], unhappy: frozenset[str], capacity: int
) -> None:
    advice = advise([replace(MAIN, capacity=capacity)], found, unhappy)
    settings = [one.setting for one in advice if one.setting]
    assert len(settings) == len(set(settings))
    for one in advice:
        if one.setting:
            assert (float(one.to) < float(one.now)) == ("could be lower" in one.why)
            assert one.to != one.now
        assert one.why


@given(st.floats(0.2, 200), st.floats(0.01, 2), st.integers(1, 100))
def test_what_was_raised_is_not_to_be_lowered_next(arrivals: float, hold: float, cap: int) -> None:
    tenant = measured(arrivals, hold, limits=replace(BASIC, cap=cap, min_size=cap))
    for advice in advise([replace(MAIN, capacity=10_000)], [tenant], frozenset({"acme"})):
        if advice.setting == "tiers.basic.cap":
            after = replace(tenant, limits=replace(BASIC, cap=int(advice.to)))
            assert advise([MAIN], [after], frozenset()) == []


# -- health ----------------------------------------------------------------------------------------


def stats_of(name: str = "acme", **more: Any) -> ManagerStats:
    zero = dict.fromkeys(TenantStats.__dataclass_fields__, 0)
    texts = {"name": name, "tier": "basic", "database": "main", "pool": name, "breaker": "closed"}
    values: dict[str, Any] = {**zero, **texts, "refused": {}, "draining": False, "cap": 10}
    return ManagerStats({}, {name: TenantStats(**(values | more))})


@pytest.mark.parametrize(
    ("wait", "status"),
    [
        (0.09, Status.HEALTHY),
        (0.1, Status.WARNING),
        (0.99, Status.WARNING),
        (1.0, Status.CRITICAL),
    ],
)
def test_the_mean_wait_of_the_last_minutes_decides(wait: float, status: Status) -> None:
    tenant = measured(10, 0.5)
    tenant = replace(tenant, waited=wait * tenant.leases)
    health = assess(stats_of(wait_mean=50.0), [tenant], [MAIN])
    assert health.tenants["acme"].status is status


@pytest.mark.parametrize(
    ("refused", "status"), [(29, "healthy"), (30, "warning"), (300, "critical")]
)
def test_the_rate_of_refusals_decides_too(refused: int, status: str) -> None:
    tenant = measured(10, 0.5, refused={Reason.QUEUE_FULL: refused})
    assert assess(stats_of(), [tenant], [MAIN]).tenants["acme"].status == status


def test_a_tenant_that_cannot_connect_says_nothing_of_the_capacity() -> None:
    shut = measured(90, 0.1, "a", breaker="open", error='database "a" does not exist')
    full = replace(MAIN, capacity=10)
    [advice] = advice_for(shut, server=full)
    assert "create it, or correct dbname" in advice.why
    short = measured(100, 0.1, "b")
    of_all, of_one = advice_for(shut, short, server=full)
    assert (of_all.setting, of_all.tenants) == ("databases.main.capacity", ("b",))
    assert (of_one.setting, of_one.tenants) == ("", ("a",))


def test_a_breaker_that_is_open_is_critical() -> None:
    verdict = assess(stats_of(breaker="open"), [measured(10, 0.5)], [MAIN]).tenants["acme"]
    assert (verdict.status, verdict.why) == ("critical", "connects fail, the breaker is open")


def test_the_verdict_names_the_setting_and_the_value() -> None:
    tenant = measured(28.4, 0.5, peak=16, waited=300 * 28.4 * 0.25)
    health = assess(stats_of(), [tenant], [MAIN])
    assert health.tenants["acme"].why == (
        "mean wait 0.250 s, 0.0% refused: tiers.basic.cap 10 → 16: 14.2 connections were needed on"
        " average over the last 5 min (28.4 requests/s × 0.5 s), and up to 16 at a time"
    )
    assert [advice.setting for advice in health.advice] == ["tiers.basic.cap"]


def test_a_tenant_that_was_not_watched_yet_is_judged_by_all_time() -> None:
    verdict = assess(stats_of(wait_mean=2.0, in_use=10)).tenants["acme"]
    assert verdict.status is Status.CRITICAL
    assert verdict.why.endswith("raise cap 10 of tier basic")
