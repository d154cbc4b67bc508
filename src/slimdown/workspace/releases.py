"""What the climb leaves for serving: a release per trained contender, and where they are kept.

A release holds all that a runtime and a gateway must know of a specialist beside its weights, so
that neither reads a dataset. Whether it may serve is for `promote` to say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from slimdown.report.model import RungReport
from slimdown.store import Store
from slimdown.types import Dataset, Release, Task
from slimdown.workspace.contender import Contender

RELEASE = "release"
"""The stage under which the store keeps releases, by specialist id."""

RANKED = "ranked"
"""The stage under which the store keeps, by task id, its newest specialists, the best first."""

MOST_KNOWN_VALUES = 5_000
_FEWEST_TIMES = 2


def release_of(task: Task, dataset: Dataset, contender: Contender, report: RungReport) -> Release:
    """Return the release of a contender with its verdict; the models asked for are not set."""
    manifest, refusal = contender.manifest, report.refusal
    splits = (*dataset.train, *dataset.dev, *dataset.calibration)
    return Release(
        specialist_id=manifest.id,
        rung=manifest.rung,
        task=task,
        agreement=msgspec.json.decode(msgspec.json.encode(contender.model)),
        longest_input=max((len(example.input) for example in splits), default=0),
        models=(),
        known_values=known_values(dataset),
        certificate=report.certificate,
        refusal=refusal.reason if refusal else "",
        created_at=manifest.created_at,
    )


def known_values(dataset: Dataset) -> tuple[str, ...]:
    """Return the texts that recur in training's answers, the most frequent first.

    At most `MOST_KNOWN_VALUES`; of a task of labels, every label.
    """
    counts = Counter(text for e in dataset.train for text in set(_texts(e.output)))
    fewest = 1 if dataset.kind == "label" else _FEWEST_TIMES
    ranked = counts.most_common(MOST_KNOWN_VALUES)
    return tuple(text for text, n in ranked if n >= fewest)


def keep_releases(
    store: Store, task_id: str, releases: Sequence[Release], asked: Sequence[str]
) -> None:
    """Keep a task's releases, the best first; ``asked`` are the models its calls asked for."""
    if not releases:
        return
    whole = [msgspec.structs.replace(release, models=tuple(asked)) for release in releases]
    store.put_results(RELEASE, {release.specialist_id: release for release in whole})
    store.put_result(RANKED, task_id, [release.specialist_id for release in whole])


def _texts(output: Any) -> Iterator[str]:
    if isinstance(output, str):
        yield output
    elif isinstance(output, dict):
        yield from _texts_of(output.values())
    elif isinstance(output, list):
        yield from _texts_of(output)


def _texts_of(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        yield from _texts(value)
