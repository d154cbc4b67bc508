"""Figures of an evaluation, worked out by hand; and what no row of them may hide."""

from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimdown.evaluate.agreement import agreement_for, disagreements
from slimdown.evaluate.confidence import AgreementModel, fit_agreement_model
from slimdown.evaluate.report import MOST_ROWS, Confused, Evaluation, evaluate
from slimdown.types import Dataset, Example, OutputKind, Prediction

KEYS = st.sampled_from(["a", "b", "a.b", "a[0]", "", "$", "é"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["x", " x ", "2024-01-01"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.dictionaries(KEYS, JSON, max_size=3)
CALLS = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from(["f", "g[0]"]), "arguments": OBJECTS}),
    max_size=3,
)
LABELS = st.sampled_from(["a", "A.", "b", "c"])


def evaluated(kind: OutputKind, pairs: list[tuple[Any, Any]], **options: Any) -> Evaluation:
    """Evaluate (ours, theirs) pairs, each as sure as ``confidences`` say, else half."""
    sure = options.pop("confidences", [0.5] * len(pairs))
    truths = options.pop("truths", [None] * len(pairs))
    calibration = tuple(
        Example(id=f"c{i}", input=f"text {i}", output=theirs, session="", group="", label=truth)
        for i, ((_, theirs), truth) in enumerate(zip(pairs, truths, strict=True))
    )
    dataset = Dataset(task_id="t", kind=kind, train=(), dev=(), calibration=calibration)
    found = [Prediction(output=o, confidence=c) for (o, _), c in zip(pairs, sure, strict=True)]
    return evaluate(dataset, found, agreement_for(kind), **options)


def calling(name: str, **arguments: Any) -> list[dict[str, Any]]:
    return [{"name": name, "arguments": arguments}]


def rows(found: Evaluation) -> dict[str, tuple[int, float]]:
    return {row.path: (row.n, row.agreement) for row in found.fields}


def test_ten_labels_give_the_figures_worked_out_by_hand() -> None:
    """Upstream: 5 a, 3 b, 2 c. Of 4 answers a 3 are right, of 3 b 2, of 2 c 1; one abstains."""
    ours = ["a", "a", "a", "b", "c", "b", "b", "a", "c", None]
    theirs = ["a"] * 5 + ["b"] * 3 + ["c"] * 2

    found = evaluated("label", list(zip(ours, theirs, strict=True)))

    assert (found.n, found.n_agreed, found.n_abstained) == (10, 6, 1)
    assert (found.agreement, found.abstention) == (0.6, 0.1)
    assert [(r.label, r.n, r.precision, r.recall) for r in found.labels] == [
        ("a", 5, 3 / 4, 3 / 5),
        ("b", 3, 2 / 3, 2 / 3),
        ("c", 2, 1 / 2, 1 / 2),
    ]
    assert found.confusions == (Confused("a", "b", 1), Confused("a", "c", 1), Confused("b", "a", 1))


def test_a_label_that_only_the_specialist_says_has_no_row_of_its_own() -> None:
    found = evaluated("label", [("new", "a"), ("a", "a")])

    assert [row.label for row in found.labels] == ["a"]
    assert found.confusions == (Confused("a", "new", 1),)


def test_three_objects_give_the_figures_worked_out_by_hand() -> None:
    pairs = [
        ({"id": "7", "size": {"w": 1, "h": 2}}, {"id": "7", "size": {"w": 1, "h": 3}}),
        ({"id": "8", "size": None}, {"id": "9", "size": {"w": 1, "h": 2}}),
        ({"id": "5", "tags": ["a", "b"]}, {"id": "5", "tags": ["a", "c"]}),
        (None, {"id": "4"}),
    ]

    found = evaluated("json", pairs)

    assert rows(found) == {
        "id": (3, 2 / 3),
        "size.h": (2, 0.0),
        "size.w": (2, 1 / 2),
        "tags[]": (1, 0.0),
    }


def test_a_key_with_brackets_that_differs_is_counted_as_differing() -> None:
    assert rows(evaluated("json", [({"a[0]": 1}, {"a[0]": 2})])) == {"a[]": (1, 0.0)}


def test_a_null_argument_differs_from_one_left_out_and_has_a_row() -> None:
    found = evaluated("tool", [(calling("f", id="7", full=None), calling("f", id="7"))])

    assert found.n_agreed == 0
    assert rows(found) == {"f": (1, 1.0), "f.full": (1, 0.0), "f.id": (1, 1.0)}


@pytest.mark.parametrize("theirs", [{"a": [None]}, {"a": {}}, {"a": {"b": None}}, {"a": []}])
def test_a_field_that_holds_nothing_differs_from_one_left_out_and_has_a_row(theirs: Any) -> None:
    found = evaluated("json", [({"id": 1}, {"id": 1, **theirs})])

    assert found.n_agreed == 0
    assert [row.agreement for row in found.fields] == [0.0, 1.0]


def test_an_empty_answer_does_not_agree_as_a_whole_with_one_that_holds_something() -> None:
    assert rows(evaluated("json", [({}, {"a": 1})])) == {"$": (1, 0.0), "a": (1, 0.0)}


def test_another_function_called_is_a_disagreement_of_both() -> None:
    found = evaluated("tool", [(calling("find", id="7"), calling("drop", id="7"))])

    assert rows(found) == {
        "drop": (1, 0.0),
        "drop.id": (1, 0.0),
        "find": (1, 0.0),
        "find.id": (1, 0.0),
    }


def test_text_and_labels_have_no_fields_and_objects_no_labels() -> None:
    text = evaluated("text", [("a", "a"), ("b", "a")])
    objects = evaluated("json", [({"a": 1}, {"a": 1})])

    assert (text.fields, text.labels, text.confusions, text.n_agreed) == ((), (), (), 1)
    assert (objects.labels, objects.confusions) == ((), ())


def test_equally_sure_mistakes_stand_in_order_of_their_ids() -> None:
    pairs = [("b", "a")] * (MOST_ROWS + 5)

    found = evaluated("label", pairs)

    assert [w.call_id for w in found.worst] == sorted(f"c{i}" for i in range(15))[:MOST_ROWS]


def test_the_truth_may_contradict_an_agreement() -> None:
    """Both sides say a of c0, where b is right; only the specialist is right about c1."""
    found = evaluated("label", [("a", "a"), ("b", "a")], truths=["b", "B."])

    assert (found.n_agreed, found.n_truth, found.n_true, found.n_upstream_true) == (1, 2, 1, 0)


def test_an_evaluation_survives_json() -> None:
    found = evaluated("tool", [(calling("f", a=1), calling("f", a=2)), ("words", calling("g"))])

    assert msgspec.json.decode(msgspec.json.encode(found), type=Evaluation) == found


@given(st.lists(st.tuples(LABELS | st.none(), LABELS), max_size=30))
def test_counts_of_labels_add_up(pairs: list[tuple[Any, Any]]) -> None:
    found = evaluated("label", pairs)

    n_right = sum((row.recall or 0) * row.n for row in found.labels)
    n_confused = sum(confused.n for confused in found.confusions)
    assert sum(row.n for row in found.labels) == found.n == len(pairs)
    assert round(n_right) == found.n_agreed
    assert found.n_agreed + n_confused + found.n_abstained == found.n


@given(st.lists(st.tuples(OBJECTS, OBJECTS), max_size=5))
def test_all_fields_of_objects_agree_exactly_where_the_objects_do(
    pairs: list[tuple[Any, Any]],
) -> None:
    found = evaluated("json", pairs)

    whole = all(row.agreement == 1 for row in found.fields)
    assert whole == (found.n_agreed == found.n)
    assert all(0 <= row.agreement <= 1 and 0 < row.n <= len(pairs) for row in found.fields)


@given(CALLS, CALLS)
def test_a_disagreement_of_tool_calls_is_never_without_a_row_that_shows_it(
    ours: list[Any], theirs: list[Any]
) -> None:
    found = evaluated("tool", [(ours, theirs)])

    assert (found.n_agreed == 1) == all(row.agreement == 1 for row in found.fields)


@given(CALLS, CALLS)
def test_differences_of_calls_name_a_function_that_was_called(
    ours: list[Any], theirs: list[Any]
) -> None:
    called = {call["name"] for call in (*ours, *theirs)}

    for path in disagreements("tool", ours, theirs):
        assert any(path == name or path.startswith((f"{name}.", f"{name}[")) for name in called)


@given(st.lists(st.tuples(LABELS, LABELS), max_size=30), st.randoms(use_true_random=False))
def test_the_order_of_the_examples_changes_no_figure(
    pairs: list[tuple[Any, Any]], random: Any
) -> None:
    found = evaluated("label", pairs)

    other = evaluated("label", random.sample(pairs, len(pairs)))

    assert (other.n, other.n_agreed, other.labels, other.confusions) == (
        found.n,
        found.n_agreed,
        found.labels,
        found.confusions,
    )


@given(st.floats(0.01, 1), st.floats(0.01, 1))
def test_raw_confidence_keeps_its_order_as_a_score(one: float, other: float) -> None:
    first, second = (Prediction(output="a", confidence=c) for c in (one, other))
    score = AgreementModel().score

    assert (score(first) < score(second)) == (one < other)


def test_a_signal_that_never_varies_changes_no_rank() -> None:
    def pairs(**signals: float) -> list[tuple[Prediction, bool]]:
        return [
            (Prediction(output="a", confidence=i / 200, signals=signals), i % 3 > 0 or i > 150)
            for i in range(200)
        ]

    plain, constant = (fit_agreement_model(made) for made in (pairs(), pairs(lucky=7.0)))
    seen = [p for p, _ in pairs(lucky=7.0)]

    ranks = [sorted(range(200), key=lambda i: m.score(seen[i])) for m in (plain, constant)]
    assert ranks[0] == ranks[1]


@pytest.mark.parametrize("wrong", [3, 5])
def test_a_wrong_number_of_scores_is_an_error(wrong: int) -> None:
    with pytest.raises(ValueError, match="zip"):
        evaluated("label", [("a", "a")] * 4, scores=[0.5] * wrong)


def test_counting_labels_by_hand_gives_the_same_rows() -> None:
    theirs = ["Card", "card.", "CARD", "loan", " loan "]

    found = evaluated("label", [(t, t) for t in theirs])

    by_hand = Counter(t.strip().strip(".").lower() for t in theirs)
    assert {row.label: row.n for row in found.labels} == dict(by_hand) == {"card": 3, "loan": 2}
