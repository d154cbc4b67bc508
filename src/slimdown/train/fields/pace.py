"""How far a training has come, and on how many threads it comes along fastest.

A second thread doubles the speed of an idle machine and ruins that of a busy one, where each
matrix product waits for whichever thread was put aside. So the first steps try both.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

_TRIED = 4
_SETTLING = 2


@dataclass
class Pace:
    """Steps done and seconds spent, of a budget that holds between ``least`` and ``most`` steps."""

    budget_s: float
    least: float
    most: float
    step: int = 0
    spent_s: float = 0.0
    loss: float = 0.0

    @property
    def share(self) -> float:
        """Share done, 1 or more at the end: time is out and ``least`` done, or ``most`` is."""
        by_time = min(self.spent_s / self.budget_s, self.step / self.least)
        return max(by_time, self.step / self.most)

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count what is done within as a step."""
        started = time.perf_counter()
        yield
        self.spent_s += time.perf_counter() - started
        self.step += 1


class Threads:
    """Tries all of torch's threads, then one, then keeps the faster for the rest of the process."""

    def __init__(self) -> None:
        """Begin with as many threads as torch has."""
        self._tries = [torch.get_num_threads(), 1] if torch.get_num_threads() > 1 else []
        self._seconds: dict[int, list[float]] = {n: [] for n in self._tries}

    @contextmanager
    def tried(self) -> Iterator[None]:
        """Run a step on the number of threads whose turn it is."""
        if not self._tries:
            yield
            return
        n_threads = self._tries[0]
        torch.set_num_threads(n_threads)
        started = time.perf_counter()
        yield
        self._seconds[n_threads].append(time.perf_counter() - started)
        if len(self._seconds[n_threads]) == _SETTLING + _TRIED:
            self._tries.pop(0)
        if not self._tries:
            torch.set_num_threads(min(self._seconds, key=self._typical))

    def _typical(self, n_threads: int) -> float:
        # The first steps on a number of threads start them, and prepare the products.
        return statistics.median(self._seconds[n_threads][_SETTLING:])
