"""Rungs that misbehave, reached by "training_fakes:Name" in the child process."""

from __future__ import annotations

import os
import signal
import sys
import time

from slimdown.artefact import Artefact
from slimdown.errors import TrainingFailed
from slimdown.seams import Progress
from slimdown.testing import CopyingRung
from slimdown.types import Dataset, Trained


class KilledOnceRung(CopyingRung):
    """Dies by SIGKILL after its checkpoint; with a checkpoint it goes on."""

    def train(self, dataset: Dataset, artefact: Artefact, progress: Progress) -> Trained:
        if not artefact.has("checkpoint"):
            artefact.write_json("checkpoint", {"step": 1})
            os.write(2, b"native library: giving up\n")
            os.kill(os.getpid(), signal.SIGKILL)
        artefact.remove("checkpoint")
        return super().train(dataset, artefact, progress)


class LeakyRung(CopyingRung):
    """Fails with the text of an example in its message, printed too."""

    def train(self, dataset: Dataset, artefact: Artefact, progress: Progress) -> Trained:
        text = dataset.train[0].input
        print(text)  # noqa: T201 - the fault under test
        print(text, file=sys.stderr)  # noqa: T201 - the fault under test
        raise ValueError(text)


class RefusingRung(CopyingRung):
    """Stops with a cause of its own."""

    def train(self, dataset: Dataset, artefact: Artefact, progress: Progress) -> Trained:
        raise TrainingFailed("the loss is not a number")


class SleepingRung(CopyingRung):
    """Reports its process id, then sleeps until it is ended."""

    def train(self, dataset: Dataset, artefact: Artefact, progress: Progress) -> Trained:
        progress(0.1, str(os.getpid()))
        time.sleep(60)
        return super().train(dataset, artefact, progress)


class CountingRung(CopyingRung):
    """Tells how many examples of each split it was given."""

    def train(self, dataset: Dataset, artefact: Artefact, progress: Progress) -> Trained:
        sizes = [len(dataset.train), len(dataset.dev), len(dataset.calibration)]
        return Trained(dev=(), facts={"sizes": sizes})
