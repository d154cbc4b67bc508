from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slimdown.errors import UsageError
from slimdown.ledger import Coverage, Saving, SpecialistUse, saving_of, total_saving
from slimdown.ledger.saving import coverage_interval, mean_interval
from slimdown.report.model import SavingFigures

_UPSTREAM = (0.001, 0.0012, 0.0008) * 40


def _use(**changed: Any) -> SpecialistUse:
    told = {"cpu_seconds": (0.01,) * 20, "training_cpu_seconds": 60.0, "usd_per_cpu_hour": 0.05}
    return SpecialistUse(**{**told, **changed})


def _saving(**changed: Any) -> Saving:
    told: dict[str, Any] = {"calls_per_day": 100.0, **changed}
    use = told.pop("use", _use())
    return saving_of(_UPSTREAM, told.pop("coverage", Coverage(240, 300)), use, **told)


def test_the_saving_per_call_follows_the_formula() -> None:
    specialist = 0.01 * 0.05 / 3600
    assert _saving().usd_per_call == pytest.approx(0.8 * 0.98 * 0.001 - specialist)


def test_the_interval_holds_the_figure() -> None:
    saving = _saving()
    assert saving.usd_per_call_low < saving.usd_per_call < saving.usd_per_call_high
    assert saving.share_low < saving.share < saving.share_high < 1


def test_a_dear_specialist_is_not_worth_it() -> None:
    saving = _saving(use=_use(cpu_seconds=(400.0,) * 9))
    assert saving.verdict == "not worth it"
    assert saving.break_even_calls is None
    assert saving.payback_days is None


def test_training_that_a_year_does_not_pay_for_is_not_worth_it() -> None:
    saving = _saving(use=_use(training_cpu_seconds=1e9), calls_per_day=1.0)
    assert saving.verdict == "not worth it"
    assert "training" in saving.reason


def test_an_interval_around_nothing_is_uncertain() -> None:
    assert _saving(use=_use(cpu_seconds=(50.0, 65.0))).verdict == "uncertain"


def test_a_cheap_specialist_is_worth_it_and_pays_back() -> None:
    saving = _saving()
    assert saving.verdict == "worth it"
    assert saving.break_even_calls == pytest.approx(saving.training_usd / saving.usd_per_call)
    assert saving.payback_days == pytest.approx((saving.break_even_calls or 0) / 100)


def test_without_a_pace_there_is_no_month_and_no_payback() -> None:
    saving = _saving(calls_per_day=None)
    assert (saving.usd_per_month, saving.payback_days) == (None, None)
    assert saving.verdict == "worth it"


def test_nothing_served_only_costs() -> None:
    saving = _saving(coverage=Coverage(0, 300), use=_use(overhead_usd=0.001))
    assert saving.usd_per_call < 0
    assert saving.share < 0


def test_all_assumptions_come_with_the_figure() -> None:
    told = " ".join(_saving(assumptions=("Prices as of 2026-05-27.",)).assumptions)
    for words in ("2026-05-27", "120 priced calls", "300 recent", "0.05 USD", "2%", "100 calls"):
        assert words in told


@pytest.mark.parametrize("coverage", [Coverage(0, 0), Coverage(5, 4), Coverage(-1, 4)])
def test_an_impossible_coverage_is_refused(coverage: Coverage) -> None:
    with pytest.raises(UsageError, match="cannot have been served"):
        _saving(coverage=coverage)


def test_a_saving_without_a_priced_call_is_refused() -> None:
    with pytest.raises(UsageError, match="priced call"):
        saving_of((), Coverage(1, 2), _use())


def test_the_whole_log_saves_what_its_tasks_save() -> None:
    saving = _saving()
    total = total_saving([(saving, 600), (saving, 400)], n_calls=2000, upstream_usd=4.0)
    assert total is not None
    assert total.usd_per_call == pytest.approx(saving.usd_per_call / 2)
    assert total.share == pytest.approx(saving.share * 1.0 / 4.0)
    assert total.training_usd == pytest.approx(2 * saving.training_usd)
    assert len(total.assumptions) == len(set(total.assumptions))


def test_without_tasks_or_cost_there_is_no_total() -> None:
    assert total_saving([], n_calls=10, upstream_usd=1.0) is None
    assert total_saving([(_saving(), 1)], n_calls=1, upstream_usd=0.0) is None


def test_a_saving_carries_over_into_the_report() -> None:
    import msgspec

    saving = _saving()
    figures = msgspec.convert(saving, SavingFigures, from_attributes=True)
    assert msgspec.structs.asdict(figures) == msgspec.structs.asdict(saving)


def test_the_coverage_interval_misses_no_more_often_than_it_may() -> None:
    random = np.random.default_rng(3)
    missed = 0
    for served in random.binomial(200, 0.9, 2000):
        _, low, high = coverage_interval(Coverage(int(served), 200))
        missed += not low <= 0.9 <= high
    assert missed / 2000 <= 0.05 / 3


def test_the_same_sample_always_has_the_same_interval() -> None:
    assert mean_interval(_UPSTREAM, 5) == mean_interval(_UPSTREAM, 5)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 50), st.integers(0, 50), st.floats(0.0, 1.0), st.floats(0.0, 100.0))
def test_ends_are_always_in_order(served: int, left: int, shadow: float, seconds: float) -> None:
    use = _use(shadow_share=shadow, cpu_seconds=(seconds, seconds / 2))
    saving = _saving(coverage=Coverage(served, served + left + 1), use=use)
    tolerance = 1e-12
    assert saving.usd_per_call_low <= saving.usd_per_call + tolerance
    assert saving.usd_per_call <= saving.usd_per_call_high + tolerance
    assert saving.verdict in ("worth it", "not worth it", "uncertain")
