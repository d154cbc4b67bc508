"""Rungs whose process ends early or looks about, reached by "stopping_fakes:Name" in the child."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from slimdown.artefact import Artefact
from slimdown.seams import Progress
from slimdown.testing import CopyingRung
from slimdown.types import Dataset, Trained


class NamelessSignalRung(CopyingRung):
    """Dies by a signal that has no name."""

    def train(self, dataset: Dataset, artefact: Artefact, progress: Progress) -> Trained:
        os.kill(os.getpid(), signal.SIGRTMIN + 6)
        return super().train(dataset, artefact, progress)


class ExitingRung(CopyingRung):
    """Says a lot past Python's streams, as native libraries do, and ends its process."""

    def train(self, dataset: Dataset, artefact: Artefact, progress: Progress) -> Trained:
        for number in range(20_000):
            os.write(2, b"line %d %s\n" % (number, b"x" * 300))
        os._exit(3)


class LeavingRung(CopyingRung):
    """Leaves by `sys.exit`, which is no `Exception`."""

    def train(self, dataset: Dataset, artefact: Artefact, progress: Progress) -> Trained:
        sys.exit(4)


class ForgetfulRung(CopyingRung):
    """Runs out of memory in a way that Python notices."""

    def train(self, dataset: Dataset, artefact: Artefact, progress: Progress) -> Trained:
        raise MemoryError(dataset.train[0].input)


class NoisyRung(CopyingRung):
    """Writes to standard output by every way that a library might."""

    def train(self, dataset: Dataset, artefact: Artefact, progress: Progress) -> Trained:
        print("not a report")  # noqa: T201 - the noise under test
        os.write(1, b"not a report either\n")
        os.system("echo nor this")
        return super().train(dataset, artefact, progress)


class LookingRung(CopyingRung):
    """Tells what anybody could read of its process."""

    def train(self, dataset: Dataset, artefact: Artefact, progress: Progress) -> Trained:
        trained = super().train(dataset, artefact, progress)
        seen = Path("/proc/self/cmdline").read_bytes() + Path("/proc/self/environ").read_bytes()
        return Trained(
            dev=trained.dev,
            facts={
                "open_to_all": seen.decode("utf-8", "replace"),
                "threads": os.environ.get("OMP_NUM_THREADS"),
                "blas": os.environ.get("OPENBLAS_NUM_THREADS"),
            },
        )
