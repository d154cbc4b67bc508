"""Split a task's examples into train, dev and calibration: by time, and never across a session.

The examples are ordered by time and cut at the shares, so calibration is the newest traffic, as
live traffic will be newer still. Examples of one session or of one near-duplicate group are not
independent: dev and calibration hold one of each, chosen by the hash of its id and not by what it
says, and none whose session or group an earlier split holds; train keeps all of its own. Examples
without a time have no order worth trusting (a log may be sorted by answer): they come first, in
the order of a hash. Pure: the same examples give the same dataset in whatever order they come.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from slimdown.canonical import bytes_id
from slimdown.errors import UsageError
from slimdown.types import Dataset, Dropped, Example, OutputKind

SHARES = (0.6, 0.15, 0.25)
"""Train, dev, calibration."""


def split(
    examples: Sequence[Example],
    *,
    task_id: str,
    kind: OutputKind,
    shares: tuple[float, float, float] = SHARES,
) -> Dataset:
    """Return the dataset; what it leaves out is in ``dropped`` as same_session or near_duplicate.

    ``shares`` are of the examples before any is left out; raises `UsageError` unless none is
    negative and they sum to 1.
    """
    if min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
        raise UsageError(
            f"the shares {shares} of train, dev and calibration do not sum to 1, or one is "
            "negative; nothing was split. Give three such as 0.6, 0.15, 0.25."
        )
    ordered = sorted(examples, key=_order)
    dev_from = round(len(ordered) * shares[0])
    calibration_from = round(len(ordered) * (shares[0] + shares[1]))
    taken = _Taken()
    train = tuple(ordered[:dev_from])
    for example in train:
        taken.add(example)
    dev, dev_left = _independent(ordered[dev_from:calibration_from], taken)
    calibration, calibration_left = _independent(ordered[calibration_from:], taken)
    return Dataset(
        task_id=task_id,
        kind=kind,
        train=train,
        dev=dev,
        calibration=calibration,
        dropped=dev_left + calibration_left,
    )


def is_dated(examples: Iterable[Example]) -> bool:
    """Tell whether time ordered the split: more than one time is known among the examples.

    Where it is not, calibration is a random part of the traffic and says nothing about drift.
    """
    return len({example.started_at for example in examples if example.started_at}) > 1


class _Taken:
    """The sessions and groups that the splits so far hold."""

    def __init__(self) -> None:
        self._sessions: set[str] = set()
        self._groups: set[str] = set()

    def add(self, example: Example) -> None:
        self._sessions.add(example.session)
        self._groups.add(example.group)

    def objection(self, example: Example) -> str | None:
        """Return why an example is not independent of those taken; "" is no session, no group."""
        if example.session and example.session in self._sessions:
            return "same_session"
        return "near_duplicate" if example.group and example.group in self._groups else None


def _order(example: Example) -> tuple[str, str, str]:
    # Among equal times what belongs together stays together, so that less is left out.
    together = example.session or example.group or example.id
    return example.started_at, _hash(together), _hash(example.id)


def _hash(text: str) -> str:
    return bytes_id(text.encode("utf-8", "surrogatepass"))


def _independent(
    examples: Sequence[Example], taken: _Taken
) -> tuple[tuple[Example, ...], tuple[Dropped, ...]]:
    """Take one example per session and group, by hash; return them in the order given."""
    left: dict[str, Dropped] = {}
    for example in sorted(examples, key=lambda e: _hash(e.id)):
        reason = taken.objection(example)
        if reason:
            left[example.id] = Dropped(example.id, reason)
        else:
            taken.add(example)
    return tuple(e for e in examples if e.id not in left), tuple(left.values())
