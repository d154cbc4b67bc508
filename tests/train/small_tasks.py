"""Small tasks to learn, by hand and by chance, and what stands around them in a training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from slimdown.artefact import Artefact
from slimdown.seal import KEY_BYTES, Sealer
from slimdown.types import Dataset, Example, OutputKind

KEY = bytes(range(KEY_BYTES))

Pairs = Sequence[tuple[str, Any]]
"""Inputs and what they were answered with."""

WORDS = st.sampled_from(["Ada", "Oslo", "17", "3.5", "two", "card", "7pm"])
TEXTS = st.lists(WORDS, max_size=5).map(" ".join)
LEAVES = WORDS | st.sampled_from([None, True, 17, 3.5, 2]) | st.lists(WORDS, max_size=2)
OBJECTS = st.dictionaries(
    st.sampled_from("abc"),
    LEAVES
    | st.dictionaries(st.sampled_from("xy"), LEAVES, max_size=2)
    | st.lists(st.fixed_dictionaries({"x": LEAVES}), max_size=2),
    max_size=3,
)
CALLS = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from(["find", "book"]), "arguments": OBJECTS}),
    min_size=1,
    max_size=3,
)
OUTPUTS: dict[OutputKind, st.SearchStrategy[Any]] = {
    "label": st.sampled_from(["card", "cash", "app"]),
    "json": OBJECTS,
    "tool": CALLS | st.just("I cannot do that."),
}


@st.composite
def small_tasks(draw: st.DrawFn) -> tuple[OutputKind, Pairs]:
    """Draw a task of up to six different examples, each seen twice, so that its leaves recur."""
    kind = draw(st.sampled_from(sorted(OUTPUTS)))
    pairs = draw(st.lists(st.tuples(TEXTS, OUTPUTS[kind]), min_size=1, max_size=6))
    return kind, [*pairs, *pairs]


def examples(pairs: Pairs) -> tuple[Example, ...]:
    """Return an example for each pair, each of a session and group of its own."""
    return tuple(
        Example(id=str(i), input=text, output=output, session=str(i), group=str(i))
        for i, (text, output) in enumerate(pairs)
    )


def dataset(pairs: Pairs, kind: OutputKind = "json", dev: Pairs = ()) -> Dataset:
    """Return a dataset that trains on ``pairs``."""
    return Dataset(task_id="t", kind=kind, train=examples(pairs), dev=examples(dev), calibration=())


def artefact(folder: Path, key: bytes = KEY) -> Artefact:
    """Return the artefact in ``folder``/specialist."""
    return Artefact(folder / "specialist", Sealer(key))


def quiet(share: float, note: str) -> None:
    """Report progress to nobody, and hold it to its promises."""
    assert 0 <= share <= 1
    assert note
