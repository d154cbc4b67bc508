"""Calls of one session are copies of each other: the promise holds if one of each is kept.

Each session asks the same again and again and is answered alike, so that its calls agree or
disagree together: as evidence it counts once.
"""

from __future__ import annotations

import numpy as np
from populations import draw

from slimdown.certify import certify
from slimdown.curate.splits import split
from slimdown.types import CurvePoint, Dataset, Example, Graded

RISK = 0.1
N_TRIALS = 60
MOST_BROKEN = 9
"""Of 60 trials that each break with chance 5 %, 10 or more do with a chance below 0.1 %."""
_COPIES = 12
_JUST_ABOVE = 0.105


def session_calls(n_sessions: int, chance: np.random.Generator) -> list[Example]:
    """Return calls of sessions whose answers are all right or all wrong, told by ``output``."""
    right = chance.random(n_sessions) >= _JUST_ABOVE
    return [
        Example(
            id=f"{session}-{turn}",
            input="x",
            output="right" if right[session] else "wrong",
            session=f"s{session}",
            group="",
            started_at=f"2026-{session:05}",
        )
        for session in range(n_sessions)
        for turn in range(_COPIES)
    ]


def graded(examples: tuple[Example, ...] | list[Example]) -> list[Graded]:
    return [Graded(0.9, example.output == "right") for example in examples]


def certified(calibration: list[Graded]) -> bool:
    flattering = [Graded(0.9, True)] * 400
    return isinstance(certify(flattering, calibration, risk=RISK), CurvePoint)


def splits(n_sessions: int, seed: int) -> list[Dataset]:
    chance = np.random.default_rng(seed)
    calls = [session_calls(n_sessions, chance) for _ in range(N_TRIALS)]
    return [split(c, task_id="t", kind="label", shares=(0.0, 0.0, 1.0)) for c in calls]


def test_one_call_a_session_keeps_the_promise() -> None:
    kept = [graded(dataset.calibration) for dataset in splits(100, 1)]

    broken = sum(certified(calibration) for calibration in kept)

    assert all(len(calibration) == 100 for calibration in kept)
    assert broken <= MOST_BROKEN


def test_all_calls_of_each_session_would_break_it() -> None:
    """Why the split drops copies: a dozen of each make chance look like proof."""
    chance = np.random.default_rng(1)

    broken = sum(certified(graded(session_calls(100, chance))) for _ in range(N_TRIALS))

    assert broken > MOST_BROKEN


def test_the_kept_call_is_chosen_without_regard_to_its_answer() -> None:
    calls = session_calls(40, np.random.default_rng(2))
    turned = [
        Example(**{**_fields(e), "output": "wrong" if e.output == "right" else "right"})
        for e in calls
    ]

    kept = [split(c, task_id="t", kind="label").calibration for c in (calls, turned)]

    assert [e.id for e in kept[0]] == [e.id for e in kept[1]]


def test_what_is_kept_of_sessions_is_an_honest_sample_of_them() -> None:
    kept = [graded(dataset.calibration) for dataset in splits(100, 3)]

    wrong = np.mean([not g.agreed for calibration in kept for g in calibration])

    assert abs(wrong - _JUST_ABOVE) < 4 * np.sqrt(_JUST_ABOVE * (1 - _JUST_ABOVE) / 6000)


def test_independent_calls_of_a_good_specialist_are_certified_all_the_same() -> None:
    chance = np.random.default_rng(4)
    dev, calibration = draw("easy", 400, chance), draw("easy", 400, chance)

    found = certify(dev, calibration, risk=RISK)

    assert isinstance(found, CurvePoint)
    assert found.coverage > 0.9


def _fields(example: Example) -> dict[str, str]:
    names = ("id", "input", "session", "group", "started_at")
    return {name: getattr(example, name) for name in names}
