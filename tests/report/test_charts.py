import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_report import empty_report, label_rung, sample_certificate, sample_curve, sample_report

from slimdown.report.charts import HEIGHT, WIDTH, CurveChart, curve_chart, matrix, shares
from slimdown.report.model import Confusion, LabelRow
from slimdown.types import CurvePoint

_POINTS = st.lists(
    st.builds(
        CurvePoint,
        coverage=st.floats(0, 1),
        threshold=st.floats(0, 1),
        n=st.integers(0, 400),
        k=st.just(0),
        upper=st.floats(0, 1),
    ),
    max_size=20,
)


def _chart(steepness: float = 0.03) -> CurveChart:
    chart = curve_chart(sample_curve(steepness), 0.02, sample_certificate("linear", 0.9, 0.0165))
    assert chart is not None
    return chart


def _xs(line: str) -> list[float]:
    return [float(point.split(",")[0]) for point in line.split()]


def test_a_curve_needs_two_points() -> None:
    assert curve_chart((), 0.02, None) is None
    assert curve_chart(sample_curve(0.1)[:1], 0.02, None) is None


def test_both_lines_run_from_left_to_right_inside_the_frame() -> None:
    chart = _chart()
    for line in (chart.bound, chart.observed):
        assert _xs(line) == sorted(_xs(line))
        assert chart.left <= _xs(line)[0] < _xs(line)[-1] <= chart.right


def test_the_floor_and_the_certified_point_are_in_view() -> None:
    chart = _chart()
    assert chart.mark is not None
    assert chart.top < chart.floor < chart.mark.y + 20 < chart.bottom
    assert chart.left < chart.mark.x < chart.right


def test_a_hopeless_curve_is_drawn_whole_where_it_was_observed() -> None:
    chart = _chart(0.66)
    heights = [float(point.split(",")[1]) for point in chart.observed.split()]
    assert min(heights) >= chart.top


def test_the_chart_is_told_in_words() -> None:
    assert "The floor is 2%. Certified at 90% of calls." in _chart().summary
    refused = curve_chart(sample_curve(0.66), 0.02, None)
    assert refused is not None
    assert "No point is certified." in refused.summary


@given(_POINTS, st.floats(0.001, 0.5))
def test_any_curve_can_be_drawn(points: list[CurvePoint], risk: float) -> None:
    chart = curve_chart(points, risk, None)
    if chart is not None:
        assert all(0 <= tick.at <= WIDTH for tick in chart.x_ticks)
        assert all(0 <= tick.at <= HEIGHT for tick in chart.y_ticks)
        assert 2 <= len(chart.y_ticks) <= 8
        assert chart.top <= chart.floor <= chart.bottom


def test_the_bar_holds_every_call_once() -> None:
    pieces = shares(sample_report())
    assert sum(piece.n_calls for piece in pieces) == pytest.approx(4000)
    assert sum(piece.width for piece in pieces) == pytest.approx(1000, abs=0.1)
    assert [p.kind for p in pieces] == ["moved", "rest", "refused", "aside", "elsewhere"]


def test_an_empty_report_has_no_bar() -> None:
    assert shares(empty_report()) == ()


def test_a_whole_confusion_table_adds_up() -> None:
    rung = label_rung()
    table = matrix(rung.labels, rung.confusions)
    assert table is not None
    assert [sum(cell.n for cell in row) for row in table.rows] == [r.n for r in rung.labels]
    assert all(row[i].agrees for i, row in enumerate(table.rows))


def test_a_confusion_table_that_is_not_whole_is_not_drawn() -> None:
    rows = (LabelRow("a", 10, 1.0, 0.8), LabelRow("b", 10, 0.8, 1.0))
    assert matrix(rows, (Confusion("a", "b", 1),)) is None
    assert matrix(rows, (Confusion("a", "b", 2),)) is not None
    assert matrix(rows[:1], ()) is None
