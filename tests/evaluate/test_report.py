from __future__ import annotations

from typing import Any

import pytest

from slimdown.evaluate.agreement import agreement_for
from slimdown.evaluate.report import MOST_ROWS, Confused, Evaluation, evaluate
from slimdown.types import Dataset, Example, OutputKind, Prediction


def _evaluate(kind: OutputKind, pairs: list[tuple[Any, Any]], **options: Any) -> Evaluation:
    """Evaluate (ours, theirs) pairs, surer the earlier they stand."""
    truths = options.pop("truths", [None] * len(pairs))
    examples = tuple(
        Example(id=f"c{i}", input=f"text {i}", output=theirs, session="", group="", label=truth)
        for i, ((_, theirs), truth) in enumerate(zip(pairs, truths, strict=True))
    )
    dataset = Dataset(task_id="t", kind=kind, train=(), dev=(), calibration=examples)
    found = [Prediction(output=o, confidence=1 / (i + 1)) for i, (o, _) in enumerate(pairs)]
    return evaluate(dataset, found, agreement_for(kind), **options)


def test_an_abstention_is_neither_an_answer_nor_an_agreement() -> None:
    found = _evaluate("label", [("a", "a"), (None, "a"), ("b", "a"), ("b", "b")])
    assert (found.n, found.n_abstained, found.n_agreed) == (4, 1, 2)
    assert (found.agreement, found.abstention) == (0.5, 0.25)


def test_labels_have_precision_over_ours_and_recall_over_theirs() -> None:
    found = _evaluate("label", [("a", "a"), ("b", "a"), ("b", "b"), (None, "c")])
    figures = {row.label: (row.n, row.precision, row.recall) for row in found.labels}
    assert figures == {"a": (2, 1.0, 0.5), "b": (1, 0.5, 1.0), "c": (1, None, 0.0)}


def test_labels_that_agree_in_all_but_case_are_one_row() -> None:
    found = _evaluate("label", [("Card.", "card"), ("card", "CARD")])
    assert [(row.label, row.n, row.recall) for row in found.labels] == [("card", 2, 1.0)]


def test_the_commonest_confusion_stands_first() -> None:
    found = _evaluate("label", [("b", "a"), ("a", "b"), ("b", "a"), ("a", "a")])
    assert found.confusions == (Confused("a", "b", 2), Confused("b", "a", 1))


def test_the_worst_examples_are_the_surest_disagreements() -> None:
    found = _evaluate("label", [("a", "a"), ("b", "a"), (None, "a"), ("b", "a")])
    assert [(w.call_id, w.score) for w in found.worst] == [("c1", 0.5), ("c3", 0.25)]


def test_given_scores_rank_the_worst_instead_of_raw_confidence() -> None:
    found = _evaluate("label", [("b", "a"), ("b", "a")], scores=[0.1, 0.9])
    assert [w.call_id for w in found.worst] == ["c1", "c0"]


def test_lists_are_kept_short() -> None:
    found = _evaluate("label", [("x", f"label {i}") for i in range(3 * MOST_ROWS)])
    assert len(found.worst) == len(found.confusions) == MOST_ROWS


def test_json_fields_are_counted_where_either_side_has_them() -> None:
    pairs = [({"a": 1, "b": {"c": "x"}}, {"a": 1, "b": {"c": "y"}}), ({"a": 1}, {"a": 1, "d": 2})]
    found = _evaluate("json", pairs)
    rows = {row.path: (row.n, row.agreement) for row in found.fields}
    assert rows == {"a": (2, 1.0), "b.c": (1, 0.0), "d": (1, 0.0)}


def test_list_items_share_a_row_and_lists_of_other_length_disagree_whole() -> None:
    pairs = [({"a": [1, 2]}, {"a": [1, 2]}), ({"a": [1]}, {"a": [1, 2]})]
    found = _evaluate("json", pairs)
    assert [(row.path, row.n, row.agreement) for row in found.fields] == [("a[]", 2, 0.5)]


def test_a_null_field_counts_as_absent() -> None:
    found = _evaluate("json", [({"a": 1, "b": None}, {"a": 1})])
    assert [row.path for row in found.fields] == ["a"]


def test_tool_calls_are_rows_by_function_and_argument() -> None:
    ours = [{"name": "find", "arguments": {"id": "7", "full": True}}]
    theirs = [{"name": "find", "arguments": {"id": "8", "full": True}}]
    found = _evaluate("tool", [(ours, theirs)])
    rows = {row.path: row.agreement for row in found.fields}
    assert rows == {"find": 1.0, "find.full": 1.0, "find.id": 0.0}


def test_a_reply_in_words_where_a_tool_was_called_disagrees_whole() -> None:
    found = _evaluate("tool", [("sorry", [{"name": "find", "arguments": {"id": "8"}}])])
    assert {row.agreement for row in found.fields} == {0.0}


def test_ground_truth_judges_both_sides_where_it_is_known() -> None:
    pairs = [("a", "a"), ("b", "a"), (None, "a"), ("a", "a")]
    found = _evaluate("label", pairs, truths=["a", "b", "a", None])
    assert (found.n_truth, found.n_true, found.n_upstream_true) == (3, 2, 2)


def test_no_examples_give_no_rates() -> None:
    found = _evaluate("json", [])
    assert found.agreement is None and found.abstention is None and found.fields == ()


def test_a_missing_prediction_is_an_error() -> None:
    dataset = Dataset(
        task_id="t",
        kind="label",
        train=(),
        dev=(),
        calibration=(Example(id="c", input="x", output="a", session="", group=""),),
    )
    with pytest.raises(ValueError, match="zip"):
        evaluate(dataset, [], agreement_for("label"))
