"""A breaker opens after failures in a row, lets one probe pass, and forgets what came before."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from slimdown.backends.breaker import Breaker

N_FAILURES, OPEN_S = 3, 2.0


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def attempt(breaker: Breaker, ok: bool | None) -> None:
    entry = breaker.enter()
    assert entry is not None
    breaker.leave(entry, ok)


def opened(clock: Clock) -> Breaker:
    breaker = Breaker(N_FAILURES, OPEN_S, clock)
    for _ in range(N_FAILURES):
        attempt(breaker, False)
    return breaker


def test_failures_in_a_row_open_it() -> None:
    breaker = opened(Clock())

    assert (breaker.state, breaker.enter()) == ("open", None)


def test_a_success_between_failures_keeps_it_closed() -> None:
    breaker = Breaker(N_FAILURES, OPEN_S, Clock())

    for ok in (False, False, True, False, False):
        attempt(breaker, ok)

    assert breaker.state == "closed"


def test_an_attempt_given_up_is_no_verdict() -> None:
    breaker = Breaker(1, OPEN_S, Clock())

    attempt(breaker, None)

    assert breaker.state == "closed"


def test_one_probe_passes_when_its_time_has_come() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += OPEN_S

    first, second = breaker.enter(), breaker.enter()

    assert first is not None
    assert (second, breaker.state) == (None, "half_open")


def test_the_probe_decides() -> None:
    for ok, state in ((True, "closed"), (False, "open"), (None, "half_open")):
        clock = Clock()
        breaker = opened(clock)
        clock.now += OPEN_S

        attempt(breaker, ok)

        assert breaker.state == state


def test_a_probe_given_up_makes_room_for_the_next() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += OPEN_S

    attempt(breaker, None)

    assert breaker.enter() is not None


def test_a_probe_that_never_ends_does_not_keep_it_shut() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += OPEN_S
    lost = breaker.enter()

    clock.now += OPEN_S

    assert lost is not None
    assert breaker.enter() not in (None, lost)


def test_who_began_before_it_opened_says_nothing_about_now() -> None:
    clock = Clock()
    breaker = Breaker(N_FAILURES, OPEN_S, clock)
    old = breaker.enter()
    for _ in range(N_FAILURES):
        attempt(breaker, False)

    breaker.leave(old or 0, True)

    assert breaker.state == "open"


class BreakerModel(RuleBasedStateMachine):
    """Drawn histories: attempts that overlap and end in any order, and time that passes."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.breaker = Breaker(N_FAILURES, OPEN_S, self.clock)
        self.under_way: list[int] = []
        self.probe: int | None = None
        self.probed_at = 0.0

    @rule()
    def enter(self) -> None:
        state = self.breaker.state
        entry = self.breaker.enter()
        assert entry is None if state == "open" else state == "half_open" or entry is not None
        if entry is None:
            return
        self.under_way.append(entry)
        if state == "half_open":
            assert self.probe is None or self.clock.now - self.probed_at >= OPEN_S
            self.probe, self.probed_at = entry, self.clock.now

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), ok=st.sampled_from([True, False, None]))
    def leave(self, data: st.DataObject, ok: bool | None) -> None:
        at = data.draw(st.integers(0, len(self.under_way) - 1))
        entry = self.under_way.pop(at)
        self.breaker.leave(entry, ok)
        self.probe = None if entry == self.probe else self.probe

    @rule(seconds=st.sampled_from([0.1, 1.0, OPEN_S]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def it_recovers_once_attempts_succeed(self) -> None:
        self.clock.now += 2 * OPEN_S
        entry = self.breaker.enter()
        assert entry is not None
        self.breaker.leave(entry, True)
        assert self.breaker.state == "closed"

    @invariant()
    def open_lets_nobody_pass(self) -> None:
        if self.breaker.state == "open":
            assert self.breaker.enter() is None


TestBreakerModel = BreakerModel.TestCase
