"""A lease that was lent to another process lives as long as it is kept alive, and no longer."""

from __future__ import annotations

from math import inf

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tenantpool.core.tenure import (
    DRAINING,
    GRANTED,
    HELD,
    OVER,
    Action,
    Attendance,
    Cut,
    Lapse,
    Notify,
    Tenure,
    TenureLimits,
    Tenures,
)

LIMITS = TenureLimits(ttl_max=100.0, grace=2.0, confirm_within=5.0)


def granted(tenures: Tenures, now: float = 0.0, ttl: float = 30.0) -> Tenure:
    tenure = Tenure(None, ttl, "lease")
    tenures.grant(now, tenure)
    return tenure


def attended(tenures: Tenures, session: Attendance, now: float = 0.0) -> Tenure:
    tenure = Tenure(session, 0.0, "lease")
    tenures.grant(now, tenure)
    return tenure


def test_an_answer_that_was_lost_costs_a_short_time() -> None:
    tenures = Tenures(LIMITS)
    tenure = granted(tenures)
    assert tenures.wake(4.9) == []
    assert tenures.wake(5.0) == [Cut(tenure, "it was neither used nor renewed")]
    assert tenure.state == OVER


def test_the_first_use_gives_it_its_whole_time() -> None:
    tenures = Tenures(LIMITS)
    tenure = granted(tenures)
    tenures.use(1.0, tenure)
    assert tenures.wake(5.0) == []
    assert tenures.wake(30.9) == []
    assert tenures.wake(31.0) == [Notify(tenure, 2.0, "its time is over")]


def test_its_time_over_it_is_announced_then_cut() -> None:
    tenures = Tenures(LIMITS)
    tenure = granted(tenures)
    tenures.use(0.0, tenure)
    tenures.wake(30.0)
    assert tenure.state == DRAINING
    assert tenures.next_at == 32.0
    assert tenures.wake(32.0) == [Cut(tenure, "it was not given back in time")]


def test_a_renewal_counts_from_now() -> None:
    tenures = Tenures(LIMITS)
    tenure = granted(tenures)
    assert tenures.renew(4.0, tenure, None) == 30.0
    assert tenure.ends_at == 34.0


def test_a_renewal_is_at_most_the_longest_time() -> None:
    tenures = Tenures(LIMITS)
    assert tenures.renew(0.0, granted(tenures), 1e6) == 100.0


def test_a_shorter_renewal_ends_earlier() -> None:
    tenures = Tenures(LIMITS)
    tenure = granted(tenures)
    tenures.renew(0.0, tenure, 50.0)
    tenures.renew(1.0, tenure, 3.0)
    assert tenures.next_at <= 4.0
    assert tenures.wake(4.0) == [Notify(tenure, 2.0, "its time is over")]


def test_no_renewal_goes_beyond_the_longest_lease_of_the_tier() -> None:
    tenures = Tenures(LIMITS)
    tenure = Tenure(None, 30.0, "lease", latest=40.0)
    tenures.grant(0.0, tenure)
    assert tenures.renew(25.0, tenure, 30.0) == 15.0
    assert tenures.renew(40.0, tenure, 30.0) == 0.0


def test_a_lease_that_drains_gets_no_more_time() -> None:
    tenures = Tenures(LIMITS)
    tenure = granted(tenures)
    tenures.want_back(1.0, tenure, 3.0, "maintenance")
    assert tenures.renew(2.0, tenure, 60.0) == 2.0
    assert tenures.wake(4.0) == [Cut(tenure, "it was not given back in time")]


def test_wanted_back_without_time_it_is_cut() -> None:
    tenures = Tenures(LIMITS)
    tenure = granted(tenures)
    assert tenures.want_back(1.0, tenure, 0.0, "now") == [Cut(tenure, "now")]
    assert tenures.want_back(2.0, tenure, 0.0, "now") == []


def test_wanted_back_twice_the_earlier_end_holds() -> None:
    tenures = Tenures(LIMITS)
    tenure = granted(tenures)
    tenures.use(0.0, tenure)
    tenures.want_back(0.0, tenure, 10.0, "slowly")
    assert tenures.want_back(1.0, tenure, 20.0, "more slowly") == []
    assert tenures.want_back(2.0, tenure, 3.0, "faster") == [Notify(tenure, 3.0, "faster")]
    assert tenure.ends_at == 5.0


def test_a_lease_of_a_session_lives_as_long_as_heartbeats_come() -> None:
    tenures = Tenures(LIMITS)
    session = Attendance(0.0, 10.0, "worker")
    tenures.begin(session)
    tenure = attended(tenures, session)
    assert tenure.state == HELD
    for now in range(5, 100, 5):
        assert tenures.beat(now, session)
        assert tenures.wake(now) == []
    reason = "its worker was not heard of any more"
    assert tenures.wake(105.0) == [Cut(tenure, reason), Lapse(session)]
    assert not tenures.beat(106.0, session)


def test_a_goodbye_ends_its_leases_at_once() -> None:
    tenures = Tenures(LIMITS)
    session = Attendance(0.0, 10.0, "worker")
    tenures.begin(session)
    tenure = attended(tenures, session)
    other = granted(tenures)
    reason = "its session said goodbye"
    assert tenures.leave(session) == [Cut(tenure, reason), Lapse(session)]
    assert tenures.leave(session) == []
    assert other.state == GRANTED


def test_a_lease_follows_its_holder_into_another_session() -> None:
    tenures = Tenures(LIMITS)
    first, second = Attendance(0.0, 10.0, "worker"), Attendance(5.0, 100.0, "worker")
    for session in (first, second):
        tenures.begin(session)
    tenure, alone = attended(tenures, first), granted(tenures)
    for moving in (tenure, alone):
        tenures.move(moving, second)
    assert tenures.wake(50.0) == [Lapse(first)]
    assert tenures.leave(second) == [
        Cut(tenure, "its session said goodbye"),
        Cut(alone, "its session said goodbye"),
        Lapse(second),
    ]


def test_a_lease_that_was_given_back_is_never_due() -> None:
    tenures = Tenures(LIMITS)
    tenure = granted(tenures)
    tenures.end(tenure)
    assert tenures.wake(1000.0) == []
    assert tenures.next_at == inf


def test_the_shell_is_not_woken_for_what_has_ended() -> None:
    tenures = Tenures(LIMITS)
    for _ in range(3):
        tenures.end(granted(tenures))
    alive = granted(tenures, now=1.0)
    assert tenures.next_at == 6.0
    tenures.end(alive)
    assert tenures.next_at == inf


class EveryOrder(RuleBasedStateMachine):
    """Whatever comes in whatever order: each lease ends once, and not later than it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.tenures = Tenures(LIMITS)
        self.session = Attendance(0.0, 10.0, "worker")
        self.tenures.begin(self.session)
        self.alive: dict[Tenure, float] = {}
        """Of each lease, the latest moment at which it must be over."""

    def obey(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Cut):
                assert action.tenure.state == OVER
                del self.alive[action.tenure]  # KeyError: it ended twice
            elif isinstance(action, Notify):
                self.alive[action.tenure] = min(
                    self.alive[action.tenure], self.now + action.drain_within
                )

    @rule(ttl=st.floats(0.5, 200.0))
    def grant(self, ttl: float) -> None:
        tenure = granted(self.tenures, self.now, ttl)
        self.alive[tenure] = self.now + 5.0

    @precondition(lambda self: not self.session.is_over)
    @rule()
    def grant_in_session(self) -> None:
        self.alive[attended(self.tenures, self.session, self.now)] = inf

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def use(self, data: st.DataObject) -> None:
        tenure = data.draw(st.sampled_from(list(self.alive)))
        fresh = tenure.state == GRANTED
        self.tenures.use(self.now, tenure)
        if fresh:
            self.alive[tenure] = self.now + tenure.ttl + LIMITS.grace

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), ttl=st.one_of(st.none(), st.floats(0.1, 300.0)))
    def renew(self, data: st.DataObject, ttl: float | None) -> None:
        tenure = data.draw(st.sampled_from(list(self.alive)))
        draining = tenure.state == DRAINING
        given = self.tenures.renew(self.now, tenure, ttl)
        assert given <= LIMITS.ttl_max or tenure.attendance is not None
        if tenure.attendance is None and not draining:
            self.alive[tenure] = self.now + given + LIMITS.grace

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), within=st.floats(-1.0, 50.0))
    def want_back(self, data: st.DataObject, within: float) -> None:
        tenure = data.draw(st.sampled_from(list(self.alive)))
        self.obey(self.tenures.want_back(self.now, tenure, within, "wanted"))

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        tenure = data.draw(st.sampled_from(list(self.alive)))
        self.tenures.end(tenure)
        del self.alive[tenure]

    @rule()
    def beat(self) -> None:
        assert self.tenures.beat(self.now, self.session) == (not self.session.is_over)

    @rule()
    def goodbye(self) -> None:
        self.obey(self.tenures.leave(self.session))

    @rule(seconds=st.floats(0.0, 20.0))
    def time_passes(self, seconds: float) -> None:
        """As the shell does it: never asleep beyond ``next_at``."""
        end = self.now + seconds
        while self.tenures.next_at <= end:
            self.now = max(self.now, self.tenures.next_at)
            self.obey(self.tenures.wake(self.now))
        self.now = end

    @invariant()
    def nobody_lives_too_long(self) -> None:
        for tenure, latest in self.alive.items():
            assert tenure.state != OVER
            assert self.now <= latest + 1e-9
            if tenure.attendance is not None:
                assert not self.session.is_over
                assert self.now <= self.session.ends_at + 1e-9


EveryOrder.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestEveryOrder = EveryOrder.TestCase
