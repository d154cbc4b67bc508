"""The page of odd reports: figures that are no numbers, a single call, names beyond all measure."""

import math
import re
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_report import (
    empty_report,
    json_rung,
    label_rung,
    refused_rung,
    sample_certificate,
    sample_curve,
    sample_report,
    sample_saving,
    sample_task,
)

from slimdown.report.charts import curve_chart, shares
from slimdown.report.figures import count, duration, percent, sentence, size, spoken, usd, when
from slimdown.report.model import (
    Confusion,
    Count,
    FieldRow,
    LabelRow,
    Report,
    RungReport,
    TaskReport,
    WorstExample,
)
from slimdown.report.page import render
from slimdown.types import CurvePoint

NAN, INF = math.nan, math.inf
ODD = (NAN, INF, -INF)
NUMBERS = st.none() | st.floats() | st.sampled_from(ODD)
quick = settings(max_examples=20, deadline=None)


class Texts(HTMLParser):
    """Notes what stands between a page's tags, and the values of its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.said: list[str] = []
        self.attributes: list[str] = []
        self.feed(re.sub(r"<style>.*?</style>", "", page, flags=re.S))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [value or "" for _, value in attrs]

    def handle_data(self, data: str) -> None:
        self.said.append(data)

    @property
    def words(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.said))


def words(report: Report) -> str:
    return Texts(render(report)).words


def one_task(rung: RungReport, **fields: Any) -> Report:
    task = TaskReport(task=sample_task("t"), **{"n_calls": 10, "rungs": (rung,), **fields})
    return sample_report(tasks=(task,), saving=fields.get("saving"))


@pytest.mark.parametrize("odd", ODD)
def test_a_figure_that_is_no_number_is_a_dash_and_never_a_word(odd: float) -> None:
    rung = RungReport(
        rung="linear",
        agreement=odd,
        truth_agreement=odd,
        train_seconds=odd,
        latency_ms=odd,
        labels=(LabelRow("a", 3, odd, None),),
        fields=(FieldRow("f", 3, odd),),
    )

    page = Texts(render(one_task(rung, cost_usd=odd)))

    assert not re.search(r"\b(nan|inf)\b", page.words.lower())
    assert "\N{EN DASH}" in page.words


@pytest.mark.parametrize("odd", ODD)
def test_points_that_are_no_numbers_are_left_out_of_a_curve(odd: float) -> None:
    points = (CurvePoint(odd, 0.5, 10, 1, 0.2), CurvePoint(0.3, 0.5, 10, 1, odd))
    whole = sample_curve(0.1)

    drawn = curve_chart((*points, *whole), 0.02, None)

    assert drawn == curve_chart(whole, 0.02, None)
    assert curve_chart(points, 0.02, None) is None


@pytest.mark.parametrize("odd", ODD)
def test_money_that_is_no_number_does_not_keep_the_page_from_being_drawn(odd: float) -> None:
    names = ("usd_per_call", "usd_per_month", "share", "break_even_calls", "payback_days")
    saving = sample_saving(**dict.fromkeys(names, odd))

    page = words(sample_report(saving=saving))

    assert not re.search(r"\b(nan|inf)\b", page.lower())


def test_a_workspace_of_one_call_speaks_of_one_call() -> None:
    lone = TaskReport(task=sample_task("lone"), n_calls=1)
    report = empty_report(n_calls=1, n_sessions=1, tasks=(lone,), cost_usd=0.0)

    page = words(report)

    assert "1 calls" not in page
    assert "1 sessions" not in page
    assert [(s.kind, s.n_calls, s.width) for s in shares(report)] == [("untried", 1, 1000.0)]


def test_an_empty_task_divides_nothing_by_zero() -> None:
    rung = msgspec.structs.replace(
        label_rung(), n_calibration=0, labels=(), confusions=(), curve=()
    )
    empty = TaskReport(task=sample_task("e"), n_calls=0, rungs=(rung,), served_by="linear")

    report = sample_report(tasks=(empty,), n_calls=0, cost_usd=0.0)

    assert words(report)
    assert (report.moved_share, report.moved_cost_share) == (0.0, None)
    assert (report.share_of_calls(empty), report.share_of_tokens(empty)) == (None, None)
    assert report.share_of_cost(empty) is None


def test_names_beyond_all_measure_are_clipped_and_say_so() -> None:
    huge = "n" * 100_000
    worst = WorstExample(huge, huge, {huge: huge}, [huge] * 3, 0.5)
    labels = tuple(LabelRow(f"{i}{huge}", 1, 1.0, 1.0) for i in range(3))
    rung = msgspec.structs.replace(refused_rung(huge), worst=(worst,), labels=labels)
    task = TaskReport(
        task=sample_task(huge, "label", huge), n_calls=5, rungs=(rung,), dropped=(Count(huge, 1),)
    )

    page = render(sample_report(name=huge, version=huge, notes=(huge,), tasks=(task,)))

    assert len(page) < 200_000
    assert "more characters)" in page
    assert "n" * 5_000 not in page


def test_many_tasks_each_have_their_own_section() -> None:
    tasks = tuple(TaskReport(task=sample_task("same"), n_calls=1) for _ in range(60))

    page = render(sample_report(tasks=tasks, n_calls=60))

    ids = re.findall(r'id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert len(ids) >= 60


@pytest.mark.parametrize("value", [None, "", [], {}, 0, False, "\ud800", {"a": [None, 1.5]}, "<i>"])
def test_an_answer_of_any_kind_can_be_a_worst_example(value: Any) -> None:
    worst = (WorstExample("c", "", value, value, 0.9),)
    rung = msgspec.structs.replace(json_rung(), worst=worst)

    page = render(one_task(rung, served_by="fields"))

    assert "<i>" not in page
    page.encode("utf-8")


def test_a_certificate_of_everything_leaves_nothing_to_the_upstream() -> None:
    whole = msgspec.structs.replace(
        label_rung(), certificate=sample_certificate("linear", 1.0, 0.001)
    )
    task = TaskReport(task=sample_task("t"), n_calls=4000, rungs=(whole,), served_by="linear")

    report = sample_report(tasks=(task,))

    assert [(s.kind, s.width) for s in shares(report)] == [("moved", 1000.0)]
    assert "100% of your LLM calls can move" in words(report)


def test_a_strict_floor_is_never_told_as_none() -> None:
    assert "at most 0.04% differ" in words(sample_report(risk=0.0004))
    assert "at most 0.0% differ" not in words(sample_report(risk=0.00001))


@pytest.mark.parametrize("risk", [0.001, 0.0004, 0.002, 0.02, 0.2])
def test_no_two_marks_on_an_axis_read_alike(risk: float) -> None:
    curve = [CurvePoint(share, 0.5, 6000, 1, risk * share) for share in (0.5, 1.0)]

    chart = curve_chart(curve, risk, None)

    assert chart is not None
    texts = [tick.text for tick in chart.y_ticks]
    assert len(texts) == len(set(texts))


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0005, "0.05%"),
        (0.0015, "0.15%"),
        (0.005, "0.5%"),
        (0.0094, "0.94%"),
        (0.0096, "1.0%"),
        (0.0995, "10%"),
        (-0.0004, "\N{MINUS SIGN}0.04%"),
    ],
)
def test_shares_below_one_per_cent_keep_two_digits(share: float, text: str) -> None:
    assert percent(share) == text


@given(st.floats(-1, 1).filter(bool))
def test_no_share_but_none_reads_as_none(share: float) -> None:
    digits = percent(share).strip("\N{MINUS SIGN}%")

    assert abs(share) < 1e-300 or float(digits.replace("\N{MINUS SIGN}", "-")) > 0


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (usd(0.999999), "$1.00"),
        (usd(99.999), "$100.00"),
        (usd(1e-9), "$0.000000001"),
        (usd(123_456_789), "$123,456,789"),
        (count(0.4), "0"),
        (count(-0.4), "0"),
        (duration(-5), "0 s"),
        (duration(86_400 * 400), "400 days"),
        (size(0), "0 bytes"),
        (size(999), "999 bytes"),
        (size(None), "\N{EN DASH}"),
        (when(""), "\N{EN DASH}"),
        (when(None), "\N{EN DASH}"),
        (sentence(""), "."),
        (spoken(None), "(no answer)"),
        (spoken({1, 2}, 40), "[1,2]"),
    ],
)
def test_figures_at_their_borders(shown: str, text: str) -> None:
    assert shown == text


@quick
@given(NUMBERS, NUMBERS, st.integers(0, 3))
def test_any_mixture_of_figures_makes_a_page(one: Any, other: Any, n: int) -> None:
    rung = RungReport(
        rung="linear",
        agreement=one,
        truth_agreement=other,
        latency_ms=one,
        train_seconds=other,
        n_bytes=n,
        curve=sample_curve(0.1)[:n],
        confusions=(Confusion("a", "b", n),) * n,
    )

    page = Texts(render(one_task(rung, n_calls=n, cost_usd=one)))

    assert not any(re.search(r"\bnan\b", text.lower()) for text in (page.words, *page.attributes))
