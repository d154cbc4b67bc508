import msgspec
import pytest
from sample_report import (
    empty_report,
    json_rung,
    label_rung,
    refused_rung,
    sample_report,
    sample_task,
)

from slimdown.report.model import Report, RungReport, TaskReport


def test_a_report_survives_json() -> None:
    report = sample_report()
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report


def test_a_report_names_its_schema() -> None:
    assert msgspec.json.decode(msgspec.json.encode(empty_report()))["schema"] == "slimdown.report/1"


def test_moved_calls_are_those_that_certified_specialists_cover() -> None:
    report = sample_report()
    assert report.moved_calls == pytest.approx(1260 * 0.9 + 1255 * 0.65)
    assert report.moved_share == pytest.approx(report.moved_calls / 4000)


def test_the_moved_cost_is_weighed_by_what_each_task_costs() -> None:
    share = sample_report().moved_cost_share
    assert share == pytest.approx((0.06 * 0.9 + 0.92 * 0.65) / 2.87)
    assert sample_report(cost_usd=None).moved_cost_share is None


def test_an_empty_report_moves_nothing() -> None:
    assert (empty_report().moved_share, empty_report().moved_cost_share) == (0.0, None)


def test_each_outcome_of_a_task_has_its_verdict() -> None:
    verdicts = [task.verdict for task in sample_report().tasks]
    assert verdicts == ["certified", "certified", "refused", "refused", "set aside"]
    assert TaskReport(task=sample_task("x"), n_calls=1).verdict == "not tried"


def test_a_certificate_counts_only_if_its_rung_was_chosen() -> None:
    task = TaskReport(task=sample_task("x"), n_calls=10, rungs=(label_rung(),))
    assert task.certificate is None
    assert task.coverage == 0.0
    chosen = msgspec.structs.replace(task, served_by="linear")
    assert chosen.served == label_rung()
    assert chosen.moved_calls == 9


def test_the_chosen_rung_is_the_served_one_among_several() -> None:
    rungs = (refused_rung(), json_rung(), RungReport(rung="lora", objection="no GPU"))
    task = TaskReport(task=sample_task("x"), n_calls=10, rungs=rungs, served_by="fields")
    assert task.served == json_rung()
    assert task.verdict == "certified"
