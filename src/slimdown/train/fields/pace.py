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
    """Tries one of torch's threads, then all, then keeps the faster for the rest of the process."""

    def __init__(self) -> None:
        """Begin with one thread, the choice that is never far wrong."""
        self._all = torch.get_num_threads()
        self._seconds: dict[int, list[float]] = {1: [], self._all: []}
        torch.set_num_threads(1)

    @contextmanager
    def tried(self) -> Iterator[None]:
        """Run a step on the number of threads whose turn it is."""
        n_threads = torch.get_num_threads()
        started = time.perf_counter()
        yield
        if self._all > 1:
            self._seconds[n_threads].append(time.perf_counter() - started)
            self._turn(n_threads)

    def _turn(self, n_threads: int) -> None:
        done = len(self._seconds[n_threads]) >= _SETTLING + _TRIED
        if n_threads == 1 and done:
            torch.set_num_threads(self._all)
        elif n_threads > 1 and (done or self._hopeless()):
            self._all = 1 if self._slower() else self._all
            torch.set_num_threads(self._all)
            self._all = 1  # settled: nothing more is tried

    def _hopeless(self) -> bool:
        seconds = self._seconds[self._all]
        return len(seconds) > 1 and min(seconds) > 1.5 * self._typical(1)

    def _slower(self) -> bool:
        return self._hopeless() or self._typical(self._all) >= self._typical(1)

    def _typical(self, n_threads: int) -> float:
        # The first steps on a number of threads start them, and prepare the products.
        return statistics.median(self._seconds[n_threads][_SETTLING:])
